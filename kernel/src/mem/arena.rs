//! For tests: memory of the process in the part of physical memory.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock};

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};

use super::frames::{Frames, SMALL};
use super::{map, physical, pool};

/// Where it begins, physically.
const BEGIN: u64 = 0x100_0000;
/// Bytes: the first MiB is for who makes frames of its own, the rest is the pool's.
const LENGTH: u64 = 24 << 20;
const SCRATCH: u64 = 1 << 20;

/// The part that is not the pool's, which one test may use.
pub(super) fn begin() -> Range<u64> {
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| {
        let memory: &'static mut [u64] = vec![0; ((LENGTH + SMALL) / 8) as usize].leak();
        let start = (memory.as_mut_ptr() as u64).next_multiple_of(SMALL);
        physical::begin(start.wrapping_sub(BEGIN));
        let region = MemoryRegion {
            start: BEGIN + SCRATCH,
            end: BEGIN + LENGTH,
            kind: MemoryRegionKind::Usable,
        };
        pool::begin(Frames::new(vec![region].leak()));
        map::pretend_root(pool::take().expect("the pool is full"));
    });
    BEGIN..BEGIN + SCRATCH
}

/// The pool is this test's as long as it holds what this returns.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    begin();
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
