//! Why memory cannot be allocated or mapped.

use core::fmt;

use super::heap::MIN_HEAP;

/// Why something could not be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryError {
    /// The boot code did not say where physical memory is mapped.
    NoPhysicalMapping,
    /// There are no free frames left.
    OutOfFrames,
    /// There is less memory than the smallest heap needs.
    TooLittle {
        /// Bytes there are.
        free: u64,
    },
    /// Something else is mapped there.
    InUse {
        /// The virtual address.
        address: u64,
    },
    /// Memory is not up yet.
    NotReady,
    /// A physical address that no CPU can have.
    NotPhysical {
        /// The address.
        address: u64,
    },
    /// The page for the start-up code is not mapped at its physical address.
    NotIdentityMapped {
        /// The address.
        address: u64,
    },
    /// The page tables begin above 4 GiB, where other CPUs cannot load them.
    PageTablesTooHigh {
        /// The physical address of the topmost table.
        address: u64,
    },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoPhysicalMapping => f.write_str(
                "the boot code did not map physical memory; BootloaderConfig asks for it",
            ),
            Self::OutOfFrames => f.write_str("out of memory; start the machine with more"),
            Self::TooLittle { free } => write!(
                f,
                "{} KiB of memory are free, want at least {} KiB; start the machine with more",
                free / 1024,
                2 * MIN_HEAP / 1024
            ),
            Self::InUse { address } => write!(f, "something is already mapped at {address:#x}"),
            Self::NotReady => f.write_str("memory is not up yet"),
            Self::NotPhysical { address } => {
                write!(f, "{address:#x} is beyond all physical addresses")
            }
            Self::NotIdentityMapped { address } => {
                write!(f, "the boot code did not map {address:#x} at itself")
            }
            Self::PageTablesTooHigh { address } => {
                write!(f, "the page tables begin at {address:#x}, want below 4 GiB")
            }
        }
    }
}
