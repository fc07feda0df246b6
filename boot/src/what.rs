//! What boot places in the address space.

use core::fmt;

/// Something that boot places in the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The mapping of physical memory.
    PhysicalMemory,
    /// The kernel stack and its guard page.
    KernelStack,
    /// The boot info with its memory regions.
    BootInfo,
    /// The recursive mapping of the page tables.
    PageTables,
    /// The ramdisk.
    Ramdisk,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PhysicalMemory => "the mapping of physical memory",
            Self::KernelStack => "the kernel stack",
            Self::BootInfo => "the boot info",
            Self::PageTables => "the recursive page table mapping",
            Self::Ramdisk => "the ramdisk",
        })
    }
}
