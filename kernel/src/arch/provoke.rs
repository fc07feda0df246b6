//! Faults on purpose, for scenarios that show how faults are reported.

use core::arch::asm;
use core::hint::black_box;

use x86_64::VirtAddr;
use x86_64::instructions::tables;
use x86_64::structures::DescriptorTablePointer;

/// An address that nothing is ever mapped at: beyond the ranges of [`crate::mem`],
/// in a part of the upper half that the boot code leaves alone.
const NOWHERE: u64 = 0xffff_c300_0000_1230;

/// No address at all: the upper bits are neither all zeros nor all ones.
const NOT_CANONICAL: u64 = 0x1234_0000_0000_0000;

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

/// Pushes to a stack that is none: nor can the exception that this is be pushed there.
pub(crate) fn double_fault() -> ! {
    // SAFETY: the push faults, and so does what the CPU pushes for the fault: it changes to the
    // stack of double faults, whose handler never returns.
    unsafe {
        asm!("mov rsp, {stack}", "push rax", "ud2", stack = in(reg) NOT_CANONICAL,
            options(noreturn))
    }
}

/// Has the CPU forget all handlers, then raises an exception: the CPU shuts down.
pub(crate) fn triple_fault() -> ! {
    let nothing = DescriptorTablePointer {
        limit: 0,
        base: VirtAddr::zero(),
    };
    // SAFETY: without handlers no exception, interrupt or NMI runs anything: the CPU shuts down
    // with the next one, which is here.
    unsafe { tables::lidt(&nothing) };
    // SAFETY: as above: it never comes back.
    unsafe { asm!("ud2", options(noreturn)) }
}
