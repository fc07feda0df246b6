//! What a program does wrong: it is told, and the program ends.

use relay_abi::Ended;

use super::calls::member;
use crate::arch::frame::{self, PageFaultCause, TrapFrame};
use crate::cpu::vector;

/// An exception in ring 3, and what was at CR2. Task context, interrupts off.
pub(crate) fn on_fault(frame: &TrapFrame, address: u64) {
    let Some(member) = member() else {
        return;
    };
    let process = &member.process;
    let name = frame::name(frame.vector);
    let (program, pid) = (process.name(), process.pid());
    match frame.vector == u64::from(vector::PAGE_FAULT) {
        true => relay::warn!(
            "{program}[{pid}]: {name} at {:#x}: {}, address {address:#x}",
            frame.rip,
            PageFaultCause(frame.error)
        ),
        false => relay::warn!("{program}[{pid}]: {name} at {:#x}", frame.rip),
    }
    process.end(Ended::Faulted(frame.vector as u32));
}
