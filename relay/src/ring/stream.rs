//! The owner's words: what belongs to a stream and outlives the ring.

use super::entry::{Entry, State};
use super::ledger::LossCounters;
use super::local::Local;
use super::subbuf::Committed;
use super::tick::TAKEN;
use super::{Geometry, Hooks, Loss, Losses, PacketStart, Ring, Storage, StorageError};
use crate::step::step;
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, Ordering, OwnerWord, Usage, const_unless_loom,
};
use core::ptr::{self, NonNull, null_mut};

/// The flow of packets of one channel: of one CPU, or of all of them.
///
/// "Owner" below is that CPU, in any of its contexts, or any CPU. Everything here but `remote` is written
/// by the owner alone.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Stream {
    /// What the CPU with the number of this stream has under way. At the same address as the stream: one
    /// register serves both.
    pub(crate) local: Local,
    /// The ring to write to; null before the stream has started.
    pub(super) cur: AtomicPtr<Ring>,
    /// Losses by reason.
    pub(super) lost: LossCounters,
    /// Records overwritten unread.
    pub(super) overwritten: OwnerWord,
    /// Total of the losses that a closed packet has told of.
    pub(super) told: AtomicU64,
    /// Delivery in progress.
    pub(super) busy: OwnerWord,
    /// The ring that holds the next packet to deliver ...
    pub(super) dring: AtomicPtr<Ring>,
    /// ... and the number of that packet in it.
    pub(super) next: AtomicU64,
    /// Packets delivered so far.
    pub(super) sequence: AtomicU64,
    /// Records delivered so far.
    pub(super) ordinal: AtomicU64,
    /// No record will come with an older timestamp, except in packets that are readable already.
    pub(super) quiet_since: AtomicU64,
    /// How many quarters of the ring were unread, at most, since somebody looked.
    pub(super) peak: AtomicU64,
    /// What others than the owner write, on lines of its own.
    pub(super) remote: Remote,
}

/// What readers, and who asks something of the owner, write.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Remote {
    /// The oldest ring.
    pub(super) first: AtomicPtr<Ring>,
    /// A consuming reader is open.
    reading: AtomicBool,
    /// A reader sleeps.
    pub(super) waiting: AtomicBool,
    /// The reader has read everything and asks for what the open packet holds.
    flush_wanted: AtomicBool,
    /// The stream is to be closed.
    pub(super) close_wanted: AtomicBool,
    /// Somebody takes rings out of the chain.
    pub(super) reclaiming: AtomicBool,
    /// Readers that are about to take hold of the oldest ring.
    pub(super) walkers: AtomicU64,
    /// A ring that the owner is to go on in; `TAKEN` while it is at that.
    pub(super) new_ring: AtomicPtr<Ring>,
    /// How many rings were built to follow the first.
    pub(super) built: AtomicU64,
}

/// The counts of a stream, from its start: see [`Channel::stats`](crate::Channel::stats). Exact when its CPU is quiet; while it writes they may be
/// of slightly different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets delivered.
    pub packets: u64,
    /// Records in them, and in packets that were passed over.
    pub records: u64,
    /// Records lost so far, by reason.
    pub lost: Losses,
    /// Records overwritten before they were read.
    pub overwritten: u64,
}

/// The state of a stream and of its ring, for people and for who resizes: see [`Channel::info`](crate::Channel::info).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The shape of the ring that is written to.
    pub geometry: Geometry,
    /// The counts of the stream.
    pub stats: StreamStats,
    /// How many rings there are: more than one while older ones are not read or not freed.
    pub rings: usize,
    /// Complete packets that nobody has consumed.
    pub unread: u64,
    /// Complete packets that a reader holds, in place.
    pub taken: u64,
    /// Bytes of the unread packets that hold no record: headers and padding.
    pub unused: u64,
    /// Bytes reserved in the open packet, its header included.
    pub open: usize,
    /// Whether the stream has ended.
    pub is_closed: bool,
}

impl Stream {
    const_unless_loom! {
        /// A stream that has not started.
        pub(crate) fn new() -> Self {
            Self {
                cur: AtomicPtr::new(null_mut()),
                local: Local::new(),
                lost: LossCounters::new(),
                overwritten: OwnerWord::new(0),
                told: AtomicU64::new(0),
                busy: OwnerWord::new(0),
                dring: AtomicPtr::new(null_mut()),
                next: AtomicU64::new(0),
                sequence: AtomicU64::new(0),
                ordinal: AtomicU64::new(0),
                quiet_since: AtomicU64::new(0),
                peak: AtomicU64::new(0),
                remote: Remote {
                    first: AtomicPtr::new(null_mut()),
                    reading: AtomicBool::new(false),
                    waiting: AtomicBool::new(false),
                    flush_wanted: AtomicBool::new(false),
                    close_wanted: AtomicBool::new(false),
                    reclaiming: AtomicBool::new(false),
                    walkers: AtomicU64::new(0),
                    new_ring: AtomicPtr::new(null_mut()),
                    built: AtomicU64::new(0),
                },
            }
        }
    }

    /// Gives the stream its first ring, of `geometry` in `storage`; false if it has one already (the storage is
    /// dropped). `begin` is for a client that has a header for the stream.
    ///
    /// May run on another CPU than the owner if it happens-before the owner's first write.
    pub(crate) fn start(
        &self,
        storage: Storage,
        geometry: Geometry,
        first_packet: u64,
        hooks: &dyn Hooks,
        begin: &PacketStart,
    ) -> Result<bool, StorageError> {
        if !self.remote.first.load(Ordering::Acquire).is_null() {
            return Ok(false);
        }
        let ring = Ring::build(storage, geometry, first_packet)?;
        // SAFETY: just built: alive, and nobody else has seen it.
        let built = unsafe { ring.as_ref() };
        if geometry.channel_start_reserve() != 0 {
            built.begin_stream(hooks, begin);
        }
        let won = self.remote.first.compare_exchange(
            null_mut(),
            ring.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if won.is_err() {
            // SAFETY: just built, and nobody has seen it.
            unsafe { Ring::destroy(ring) };
            return Ok(false);
        }
        self.next.store(built.first, Ordering::Relaxed);
        self.dring.store(ring.as_ptr(), Ordering::Relaxed);
        // Release: whoever sees the ring sees it built.
        self.cur.store(ring.as_ptr(), Ordering::Release);
        Ok(true)
    }

    /// The ring to write to, if the stream has started.
    #[inline(always)]
    pub(super) fn current(&self) -> Option<&Ring> {
        // SAFETY: null, or a ring that is freed only when every CPU that writes has left it: the caller
        // has a level, or is counted in `held`, or has it from somebody who is.
        unsafe { self.cur.load(Ordering::Acquire).as_ref() }
    }

    /// The ring that delivery is in.
    pub(super) fn delivering(&self) -> Option<&Ring> {
        // SAFETY: as for `current`.
        unsafe { self.dring.load(Ordering::Acquire).as_ref() }
    }

    /// Whether packet `packet` of `ring` is to be delivered next.
    pub(super) fn is_next(&self, ring: &Ring, packet: u64) -> bool {
        self.delivering().is_some_and(|at| ptr::eq(at, ring))
            && self.next.load(Ordering::Relaxed) == packet
    }

    /// The oldest ring, for the post-mortem, during which nothing is freed ([`Stopped`](super::Stopped)).
    pub(super) fn oldest(&self) -> Option<&Ring> {
        // SAFETY: as for `current`.
        unsafe { self.remote.first.load(Ordering::Acquire).as_ref() }
    }

    /// Whether the stream has a ring.
    #[inline]
    pub(crate) fn is_started(&self) -> bool {
        !self.cur.load(Ordering::Acquire).is_null()
    }

    /// The geometry of the ring to write to. Any CPU.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        // Rings are freed from the oldest on, up to the one to write to: with the oldest, all are held.
        self.hold_oldest(|_| self.current().map(|ring| ring.geometry))?
    }

    /// What is known of it. Any CPU.
    pub(crate) fn info(&self) -> Option<StreamInfo> {
        self.hold_oldest(|oldest| {
            let current = self.current()?;
            let (mut rings, mut unread, mut taken, mut unused) = (0, 0, 0, 0);
            let mut at = Some(oldest);
            while let Some(ring) = at {
                rings += 1;
                for (state, used) in ring.complete_packets() {
                    unread += u64::from(state != State::Taken);
                    taken += u64::from(state == State::Taken);
                    unused += ring.geometry.subbuf_size() as u64 - used;
                }
                at = ring.successor();
            }
            Some(StreamInfo {
                geometry: current.geometry,
                stats: self.stats(),
                rings,
                unread,
                taken,
                unused,
                open: current.geometry.offset(current.position()) as usize,
                is_closed: self.has_ended(),
            })
        })?
    }

    /// Whether it has ended. Any CPU.
    pub(crate) fn is_closed(&self) -> bool {
        self.hold_oldest(|_| self.has_ended()).unwrap_or(false)
    }

    /// Whether it has ended. By who has a level, is counted in `held`, or holds the chain.
    pub(super) fn has_ended(&self) -> bool {
        let Some(current) = self.current() else {
            return false;
        };
        step();
        // It may lag behind.
        let mut rings = core::iter::successors(Some(current), |ring| ring.successor());
        rings.all(|ring| ring.position().is_sealed())
    }

    /// Counts one lost record, and returns for what reason: see [`LossCounters::count`]. Owner only.
    #[inline]
    pub(super) fn lose<U: Usage>(&self, loss: Loss) -> Loss {
        self.lost.count::<U>(loss)
    }

    /// Counts a slot as lost. Owner only.
    #[inline]
    pub(super) fn lose_slot<U: Usage>(&self, loss: Loss) {
        self.lost.count_slot::<U>(loss);
    }

    /// Claims the one consuming reader; false if there is one.
    pub(super) fn claim_reader(&self) -> bool {
        !self.remote.reading.swap(true, Ordering::AcqRel)
    }

    /// Gives the claim back.
    pub(super) fn release_reader(&self) {
        self.remote.reading.store(false, Ordering::Release);
    }

    /// Asks the owner to hand over what it has at its next tick. Any CPU.
    pub(super) fn want_flush(&self) {
        self.remote.flush_wanted.store(true, Ordering::Release);
    }

    /// Takes the request, if there is one.
    pub(super) fn take_flush_request(&self) -> bool {
        // The plain load keeps an idle tick from owning the line.
        self.remote.flush_wanted.load(Ordering::Relaxed)
            && self.remote.flush_wanted.swap(false, Ordering::AcqRel)
    }

    /// The counts as they are now. Any CPU; exact only when the owner is quiet.
    pub(crate) fn stats(&self) -> StreamStats {
        StreamStats {
            packets: self.sequence.load(Ordering::Relaxed),
            records: self.ordinal.load(Ordering::Relaxed),
            lost: self.lost.sample(),
            overwritten: self.overwritten.load(Ordering::Relaxed),
        }
    }
}

impl Ring {
    /// Opens the first packet of the stream, before anybody sees it, and puts the client's header for the
    /// whole stream behind its start reserve.
    fn begin_stream(&self, hooks: &dyn Hooks, begin: &PacketStart) {
        let geometry = &self.geometry;
        let (start, header) = (geometry.start_reserve(), geometry.channel_start_reserve());
        let block = geometry.index(self.first);
        let sub = self.sub(self.first);
        let entry = Entry::new(self.first, State::Writing, block);
        sub.ent.store(entry.0, Ordering::Relaxed);
        sub.begin_ticks.store(begin.begin_ticks, Ordering::Relaxed);
        sub.describe(self, self.first, block);
        self.open
            .store(ptr::from_ref(sub).cast_mut(), Ordering::Relaxed);
        if start != 0 {
            // SAFETY: nobody else has seen the ring.
            hooks.buffer_start(unsafe { self.bytes_mut(block, 0, start) }, begin);
        }
        // SAFETY: as above.
        hooks.channel_start(unsafe { self.bytes_mut(block, start, header) }, begin);
        let offset = (start + header) as u64;
        let committed = Committed::nothing(geometry).0 + Committed::step(offset, 0);
        sub.hot.store(committed, Ordering::Relaxed);
        let pos = geometry.position(self.first, offset);
        self.pos.store(pos.0, Ordering::Relaxed);
    }

    /// The complete packets that are not given back: their state, and bytes of records in them.
    fn complete_packets(&self) -> impl Iterator<Item = (State, u64)> {
        let geometry = &self.geometry;
        let end = geometry.packet(self.visible());
        (1..=geometry.subbuf_count() as u64).filter_map(move |back| {
            let packet = geometry.before(end, back);
            let entry = self.entry(packet);
            let is_there = matches!(entry.state(), State::Readable | State::Lent | State::Taken);
            let content = self.info(entry.block()).closed().content();
            let used = content.saturating_sub(self.records_start(packet) as u64);
            (entry.is_packet(packet) && is_there).then_some((entry.state(), used))
        })
    }

    /// Bytes before the first record of packet `packet`.
    pub(super) fn records_start(&self, packet: u64) -> usize {
        let header = if packet == self.first && self.serial() == 0 {
            self.geometry.channel_start_reserve()
        } else {
            0
        };
        self.geometry.start_reserve() + header
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut ring = NonNull::new(self.remote.first.load(Ordering::Acquire));
        while let Some(this) = ring {
            // SAFETY: every ring of the chain is alive: they are destroyed only here, and
            // `&mut self` shows that no writer, reader or slot borrows the stream.
            let next = unsafe { this.as_ref() }.succ.load(Ordering::Acquire);
            // SAFETY: likewise, and it is not used after this.
            unsafe { Ring::destroy(this) };
            // A closed ring is its own successor.
            ring = NonNull::new(next).filter(|next| *next != this);
        }
        let offered = NonNull::new(self.remote.new_ring.load(Ordering::Acquire));
        if let Some(ring) = offered.filter(|ring| *ring != TAKEN) {
            // SAFETY: built for this stream, which never took it.
            unsafe { Ring::destroy(ring) };
        }
    }
}
