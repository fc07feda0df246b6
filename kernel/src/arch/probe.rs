//! Trying memory that may not be mapped, or may not be used so: the page fault is taken, and that is
//! the answer.

use core::arch::naked_asm;

use core::sync::atomic::{AtomicU64, Ordering};

use super::frame::TrapFrame;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;

/// Reads eight bytes at `address` into `to`; 1. Its first instruction is the one that may fault.
#[unsafe(naked)]
unsafe extern "C" fn load(address: u64, to: *mut u64) -> u64 {
    naked_asm!("mov rax, [rdi]", "mov [rsi], rax", "mov eax, 1", "ret",)
}

/// Writes to the byte at `address` what it has; 1. Its first instruction is the one that may fault.
#[unsafe(naked)]
unsafe extern "C" fn touch(address: u64) -> u64 {
    naked_asm!("lock or byte ptr [rdi], 0", "mov eax, 1", "ret")
}

/// Calls what is at `address`; 1. What is called must be a `ret`.
#[unsafe(naked)]
unsafe extern "C" fn jump(address: u64) -> u64 {
    naked_asm!("call rdi", "mov eax, 1", "ret")
}

/// Where each CPU is about to execute; 0: nowhere.
static JUMPS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Where these go on if they have faulted: 0.
#[unsafe(naked)]
extern "C" fn fail() -> u64 {
    naked_asm!("xor eax, eax", "ret")
}

/// The eight bytes at `address`, or `None` if nothing is mapped there that can be read. What they
/// mean, if somebody writes them meanwhile, is for the caller to say.
///
/// Task and IRQ context; not in an NMI, since the fault's return would let the next one in.
pub(crate) fn read(address: u64) -> Option<u64> {
    if !is_canonical(address) || !is_canonical(address.wrapping_add(7)) {
        return None;
    }
    let mut value = 0;
    // SAFETY:
    // 1. `load` writes to `value` alone, which is a `u64`.
    // 2. It reads through an address that the caller made up: what is mapped is ordinary memory or
    //    a device's registers, whose reading is the caller's business; what is not faults at the
    //    first instruction, and `recover` has it go on in `fail`, which returns to here.
    // 3. The address is canonical, so that it is a page fault and nothing else.
    let is_read = unsafe { load(address, &raw mut value) };
    (is_read == 1).then_some(value)
}

/// Whether the byte at `address` can be written to; what it has stays. Task context.
///
/// # Safety
/// It is no device's register.
pub(crate) unsafe fn is_writable(address: u64) -> bool {
    // SAFETY: as in `read`; what is written is what is there, in one step.
    is_canonical(address) && unsafe { touch(address) } == 1
}

/// Whether what is at `address` can be executed in ring 0. Task context, interrupts off.
///
/// # Safety
/// If it can, it is an instruction `ret`.
pub(crate) unsafe fn is_executable(address: u64) -> bool {
    if !is_canonical(address) {
        return false;
    }
    let jumps = &JUMPS[percpu::cpu_index() % MAX_CPUS];
    jumps.store(address, Ordering::Relaxed);
    // SAFETY: the caller's promise; if it faults there, `recover` has it go on in `fail`.
    let has_returned = unsafe { jump(address) } == 1;
    jumps.store(0, Ordering::Relaxed);
    has_returned
}

/// Whether the upper bits are all zeros or all ones: no other address can be used at all.
fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// Has code that a page fault has interrupted go on, if it is of this module; whether it is.
pub(super) fn recover(frame: &mut TrapFrame) -> bool {
    let is_probe = [load as *const () as u64, touch as *const () as u64].contains(&frame.rip);
    let is_jump = !is_probe && is_jump(frame.rip);
    if is_jump {
        // The call has pushed where it would have returned to.
        frame.rsp += 8;
    }
    if is_probe || is_jump {
        frame.rip = fail as *const () as u64;
    }
    is_probe || is_jump
}

/// Whether this CPU has just jumped to `rip`, in [`is_executable`].
fn is_jump(rip: u64) -> bool {
    // A host's tests have no CPU of this kernel.
    let cpu = if cfg!(target_os = "none") {
        percpu::cpu_index()
    } else {
        0
    };
    JUMPS[cpu % MAX_CPUS].load(Ordering::Relaxed) == rip && rip != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_load_itself_is_recovered() {
        let mut frame = TrapFrame {
            rip: load as *const () as u64,
            ..TrapFrame::default()
        };
        assert!(recover(&mut frame));
        assert_eq!(frame.rip, fail as *const () as u64);
        assert!(!recover(&mut frame));
    }

    #[test]
    fn what_is_mapped_is_read_and_what_no_address_can_be_is_not() {
        let word = 0x1234_5678_u64;
        assert_eq!(read(&raw const word as u64), Some(word));
        assert_eq!(read(0x1234_0000_0000_0000), None);
        assert_eq!(read(0x0000_7fff_ffff_fffc), None);
    }
}
