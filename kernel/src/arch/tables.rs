//! Descriptor tables: every CPU has its own GDT, TSS and IDT.

use alloc::boxed::Box;

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

use super::segments::{Ist, KERNEL_CODE};
use super::traps;
use crate::mem::stacks::{self, InterruptStacks, Stack, StackKind};

/// One CPU's tables, complete and ready to be loaded by it.
#[derive(Debug)]
pub(crate) struct Tables {
    gdt: GlobalDescriptorTable,
    idt: InterruptDescriptorTable,
    data: SegmentSelector,
    tss: SegmentSelector,
}

impl Tables {
    fn new(tss: &'static TaskStateSegment) -> Self {
        let mut gdt = GlobalDescriptorTable::new();
        let code = gdt.append(Descriptor::kernel_code_segment());
        debug_assert_eq!(code, KERNEL_CODE);
        let data = gdt.append(Descriptor::kernel_data_segment());
        let tss = gdt.append(Descriptor::tss_segment(tss));
        let mut idt = InterruptDescriptorTable::new();
        traps::fill(&mut idt);
        Self {
            gdt,
            idt,
            data,
            tss,
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
        // SAFETY: `data` is the same GDT's data segment, for this and the next two.
        unsafe { SS::set_reg(self.data) };
        // SAFETY: as above.
        unsafe { DS::set_reg(self.data) };
        // SAFETY: as above.
        unsafe { ES::set_reg(self.data) };
        // SAFETY: the selector is a TSS descriptor of the loaded GDT, whose TSS is
        // static and whose stacks are mapped for ever.
        unsafe { load_tss(self.tss) };
        self.idt.load();
        // SAFETY: the machine check vector has a handler, with its own stack.
        unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::MACHINE_CHECK_EXCEPTION)) };
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
    let tss = Box::leak(Box::new(task_state(stacks)));
    Box::leak(Box::new(Tables::new(tss)))
}

/// Bytes of each of the boot CPU's early interrupt stacks.
const EARLY_STACK: usize = 16 * 1024;

/// Memory for a stack: aligned as the ABI wants it.
#[repr(C, align(16))]
struct StackMemory(core::cell::UnsafeCell<[u8; EARLY_STACK]>);

// SAFETY: nothing in Rust reads or writes the bytes; the boot CPU uses them as stack.
unsafe impl Sync for StackMemory {}

static EARLY_STACKS: [StackMemory; 3] =
    [const { StackMemory(core::cell::UnsafeCell::new([0; EARLY_STACK])) }; 3];
static EARLY_TSS: Once<TaskStateSegment> = Once::new();
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
    let tss = EARLY_TSS.call_once(|| task_state(stacks));
    EARLY_TABLES.call_once(|| Tables::new(tss)).load();
}
