//! Physical memory: handing out frames of the usable regions.
//!
//! Small frames are taken from the lowest addresses up, large ones from the
//! highest down. Small ones that are given back are taken again first: they are a list, each with
//! the address of the next in its first word. Large ones are not given back: they are the heap's.

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};

use super::physical::physical;

/// Bytes of a small frame.
pub(crate) const SMALL: u64 = 4096;
/// Bytes of a large frame.
pub(crate) const LARGE: u64 = 2 * 1024 * 1024;

/// Memory below is never handed out: firmware and start-up code live there.
const LOWEST: u64 = 0x10_0000;

/// The frames that are still free.
#[derive(Debug)]
pub(crate) struct Frames {
    regions: &'static [MemoryRegion],
    /// No frame below is free.
    low: u64,
    /// No frame that reaches beyond is free.
    high: u64,
    /// The first of those that were given back; 0: there is none.
    given_back: u64,
    /// How many they are.
    count: u64,
    /// Bytes in `low..high`, in whole small frames.
    fresh: u64,
}

impl Frames {
    /// All usable frames of these regions.
    pub(crate) fn new(regions: &'static [MemoryRegion]) -> Self {
        let mut frames = Self {
            regions,
            low: LOWEST,
            high: u64::MAX,
            given_back: 0,
            count: 0,
            fresh: 0,
        };
        frames.fresh = frames.count_fresh();
        frames
    }

    /// Bytes that are free, in whole small frames.
    pub(super) fn free(&self) -> u64 {
        self.fresh + self.count * SMALL
    }

    /// Bytes that were never taken, in whole small frames.
    fn count_fresh(&self) -> u64 {
        self.usable()
            .map(|(start, end)| (end - start) & !(SMALL - 1))
            .sum()
    }

    /// The free parts of the usable regions, aligned to small frames at the start.
    fn usable(&self) -> impl Iterator<Item = (u64, u64)> {
        self.regions
            .iter()
            .filter(|region| region.kind == MemoryRegionKind::Usable)
            .filter_map(|region| {
                let start = region.start.max(self.low).checked_next_multiple_of(SMALL)?;
                let end = region.end.min(self.high);
                (start < end).then_some((start, end))
            })
    }

    /// Takes a free small frame: the one that was given back last, or the lowest.
    pub(super) fn take_small(&mut self) -> Option<u64> {
        if let Some(count) = self.count.checked_sub(1) {
            let start = self.given_back;
            // SAFETY: a frame in the list is RAM that nobody else has, mapped there, and its first
            // word was written by `give_back`.
            self.given_back = unsafe { physical(start).cast::<u64>().read() };
            self.count = count;
            return Some(start);
        }
        let start = self
            .usable()
            .filter(|&(start, end)| end - start >= SMALL)
            .map(|(start, _)| start)
            .min()?;
        self.low = start + SMALL;
        self.fresh -= SMALL;
        Some(start)
    }

    /// Gives a small frame back.
    ///
    /// # Safety
    /// [`take_small`](Self::take_small) has returned it, it was not given back since then, and
    /// nobody reads or writes it any more.
    pub(super) unsafe fn give_back(&mut self, start: u64) {
        // SAFETY: RAM that is mapped there, and ours alone, as the caller says.
        unsafe { physical(start).cast::<u64>().write(self.given_back) };
        self.given_back = start;
        self.count += 1;
    }

    /// Takes the highest large frame that was never taken.
    pub(super) fn take_large(&mut self) -> Option<u64> {
        let start = self
            .usable()
            .filter_map(|(start, end)| {
                let last = end.checked_sub(LARGE)? & !(LARGE - 1);
                (last >= start).then_some(last)
            })
            .max()?;
        self.high = start;
        self.fresh = self.count_fresh();
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn frames(regions: &[(u64, u64, bool)]) -> Frames {
        let regions: Vec<_> = regions
            .iter()
            .map(|&(start, end, usable)| MemoryRegion {
                start,
                end,
                kind: if usable {
                    MemoryRegionKind::Usable
                } else {
                    MemoryRegionKind::Bootloader
                },
            })
            .collect();
        Frames::new(regions.leak())
    }

    #[test]
    fn small_frames_come_from_below_in_usable_regions_only() {
        let mut frames = frames(&[
            (0, MIB, true),
            (3 * MIB, 3 * MIB + 0x1800, true),
            (2 * MIB, 3 * MIB, false),
            (MIB + 0x800, MIB + 0x2800, true),
        ]);
        assert_eq!(frames.free(), 2 * SMALL);
        assert_eq!(frames.take_small(), Some(MIB + 0x1000));
        assert_eq!(frames.take_small(), Some(3 * MIB));
        assert_eq!(frames.take_small(), None);
        assert_eq!(frames.free(), 0);
    }

    #[test]
    fn large_frames_come_from_above_and_are_aligned() {
        let mut frames = frames(&[(MIB, 7 * MIB, true), (8 * MIB, 11 * MIB, true)]);
        assert_eq!(frames.take_large(), Some(8 * MIB));
        assert_eq!(frames.take_large(), Some(4 * MIB));
        assert_eq!(frames.take_large(), Some(2 * MIB));
        assert_eq!(frames.take_large(), None);
        assert_eq!(frames.free(), MIB);
    }

    #[test]
    fn no_byte_is_handed_out_twice() {
        let mut frames = frames(&[(MIB, 9 * MIB + 0x3000, true)]);
        let total = frames.free();
        let mut taken = Vec::new();
        for round in 0.. {
            let (frame, size) = if round % 100 == 0 {
                (frames.take_large(), LARGE)
            } else {
                (frames.take_small(), SMALL)
            };
            match frame {
                Some(start) => taken.push((start, start + size)),
                None if size == SMALL => break,
                None => {}
            }
        }
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        let bytes: u64 = taken.iter().map(|(start, end)| end - start).sum();
        // What is lost is the unaligned rest between large frames.
        assert!(bytes <= total && bytes > total - LARGE);
    }

    #[test]
    fn what_is_given_back_is_taken_again_and_counted() {
        let memory = super::super::arena::begin();
        let mut frames = frames(&[(memory.start, memory.start + 5 * SMALL, true)]);
        let all: Vec<u64> = core::iter::from_fn(|| frames.take_small()).collect();
        assert_eq!((all.len(), frames.free()), (5, 0));
        for (given, &start) in all.iter().enumerate() {
            // SAFETY: it was taken, and nobody uses it.
            unsafe { frames.give_back(start) };
            assert_eq!(frames.free(), (given as u64 + 1) * SMALL);
        }
        let mut again: Vec<u64> = core::iter::from_fn(|| frames.take_small()).collect();
        again.sort_unstable();
        assert_eq!((again, frames.free()), (all, 0));
    }

    #[test]
    fn absurd_regions_give_nothing() {
        let mut frames = frames(&[(u64::MAX - 1, u64::MAX, true), (5 * MIB, 4 * MIB, true)]);
        assert_eq!((frames.take_small(), frames.take_large()), (None, None));
    }
}
