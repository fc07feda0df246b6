//! A stream with everything that happened to it written down, and the checks of the promise.

extern crate std;

mod check;
mod cpu;
mod read;

use crate::platform::Pin;
use crate::ring::{
    Delivery, Geometry, Hooks, Loss, Observer, Owner, Packet, Plain, Reader, Records, Slot,
    Storage, Stream, StreamError, SubBuffer, WriteError,
};
use crate::sync::step::step;
pub(super) use cpu::{BEGIN, OneCpu};
use cpu::{FILLER, TestHooks};
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

/// One thing that a context of the CPU, or the reader, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Writes a record of this many bytes.
    Write(usize),
    /// Reserves, fills and commits in place.
    InPlace(usize),
    /// Reserves, and gives the record up.
    GiveUp(usize),
    /// Reserves, and writes that many records of that length before it commits.
    Around(usize, usize, usize),
    /// Writes that many records of that length.
    Burst(usize, usize),
    /// Hands over the open packet.
    Flush,
    /// The timer's duty, with the reader asking for a flush.
    Tick,
    /// The reader takes, checks and gives back all there is.
    Drain,
    /// The reader takes one sub-buffer and keeps it.
    Hold,
    /// The reader gives back what it keeps, the newest first.
    Release,
    /// A new ring: sub-buffer size, count.
    Replace(usize, usize),
    /// Ends the stream.
    Close,
    /// Reserves so many bytes, keeps so many, commits.
    Keep(usize, usize),
    /// A reader that does not consume copies what it can.
    Observe,
    /// ... copies so many of the newest sub-buffers.
    ReadLast(usize),
    /// Another CPU leaves a new ring, which the next tick takes: sub-buffer size, count.
    Offer(usize, usize),
    /// A new ring of the same geometry; what is unread is given up.
    Reset,
    /// Another CPU frees the rings that nobody uses any more.
    Reclaim,
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    pub(super) geometry: Geometry,
    pub(super) first: u64,
}

/// What became of an attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Written { ticks: u64 },
    Lost(Loss),
}

/// A stream under test. It is leaked into raw memory so that readers and slots of it can be kept,
/// and freed at the end.
pub(super) struct World {
    stream: *mut Stream,
    cpu: *mut OneCpu,
    config: Config,
    reader: RefCell<Option<Reader<'static>>>,
    /// Where delivery is by record, the reader reads record by record.
    records: RefCell<Option<Records<'static>>>,
    observer: RefCell<Option<Observer<'static>>>,
    was_reset: Cell<bool>,
    held: RefCell<Vec<SubBuffer<'static>>>,
    /// A sub-buffer is just being taken, and not seen yet.
    is_taking: Cell<bool>,
    /// A sub-buffer is just being given back.
    is_giving_back: Cell<bool>,
    fates: RefCell<BTreeMap<u8, Fate>>,
    next_id: Cell<u8>,
    seen: RefCell<Vec<(Packet, Vec<u8>)>>,
    closed: Cell<bool>,
    level: Cell<usize>,
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        let stream = Box::new(Stream::new());
        let storage = Storage::allocate(&config.geometry).unwrap();
        assert_eq!(
            stream.start(storage, config.geometry, config.first, &TestHooks, &BEGIN),
            Ok(true)
        );
        let cpu = Box::new(OneCpu::default());
        Self {
            stream: Box::into_raw(stream),
            cpu: Box::into_raw(cpu),
            config,
            reader: RefCell::new(None),
            records: RefCell::new(None),
            observer: RefCell::new(None),
            was_reset: Cell::new(false),
            held: RefCell::new(Vec::new()),
            is_taking: Cell::new(false),
            is_giving_back: Cell::new(false),
            fates: RefCell::new(BTreeMap::new()),
            next_id: Cell::new(0),
            seen: RefCell::new(Vec::new()),
            closed: Cell::new(false),
            level: Cell::new(0),
        }
    }

    /// Records that the reader has taken.
    pub(super) fn delivered(&self) -> u64 {
        self.seen
            .borrow()
            .iter()
            .map(|(packet, _)| packet.records)
            .sum()
    }

    pub(super) fn stream(&self) -> &'static Stream {
        // SAFETY: alive until `drop`, which first drops everything that borrows it.
        unsafe { &*self.stream }
    }

    fn cpu(&self) -> &'static OneCpu {
        // SAFETY: as for `stream`.
        unsafe { &*self.cpu }
    }

    pub(super) fn owner(&self) -> Owner<'static, OneCpu> {
        Owner::new(
            self.stream(),
            &self.stream().local,
            &TestHooks,
            Pin::new(self.cpu()),
        )
    }

    /// Does `op` as one context of the CPU, or as the reader.
    pub(super) fn perform(&self, op: Op) {
        self.cpu().interrupted.set(self.level.get());
        self.level.set(self.level.get() + 1);
        self.act(op);
        self.level.set(self.level.get() - 1);
        self.cpu()
            .interrupted
            .set(self.level.get().saturating_sub(1));
    }

    fn act(&self, op: Op) {
        match op {
            Op::Write(len) => self.write(len),
            Op::InPlace(len) => self.in_place(len),
            Op::GiveUp(len) => self.give_up(len),
            Op::Around(len, count, inner) => self.around(len, count, inner),
            Op::Burst(count, len) => (0..count).for_each(|_| self.write(len)),
            Op::Flush => {
                let _ = self.owner().flush();
            }
            Op::Tick => {
                if let Ok(Some(reader)) = self.reader.try_borrow().as_deref() {
                    reader.request_flush();
                }
                self.owner().tick();
            }
            Op::Drain => self.drain(),
            Op::Hold => {
                if let Some(taken) = self.take() {
                    self.held.borrow_mut().push(taken);
                }
            }
            Op::Release => self.release(),
            Op::Replace(size, count) => self.replace(size, count),
            Op::Close => match self.owner().close() {
                Ok(()) => self.closed.set(true),
                Err(StreamError::NoRoom) => {}
                Err(StreamError::Closed) if self.closed.get() || self.level.get() > 1 => {}
                Err(StreamError::Busy) if self.level.get() > 1 => {}
                Err(error) => panic!("{error}"),
            },
            Op::Keep(len, to) => self.keep(len, to),
            Op::Observe => self.observe(),
            Op::ReadLast(count) => self.read_last(count),
            Op::Offer(size, count) => {
                let geometry = self.other_geometry(size, count);
                let storage = Storage::allocate(&geometry).unwrap();
                match self.stream().offer(storage, geometry) {
                    Ok(()) | Err(StreamError::Busy) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Reset => {
                let ring = || self.stream().current().unwrap().serial();
                let before = ring();
                let geometry = self.stream().geometry().unwrap();
                let storage = Storage::allocate(&geometry).unwrap();
                match self.owner().reset(storage) {
                    Ok(()) => self.was_reset.set(true),
                    Err(StreamError::ByRecord) => assert!(self.is_by_record()),
                    // An interrupt has changed the ring in between, and its geometry.
                    Err(StreamError::Storage(_)) => assert_ne!(ring(), before),
                    Err(StreamError::Closed) if self.closed.get() || self.level.get() > 1 => {}
                    Err(StreamError::Busy) if self.level.get() > 1 => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Reclaim => self.reclaim(),
        }
    }

    fn reclaim(&self) {
        let local = &self.stream().local;
        self.stream().reclaim(|serial| local.has_left(serial));
    }

    fn is_by_record(&self) -> bool {
        self.config.geometry.delivery() == Delivery::Record
    }

    /// A record of `len` bytes that is cut to `to`.
    fn keep(&self, len: usize, to: usize) {
        self.fill(len, |id, slot| {
            step();
            let kept = slot.keep(to);
            assert!(kept == to || (kept == len && len - to < TestHooks.least_fill()));
            assert_eq!(slot.len(), kept);
            slot.write(&Self::record(id, kept));
        });
    }

    /// A record of `len` bytes that `body` fills in.
    fn fill(&self, len: usize, body: impl FnOnce(u8, &mut Slot<'_>)) {
        let id = self.new_id();
        let filled = self.owner().fill(len, |slot| {
            body(id, slot);
            step();
            slot.timestamp()
        });
        let fate = match filled {
            Ok(ticks) => Fate::Written { ticks },
            Err(WriteError::Lost(loss)) => self.lost(loss),
            Err(error) => panic!("{error}"),
        };
        self.fates.borrow_mut().insert(id, fate);
    }

    fn new_id(&self) -> u8 {
        let id = self.next_id.get();
        assert!(id < FILLER, "too many records for one-byte ids");
        self.next_id.set(id + 1);
        id
    }

    fn record(id: u8, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len)
            .map(|i| id.wrapping_mul(31).wrapping_add(i as u8))
            .collect();
        bytes[0] = len as u8;
        if len > 1 {
            bytes[1] = id;
        }
        bytes
    }

    fn write(&self, len: usize) {
        let id = self.new_id();
        let before = self.cpu().clock.get();
        let fate = match self.owner().put(Plain(&Self::record(id, len))) {
            Ok(()) => Fate::Written { ticks: before },
            Err(WriteError::Lost(loss)) => self.lost(loss),
            Err(error) => panic!("{error}"),
        };
        self.fates.borrow_mut().insert(id, fate);
    }

    /// A loss that a writer heard of. The context that interrupts nobody cannot collide with a
    /// record that is under way.
    fn lost(&self, loss: Loss) -> Fate {
        assert!(
            loss != Loss::Wrapped || self.level.get() > 1,
            "wrapped, but no record is under way"
        );
        Fate::Lost(loss)
    }

    fn in_place(&self, len: usize) {
        self.fill(len, |id, slot| {
            assert_eq!(slot.len(), len);
            slot.bytes_mut().copy_from_slice(&Self::record(id, len));
        });
    }

    fn give_up(&self, len: usize) {
        let id = self.new_id();
        let filled = self.owner().fill(len, |slot| {
            slot.bytes_mut().copy_from_slice(&Self::record(id, len));
            step();
            slot.give_up();
        });
        let fate = match filled {
            Ok(()) => Fate::Lost(Loss::Discarded),
            Err(WriteError::Lost(loss)) => self.lost(loss),
            Err(error) => panic!("{error}"),
        };
        self.fates.borrow_mut().insert(id, fate);
    }

    /// A record of `len` bytes, and whole records of `inner` bytes while it is being filled.
    fn around(&self, len: usize, count: usize, inner: usize) {
        self.fill(len, |id, slot| {
            self.level.set(self.level.get() + 1);
            (0..count).for_each(|_| self.write(inner));
            self.level.set(self.level.get() - 1);
            slot.write(&Self::record(id, len));
        });
    }

    /// The stream's kind, in another size.
    fn other_geometry(&self, size: usize, count: usize) -> Geometry {
        let old = self.config.geometry;
        Geometry::new(size, count)
            .and_then(|g| g.with_reserves(old.start_reserve(), old.end_reserve()))
            .and_then(|g| g.with_mode(old.mode())?.with_spares(old.spares()))
            .and_then(|g| g.with_delivery(old.delivery()))
            .unwrap()
    }

    fn replace(&self, size: usize, count: usize) {
        let geometry = self.other_geometry(size, count);
        let storage = Storage::allocate(&geometry).unwrap();
        match self.owner().succeed(storage, geometry) {
            Ok(()) => {}
            Err(StreamError::Closed) if self.closed.get() || self.level.get() > 1 => {}
            Err(StreamError::Busy) if self.level.get() > 1 => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.held.borrow_mut().clear();
        *self.reader.borrow_mut() = None;
        *self.records.borrow_mut() = None;
        *self.observer.borrow_mut() = None;
        // SAFETY: made by Box::into_raw in `new`; nothing borrows it any more.
        drop(unsafe { Box::from_raw(self.stream) });
        // SAFETY: likewise.
        drop(unsafe { Box::from_raw(self.cpu) });
    }
}
