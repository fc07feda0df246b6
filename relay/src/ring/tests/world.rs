//! A stream with everything that happened to it written down, and the checks of the promise.

extern crate std;

use crate::platform::{Context, Platform};
use crate::ring::writer::Pin;
use crate::ring::{
    CloseError, Delivery, Flushed, Geometry, Hooks, Loss, Losses, Mode, ObserveError, Observer,
    Packet, PacketStart, Plain, Reader, Records, Ring, Salvage, Stopped, Storage, Stream,
    SubBuffer, WriteError, Writer,
};
use crate::sync::Ordering;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

/// One CPU whose clock advances with every look at it.
#[derive(Default)]
pub(super) struct OneCpu {
    clock: Cell<u64>,
    pins: Cell<usize>,
    /// How many contexts were interrupted by the one that runs.
    interrupted: Cell<usize>,
}

// SAFETY: used by one thread; contexts nest as function calls.
unsafe impl Sync for OneCpu {}

impl OneCpu {
    /// From now on an interrupt handler runs, or no more.
    pub(super) fn interrupt(&self, runs: bool) {
        self.interrupted.set(usize::from(runs));
    }
}

// SAFETY: one CPU, number 0, one thread, nested calls.
unsafe impl Platform for OneCpu {
    fn pin(&self) -> usize {
        self.pins.set(self.pins.get() + 1);
        0
    }

    unsafe fn unpin(&self) {
        self.pins.set(self.pins.get() - 1);
    }

    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    fn context(&self) -> Context {
        match self.interrupted.get() {
            0 => Context::Task,
            1 => Context::Irq,
            _ => Context::Nmi,
        }
    }
}

/// Marks headers, trailers and fillings.
struct TestHooks;

const FILLER: u8 = 0xFF;

/// Where records are read before their packet is complete.
const NO_PACKET: Packet = Packet {
    cpu: 0,
    sequence: 0,
    ordinal: 0,
    records: 0,
    content: 0,
    begin_ticks: 0,
    end_ticks: 0,
    lost: Losses::NONE,
    overwritten: 0,
    is_final: false,
};

/// How the stream of a test begins.
pub(super) const BEGIN: PacketStart = PacketStart {
    cpu: 0,
    begin_ticks: 0,
};

impl Hooks for TestHooks {
    fn buffer_start(&self, header: &mut [u8], start: &PacketStart) {
        assert!(start.begin_ticks != 0);
        header.fill(0xA5);
    }

    fn buffer_end(&self, header: &mut [u8], trailer: &mut [u8], _packet: &Packet) {
        assert!(
            header.iter().all(|byte| *byte == 0xA5),
            "header lost: {header:x?}"
        );
        header.fill(0xA6);
        trailer.fill(0xA7);
    }

    fn fill(&self, bytes: &mut [u8], _timestamp: u64) {
        bytes.fill(0xEE);
        bytes[0] = bytes.len() as u8;
        if let Some(id) = bytes.get_mut(1) {
            *id = FILLER;
        }
    }
}

/// One thing that a context of the CPU, or the reader, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Writes a record of this many bytes.
    Write(usize),
    /// Reserves, fills and commits in place.
    InPlace(usize),
    /// Reserves and discards.
    Discard(usize),
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
    Shrink(usize, usize),
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
    /// Where delivery is by packet, the reader reads record by record.
    records: RefCell<Option<Records<'static>>>,
    observer: RefCell<Option<Observer<'static>>>,
    was_reset: Cell<bool>,
    held: RefCell<Vec<SubBuffer<'static>>>,
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

    pub(super) fn writer(&self) -> Writer<'static, OneCpu> {
        Writer::new(
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
            Op::InPlace(len) => self.in_place(len, true),
            Op::Discard(len) => self.in_place(len, false),
            Op::Burst(count, len) => (0..count).for_each(|_| self.write(len)),
            Op::Flush => {
                let _ = self.writer().flush();
            }
            Op::Tick => {
                if let Ok(Some(reader)) = self.reader.try_borrow().as_deref() {
                    reader.request_flush();
                }
                self.writer().tick();
            }
            Op::Drain => self.drain(),
            Op::Hold => {
                if let Some(taken) = self.take() {
                    self.held.borrow_mut().push(taken);
                }
            }
            Op::Release => self.release(),
            Op::Replace(size, count) => self.replace(size, count),
            Op::Close => match self.writer().close() {
                Ok(()) => self.closed.set(true),
                Err(CloseError::NoRoom) => {}
                Err(CloseError::Closed) if self.closed.get() || self.level.get() > 1 => {}
                Err(CloseError::Busy) if self.level.get() > 1 => {}
                Err(error) => panic!("{error}"),
            },
            Op::Shrink(len, to) => self.shrink(len, to),
            Op::Observe => self.observe(),
            Op::ReadLast(count) => self.read_last(count),
            Op::Offer(size, count) => {
                let geometry = self.other_geometry(size, count);
                let storage = Storage::allocate(&geometry).unwrap();
                match self.stream().offer(storage, geometry) {
                    Ok(()) | Err(CloseError::Busy) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Reset => {
                let storage = Storage::allocate(&self.stream().geometry().unwrap()).unwrap();
                match self.writer().reset(storage) {
                    Ok(()) => self.was_reset.set(true),
                    // The geometry may have changed in between.
                    Err(CloseError::ByPacket) => assert!(self.is_by_packet()),
                    Err(CloseError::Storage(_)) if self.level.get() > 1 => {}
                    Err(CloseError::Closed) if self.closed.get() || self.level.get() > 1 => {}
                    Err(CloseError::Busy) if self.level.get() > 1 => {}
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

    fn is_by_packet(&self) -> bool {
        self.config.geometry.delivery() == Delivery::Packet
    }

    fn shrink(&self, len: usize, to: usize) {
        let id = self.new_id();
        let fate = match self.writer().reserve(len) {
            Ok(mut slot) => {
                let ticks = slot.timestamp();
                crate::step::step();
                if slot.shrink(to) {
                    assert_eq!(slot.len(), to);
                    slot.write(&Self::record(id, to));
                } else {
                    assert!(len - to < TestHooks.least_fill());
                    slot.write(&Self::record(id, len));
                }
                crate::step::step();
                slot.commit();
                Fate::Written { ticks }
            }
            Err(WriteError::Lost(loss)) => self.lost(loss),
            Err(error) => panic!("{error}"),
        };
        self.fates.borrow_mut().insert(id, fate);
    }

    /// What the observer copies are whole records that were not lost. Who writes in between may still be
    /// under way.
    fn observe(&self) {
        let Ok(mut observer) = self.observer.try_borrow_mut() else {
            return;
        };
        let observer =
            observer.get_or_insert_with(|| Observer::open(self.stream(), 0).expect("started"));
        let mut bytes = [0; 256];
        loop {
            match observer.next_copy(&mut bytes) {
                Ok(Some(packet)) => self.inspect_copy(&packet, &bytes[..packet.content]),
                Ok(None) | Err(ObserveError::Busy | ObserveError::NoSpares) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn read_last(&self, count: usize) {
        let Ok(mut observer) = self.observer.try_borrow_mut() else {
            return;
        };
        let observer =
            observer.get_or_insert_with(|| Observer::open(self.stream(), 0).expect("started"));
        let mut bytes = [0; 256];
        let mut newest = None;
        let seen = observer.read_last(count, &mut bytes, |packet, bytes| {
            self.inspect_copy(packet, bytes);
            let next = newest.replace(packet.sequence);
            assert!(next.is_none_or(|next| next == packet.sequence + 1), "a gap");
        });
        match seen {
            Ok(seen) => assert!(seen <= count),
            Err(ObserveError::Busy | ObserveError::NoSpares) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn inspect_copy(&self, packet: &Packet, bytes: &[u8]) {
        let start = self.config.geometry.start_reserve();
        assert!(bytes[..start].iter().all(|byte| *byte == 0xA6));
        let ids = self.parse(&bytes[start..], packet.content - start);
        assert_eq!(ids.len() as u64, packet.records, "copy of {packet:?}");
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
        let fate = match self.writer().put(Plain(&Self::record(id, len))) {
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

    fn in_place(&self, len: usize, commit: bool) {
        let id = self.new_id();
        let fate = match self.writer().reserve(len) {
            Ok(mut slot) => {
                let ticks = slot.timestamp();
                assert_eq!(slot.len(), len);
                slot.bytes_mut().copy_from_slice(&Self::record(id, len));
                crate::step::step();
                if commit {
                    slot.commit();
                    Fate::Written { ticks }
                } else {
                    slot.discard();
                    Fate::Lost(Loss::Discarded)
                }
            }
            Err(WriteError::Lost(loss)) => self.lost(loss),
            Err(error) => panic!("{error}"),
        };
        self.fates.borrow_mut().insert(id, fate);
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
        match self.writer().succeed(storage, geometry) {
            Ok(()) => {}
            Err(CloseError::Closed) if self.closed.get() || self.level.get() > 1 => {}
            Err(CloseError::Busy) if self.level.get() > 1 => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads all records that are committed.
    fn drain_records(&self) {
        let Ok(mut records) = self.records.try_borrow_mut() else {
            return;
        };
        let records = records
            .get_or_insert_with(|| Records::new(Reader::open(self.stream(), 0).expect("one")));
        while let Some(bytes) = records.next_records() {
            let ids = self.parse(bytes, bytes.len());
            self.seen.borrow_mut().push((NO_PACKET, ids));
        }
    }

    fn take(&self) -> Option<SubBuffer<'static>> {
        if self.is_by_packet() {
            self.drain_records();
            return None;
        }
        // The reader may be at work: it is another CPU that went on meanwhile.
        let mut reader = self.reader.try_borrow_mut().ok()?;
        let reader =
            reader.get_or_insert_with(|| Reader::open(self.stream(), 0).expect("one reader"));
        let taken = reader.next_subbuf()?;
        self.inspect(&taken);
        Some(taken)
    }

    fn release(&self) {
        while let Some(taken) = self.held.borrow_mut().pop() {
            drop(taken);
        }
    }

    pub(super) fn drain(&self) {
        if self.is_by_packet() {
            return self.drain_records();
        }
        while let Some(taken) = self.take() {
            drop(taken);
        }
    }

    /// Parses records byte by byte; returns their numbers, fillers left out.
    fn parse(&self, bytes: &[u8], len: usize) -> Vec<u8> {
        let mut rest = &bytes[..len];
        let mut records = Vec::new();
        while let [len, ..] = *rest {
            let len = usize::from(len);
            assert!(len > 0 && len <= rest.len(), "torn record: {rest:x?}");
            let (record, after) = rest.split_at(len);
            rest = after;
            match record.get(1) {
                Some(&FILLER) => {}
                Some(&id) => {
                    assert_eq!(
                        record,
                        Self::record(id, len),
                        "foreign bytes in record {id}"
                    );
                    let fate = self.fates.borrow().get(&id).copied();
                    assert!(!matches!(fate, Some(Fate::Lost(_))), "record {id} was lost");
                    records.push(id);
                }
                None => assert_eq!(len, 1, "a record of one byte is a filler"),
            }
        }
        records
    }

    /// Parses a sub-buffer.
    fn inspect(&self, taken: &SubBuffer<'_>) {
        let packet = *taken.packet();
        let records = self.parse(taken.records(), taken.records().len());
        assert_eq!(
            records.len() as u64,
            packet.records,
            "records of {packet:?}"
        );
        let bytes = taken.bytes();
        let start = self.config.geometry.start_reserve();
        assert!(bytes[..start].iter().all(|byte| *byte == 0xA6));
        assert!(
            bytes[bytes.len() - self.config.geometry.end_reserve()..]
                .iter()
                .all(|byte| *byte == 0xA7)
        );
        self.seen.borrow_mut().push((packet, records));
    }

    /// Looks at what a CPU that is stopped right here leaves: every record whose writer has heard
    /// `Ok`, that no reader has taken and that is not overwritten, whole and once; nothing that
    /// was lost. Returns how many records were under way, and whether something is in doubt.
    pub(super) fn autopsy(&self) -> (usize, bool) {
        // SAFETY: the caller is the one CPU, and writes nothing while the result is used.
        let stopped = unsafe { Stopped::new(0) };
        let (mut holes, mut in_doubt) = (0, false);
        let mut found = Vec::new();
        let mut numbers = Vec::new();
        let mut packets = Vec::new();
        for packet in Salvage::new(self.stream(), stopped) {
            packets.push((*packet.packet(), packet.is_closed()));
            holes += packet.uncommitted();
            in_doubt |= packet.is_cut();
            let mut number = packet.packet().ordinal;
            for mut rest in packet.committed() {
                while let [len, ..] = *rest {
                    let len = usize::from(len);
                    assert!(
                        len > 1 && len <= rest.len(),
                        "torn record in {packet:?}: {rest:x?}"
                    );
                    let (record, after) = rest.split_at(len);
                    rest = after;
                    if record[1] != FILLER {
                        assert_eq!(record, Self::record(record[1], len), "in {packet:?}");
                        found.push(record[1]);
                        numbers.push(number);
                        number += 1;
                    }
                }
            }
            if !packet.is_cut() {
                let known = packet.packet();
                assert_eq!(number - known.ordinal, known.records, "in {packet:?}");
            }
        }
        assert!(numbers.is_sorted_by(|a, b| a < b), "numbers: {numbers:?}");
        let fates = self.fates.borrow();
        let seen = self.seen.borrow();
        let taken: Vec<u8> = seen.iter().flat_map(|(_, ids)| ids).copied().collect();
        let held = self.held.borrow();
        for id in &found {
            assert_eq!(
                found.iter().filter(|other| *other == id).count(),
                1,
                "{id} twice"
            );
            assert!(
                !matches!(fates.get(id), Some(Fate::Lost(_))),
                "{id} was lost, and is found"
            );
            assert!(
                !held.is_empty() || !taken.contains(id),
                "{id} was given back, and is found"
            );
        }
        let continuous = self.config.geometry.mode() == Mode::Continuous;
        let is_written = |id: &u8| matches!(fates.get(id), Some(Fate::Written { .. }));
        let missing = fates.keys().filter(|id| is_written(id));
        let missing = missing
            .filter(|id| !taken.contains(id) && !found.contains(id))
            .count();
        // The CPU may have stopped between the claim of a sub-buffer and the count of what was in
        // it: at most eight records of two bytes.
        let overwritten = if continuous {
            self.stream().stats().overwritten + 8
        } else {
            0
        };
        assert!(
            in_doubt || missing as u64 <= overwritten,
            "{missing} records were committed and are not found"
        );
        self.check_salvaged(&packets);
        (holes, in_doubt)
    }

    /// What a stopped CPU's packets say of themselves follows from one to the next, and from what the
    /// reader has taken: who has some of them can tell which the others are.
    fn check_salvaged(&self, packets: &[(Packet, bool)]) {
        let stream = self.stream();
        let seen = self.seen.borrow();
        let continuous = self.config.geometry.mode() == Mode::Continuous;
        // By number; what was taken is as it was taken.
        let mut all: BTreeMap<u64, (Packet, bool)> = BTreeMap::new();
        for (packet, _) in seen.iter() {
            all.insert(packet.sequence, (*packet, true));
        }
        for found in packets {
            if let Some((taken, _)) = all.insert(found.0.sequence, *found) {
                assert_eq!(taken, found.0, "a packet that was taken");
            }
        }
        let mut before: Option<(Packet, bool)> = None;
        for (packet, is_closed) in all.values() {
            let (sequence, ordinal) =
                before.map_or((0, 0), |(p, _)| (p.sequence + 1, p.ordinal + p.records));
            if !continuous {
                let is = (packet.sequence, packet.ordinal);
                assert_eq!(is, (sequence, ordinal), "{packet:?} after {before:?}");
            }
            assert!(packet.ordinal >= ordinal, "{packet:?} after {before:?}");
            assert!(packet.begin_ticks <= packet.end_ticks, "{packet:?}");
            if let Some((before, _)) = before {
                assert!(!before.is_final, "{packet:?} after {before:?}");
                for loss in Loss::ALL {
                    assert!(
                        packet.lost.get(loss) >= before.lost.get(loss),
                        "{packet:?} after {before:?}"
                    );
                }
                assert!(packet.overwritten >= before.overwritten);
            }
            before = Some((*packet, *is_closed));
        }
        // Nobody has lost a record that the last packet does not tell of, unless the stream is closed.
        let is_closed = stream
            .current()
            .is_some_and(|ring| ring.position().is_sealed());
        if let Some((last, _)) = before.filter(|_| !is_closed) {
            assert_eq!(last.lost, stream.stats().lost, "{last:?}");
        }
    }

    /// Brings the stream to rest and checks that every attempt is accounted for.
    pub(super) fn check(&self) {
        self.check_delivered();
        if self.is_by_packet() {
            self.check_shown();
        }
        self.release();
        self.drain();
        self.check_rings();
        if !self.closed.get() {
            assert_ne!(self.writer().flush(), Flushed::NoRoom);
            self.drain();
        }
        self.check_rest();
        if !self.is_by_packet() {
            self.check_packets();
        }
        self.check_sum();
    }

    /// When no context is at work, what was committed can be read at once, where delivery is by packet.
    fn check_shown(&self) {
        self.drain_records();
        let read: Vec<u8> = self
            .seen
            .borrow()
            .iter()
            .flat_map(|(_, ids)| ids.clone())
            .collect();
        let fates = self.fates.borrow();
        let overwritten = self.stream().stats().overwritten;
        let unread = fates
            .iter()
            .filter(|(id, fate)| matches!(fate, Fate::Written { .. }) && !read.contains(id))
            .count();
        assert_eq!(unread as u64, overwritten, "committed, but not to be read");
    }

    /// When no context is at work, no ring is left behind that nobody can use.
    fn check_rings(&self) {
        *self.observer.borrow_mut() = None;
        self.writer().tick();
        self.drain();
        self.reclaim();
        let rings = std::iter::successors(self.stream().oldest(), |ring| ring.successor());
        assert_eq!(rings.count(), 1, "rings are left behind");
    }

    /// When no context is at work, no complete packet is left behind.
    fn check_delivered(&self) {
        let stream = self.stream();
        let next = stream.next.load(Ordering::Relaxed);
        assert!(
            !self.writer().is_deliverable(),
            "packet {next} is complete, or its ring has ended, and nobody delivers it"
        );
    }

    fn check_rest(&self) {
        let stream = self.stream();
        assert!(stream.local.is_idle(), "a level is still taken");
        assert_eq!(
            stream.busy.load(Ordering::Relaxed),
            0,
            "delivery is still busy"
        );
        assert_eq!(self.cpu().pins.get(), 0, "a pin is left");
        assert!(stream.local.intents().all(|intent| intent.read().is_none()));
        let last = std::iter::successors(stream.oldest(), |ring| ring.successor()).last();
        assert!(
            std::ptr::eq::<Ring>(stream.current().unwrap(), last.unwrap()),
            "writers are left at an old ring"
        );
    }

    fn check_packets(&self) {
        let seen = self.seen.borrow();
        let fates = self.fates.borrow();
        let continuous = self.config.geometry.mode() == Mode::Continuous;
        let (mut sequence, mut ordinal, mut time, mut missed) = (0, 0, 0, 0);
        let mut lost = Losses::default();
        for (packet, records) in seen.iter() {
            assert!(packet.sequence >= sequence, "{packet:?} after {sequence}");
            if (!continuous && !self.was_reset.get()) || packet.sequence == sequence {
                assert_eq!(packet.sequence, sequence, "a packet is missing");
                assert_eq!(
                    packet.ordinal, ordinal,
                    "records are missing before {packet:?}"
                );
            }
            missed += packet.ordinal - ordinal;
            sequence = packet.sequence + 1;
            ordinal = packet.ordinal + packet.records;
            assert!(time <= packet.begin_ticks && packet.begin_ticks <= packet.end_ticks);
            for id in records {
                let Some(Fate::Written { ticks }) = fates.get(id) else {
                    panic!(
                        "record {id} was delivered, but its writer heard {:?}",
                        fates.get(id)
                    );
                };
                assert!(
                    *ticks <= packet.end_ticks,
                    "record {id} is younger than {packet:?}"
                );
            }
            time = packet.end_ticks;
            for loss in Loss::ALL {
                assert!(packet.lost.get(loss) >= lost.get(loss), "{loss:?} fell");
            }
            lost = packet.lost;
        }
        assert_eq!(
            self.stream().stats().overwritten,
            missed,
            "overwritten against ordinals"
        );
        assert!(continuous || self.was_reset.get() || missed == 0);
        if let (true, Some((last, _))) = (self.closed.get(), seen.last()) {
            assert!(last.is_final, "the last packet of a closed stream is final");
        }
        let finals = seen.iter().filter(|(packet, _)| packet.is_final).count();
        assert_eq!(finals, usize::from(self.closed.get()));
        let stats = self.stream().stats();
        assert_eq!(stats.records, ordinal);
        if !self.closed.get() {
            assert_eq!(stats.lost, lost, "the last packet tells of all losses");
        }
    }

    fn check_sum(&self) {
        let fates = self.fates.borrow();
        let seen = self.seen.borrow();
        let mut delivered = BTreeMap::new();
        let mut order = Vec::new();
        for id in seen.iter().flat_map(|(_, ids)| ids) {
            *delivered.entry(*id).or_insert(0) += 1;
            if let Some(Fate::Written { ticks }) = fates.get(id) {
                order.push(*ticks);
            }
        }
        assert!(
            delivered.values().all(|times| *times == 1),
            "delivered twice: {delivered:?}"
        );
        let stats = self.stream().stats();
        let written = fates
            .values()
            .filter(|fate| matches!(fate, Fate::Written { .. }))
            .count() as u64;
        assert_eq!(
            written,
            delivered.len() as u64 + stats.overwritten,
            "written = delivered + overwritten"
        );
        for loss in Loss::ALL {
            let told = fates
                .values()
                .filter(|fate| **fate == Fate::Lost(loss))
                .count() as u64;
            assert_eq!(stats.lost.get(loss), told, "{loss:?}: what writers heard");
        }
        assert_eq!(
            fates.len() as u64,
            delivered.len() as u64 + stats.overwritten + stats.lost.total(),
            "attempted = delivered + overwritten + lost"
        );
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
