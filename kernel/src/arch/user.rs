//! Ring 3: the way in, by `sysretq` or `iretq`, and the way out, by `syscall`.
//!
//! # What a CPU must be set to
//!
//! [`enable`] does it: `syscall` goes to [`entry`] with interrupts off and the flags of ring 3 that
//! would matter cleared (direction, trap, alignment check, nested task); supervisor mode neither
//! executes nor touches pages of ring 3 (SMEP, SMAP), where the CPU can; ring 3 can neither ask where
//! descriptor tables are (UMIP) nor set the base of GS (no FSGSBASE); and every instruction of the
//! floating point unit is an exception there: its registers are not saved.
//!
//! # GS
//!
//! In ring 3 the base of GS is 0, and this CPU's block is in the register that `swapgs` swaps in. The
//! only other places where that is so are the first instruction of `entry`, and the last one behind
//! the `swapgs` of each way in. Nothing interrupts them but NMIs, machine checks, double faults and
//! debug exceptions: these have stacks of their own, and all traps ask the register itself, not
//! where they came from: see [`traps`].
//!
//! # The address that `sysretq` returns to
//!
//! It is that behind a `syscall`, or where a thread was told to begin, both below
//! `USER_END`: nothing is mapped from there to the end of the lower half. So it is canonical: with
//! another address, `sysretq` would fault in ring 0 on the stack of ring 3 (Intel SDM Vol. 2B,
//! "SYSRET"). [`resume`] asserts it.

use core::arch::naked_asm;

use relay_abi::USER_END;
use x86_64::VirtAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags, KernelGsBase, LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;

use super::frame::TrapFrame;
use super::segments::{KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};
use super::traps;
use crate::cpu::percpu::{KERNEL_RSP, USER_RSP};

/// What stands in [`TrapFrame::vector`] for a system call: no trap has this number.
pub(crate) const SYSTEM_CALL: u64 = 256;

/// Flags of ring 3 at its beginning: interrupts on, and the one that is always set.
const FLAGS: u64 = 0x202;

/// Sets the calling CPU up. Task context, on each CPU, with its descriptor tables.
pub(crate) fn enable() {
    let (_, features) = cpuid_7();
    let mut wanted = Cr4Flags::empty();
    for (bit, flag) in [
        (1 << 7, Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
        (1 << 20, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
    ] {
        if features.0 & bit != 0 {
            wanted |= flag;
        }
    }
    if features.1 & 1 << 2 != 0 {
        wanted |= Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION;
    }
    let unwanted = Cr4Flags::FSGSBASE | Cr4Flags::OSFXSR | Cr4Flags::OSXSAVE;
    // SAFETY: the kernel has no page of ring 3, and goes to none; nothing here uses the features
    // that are turned off.
    unsafe {
        Cr4::update(|flags| {
            flags.insert(wanted);
            flags.remove(unwanted);
        });
    }
    // SAFETY: the kernel has no instruction of the floating point unit.
    unsafe {
        Cr0::update(|flags| {
            flags.insert(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::WRITE_PROTECT);
            flags.remove(Cr0Flags::MONITOR_COPROCESSOR);
        });
    }
    let order = Star::write(USER_CODE, USER_DATA, KERNEL_CODE, KERNEL_DATA);
    assert!(
        order.is_ok(),
        "the segments are in the order that `sysret` wants: {order:?}"
    );
    LStar::write(VirtAddr::new(entry as *const () as u64));
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK
            | RFlags::RESUME_FLAG,
    );
    KernelGsBase::write(VirtAddr::zero());
    // SAFETY: all that `syscall` needs was set before.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS)) };
}

/// Whether the CPU has leaf 7 of CPUID, and its `ebx` and `ecx`.
fn cpuid_7() -> (bool, (u32, u32)) {
    let has = core::arch::x86_64::__cpuid(0).eax >= 7;
    if !has {
        return (false, (0, 0));
    }
    let leaf = core::arch::x86_64::__cpuid_count(7, 0);
    (true, (leaf.ebx, leaf.ecx))
}

/// What keeps supervisor mode and ring 3 apart on the CPU that calls, beside the rights of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walls {
    /// Supervisor mode executes nothing of ring 3's.
    pub(crate) smep: bool,
    /// It touches nothing of it.
    pub(crate) smap: bool,
    /// Ring 3 cannot ask where descriptor tables are.
    pub(crate) umip: bool,
}

impl Walls {
    /// Those of the CPU that calls.
    pub(crate) fn here() -> Self {
        let flags = Cr4::read();
        Self {
            smep: flags.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
            smap: flags.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
            umip: flags.contains(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
        }
    }
}

/// Where `syscall` arrives: all registers become a [`TrapFrame`] on the stack of the thread, as if a
/// trap had come, and go back from it.
#[unsafe(naked)]
extern "C" fn entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{kernel_rsp}]",
        "push {user_data}",
        "push qword ptr gs:[{user_rsp}]",
        "push r11",
        "push {user_code}",
        "push rcx",
        "push 0",
        "push {vector}",
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
        "call {dispatch}",
        // Who follows frames finds this address behind the frame of `dispatch`.
        ".globl relay_call_return",
        ".hidden relay_call_return",
        "relay_call_return:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        // Not those that `sysretq` takes.
        "add rsp, 8",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rbp",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "add rsp, 8",
        "pop rbx",
        "pop rax",
        "mov rcx, [rsp + 16]",
        "mov r11, [rsp + 32]",
        "mov rsp, [rsp + 40]",
        "swapgs",
        "sysretq",
        user_rsp = const USER_RSP,
        kernel_rsp = const KERNEL_RSP,
        user_data = const USER_DATA.0,
        user_code = const USER_CODE.0,
        vector = const SYSTEM_CALL,
        dispatch = sym traps::system_call,
    )
}

#[cfg(target_os = "none")]
unsafe extern "C" {
    /// Where a system call's function returns to, in [`entry`].
    static relay_call_return: u8;
}

/// Where a system call's function returns to: the program's [`TrapFrame`] lies right above that
/// address on the stack. Any context.
#[cfg(target_os = "none")]
pub(super) fn return_address() -> u64 {
    &raw const relay_call_return as u64
}

/// Nobody calls the kernel on the host.
#[cfg(not(target_os = "none"))]
pub(super) fn return_address() -> u64 {
    0
}

/// A thread's registers at its beginning: it goes to `entry` on `stack`, with these arguments.
pub(crate) fn beginning(entry: u64, stack: u64, arguments: [u64; 2]) -> TrapFrame {
    let [rdi, rsi] = arguments;
    TrapFrame {
        rip: entry,
        rsp: stack,
        cs: USER_CODE.0.into(),
        ss: USER_DATA.0.into(),
        rflags: FLAGS,
        rdi,
        rsi,
        ..TrapFrame::default()
    }
}

/// Goes to ring 3 with these registers. Interrupts off.
///
/// # Panics
/// When they are not those of ring 3.
pub(crate) fn resume(frame: &TrapFrame) -> ! {
    assert!(
        frame.cs == USER_CODE.0.into() && frame.rip < USER_END && frame.rflags == FLAGS,
        "these are not registers of ring 3"
    );
    // SAFETY: the registers are those of ring 3, checked above; nothing of this stack is needed any
    // more: the thread comes back to its beginning.
    unsafe { traps::leave(frame) }
}
