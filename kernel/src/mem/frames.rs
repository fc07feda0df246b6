//! Physical memory: handing out frames of the usable regions.
//!
//! Small frames are taken from the lowest addresses up, large ones from the
//! highest down. Nothing is handed back: what the kernel takes at bring-up
//! (heap, stacks, page tables) it keeps.

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size2MiB, Size4KiB};

use super::events;

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
}

impl Frames {
    /// All usable frames of these regions.
    pub(crate) fn new(regions: &'static [MemoryRegion]) -> Self {
        Self {
            regions,
            low: LOWEST,
            high: u64::MAX,
        }
    }

    /// Bytes that are free, in whole small frames.
    pub(crate) fn free(&self) -> u64 {
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

    /// Takes the lowest free small frame.
    fn take_small(&mut self) -> Option<u64> {
        let start = self
            .usable()
            .filter(|&(start, end)| end - start >= SMALL)
            .map(|(start, _)| start)
            .min()?;
        self.low = start + SMALL;
        Some(start)
    }

    /// Takes the highest free large frame.
    fn take_large(&mut self) -> Option<u64> {
        let start = self
            .usable()
            .filter_map(|(start, end)| {
                let last = end.checked_sub(LARGE)? & !(LARGE - 1);
                (last >= start).then_some(last)
            })
            .max()?;
        self.high = start;
        Some(start)
    }
}

// SAFETY: every frame is handed out at most once: small ones at rising, large
// ones at falling addresses, which do not cross. That the regions are free
// memory is what the boot code promises with `Usable`.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        let start = PhysAddr::try_new(self.take_small()?).ok()?;
        events::frames_taken(start.as_u64(), SMALL);
        PhysFrame::from_start_address(start).ok()
    }
}

// SAFETY: as above.
unsafe impl FrameAllocator<Size2MiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size2MiB>> {
        let start = PhysAddr::try_new(self.take_large()?).ok()?;
        events::frames_taken(start.as_u64(), LARGE);
        PhysFrame::from_start_address(start).ok()
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
    fn absurd_regions_give_nothing() {
        let mut frames = frames(&[(u64::MAX - 1, u64::MAX, true), (5 * MIB, 4 * MIB, true)]);
        assert_eq!((frames.take_small(), frames.take_large()), (None, None));
    }
}
