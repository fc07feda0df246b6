//! Traps: the stubs that the CPU enters, and what each vector does.
//!
//! All 256 vectors have a stub. A stub pushes an error code where the CPU does
//! not, and its vector; then all go through [`common`], which saves the general
//! registers (a [`TrapFrame`]) and calls [`dispatch`]. Nobody uses vector registers, so that is all
//! there is to save. System calls come by another way, see [`user`](super::user), and end in
//! [`system_call`].
//!
//! # Where GS points
//!
//! A trap from ring 3 finds its base 0, and so does an NMI that comes before the first instruction of
//! a system call, or before the last one of the way back, in ring 0. So every trap asks the register
//! itself: only addresses of the kernel are negative. What was swapped is remembered in `rbx`, which
//! functions keep, also when `dispatch` switches to other threads in between: it lies on the stack of
//! this one.
//!
//! All gates are interrupt gates: maskable interrupts stay off in handlers, so
//! interrupts do not nest. Exceptions and NMIs can come at any instruction.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use relay::Context;
use relay::event::Hex;
use x86_64::VirtAddr;
use x86_64::registers::control::Cr2;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::events::{
    CallFunctionEntry, CallFunctionExit, ErrorEntry, ErrorExit, IrqHandlerEntry, IrqHandlerExit,
    LocalTimerEntry, LocalTimerExit, PageFaultKernel, PageFaultUser, RescheduleEntry,
    RescheduleExit, SpuriousEntry, SpuriousExit,
};
use super::frame::{Interrupted, TrapFrame};
use super::segments::{Ist, KERNEL_CODE};
use super::{apic, handlers, pic, probe, stop};
use crate::cpu::percpu::{self, IrqLevel};
use crate::cpu::vector;
use crate::logs::trace;
use crate::mem;

// The CPU aligns the stack to 16 before it pushes, so `common` calls with an
// aligned stack exactly when the frame is a multiple of 16.
const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(16));
const _: () = assert!(offset_of!(TrapFrame, vector) == 15 * 8);

/// Whether the CPU pushes an error code for this vector (Intel SDM Vol. 3A, table 6-1).
const fn has_error_code(vector: u64) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// What the CPU enters for vector `V`.
#[unsafe(naked)]
extern "C" fn stub<const V: u64>() {
    naked_asm!(
        ".if {has_error} == 0",
        "push 0",
        ".endif",
        "push {vector}",
        "jmp {common}",
        has_error = const has_error_code(V) as u64,
        vector = const V,
        common = sym common,
    )
}

/// Saves the general registers, dispatches, and returns to the interrupted code.
#[unsafe(naked)]
extern "C" fn common() {
    naked_asm!(
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push rbp",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rdi, rsp",
        // Ring 3 can set the flag that lifts SMAP, and the direction; no gate clears them.
        "push 2",
        "popfq",
        "mov ecx, {gs_base}",
        "rdmsr",
        "xor ebx, ebx",
        "test edx, edx",
        "js 2f",
        "swapgs",
        "inc ebx",
        "2:",
        "call {dispatch}",
        // Who follows frames finds this address behind the frame of `dispatch`.
        ".globl relay_trap_return",
        ".hidden relay_trap_return",
        "relay_trap_return:",
        "test ebx, ebx",
        "jz 3f",
        "swapgs",
        "3:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rbp",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbx",
        "pop rax",
        // The vector and the error code.
        "add rsp, 16",
        "iretq",
        dispatch = sym dispatch,
        gs_base = const 0xC000_0101_u32,
    )
}

/// Goes to ring 3 with these registers.
///
/// # Safety
/// They are those of ring 3; interrupts are off; nobody needs what is on this stack any more but the
/// frame itself.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leave(frame: &TrapFrame) -> ! {
    naked_asm!("mov rsp, rdi", "mov ebx, 1", "jmp relay_trap_return")
}

unsafe extern "C" {
    /// Where `dispatch` returns to, in [`common`].
    static relay_trap_return: u8;
}

/// Where the handler of a trap returns to: the trap's [`TrapFrame`] lies right above that address
/// on the stack. Any context.
pub(super) fn return_address() -> u64 {
    &raw const relay_trap_return as u64
}

/// The stubs of 16 vectors, for each of the given upper halves.
macro_rules! stubs {
    ($($high:literal)*) => {
        [$([
            stub::<{ $high * 16 }>, stub::<{ $high * 16 + 1 }>,
            stub::<{ $high * 16 + 2 }>, stub::<{ $high * 16 + 3 }>,
            stub::<{ $high * 16 + 4 }>, stub::<{ $high * 16 + 5 }>,
            stub::<{ $high * 16 + 6 }>, stub::<{ $high * 16 + 7 }>,
            stub::<{ $high * 16 + 8 }>, stub::<{ $high * 16 + 9 }>,
            stub::<{ $high * 16 + 10 }>, stub::<{ $high * 16 + 11 }>,
            stub::<{ $high * 16 + 12 }>, stub::<{ $high * 16 + 13 }>,
            stub::<{ $high * 16 + 14 }>, stub::<{ $high * 16 + 15 }>,
        ]),*]
    };
}

/// Every vector's stub.
static STUBS: [[extern "C" fn(); 16]; 16] = stubs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

/// Where the CPU goes for this vector.
fn stub_address(vector: u8) -> VirtAddr {
    let stub = STUBS[usize::from(vector >> 4)][usize::from(vector & 15)];
    VirtAddr::new(stub as usize as u64)
}

/// Gives every vector its stub, and the three that need one their own stack.
pub(crate) fn fill(idt: &mut InterruptDescriptorTable) {
    /// Fills one gate.
    macro_rules! gate {
        ($entry:expr, $vector:expr) => {{
            // SAFETY: the stub of exactly this vector, which knows whether the
            // CPU pushes an error code, and returns with `iretq`.
            let options = unsafe { $entry.set_handler_addr(stub_address($vector)) };
            // SAFETY: every GDT in which this table is used has the kernel's code there.
            unsafe { options.set_code_selector(KERNEL_CODE) }
        }};
    }
    gate!(idt.divide_error, 0);
    let debug = gate!(idt.debug, vector::DEBUG);
    // SAFETY: as for the NMI below: but for machine checks, which do not return.
    unsafe { debug.set_stack_index(Ist::MachineCheck as u16) };
    let nmi = gate!(idt.non_maskable_interrupt, vector::NMI);
    // SAFETY: the TSS has a mapped stack there, used by this vector only.
    unsafe { nmi.set_stack_index(Ist::Nmi as u16) };
    gate!(idt.breakpoint, vector::BREAKPOINT);
    gate!(idt.overflow, 4);
    gate!(idt.bound_range_exceeded, 5);
    gate!(idt.invalid_opcode, 6);
    gate!(idt.device_not_available, 7);
    let double_fault = gate!(idt.double_fault, vector::DOUBLE_FAULT);
    // SAFETY: as for the NMI.
    unsafe { double_fault.set_stack_index(Ist::DoubleFault as u16) };
    gate!(idt.invalid_tss, 10);
    gate!(idt.segment_not_present, 11);
    gate!(idt.stack_segment_fault, 12);
    gate!(idt.general_protection_fault, 13);
    gate!(idt.page_fault, vector::PAGE_FAULT);
    gate!(idt.x87_floating_point, 16);
    gate!(idt.alignment_check, 17);
    let machine_check = gate!(idt.machine_check, vector::MACHINE_CHECK);
    // SAFETY: as for the NMI.
    unsafe { machine_check.set_stack_index(Ist::MachineCheck as u16) };
    gate!(idt.simd_floating_point, 19);
    gate!(idt.virtualization, 20);
    gate!(idt.cp_protection_exception, 21);
    gate!(idt.hv_injection_exception, 28);
    gate!(idt.vmm_communication_exception, 29);
    gate!(idt.security_exception, 30);
    // Vectors 9, 15, 22 to 27 and 31 are reserved: no CPU raises them and the
    // crate gives no access to their gates; one that came would be a general
    // protection fault naming the gate, which is reported.
    for vector in 32..=255_u8 {
        gate!(idt[vector], vector);
    }
}

/// Where all traps arrive. `frame` is on the stack and becomes the registers again on return.
extern "C" fn dispatch(frame: &mut TrapFrame) {
    match frame.vector as u8 {
        vector::NMI => {
            let level = IrqLevel::nmi();
            percpu::end_halt();
            if stop::obey() {
                non_maskable(&interrupted(&level, frame));
            }
        }
        vector::MACHINE_CHECK => {
            let _level = IrqLevel::nmi();
            (handlers::registered().exception)(frame);
        }
        // Also from ring 3: there was no stack to tell what went wrong there.
        vector::DOUBLE_FAULT => (handlers::registered().exception)(frame),
        0..=vector::LAST_EXCEPTION if frame.is_user() => {
            let address = Cr2::read_raw();
            if frame.vector == u64::from(vector::PAGE_FAULT) {
                trace::emit(|| PageFaultUser {
                    address: Hex(address),
                    ip: Hex(frame.rip),
                    error_code: Hex(frame.error as u8),
                });
            }
            (handlers::registered().user_fault)(frame, address);
            (handlers::registered().leave)();
        }
        vector::BREAKPOINT => {
            relay::warn!("breakpoint at {:#x}: going on", frame.rip);
        }
        vector::PAGE_FAULT => {
            // First of all: another fault changes it.
            let address = Cr2::read_raw();
            trace::emit(|| PageFaultKernel {
                address: Hex(address),
                ip: Hex(frame.rip),
                error_code: Hex(frame.error as u8),
            });
            if !probe::recover(frame) {
                (handlers::registered().page_fault)(frame);
            }
        }
        0..=vector::LAST_EXCEPTION => (handlers::registered().exception)(frame),
        vector => {
            let level = IrqLevel::irq();
            percpu::end_halt();
            let context = level.interrupted();
            interrupt(vector, &interrupted(&level, frame));
            drop(level);
            if context == Context::Task {
                (handlers::registered().preempt)();
            }
            if frame.is_user() {
                (handlers::registered().leave)();
            }
        }
    }
}

/// Where system calls arrive, as [`dispatch`]: the registers on the stack become those of ring 3
/// again.
pub(super) extern "C" fn system_call(frame: &mut TrapFrame) {
    let handlers = handlers::registered();
    (handlers.system_call)(frame);
    (handlers.leave)();
}

/// What the trap has interrupted.
fn interrupted(level: &IrqLevel, frame: &TrapFrame) -> Interrupted {
    Interrupted {
        context: level.interrupted(),
        at: frame.registers(),
        is_user: frame.is_user(),
    }
}

/// The handler of an NMI that does not stop the CPU.
fn non_maskable(interrupted: &Interrupted) {
    // It stays as it is as long as this runs.
    let may_write = !percpu::is_closing();
    let irq = i32::from(vector::NMI);
    if may_write {
        trace::emit(|| IrqHandlerEntry { irq, name: c"nmi" });
    }
    (handlers::registered().nmi)(interrupted);
    if may_write {
        trace::emit(|| IrqHandlerExit { irq, ret: 1 });
    }
}

/// The handler of a maskable interrupt.
fn interrupt(vector: u8, interrupted: &Interrupted) {
    let number = i32::from(vector);
    match vector {
        vector::TIMER => {
            trace::emit(|| LocalTimerEntry { vector: number });
            percpu::this().timer_irqs.fetch_add(1, Ordering::Relaxed);
            let timer = handlers::registered().timer;
            apic::expire(timer as usize as u64, || timer(interrupted));
            apic::end_of_interrupt();
            trace::emit(|| LocalTimerExit { vector: number });
        }
        vector::WAKE => {
            trace::emit(|| RescheduleEntry { vector: number });
            (handlers::registered().wake)(interrupted);
            apic::end_of_interrupt();
            trace::emit(|| RescheduleExit { vector: number });
        }
        vector::SHOOTDOWN => {
            trace::emit(|| CallFunctionEntry { vector: number });
            mem::on_shootdown();
            apic::end_of_interrupt();
            trace::emit(|| CallFunctionExit { vector: number });
        }
        vector::APIC_ERROR => {
            trace::emit(|| ErrorEntry { vector: number });
            relay::warn!("local APIC error: status {:#x}", apic::take_errors());
            apic::end_of_interrupt();
            trace::emit(|| ErrorExit { vector: number });
        }
        vector::SPURIOUS => {
            trace::emit(|| SpuriousEntry { vector: number });
            // It is not in service in the local APIC: no end of interrupt.
            percpu::this().stray_irqs.fetch_add(1, Ordering::Relaxed);
            trace::emit(|| SpuriousExit { vector: number });
        }
        _ => device_interrupt(vector),
    }
}

/// The handler of the interrupts of devices, and of those that nobody expects.
fn device_interrupt(vector: u8) {
    let irq = i32::from(vector);
    let device = handlers::device(vector);
    trace::emit(|| IrqHandlerEntry {
        irq,
        name: device.map_or(c"unexpected", |device| device.name()),
    });
    match device {
        Some(device) => {
            device.on_interrupt();
            apic::end_of_interrupt();
        }
        None => {
            percpu::this().stray_irqs.fetch_add(1, Ordering::Relaxed);
            // What the old controllers raise is not in service in the local APIC.
            if !(pic::FIRST_VECTOR..=pic::LAST_VECTOR).contains(&vector) {
                relay::warn!("unexpected interrupt, vector {vector:#x}");
                apic::end_of_interrupt();
            }
        }
    }
    trace::emit(|| IrqHandlerExit {
        irq,
        ret: device.is_some().into(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_pushed_where_the_manual_says() {
        let vectors: Vec<_> = (0..256).filter(|&vector| has_error_code(vector)).collect();
        assert_eq!(vectors, [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
    }

    #[test]
    fn every_vector_has_a_stub_of_its_own() {
        let mut stubs: Vec<_> = STUBS.iter().flatten().map(|stub| *stub as usize).collect();
        stubs.sort_unstable();
        stubs.dedup();
        assert_eq!(stubs.len(), 256);
    }
}
