//! Descriptor tables: every CPU has its own GDT, TSS and IDT.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

use super::segments::{Ist, KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};
use super::{traps, user};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;
use crate::mem::stacks::{self, InterruptStacks, Stack, StackKind};

/// One CPU's tables, complete and ready to be loaded by it.
#[derive(Debug)]
pub(crate) struct Tables {
    gdt: GlobalDescriptorTable,
    idt: InterruptDescriptorTable,
    tss: SegmentSelector,
    /// Where the CPU finds the stack of a thread that it interrupts in ring 3.
    kernel_stack: u64,
}

/// The same of the tables that each CPU has loaded; 0: none.
static KERNEL_STACKS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

impl Tables {
    /// # Safety
    /// The segment stays where it is for ever, and nothing in Rust refers to it.
    unsafe fn new(tss: *mut TaskStateSegment) -> Self {
        let mut gdt = GlobalDescriptorTable::new();
        let segments = [
            (Descriptor::kernel_code_segment(), KERNEL_CODE),
            (Descriptor::kernel_data_segment(), KERNEL_DATA),
            (Descriptor::user_data_segment(), USER_DATA),
            (Descriptor::user_code_segment(), USER_CODE),
        ];
        for (descriptor, selector) in segments {
            let appended = gdt.append(descriptor);
            debug_assert_eq!(appended, selector);
        }
        // The first entry of the table of stacks, behind a reserved word.
        let kernel_stack = tss as u64 + offset_of!(TaskStateSegment, privilege_stack_table) as u64;
        // SAFETY: the caller's promise.
        let tss = gdt.append(unsafe { Descriptor::tss_segment_unchecked(tss) });
        let mut idt = InterruptDescriptorTable::new();
        traps::fill(&mut idt);
        Self {
            gdt,
            idt,
            tss,
            kernel_stack,
        }
    }

    /// Makes these the tables of the CPU that calls, and enables machine checks on it.
    ///
    /// Every `Tables` is for one CPU only: its task state segment becomes busy.
    pub(crate) fn load(&'static self) {
        self.gdt.load();
        // SAFETY: the GDT that was just loaded has a 64-bit code segment there.
        unsafe { CS::set_reg(KERNEL_CODE) };
        // FS and GS keep their selectors: loading one would clear its base.
        // SAFETY: it is the same GDT's data segment, for this and the next two.
        unsafe { SS::set_reg(KERNEL_DATA) };
        // SAFETY: as above.
        unsafe { DS::set_reg(KERNEL_DATA) };
        // SAFETY: as above.
        unsafe { ES::set_reg(KERNEL_DATA) };
        // SAFETY: the selector is a TSS descriptor of the loaded GDT, whose TSS is
        // static and whose stacks are mapped for ever.
        unsafe { load_tss(self.tss) };
        self.idt.load();
        // SAFETY: the machine check vector has a handler, with its own stack.
        unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::MACHINE_CHECK_EXCEPTION)) };
        KERNEL_STACKS[percpu::cpu_index()].store(self.kernel_stack, Ordering::Relaxed);
        user::enable();
    }
}

/// Says where the stack begins of the thread that this CPU may interrupt in ring 3 from now on. Task
/// context, interrupts off.
#[inline]
pub(crate) fn set_kernel_stack(top: u64) {
    let place = KERNEL_STACKS[percpu::cpu_index()].load(Ordering::Relaxed);
    if place != 0 {
        // SAFETY: it is the first stack of the segment that this CPU has loaded, which is there for
        // ever, and which only the CPU itself reads, at traps from ring 3, and writes. It is not
        // aligned.
        unsafe { (place as *mut u64).write_unaligned(top) };
    }
}

/// A task state segment with these interrupt stacks.
fn task_state(stacks: InterruptStacks) -> TaskStateSegment {
    let mut tss = TaskStateSegment::new();
    let mut table = tss.interrupt_stack_table;
    table[Ist::Nmi as usize] = VirtAddr::new(stacks.nmi);
    table[Ist::DoubleFault as usize] = VirtAddr::new(stacks.double_fault);
    table[Ist::MachineCheck as usize] = VirtAddr::new(stacks.machine_check);
    tss.interrupt_stack_table = table;
    tss
}

/// Builds tables on the heap, for a CPU with these interrupt stacks.
pub(crate) fn build(stacks: InterruptStacks) -> &'static Tables {
    let tss: *mut TaskStateSegment = Box::leak(Box::new(task_state(stacks)));
    // SAFETY: it was leaked, and this was the only reference.
    Box::leak(Box::new(unsafe { Tables::new(tss) }))
}

/// Bytes of each of the boot CPU's early interrupt stacks.
const EARLY_STACK: usize = 16 * 1024;

/// Memory for a stack: aligned as the ABI wants it.
#[repr(C, align(16))]
struct StackMemory(UnsafeCell<[u8; EARLY_STACK]>);

// SAFETY: nothing in Rust reads or writes the bytes; the boot CPU uses them as stack.
unsafe impl Sync for StackMemory {}

static EARLY_STACKS: [StackMemory; 3] =
    [const { StackMemory(UnsafeCell::new([0; EARLY_STACK])) }; 3];
static EARLY_TSS: TaskState = TaskState(UnsafeCell::new(TaskStateSegment::new()));

/// Memory for a task state segment.
struct TaskState(UnsafeCell<TaskStateSegment>);

// SAFETY: `load_early` alone writes it, once, before the boot CPU uses it.
unsafe impl Sync for TaskState {}

static EARLY_TABLES: Once<Tables> = Once::new();

/// Gives the boot CPU its first tables, before there is memory to build proper
/// ones, so that early faults are reported. Their interrupt stacks have no guard.
pub(crate) fn load_early() {
    let kinds = [
        StackKind::Nmi,
        StackKind::DoubleFault,
        StackKind::MachineCheck,
    ];
    let mut tops = [0; 3];
    for ((top, memory), kind) in tops.iter_mut().zip(&EARLY_STACKS).zip(kinds) {
        let bottom = memory.0.get() as u64;
        *top = bottom + EARLY_STACK as u64;
        stacks::register(Stack {
            cpu: 0,
            kind,
            bottom,
            top: *top,
            guard: 0,
        });
    }
    let [nmi, double_fault, machine_check] = tops;
    let stacks = InterruptStacks {
        nmi,
        double_fault,
        machine_check,
    };
    let tss = EARLY_TSS.0.get();
    EARLY_TABLES
        .call_once(|| {
            // SAFETY: nobody uses it yet: this is done once, by the boot CPU.
            unsafe { tss.write(task_state(stacks)) };
            // SAFETY: it is static, and nothing refers to it any more.
            unsafe { Tables::new(tss) }
        })
        .load();
}
