//! What a program does wrong: it is told, to operators and in the log, and the program ends.

use relay::event::Hex;
use relay_abi::Ended;

use super::process::member;
use crate::arch::backtrace;
use crate::arch::frame::{self, PageFaultCause, TrapFrame};
use crate::cpu::{percpu, vector};
use crate::logs::evlog;
use crate::logs::operator::ProgramFaulted;

/// An exception in ring 3, and what was at CR2. Task context, interrupts off, on the CPU that runs the
/// program, in its address space.
pub(crate) fn on_fault(frame: &TrapFrame, address: u64) {
    let Some(member) = member() else {
        return;
    };
    let process = &member.process;
    tell(process.name(), process.pid(), frame, address);
    process.end(Ended::Faulted(frame.vector as u32));
}

/// Tells of a fault, with the registers that the program had and a backtrace of it: relayctl gives
/// that names.
fn tell(program: &str, process: i32, frame: &TrapFrame, address: u64) {
    let fault = frame::name(frame.vector);
    let is_page_fault = frame.vector == u64::from(vector::PAGE_FAULT);
    // What was there before is nobody's business.
    let address = if is_page_fault { address } else { 0 };
    let stack = backtrace::of_program(frame.registers());
    evlog::emit(|| ProgramFaulted {
        program,
        process,
        tid: percpu::thread(),
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
    match is_page_fault {
        true => relay::warn!(
            "{program}[{process}]: {fault} at {ip:#x}: {}, address {address:#x}",
            PageFaultCause(frame.error)
        ),
        false => relay::warn!("{program}[{process}]: {fault} at {ip:#x}"),
    }
    // As a panic's backtrace, with the program's name: the host looks for this form.
    let callers = stack.frames().iter().map(|frame| frame.0);
    for (number, address) in core::iter::once(ip).chain(callers).enumerate() {
        relay::warn!("  {program} #{number} {address:#018x}");
    }
}
