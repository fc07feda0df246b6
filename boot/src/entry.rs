//! The first Rust code of the machine, and the last before the kernel: everything that touches
//! the real machine. What to do is decided elsewhere.

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::ptr::{self, with_exposed_provenance, with_exposed_provenance_mut};
use core::slice;

use bootloader_api::BootInfo;
use bootloader_api::info::MemoryRegion;
use x86_64::instructions::port::Port;

use crate::image::KernelImage;
use crate::layout::KERNEL;
use crate::memmap::MAX_REGIONS;
use crate::paging::TableMemory;
use crate::physical::PhysicalMemory;
use crate::plan::Given;
use crate::span::{FOUR_GIB, PAGE, Span};
use crate::state;
use crate::{config, rsdp};

global_asm!(
    include_str!("stub.s"),
    boot_entry = sym boot_entry,
    options(att_syntax)
);

unsafe extern "C" {
    /// The kernel's entry, defined by `bootloader_api::entry_point!`.
    #[expect(
        improper_ctypes,
        reason = "BootInfo is non-exhaustive, but both sides use the same version, which is checked"
    )]
    fn _start(info: &'static mut BootInfo) -> !;
}

/// Addresses defined by the linker script; what stands there is of no interest.
mod symbols {
    unsafe extern "C" {
        pub(super) static __boot_start: u8;
        pub(super) static __boot_end: u8;
        pub(super) static __boot_pool_start: u8;
        pub(super) static __boot_pool_end: u8;
        pub(super) static __text_start: u8;
        pub(super) static __text_end: u8;
        pub(super) static __rodata_start: u8;
        pub(super) static __rodata_end: u8;
        pub(super) static __data_start: u8;
        pub(super) static __data_end: u8;
        pub(super) static __bootloader_config_start: u8;
        pub(super) static __bootloader_config_end: u8;
    }
}

/// The address of a linker symbol.
macro_rules! symbol {
    ($name:ident) => {
        (&raw const symbols::$name).addr() as u64
    };
}

/// Value for isa-debug-exit that is neither a pass nor a failure.
const EXIT_CANNOT_BOOT: u32 = 0x12;

/// The boot info as it lies in memory, with the regions that it points to.
#[repr(C)]
struct BootBlock {
    info: BootInfo,
    regions: [MemoryRegion; MAX_REGIONS],
}

/// The first 4 GiB through the identity mapping of the scaffold page tables.
struct Identity;

impl PhysicalMemory for Identity {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        match address.checked_add(into.len() as u64) {
            Some(end) if end <= FOUR_GIB => {}
            _ => return false,
        }
        let from = with_exposed_provenance::<u8>(address as usize);
        // SAFETY:
        // 1. The scaffold tables map these addresses, readable; the null page, too: the copy is
        //    done by the CPU as plain byte moves.
        // 2. `into` is a variable of boot in the kernel image or on the scaffold stack, which the
        //    loader does not put its structures into: they do not overlap.
        unsafe { ptr::copy(from, into.as_mut_ptr(), into.len()) };
        true
    }
}

/// Pages for the final page tables, written through the identity mapping.
struct TablePages {
    rest: Span,
}

impl TablePages {
    fn entry(table: u64, index: usize) -> *mut u64 {
        // The mask keeps the pointer inside the page, whatever the index.
        with_exposed_provenance_mut::<u64>(table as usize).wrapping_add(index & 511)
    }
}

impl TableMemory for TablePages {
    fn allocate(&mut self) -> Option<u64> {
        if self.rest.len() < PAGE {
            return None;
        }
        let table = self.rest.start;
        self.rest.start += PAGE;
        let page = with_exposed_provenance_mut::<u8>(table as usize);
        // SAFETY: the plan set this page aside for a table, below 4 GiB, where the scaffold tables
        // map it writable, and nothing else uses it.
        unsafe { page.write_bytes(0, PAGE as usize) };
        Some(table)
    }

    fn get(&self, table: u64, index: usize) -> u64 {
        // SAFETY: `table` comes from `allocate` (directly, or from an entry written by `Tables`),
        // and `entry` stays inside it.
        unsafe { Self::entry(table, index).read() }
    }

    fn set(&mut self, table: u64, index: usize, entry: u64) {
        // SAFETY: as in `get`; the page belongs to these tables alone.
        unsafe { Self::entry(table, index).write(entry) };
    }
}

/// Entered once, by the stub, on the scaffold page tables and stack, with the physical address of
/// the PVH start info and the time-stamp counter at the first instruction.
extern "C" fn boot_entry(start_info: u64, ticks: u64) -> ! {
    // SAFETY: the boot CPU is the only one, this function is entered once, and the kernel later.
    let state = unsafe { state::during_boot() };
    state.entry_ticks = ticks;
    state.machine.read(&Identity, start_info, &mut state.report);
    state.rsdp = rsdp::find(&Identity, state.machine.rsdp, &mut state.report);
    state.image = KernelImage {
        text: symbol!(__text_start)..symbol!(__text_end),
        rodata: symbol!(__rodata_start)..symbol!(__rodata_end),
        data: symbol!(__data_start)..symbol!(__data_end),
        physical: symbol!(__text_start) - KERNEL..symbol!(__data_end) - KERNEL,
    };
    let config_len = symbol!(__bootloader_config_end) - symbol!(__bootloader_config_start);
    // SAFETY: the linker script puts these symbols around the section, in the constants of the
    // kernel image.
    let section = unsafe {
        slice::from_raw_parts(
            &raw const symbols::__bootloader_config_start,
            config_len as usize,
        )
    };
    let config = config::read(section, state.image.text.start, &mut state.report);
    let given = Given {
        config: &config,
        machine: &state.machine,
        image: &state.image,
        boot: Span::new(symbol!(__boot_start), symbol!(__boot_end)),
        pool: Span::new(symbol!(__boot_pool_start), symbol!(__boot_pool_end)),
        boot_info_len: size_of::<BootBlock>() as u64,
    };
    if !state.plan.make(&given, &mut state.report) {
        stop();
    }
    let pages = TablePages {
        rest: state.plan.tables,
    };
    let Some(tables) = state.plan.build(pages, &mut state.report) else {
        stop();
    };
    let root = tables.root();
    let stack_end = state.plan.stack + state.plan.stack_len;
    // SAFETY:
    // 1. The new tables map the kernel image where it is, so that the next instruction, the
    //    statics and the GDT (in the constants) stay where they are.
    // 2. They map the new stack; `handover` does not return, so the old one is not needed again.
    // 3. A call leaves the stack pointer as the System V ABI wants it at a function's entry.
    unsafe {
        asm!(
            "mov cr3, {root}",
            "mov rsp, {stack_end}",
            "xor ebp, ebp",
            "call {handover}",
            "ud2",
            root = in(reg) root,
            stack_end = in(reg) stack_end,
            handover = sym handover,
            options(noreturn)
        )
    }
}

/// Entered once, on the final page tables and the kernel stack: writes the boot info and calls the
/// kernel. Uses little stack, which may be as small as a page.
extern "C" fn handover() -> ! {
    let state = state::get();
    let plan = &state.plan;
    let block = plan.boot_info as usize;
    let regions =
        with_exposed_provenance_mut::<MemoryRegion>(block + offset_of!(BootBlock, regions));
    // SAFETY: the final tables map `size_of::<BootBlock>()` bytes at `boot_info`, writable, of
    // memory that is used for nothing else; the list holds at most MAX_REGIONS.
    unsafe { ptr::copy_nonoverlapping(plan.regions.as_ptr(), regions, plan.regions.len()) };
    // SAFETY: initialised by the copy, and never touched again except through this slice.
    let regions: &'static mut [MemoryRegion] =
        unsafe { slice::from_raw_parts_mut(regions, plan.regions.len()) };

    let place = with_exposed_provenance_mut::<BootInfo>(block + offset_of!(BootBlock, info));
    // SAFETY: as for the regions, which begin behind the info.
    unsafe { place.write(state.boot_info(regions)) };
    // SAFETY: just written, and nobody else has a reference.
    let info: &'static mut BootInfo = unsafe { &mut *place };
    // SAFETY: `entry_point!` gives `_start` this signature; the version was compared.
    unsafe { _start(info) }
}

/// Ends the machine without a word: there is no way to a kernel.
fn stop() -> ! {
    // SAFETY: isa-debug-exit ends QEMU, and on a machine without it nothing listens to the port.
    unsafe { Port::<u32>::new(0xf4).write(EXIT_CANNOT_BOOT) };
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
