//! The first Rust code of the machine.

use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind, Optional};

core::arch::global_asm!(
    include_str!("stub.s"),
    boot_entry = sym boot_entry,
    options(att_syntax)
);

unsafe extern "C" {
    /// The kernel's entry, defined by `bootloader_api::entry_point!`.
    fn _start(info: &'static mut BootInfo) -> !;
}

static mut REGIONS: [MemoryRegion; 1] = [MemoryRegion {
    start: 0x100_0000,
    end: 0x200_0000,
    kind: MemoryRegionKind::Usable,
}];
static mut INFO: core::mem::MaybeUninit<BootInfo> = core::mem::MaybeUninit::uninit();

/// Entered by the stub on the scaffold page tables and stack.
extern "C" fn boot_entry(_start_info: u64, _ticks: u64) -> ! {
    // SAFETY: the only CPU, the only caller, called once.
    let regions: &'static mut [MemoryRegion] = unsafe { &mut *(&raw mut REGIONS) };
    let mut info = BootInfo::new(regions.into());
    info.physical_memory_offset = Optional::Some(0);
    // SAFETY: the only CPU, the only caller, called once.
    let slot = unsafe { &mut *(&raw mut INFO) };
    let info = slot.write(info);
    // SAFETY: `entry_point!` gives `_start` this signature.
    unsafe { _start(info) }
}
