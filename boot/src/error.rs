//! What can go wrong between power-on and the kernel, as values.
//!
//! Nothing can be printed here: the kernel's log does not exist yet. Every difficulty becomes a
//! [`BootError`] in the [`Report`], boot goes on with what works, and the kernel logs the report
//! and decides; [`Report::is_fatal`] says when it should not go on.

use core::fmt;

use crate::list::List;
use crate::what::What;

/// One thing that went wrong, with the values needed to put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootError {
    /// The PVH start info lies where boot cannot read (it reads the first 4 GiB).
    StartInfoUnreadable {
        /// Physical address that the loader passed.
        address: u64,
    },
    /// The PVH start info does not begin with its magic number.
    StartInfoMagic {
        /// What stands there instead.
        found: u32,
    },
    /// The PVH start info is of version 0, which has no memory map.
    StartInfoVersion {
        /// Version that the loader gave.
        found: u32,
    },
    /// The memory map lies (partly) where boot cannot read.
    MemoryMapUnreadable {
        /// Physical address of the table.
        address: u64,
        /// Number of entries it should have.
        entries: u32,
    },
    /// The memory map has no entry.
    MemoryMapEmpty,
    /// The memory map has more entries than boot reads; the rest was ignored.
    MemoryMapTooLong {
        /// Entries in the table.
        entries: u32,
        /// Entries that boot reads.
        max: usize,
    },
    /// An entry of the memory map reaches beyond the physical address space; it was cut there.
    MemoryMapEntry {
        /// Position in the firmware's table, from 0.
        index: usize,
        /// Physical start address of the entry.
        start: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// The memory map has no usable memory above 1 MiB.
    NoUsableMemory,
    /// The page for starting the other CPUs is not RAM according to the memory map.
    TrampolineNotRam {
        /// Its physical address.
        address: u64,
    },
    /// The command line lies where boot cannot read; it was taken as empty.
    CommandLineUnreadable {
        /// Its physical address.
        address: u64,
    },
    /// The command line is longer than boot keeps; the rest was cut off.
    CommandLineTooLong {
        /// Bytes kept.
        max: usize,
    },
    /// The command line is not UTF-8; it was cut off before the first wrong byte.
    CommandLineNotUtf8 {
        /// Position of the first wrong byte.
        at: usize,
    },
    /// The list of modules lies where boot cannot read; there is no ramdisk.
    ModulesUnreadable {
        /// Physical address of the list.
        address: u64,
    },
    /// There is more than one module: the first became the ramdisk, the others are reserved in the
    /// memory map and not reported further.
    ExtraModules {
        /// Number of modules.
        count: u32,
    },
    /// There are more modules than boot can reserve in the memory map.
    TooManyModules {
        /// Number of modules.
        count: u32,
        /// Number that boot handles.
        max: usize,
    },
    /// A module wraps around or lies outside the physical address space; it was ignored.
    ModuleInvalid {
        /// Physical start address of the module.
        start: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// The ramdisk could not be mapped; the kernel does not see it.
    RamdiskNotMapped {
        /// Physical start address of the ramdisk.
        start: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// No ACPI root pointer: neither the loader nor the BIOS areas have a valid one.
    NoRsdp,
    /// The address that the loader gave for the ACPI root pointer holds none; one was found by
    /// searching the BIOS areas.
    RsdpWrong {
        /// Physical address that the loader gave.
        address: u64,
    },
    /// The kernel's `.bootloader-config` section cannot be read; the defaults were used.
    ConfigUnreadable {
        /// What `bootloader_api` says about it.
        reason: &'static str,
    },
    /// The kernel was built with another version of `bootloader_api` than boot.
    ApiVersion {
        /// Major, minor, patch of the kernel's.
        kernel: [u16; 3],
        /// Major, minor, patch of boot's.
        boot: [u16; 3],
    },
    /// A requested address cannot be used; another one was chosen.
    AddressRefused {
        /// What was to be placed there.
        what: What,
        /// The virtual address asked for.
        address: u64,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// Nothing of the requested dynamic range is free and large enough; another place was chosen.
    DynamicRangeIgnored {
        /// What was to be placed there.
        what: What,
        /// First address of the range.
        start: u64,
        /// Last address of the range.
        last: u64,
    },
    /// There is no place in the address space; it was left out.
    NoAddress {
        /// What was to be placed.
        what: What,
    },
    /// The kernel asks for a base address that it is not linked to.
    KernelBase {
        /// The virtual address asked for.
        requested: u64,
        /// The virtual address that it is linked to.
        actual: u64,
    },
    /// The kernel asks for randomised addresses, which boot does not do.
    AslrUnsupported,
    /// The kernel asks for a frame buffer, and the machine has none.
    NoFramebuffer,
    /// The requested stack is empty or does not fit into memory.
    StackSize {
        /// Bytes asked for.
        requested: u64,
        /// Bytes given.
        given: u64,
    },
    /// There is no room for the page tables of all memory: what lies above was not mapped and is
    /// not usable.
    PhysicalMemoryTruncated {
        /// First physical address that is not mapped.
        end: u64,
    },
    /// The planned page tables could not be built: `virt` overlaps another mapping, is misaligned,
    /// or there was no page left for a table.
    MappingFailed {
        /// First virtual address of the mapping.
        virt: u64,
        /// What was wrong.
        reason: &'static str,
    },
}

impl BootError {
    /// True if the kernel should report this and stop: it was entered without a memory map, on
    /// another interface than it was built for, or with parts of it not mapped.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::StartInfoUnreadable { .. }
                | Self::StartInfoMagic { .. }
                | Self::StartInfoVersion { .. }
                | Self::MemoryMapUnreadable { .. }
                | Self::MemoryMapEmpty
                | Self::NoUsableMemory
                | Self::ConfigUnreadable { .. }
                | Self::ApiVersion { .. }
                | Self::MappingFailed { .. }
        )
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::StartInfoUnreadable { address } => {
                write!(f, "PVH start info at {address:#x} is not below 4 GiB")
            }
            Self::StartInfoMagic { found } => write!(
                f,
                "PVH start info begins with {found:#010x} instead of 0x336ec578"
            ),
            Self::StartInfoVersion { found } => write!(
                f,
                "PVH start info has version {found}, the memory map needs version 1 or later"
            ),
            Self::MemoryMapUnreadable { address, entries } => write!(
                f,
                "memory map of {entries} entries at {address:#x} is not below 4 GiB"
            ),
            Self::MemoryMapEmpty => f.write_str("memory map has no entries"),
            Self::MemoryMapTooLong { entries, max } => write!(
                f,
                "memory map has {entries} entries, those after the first {max} are not used"
            ),
            Self::MemoryMapEntry { index, start, size } => write!(
                f,
                "memory map entry {index} ({start:#x}, {size:#x} bytes) reaches beyond the \
                 52-bit physical address space and was cut"
            ),
            Self::NoUsableMemory => f.write_str("memory map has no usable memory above 1 MiB"),
            Self::TrampolineNotRam { address } => write!(
                f,
                "page {address:#x} for starting other CPUs is not RAM in the memory map"
            ),
            Self::CommandLineUnreadable { address } => {
                write!(f, "command line at {address:#x} is not below 4 GiB")
            }
            Self::CommandLineTooLong { max } => {
                write!(f, "command line is longer than {max} bytes and was cut")
            }
            Self::CommandLineNotUtf8 { at } => write!(
                f,
                "command line is not UTF-8 from byte {at} on and was cut there"
            ),
            Self::ModulesUnreadable { address } => {
                write!(f, "list of modules at {address:#x} is not below 4 GiB")
            }
            Self::ExtraModules { count } => write!(
                f,
                "{count} modules were given, only the first is used (as ramdisk)"
            ),
            Self::TooManyModules { count, max } => write!(
                f,
                "{count} modules were given, at most {max} can be kept out of usable memory"
            ),
            Self::ModuleInvalid { start, size } => write!(
                f,
                "module at {start:#x} of {size:#x} bytes reaches beyond the 52-bit physical \
                 address space and was ignored"
            ),
            Self::RamdiskNotMapped { start, size } => write!(
                f,
                "ramdisk at {start:#x} of {size:#x} bytes could not be mapped and was left out"
            ),
            Self::NoRsdp => f.write_str(
                "no ACPI root pointer from the loader, in the EBDA or in 0xe0000..0x100000",
            ),
            Self::RsdpWrong { address } => write!(
                f,
                "no ACPI root pointer at {address:#x}, where the loader says; found by search"
            ),
            Self::ConfigUnreadable { reason } => write!(
                f,
                "the kernel's .bootloader-config section is unreadable ({reason}), defaults used; \
                 declare the kernel with bootloader_api::entry_point!"
            ),
            Self::ApiVersion {
                kernel: [a, b, c],
                boot: [x, y, z],
            } => write!(
                f,
                "the kernel uses bootloader_api {a}.{b}.{c}, boot uses {x}.{y}.{z}; they must be \
                 the same"
            ),
            Self::AddressRefused {
                what,
                address,
                reason,
            } => write!(
                f,
                "{what} cannot be at {address:#x}: {reason}; placed elsewhere"
            ),
            Self::DynamicRangeIgnored { what, start, last } => write!(
                f,
                "no room for {what} in the dynamic range {start:#x}..={last:#x}, placed elsewhere"
            ),
            Self::NoAddress { what } => {
                write!(f, "no room for {what} in the address space, left out")
            }
            Self::KernelBase { requested, actual } => write!(
                f,
                "the kernel asks to be at {requested:#x} but is linked to {actual:#x}"
            ),
            Self::AslrUnsupported => {
                f.write_str("the kernel asks for randomised addresses (aslr), not supported")
            }
            Self::NoFramebuffer => {
                f.write_str("the kernel asks for a frame buffer, PVH machines have none")
            }
            Self::StackSize { requested, given } => write!(
                f,
                "a kernel stack of {requested} bytes is not possible, it has {given}"
            ),
            Self::PhysicalMemoryTruncated { end } => write!(
                f,
                "no room for page tables for all memory: none is mapped or usable from {end:#x} on"
            ),
            Self::MappingFailed { virt, reason } => {
                write!(f, "cannot map {virt:#x}: {reason}")
            }
        }
    }
}

impl core::error::Error for BootError {}

/// Everything that went wrong during boot, in order.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    errors: List<BootError, { Report::CAPACITY }>,
    dropped: usize,
    fatal: bool,
}

impl Report {
    /// Number of errors that are kept.
    pub const CAPACITY: usize = 32;

    /// A report of nothing.
    pub(crate) const fn new() -> Self {
        Self {
            errors: List::new(BootError::MemoryMapEmpty),
            dropped: 0,
            fatal: false,
        }
    }

    /// Adds an error; beyond [`Self::CAPACITY`] it is only counted.
    pub(crate) fn push(&mut self, error: BootError) {
        self.fatal |= error.is_fatal();
        if self.errors.push(error).is_err() {
            self.dropped += 1;
        }
    }

    /// The errors in the order in which they occurred; the first [`Self::CAPACITY`] of them.
    #[must_use]
    pub fn errors(&self) -> &[BootError] {
        &self.errors
    }

    /// Number of errors that occurred but are not in [`Self::errors`].
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// True if one of the errors, kept or not, is fatal ([`BootError::is_fatal`]): the kernel
    /// should log the report and fail.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        self.fatal
    }
}

#[cfg(test)]
mod tests;
