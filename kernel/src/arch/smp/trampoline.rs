//! The start-up code of the other CPUs: from real mode to Rust.
//!
//! A start-up command makes a CPU begin in real mode at a page below 1 MiB. The
//! code below is copied to the page that the boot code kept free and mapped,
//! together with the boot CPU's control registers; it goes straight to long mode (Intel SDM
//! Vol. 3A, 9.8.5), finds its slot by its local APIC identifier, claims it, and
//! calls Rust on its own stack. The page stays as it is for ever: a CPU that starts
//! long after it was given up must find it.

use core::arch::global_asm;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64};

use x86_64::registers::control::{Cr0, Cr3, Cr4};
use x86_64::registers::model_specific::{Efer, EferFlags};

use crate::base::cpuset::MAX_CPUS;
use crate::mem::{self, MemoryError};

/// A CPU's way from the MADT to running: in the start-up table that its
/// trampoline reads.
pub(super) mod state {
    /// Not to be started, or no such CPU.
    pub(in crate::arch::smp) const UNUSED: u32 = 0;
    /// Its start-up command has been, or is about to be, sent.
    pub(in crate::arch::smp) const WAITING: u32 = 1;
    /// It runs, and has taken its stack. Set by the CPU itself.
    pub(in crate::arch::smp) const CLAIMED: u32 = 2;
    /// Given up. A CPU that finds this halts without touching anything.
    pub(in crate::arch::smp) const ABANDONED: u32 = 3;
}

/// What a CPU needs to start, found by its local APIC identifier.
///
/// Read by the trampoline's assembly: 32 bytes, in this order.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) apic_id: AtomicU32,
    pub(super) state: AtomicU32,
    pub(super) stack_top: AtomicU64,
    pub(super) index: AtomicU64,
    _unused: u64,
}

impl Slot {
    /// No CPU's.
    pub(super) const fn new() -> Self {
        Self {
            apic_id: AtomicU32::new(0),
            state: AtomicU32::new(state::UNUSED),
            stack_top: AtomicU64::new(0),
            index: AtomicU64::new(0),
            _unused: 0,
        }
    }
}

/// The physical page that the code runs at.
const PAGE: u64 = boot::TRAMPOLINE_PAGE;

const _: () = assert!(PAGE.is_multiple_of(4096) && PAGE < 0x10_0000);
const _: () = assert!(size_of::<Slot>() == 32);

global_asm!(
    r#"
    .section .rodata.smp_trampoline, "a", @progbits
    .balign 16
    .code16
smp_trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl (smp_trampoline_gdt_pointer - smp_trampoline)
    movl (smp_trampoline_cr4 - smp_trampoline), %eax
    movl %eax, %cr4
    movl (smp_trampoline_cr3 - smp_trampoline), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    movl (smp_trampoline_efer - smp_trampoline), %eax
    xorl %edx, %edx
    wrmsr
    movl (smp_trampoline_cr0 - smp_trampoline), %eax
    movl %eax, %cr0
    ljmpl $0x08, $({page} + smp_trampoline_long - smp_trampoline)

    .code64
smp_trampoline_long:
    movw $0x10, %ax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    # CPUID.1:EBX[31:24], the initial local APIC identifier.
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    movq smp_trampoline_slots(%rip), %rsi
    movl ${slots}, %ecx
1:  cmpl %ebx, (%rsi)
    jne 2f
    movl ${waiting}, %eax
    movl ${claimed}, %edx
    lock cmpxchgl %edx, 4(%rsi)
    je 3f
2:  addq $32, %rsi
    decl %ecx
    jnz 1b
    # Nobody waits for this CPU.
4:  cli
    hlt
    jmp 4b
3:  movq 8(%rsi), %rsp
    movq 16(%rsi), %rdi
    xorl %ebp, %ebp
    # A return address of 0: where backtraces end.
    pushq $0
    jmp *smp_trampoline_entry(%rip)

    .balign 8
smp_trampoline_gdt:
    # Null; 64-bit code; data. The accessed bits are set: the page is read-only.
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
smp_trampoline_gdt_pointer:
    .word 23
    .long {page} + smp_trampoline_gdt - smp_trampoline
    .balign 8
smp_trampoline_parameters:
smp_trampoline_cr0:
    .quad 0
smp_trampoline_cr3:
    .quad 0
smp_trampoline_cr4:
    .quad 0
smp_trampoline_efer:
    .quad 0
smp_trampoline_slots:
    .quad 0
smp_trampoline_entry:
    .quad 0
smp_trampoline_end:
    .text
    "#,
    page = const PAGE,
    slots = const MAX_CPUS,
    waiting = const state::WAITING,
    claimed = const state::CLAIMED,
    options(att_syntax)
);

unsafe extern "C" {
    /// The code's first byte.
    static smp_trampoline: u8;
    /// The six words that [`install`] fills in, in the copy.
    static smp_trampoline_parameters: u8;
    /// One past the code's last byte.
    static smp_trampoline_end: u8;
}

/// Puts the code in place, which makes CPUs with one of `slots` call `enter`, and returns the
/// page's number, for the start-up command.
///
/// # Errors
/// When the page tables are out of the code's reach, or the page is not mapped.
pub(super) fn install(
    slots: &'static [Slot; MAX_CPUS],
    enter: extern "C" fn(usize) -> !,
) -> Result<u8, MemoryError> {
    let (table, _) = Cr3::read();
    let cr3 = table.start_address().as_u64();
    if cr3 >> 32 != 0 {
        // The code loads CR3 while it still has 32-bit registers.
        return Err(MemoryError::PageTablesTooHigh { address: cr3 });
    }
    if !mem::is_identity_mapped(PAGE) {
        return Err(MemoryError::NotIdentityMapped { address: PAGE });
    }
    let start = &raw const smp_trampoline;
    let end = &raw const smp_trampoline_end;
    let length = end as usize - start as usize;
    assert!(length <= 4096, "the start-up code fits its page");
    let parameters = [
        Cr0::read_raw(),
        cr3,
        Cr4::read_raw(),
        // "Active" is the CPU's to set.
        (Efer::read() - EferFlags::LONG_MODE_ACTIVE).bits(),
        slots.as_ptr() as u64,
        enter as usize as u64,
    ];
    let copy = mem::physical(PAGE);
    // SAFETY: 1. the source is `length` bytes of read-only data; 2. the boot code
    // keeps this page free for this, and physical memory is mapped writable
    // there; 3. no CPU runs in it yet.
    unsafe { ptr::copy_nonoverlapping(start, copy, length) };
    let offset = &raw const smp_trampoline_parameters as usize - start as usize;
    // SAFETY: the parameters are `parameters.len()` aligned words inside the copy.
    let target = unsafe { copy.add(offset) }.cast::<[u64; 6]>();
    // SAFETY: as above; the pointer is aligned to 8 because the page is and the offset is.
    unsafe { target.write(parameters) };
    Ok((PAGE >> 12) as u8)
}
