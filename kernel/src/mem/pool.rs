//! The machine's frames: taken by whoever maps something, and given back.
//!
//! The lock is the lowest of all in `mem`: who holds any other may ask for a frame.

use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size2MiB, Size4KiB};

use super::events;
use super::frames::{Frames, LARGE, SMALL};
use super::lock::Guarded;
use super::physical::physical;

static POOL: Guarded<Option<Frames>> = Guarded::new(None);

/// The last frames are the kernel's: for page tables, stacks and devices. Programs do not get them.
const RESERVE: u64 = 256;

/// Begins with these frames. Once.
pub(super) fn begin(frames: Frames) {
    POOL.with(|pool| *pool = Some(frames));
}

/// Takes a frame for the kernel, with whatever is in it. `None` when there is none. Task and IRQ
/// context.
pub(super) fn take() -> Option<u64> {
    let frame = POOL.with(|pool| pool.as_mut()?.take_small())?;
    events::frames_taken(frame, SMALL);
    Some(frame)
}

/// Takes a zeroed frame for a program. `None` when only the kernel's reserve is left. Task and IRQ
/// context.
pub(super) fn take_for_program() -> Option<u64> {
    let frame = POOL.with(|pool| {
        let pool = pool.as_mut()?;
        if pool.free() <= RESERVE * SMALL {
            return None;
        }
        pool.take_small()
    })?;
    events::frames_taken(frame, SMALL);
    // SAFETY: a fresh frame of RAM, which is mapped writable there, and which nobody else has.
    unsafe { physical(frame).write_bytes(0, SMALL as usize) };
    Some(frame)
}

/// Gives a frame back. Task and IRQ context.
///
/// # Safety
/// It was taken here, is given back once, and no page table that a CPU may still use has it: nobody
/// reads or writes it any more.
pub(super) unsafe fn give_back(frame: u64) {
    // Before: somebody else may get it then.
    events::frame_given_back(frame);
    POOL.with(|pool| {
        if let Some(pool) = pool {
            // SAFETY: the caller's promise.
            unsafe { pool.give_back(frame) };
        }
    });
}

/// Whether there is more than the kernel's reserve. Task and IRQ context.
pub(super) fn has_more_than_reserve() -> bool {
    free() > RESERVE
}

/// How many small frames are free. Task and IRQ context.
pub(super) fn free() -> u64 {
    POOL.with(|pool| pool.as_ref().map_or(0, Frames::free)) / SMALL
}

/// The pool, as the page tables' crate wants it.
#[derive(Debug)]
pub(super) struct Pool;

// SAFETY: every frame that the pool hands out is nobody else's until it is given back.
unsafe impl FrameAllocator<Size4KiB> for Pool {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        let start = PhysAddr::try_new(take()?).ok()?;
        PhysFrame::from_start_address(start).ok()
    }
}

// SAFETY: as above. Large frames are not given back.
unsafe impl FrameAllocator<Size2MiB> for Pool {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size2MiB>> {
        let start = POOL.with(|pool| pool.as_mut()?.take_large())?;
        events::frames_taken(start, LARGE);
        PhysFrame::from_start_address(PhysAddr::try_new(start).ok()?).ok()
    }
}
