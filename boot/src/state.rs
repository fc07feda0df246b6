//! What boot leaves behind for the kernel to read.

use core::cell::UnsafeCell;

use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, Optional};

use crate::error::Report;
use crate::image::KernelImage;
use crate::plan::Plan;
use crate::pvh::Machine;

/// Everything that boot learns and decides. Static, because it is larger than a stack should
/// bear, and because the kernel reads parts of it for as long as it runs.
#[derive(Debug)]
pub(crate) struct State {
    /// Time-stamp counter at the first instruction.
    pub(crate) entry_ticks: u64,
    /// What the loader said.
    pub(crate) machine: Machine,
    /// What went wrong.
    pub(crate) report: Report,
    /// Where the kernel lies.
    pub(crate) image: KernelImage,
    /// What was built.
    pub(crate) plan: Plan,
    /// Physical address of the ACPI root pointer.
    pub(crate) rsdp: Option<u64>,
}

impl State {
    /// The state before boot.
    const fn new() -> Self {
        Self {
            entry_ticks: 0,
            machine: Machine::unknown(),
            report: Report::new(),
            image: KernelImage {
                text: 0..0,
                rodata: 0..0,
                data: 0..0,
                physical: 0..0,
            },
            plan: Plan::new(),
            rsdp: None,
        }
    }

    /// The boot info for the kernel, with `regions`, a copy of the plan's.
    pub(crate) fn boot_info(&self, regions: &'static mut [MemoryRegion]) -> BootInfo {
        let mut info = BootInfo::new(regions.into());
        info.physical_memory_offset = optional(self.plan.physical_memory);
        info.recursive_index = optional(self.plan.recursive);
        info.rsdp_addr = optional(self.rsdp);
        if let Some((address, len)) = self.plan.ramdisk {
            info.ramdisk_addr = Optional::Some(address);
            info.ramdisk_len = len;
        }
        info.kernel_addr = self.image.physical.start;
        info.kernel_len = self.image.physical.end - self.image.physical.start;
        info.kernel_image_offset = self.image.text.start;
        info.kernel_stack_bottom = self.plan.stack;
        info.kernel_stack_len = self.plan.stack_len;
        info
    }
}

fn optional<T>(value: Option<T>) -> Optional<T> {
    match value {
        Some(value) => Optional::Some(value),
        None => Optional::None,
    }
}

struct Cell(UnsafeCell<State>);

// SAFETY: written only through `during_boot`, whose caller guarantees that nobody else is there;
// afterwards only read.
unsafe impl Sync for Cell {}

static STATE: Cell = Cell(UnsafeCell::new(State::new()));

/// The state, for writing.
///
/// # Safety
/// Only one CPU runs, the kernel was not entered yet, and no other reference from this function or
/// from [`get`] is alive.
#[cfg(target_os = "none")]
pub(crate) unsafe fn during_boot() -> &'static mut State {
    // SAFETY: the caller guarantees that this is the only reference, and that later ones come
    // from `get` after the last use of this one.
    unsafe { &mut *STATE.0.get() }
}

/// The state as boot left it; on the host, where there is no boot, the state before it.
pub(crate) fn get() -> &'static State {
    // SAFETY: whoever calls this runs in the kernel; boot's last use of its mutable reference is
    // before the kernel's entry, and other CPUs start after it.
    unsafe { &*STATE.0.get() }
}

#[cfg(test)]
mod tests {
    use bootloader_api::info::{MemoryRegion, MemoryRegionKind, Optional};

    use super::State;

    #[test]
    fn the_boot_info_says_what_was_built() {
        let mut state = Box::new(State::new());
        state.image.physical = 0x20_0000..0x30_0000;
        state.image.text = 0xffff_ffff_8020_0000..0xffff_ffff_8021_0000;
        state.plan.physical_memory = Some(0xffff_8000_0000_0000);
        state.plan.ramdisk = Some((0xffff_8000_0400_0000, 99));
        state.plan.stack = 0x5000;
        state.plan.stack_len = 0x3000;
        let region = MemoryRegion {
            start: 0x30_0000,
            end: 0x40_0000,
            kind: MemoryRegionKind::Usable,
        };
        let info = state.boot_info(Box::leak(Box::new([region])));
        assert_eq!(info.memory_regions[..], [region]);
        assert_eq!(
            info.physical_memory_offset,
            Optional::Some(0xffff_8000_0000_0000)
        );
        assert_eq!(info.recursive_index, Optional::None);
        assert_eq!(info.rsdp_addr, Optional::None);
        assert_eq!(info.ramdisk_addr, Optional::Some(0xffff_8000_0400_0000));
        assert_eq!(info.ramdisk_len, 99);
        assert_eq!((info.kernel_addr, info.kernel_len), (0x20_0000, 0x10_0000));
        assert_eq!(info.kernel_image_offset, 0xffff_ffff_8020_0000);
        assert_eq!(info.kernel_stack_bottom, 0x5000);
        assert_eq!(info.kernel_stack_len, 0x3000);
    }
}
