//! What is told of a program's fault: the record of it, for operators and in the log.

use relay::event::Hex;

use crate::arch::backtrace;
use crate::arch::frame::{self, PageFaultCause, TrapFrame};
use crate::cpu::vector;
use crate::logs::evlog;
use crate::logs::operator::ProgramFaulted;

/// Tells that the process `process`, which runs `program`, was interrupted by this exception in its
/// thread `tid`, in the registers' state that `frame` has; `address` is what a page fault was about.
/// The backtrace is that of the program: relayctl gives it names.
///
/// Task context, on the CPU that runs the program, in its address space.
pub(crate) fn tell(program: &str, [process, tid]: [i32; 2], frame: &TrapFrame, address: u64) {
    let fault = frame::name(frame.vector);
    let stack = backtrace::of_program(frame.registers());
    evlog::emit(|| ProgramFaulted {
        program,
        process,
        tid,
        vector: frame.vector as u32,
        fault,
        error_code: Hex(frame.error),
        address: Hex(address),
        ip: Hex(frame.rip),
        sp: Hex(frame.rsp),
        flags: Hex(frame.rflags),
        rax: Hex(frame.rax),
        rbx: Hex(frame.rbx),
        rcx: Hex(frame.rcx),
        rdx: Hex(frame.rdx),
        rsi: Hex(frame.rsi),
        rdi: Hex(frame.rdi),
        rbp: Hex(frame.rbp),
        r8: Hex(frame.r8),
        r9: Hex(frame.r9),
        r10: Hex(frame.r10),
        r11: Hex(frame.r11),
        r12: Hex(frame.r12),
        r13: Hex(frame.r13),
        r14: Hex(frame.r14),
        r15: Hex(frame.r15),
        backtrace: stack.frames(),
    });
    let ip = frame.rip;
    match u64::from(vector::PAGE_FAULT) == frame.vector {
        true => relay::error!(
            "{program}, process {process}, was ended: {fault} at {ip:#x}, {} {address:#x}",
            PageFaultCause(frame.error)
        ),
        false => relay::error!("{program}, process {process}, was ended: {fault} at {ip:#x}"),
    }
    // As in a panic's backtrace, with the program's name before it.
    for (number, address) in core::iter::once(ip)
        .chain(stack.frames().iter().map(|frame| frame.0))
        .enumerate()
    {
        relay::error!("  {program} #{number} {address:#018x}");
    }
}
