//! Faults on purpose, for scenarios that show how faults are reported.

use core::hint::black_box;

/// An address that nothing is ever mapped at: beyond the ranges of [`crate::mem`],
/// in a part of the upper half that the boot code leaves alone.
const NOWHERE: u64 = 0xffff_c300_0000_1230;

/// Writes where nothing is mapped.
#[inline(never)]
pub(crate) fn page_fault() {
    // SAFETY: it faults, which is what it is for; nothing lies there that the
    // write could change.
    unsafe { (NOWHERE as *mut u64).write_volatile(1) };
}

/// Calls itself until the stack is used up.
#[inline(never)]
#[expect(unconditional_recursion, reason = "the point of it")]
pub(crate) fn stack_overflow(depth: u64) -> u64 {
    let mut local = [depth; 32];
    black_box(&mut local);
    stack_overflow(black_box(depth + 1)) + local[0]
}
