//! The owner's words: what belongs to a channel on one CPU and outlives the ring.

use super::ledger::LossCounters;
use super::{Geometry, Loss, Losses, Ring, Storage, StorageError};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Ordering, OwnerWord, const_unless_loom};
use core::ptr::{NonNull, null_mut};

/// How many records of one CPU may be under way at the same time.
pub(super) const DEPTH: usize = 8;

/// The flow of packets of one channel on one CPU.
///
/// "Owner" below is the CPU, in any of its contexts. Everything here but `flush_wanted` and
/// `reading` is written by the owner alone.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Stream {
    /// The ring to write to; null before the stream has started.
    pub(super) cur: AtomicPtr<Ring>,
    /// One bit for each record under way; each bit has an intent.
    pub(super) depth: OwnerWord,
    /// What each record under way has reserved, for the post-mortem: see [`Intent`].
    pub(super) intents: [OwnerWord; DEPTH],
    /// Losses by reason.
    pub(super) lost: LossCounters,
    /// Records overwritten unread.
    pub(super) overwritten: OwnerWord,
    /// Total of the losses that a closed packet has told of.
    pub(super) told: OwnerWord,
    /// Delivery in progress.
    pub(super) busy: OwnerWord,
    /// The ring that holds the next packet to deliver ...
    pub(super) dring: AtomicPtr<Ring>,
    /// ... and the number of that packet in it.
    pub(super) next: OwnerWord,
    /// Packets delivered so far.
    pub(super) sequence: OwnerWord,
    /// Records delivered so far.
    pub(super) ordinal: OwnerWord,
    /// No record will come with an older timestamp, except in packets that are readable already.
    pub(super) quiet_since: AtomicU64,
    /// The oldest ring.
    first: AtomicPtr<Ring>,
    /// What others than the owner write, on a line of its own.
    remote: Remote,
}

#[derive(Debug)]
#[repr(align(128))]
struct Remote {
    /// A consuming reader is open.
    reading: AtomicBool,
    /// The reader has read everything and asks for what the open packet holds.
    flush_wanted: AtomicBool,
}

/// The state of a stream, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets delivered.
    pub packets: u64,
    /// Records in them.
    pub records: u64,
    /// Records lost so far, by reason.
    pub lost: Losses,
    /// Records overwritten before they were read.
    pub overwritten: u64,
}

/// What a record under way wants to reserve, or has: left before the swap, withdrawn at the end.
///
/// `start << 32 | WRITTEN << 31 | length`, the start modulo 2^32 bytes; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Intent(pub(super) u64);

impl Intent {
    const WRITTEN: u64 = 1 << 31;

    /// An intent to reserve `len` bytes at byte position `start`.
    #[inline(always)]
    pub(super) const fn new(start: u64, len: u64) -> Self {
        Self(start << 32 | len & (Self::WRITTEN - 1))
    }

    /// The same, after the bytes were stored: all that is missing is the commit.
    #[inline(always)]
    pub(super) const fn written(self) -> Self {
        Self(self.0 | Self::WRITTEN)
    }

    /// The length in bytes, 0 for none.
    pub(super) const fn len(self) -> u64 {
        self.0 & (Self::WRITTEN - 1)
    }

    /// The start, modulo 2^32 bytes.
    pub(super) const fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the bytes are all there.
    pub(super) const fn is_written(self) -> bool {
        self.0 & Self::WRITTEN != 0
    }
}

impl Stream {
    const_unless_loom! {
        /// A stream that has not started.
        pub(crate) fn new() -> Self {
            Self {
                cur: AtomicPtr::new(null_mut()),
                depth: OwnerWord::new(0),
                intents: [
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                    OwnerWord::new(0),
                ],
                lost: LossCounters::new(),
                overwritten: OwnerWord::new(0),
                told: OwnerWord::new(0),
                busy: OwnerWord::new(0),
                dring: AtomicPtr::new(null_mut()),
                next: OwnerWord::new(0),
                sequence: OwnerWord::new(0),
                ordinal: OwnerWord::new(0),
                quiet_since: AtomicU64::new(0),
                first: AtomicPtr::new(null_mut()),
                remote: Remote {
                    reading: AtomicBool::new(false),
                    flush_wanted: AtomicBool::new(false),
                },
            }
        }
    }

    /// Gives the stream its first ring; false if it has one already (the storage is dropped).
    ///
    /// May run on another CPU than the owner if it happens-before the owner's first write.
    pub(crate) fn start(
        &self,
        storage: Storage,
        geometry: Geometry,
        first_packet: u64,
    ) -> Result<bool, StorageError> {
        let ring = Ring::build(storage, geometry, first_packet)?;
        let won = self.first.compare_exchange(
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
        // SAFETY: alive until the stream is dropped.
        let first = unsafe { ring.as_ref() }.first;
        self.next.store(first, Ordering::Relaxed);
        self.dring.store(ring.as_ptr(), Ordering::Relaxed);
        // Release: whoever sees the ring sees it built.
        self.cur.store(ring.as_ptr(), Ordering::Release);
        Ok(true)
    }

    /// The ring to write to, if the stream has started.
    #[inline(always)]
    pub(super) fn current(&self) -> Option<&Ring> {
        // SAFETY: null, or a ring that lives until the stream is dropped.
        unsafe { self.cur.load(Ordering::Acquire).as_ref() }
    }

    /// The ring that delivery is in.
    pub(super) fn delivering(&self) -> Option<&Ring> {
        // SAFETY: as for `current`.
        unsafe { self.dring.load(Ordering::Acquire).as_ref() }
    }

    /// The oldest ring: where readers begin.
    pub(super) fn oldest(&self) -> Option<&Ring> {
        // SAFETY: as for `current`.
        unsafe { self.first.load(Ordering::Acquire).as_ref() }
    }

    /// Whether the stream has a ring.
    pub(crate) fn is_started(&self) -> bool {
        self.oldest().is_some()
    }

    /// Counts one lost record. Owner only.
    #[inline]
    pub(super) fn lose(&self, loss: Loss) {
        self.lost.count(loss);
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

impl Drop for Stream {
    fn drop(&mut self) {
        let mut ring = NonNull::new(self.first.load(Ordering::Acquire));
        while let Some(this) = ring {
            // SAFETY: every ring of the chain is alive: they are destroyed only here, and
            // `&mut self` shows that no writer, reader or slot borrows the stream.
            let next = unsafe { this.as_ref() }.succ.load(Ordering::Acquire);
            // SAFETY: likewise, and it is not used after this.
            unsafe { Ring::destroy(this) };
            // A closed ring is its own successor.
            ring = NonNull::new(next).filter(|next| *next != this);
        }
    }
}
