//! The owner's words: what belongs to a stream and outlives the ring.

use super::entry::{Entry, State};
use super::geometry::Geometry;
use super::hooks::{Hooks, PacketStart};
use super::ledger::LossCounters;
use super::local::Local;
use super::storage::{Storage, StorageError};
use super::subbuf::Committed;
use super::words::Ring;
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, Ordering, OwnerWord, const_unless_loom, fence,
};
use core::ptr::{self, NonNull, null_mut};

/// The flow of packets of one channel: of one CPU, or of all of them.
///
/// "Owner" below is that CPU, in any of its contexts, or any CPU. Everything here but `remote` is
/// written by the owner alone.
#[derive(Debug)]
#[repr(C, align(512))]
pub(crate) struct Stream {
    /// What the CPU with the number of this stream has under way. At the same address as the
    /// stream: one register serves both.
    pub(crate) local: Local,
    /// The ring to write to; null before the stream has started.
    pub(super) current: AtomicPtr<Ring>,
    /// Losses by reason.
    pub(super) lost: LossCounters,
    /// Records overwritten unread.
    pub(super) overwritten: OwnerWord,
    /// Records that contexts are just overwriting: counted in `overwritten`, or about to be.
    pub(super) overwriting: OwnerWord,
    /// Total of the losses that a closed packet has told of.
    pub(super) reported_losses: AtomicU64,
    /// Delivery in progress.
    pub(super) delivery_lock: OwnerWord,
    /// The ring that holds the next packet to deliver ...
    pub(super) delivering: AtomicPtr<Ring>,
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
    /// Something became readable in an NMI while a reader slept: see `wake`.
    pub(super) wake_noted: AtomicBool,
    /// What others than the owner write, on lines of its own.
    pub(super) remote: Remote,
}

// So that a stream is found by a shift of its CPU's number.
const _: () = assert!(cfg!(loom) || size_of::<Stream>() == 512);

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
    /// A ring that the owner is to go on in; [`TAKEN`] while it is at that.
    pub(super) new_ring: AtomicPtr<Ring>,
    /// How many rings were built to follow the first.
    pub(super) built: AtomicU64,
}

/// Instead of a new ring: the owner is about to go on in it.
pub(super) const TAKEN: NonNull<Ring> = NonNull::dangling();

impl Stream {
    const_unless_loom! {
        /// A stream that has not started.
        pub(crate) fn new() -> Self {
            Self {
                local: Local::new(),
                current: AtomicPtr::new(null_mut()),
                lost: LossCounters::new(),
                overwritten: OwnerWord::new(0),
                overwriting: OwnerWord::new(0),
                reported_losses: AtomicU64::new(0),
                delivery_lock: OwnerWord::new(0),
                delivering: AtomicPtr::new(null_mut()),
                next: AtomicU64::new(0),
                sequence: AtomicU64::new(0),
                ordinal: AtomicU64::new(0),
                quiet_since: AtomicU64::new(0),
                peak: AtomicU64::new(0),
                wake_noted: AtomicBool::new(false),
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

    /// Gives the stream its first ring, of `geometry` in `storage`; false if it has one already
    /// (the storage is dropped). `begin` is for a client that has a header for the stream.
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
        self.delivering.store(ring.as_ptr(), Ordering::Relaxed);
        // Release: whoever sees the ring sees it built.
        self.current.store(ring.as_ptr(), Ordering::Release);
        Ok(true)
    }

    /// The ring to write to, if the stream has started.
    #[inline(always)]
    pub(super) fn current(&self) -> Option<&Ring> {
        // SAFETY: null, or a ring that is freed only when every CPU that writes has left it: the
        // caller has a place, or is counted in `held`, or has it from somebody who is.
        unsafe { self.current.load(Ordering::Acquire).as_ref() }
    }

    /// The ring that delivery is in.
    #[inline]
    pub(super) fn delivering(&self) -> Option<&Ring> {
        // SAFETY: as for `current`.
        unsafe { self.delivering.load(Ordering::Acquire).as_ref() }
    }

    /// The oldest ring, for the post-mortem, during which nothing is freed
    /// ([`Stopped`](super::Stopped)).
    pub(super) fn oldest(&self) -> Option<&Ring> {
        // SAFETY: as for `current`.
        unsafe { self.remote.first.load(Ordering::Acquire).as_ref() }
    }

    /// Runs `body` with the oldest ring; neither it nor one behind it is freed meanwhile. Any CPU;
    /// `body` is short.
    pub(super) fn hold_oldest<R>(&self, body: impl FnOnce(&Ring) -> R) -> Option<R> {
        self.remote.walkers.fetch_add(1, Ordering::Relaxed);
        // Whoever takes a ring out of the chain sees that we walk, or we see the chain without it.
        fence(Ordering::SeqCst);
        // SAFETY: null, or a ring that is not freed as long as somebody walks.
        let oldest = unsafe { self.remote.first.load(Ordering::Acquire).as_ref() };
        let result = oldest.map(body);
        self.remote.walkers.fetch_sub(1, Ordering::Release);
        result
    }

    /// Whether the stream has a ring.
    #[inline]
    pub(crate) fn is_started(&self) -> bool {
        !self.current.load(Ordering::Acquire).is_null()
    }

    /// Whether it has ended. By who has a place, is counted in `held`, or holds the chain.
    pub(super) fn has_ended(&self) -> bool {
        // It may lag behind.
        let Some(mut ring) = self.current() else {
            return false;
        };
        // The seal FIRST: a ring gets its successor before it is sealed.
        while ring.position().is_sealed() {
            match ring.successor() {
                Some(next) => ring = next,
                None => return true,
            }
        }
        false
    }

    /// Takes the part of the one consuming reader; false if there is one.
    pub(super) fn begin_reading(&self) -> bool {
        !self.remote.reading.swap(true, Ordering::AcqRel)
    }

    /// Gives the part back.
    pub(super) fn end_reading(&self) {
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

    /// Asks the owner to end the stream at its next tick. Any CPU.
    pub(crate) fn want_close(&self) {
        self.remote.close_wanted.store(true, Ordering::Release);
    }
}

impl Ring {
    /// Opens the first packet of the stream, before anybody sees it, and puts the client's header
    /// for the whole stream behind its start reserve.
    fn begin_stream(&self, hooks: &dyn Hooks, begin: &PacketStart) {
        let geometry = &self.geometry;
        let (start, header) = (geometry.start_reserve(), geometry.channel_start_reserve());
        let block = geometry.index(self.first);
        let sub = self.sub(self.first);
        let entry = Entry::new(self.first, State::Writing, block);
        sub.entry.store(entry.0, Ordering::Relaxed);
        sub.limit_time(begin.begin_ticks);
        sub.begin_ticks.store(begin.begin_ticks, Ordering::Relaxed);
        self.describe(self.first, block);
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
        sub.commit.store(committed, Ordering::Relaxed);
        let pos = geometry.position(self.first, offset);
        self.pos.store(pos.0, Ordering::Relaxed);
    }

    /// Makes the sub-buffer of `packet`, which is written to `block`, the packet's descriptor.
    #[inline]
    pub(super) fn describe(&self, packet: u64, block: usize) {
        let (sub, geometry) = (self.sub(packet), &self.geometry);
        let start = geometry.position(packet, 0).0;
        let data = self.at(block, 0, geometry.subbuf_size()).as_ptr();
        let origin = data.wrapping_sub(start as usize);
        sub.origin.store(origin, Ordering::Relaxed);
        // Release: who sees the packet's end sees its block.
        sub.bound
            .store(geometry.fast_bound(packet), Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
impl Stream {
    /// What lies where, with every word by its name; also of its oldest ring.
    pub(crate) fn parts(&self) -> std::vec::Vec<crate::sync::touched::Part> {
        extern crate std;
        use crate::sync::touched::parts_of;
        let own = parts_of!(
            self,
            "stream",
            local,
            current,
            lost,
            overwritten,
            reported_losses,
            delivery_lock,
            delivering,
            next,
            sequence,
            ordinal,
            quiet_since,
            peak,
            wake_noted,
        );
        let asked = parts_of!(
            self.remote,
            "remote",
            first,
            reading,
            waiting,
            flush_wanted,
            close_wanted,
            reclaiming,
            walkers,
            new_ring,
            built,
        );
        let ring = self.oldest().map(Ring::parts).unwrap_or_default();
        own.into_iter().chain(asked).chain(ring).collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut ring = NonNull::new(self.remote.first.load(Ordering::Acquire));
        while let Some(this) = ring {
            // SAFETY: every ring of the chain is alive: they are destroyed only here, and
            // `&mut self` shows that no writer or reader borrows the stream.
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
