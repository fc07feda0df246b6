//! The control words of a sub-buffer, and the arithmetic of its commit word.

use super::entry::{Entry, State};
use super::geometry::Geometry;
use super::ledger::LossRecord;
use super::packet::Closed;
use crate::sync::{AtomicPtr, AtomicU64, GroupedU64, Ordering, OwnerWord};
use core::ptr::null_mut;
use relay_format::stamp::TIME_BITS;

/// The control words of a sub-buffer; they belong to one lap of the writer. The first line holds
/// what every write uses, the second what readers change.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Sub {
    /// Committed in this lap, see [`Committed`].
    pub(super) commit: OwnerWord,
    /// The descriptor: the position that a record of its packet must end before to be written the
    /// fast way; 0 where none is. Stored after `origin`.
    pub(super) bound: AtomicU64,
    /// The descriptor: where position 0 would lie if the memory of the packet's block went on so
    /// far in both directions.
    pub(super) origin: AtomicPtr<u8>,
    /// A stamped record of its packet is older than this, in ticks: see [`TIME_SPAN`]. Stored
    /// before the position comes into the packet.
    pub(super) time_limit: AtomicU64,
    /// Written by the opener.
    pub(super) begin_ticks: GroupedU64,
    /// Written by the closer: the time of the closing.
    pub(super) end_ticks: GroupedU64,
    /// Written last by the closer: which packet was closed, and where.
    pub(super) closed: AtomicU64,
    _line: Line,
    /// Which packet is in it, in what state, in which block.
    pub(super) entry: AtomicU64,
    /// Written by the closer: the loss counts at the closing.
    pub(super) lost: LossRecord,
}

/// How much younger than its packet a record may be, in ticks: half of what the lower bits of its
/// time can tell. In a stream that all CPUs write, the CPU that loses a swap may leave a limit
/// that is later than the winner's, by the time between two looks at the clock.
pub(super) const TIME_SPAN: u64 = 1 << (TIME_BITS - 1);

/// Begins a cache line.
#[repr(align(64))]
#[derive(Debug)]
struct Line;

impl Sub {
    /// The words of a sub-buffer that held `packet` in the lap before the first, which was read and
    /// given back.
    pub(super) fn new(geometry: &Geometry, packet: u64) -> Self {
        let entry = Entry::new(packet, State::Empty, geometry.index(packet));
        Self {
            commit: OwnerWord::new(Committed::nothing(geometry).0),
            bound: AtomicU64::new(0),
            origin: AtomicPtr::new(null_mut()),
            time_limit: AtomicU64::new(0),
            begin_ticks: GroupedU64::new(0),
            end_ticks: GroupedU64::new(0),
            closed: AtomicU64::new(Closed::new(packet, 0, false).0),
            _line: Line,
            entry: AtomicU64::new(entry.0),
            lost: LossRecord::new(),
        }
    }

    /// Has the packet that will be opened at `ticks` take records until [`TIME_SPAN`] after that.
    /// Before the swap that opens it. Where another context opens it instead, an earlier limit
    /// stays: the packet ends earlier.
    #[inline]
    pub(super) fn limit_time(&self, ticks: u64) {
        // Relaxed: a context of this CPU sees it; another CPU sees it with `bound`, or with the
        // position.
        self.time_limit
            .store(ticks.saturating_add(TIME_SPAN), Ordering::Relaxed);
    }

    /// When the packet was opened, in ticks, also if its opener was stopped before it noted that:
    /// then the limit tells. Of a CPU that has stopped.
    pub(super) fn opened_at(&self) -> u64 {
        let limit = self.time_limit.load(Ordering::Relaxed);
        let noted = self.begin_ticks.load(Ordering::Relaxed);
        noted.max(limit.saturating_sub(TIME_SPAN))
    }

    /// Whether the open packet takes a record of that time.
    #[inline]
    pub(super) fn takes(&self, ticks: u64) -> bool {
        ticks < self.time_limit.load(Ordering::Relaxed)
    }

    /// The closer's word. Acquire: the time and the losses come with it.
    #[inline]
    pub(super) fn closed(&self) -> Closed {
        Closed(self.closed.load(Ordering::Acquire))
    }

    /// Nothing is committed any more: the next lap may begin. Release: the post-mortem that sees
    /// this sees the note about the packet.
    #[inline]
    pub(super) fn forget_committed(&self, geometry: &Geometry) {
        self.commit
            .store(Committed::nothing(geometry).0, Ordering::Release);
    }

    /// What is committed. Acquire: where all CPUs write, the bytes come with the word.
    #[inline]
    pub(super) fn committed(&self) -> Committed {
        Committed(self.commit.load(Ordering::Acquire))
    }
}

#[cfg(all(test, not(loom)))]
impl Sub {
    /// Its words, by their names.
    pub(super) fn parts(&self) -> [crate::sync::touched::Part; 9] {
        extern crate std;
        crate::sync::touched::parts_of!(
            self,
            "sub",
            commit,
            bound,
            origin,
            time_limit,
            begin_ticks,
            end_ticks,
            closed,
            entry,
            lost,
        )
    }
}

/// What is committed of a packet: `bytes << 32 | records`, the bytes counted from 2^32 minus the
/// size of the sub-buffer: the add that completes the packet carries out of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Committed(pub(super) u64);

impl Committed {
    /// Nothing yet.
    #[inline]
    pub(super) const fn nothing(geometry: &Geometry) -> Self {
        Self(((1 << 32) - geometry.subbuf_size() as u64) << 32)
    }

    /// What to add to commit `bytes`, and one record or none.
    #[inline(always)]
    pub(super) const fn step(bytes: u64, records: u64) -> u64 {
        bytes << 32 | records
    }

    /// Whether all bytes are there.
    #[inline]
    pub(super) const fn is_complete(self) -> bool {
        self.0 >> 32 == 0
    }

    /// Committed bytes.
    #[inline]
    pub(super) const fn bytes(self, geometry: &Geometry) -> u64 {
        (self.0 >> 32).wrapping_add(geometry.subbuf_size() as u64) & 0xFFFF_FFFF
    }

    /// Committed records.
    #[inline]
    pub(super) const fn records(self) -> u64 {
        self.0 & 0xFFFF_FFFF
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::PerCpu;

    #[test]
    fn the_commit_word_carries_when_the_last_byte_is_there() {
        for size in [8, 4096, 1 << 30] {
            let geometry = Geometry::new(size, 2).unwrap();
            let size = size as u64;
            let word = OwnerWord::new(Committed::nothing(&geometry).0);
            let now = || Committed(word.load(Ordering::Relaxed));
            assert_eq!((now().bytes(&geometry), now().records()), (0, 0));
            assert!(!word.add_carries::<PerCpu>(Committed::step(size - 1, 1)));
            assert_eq!((now().bytes(&geometry), now().records()), (size - 1, 1));
            assert!(!now().is_complete());
            assert!(word.add_carries::<PerCpu>(Committed::step(1, 0)));
            assert!(now().is_complete());
            assert_eq!((now().bytes(&geometry), now().records()), (size, 1));
        }
    }

    #[test]
    fn what_every_write_uses_is_one_line() {
        assert_eq!(size_of::<Sub>(), 128);
        assert!(core::mem::offset_of!(Sub, closed) < 64);
        assert!(core::mem::offset_of!(Sub, entry) >= 64);
    }
}
