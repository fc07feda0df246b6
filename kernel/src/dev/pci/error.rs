//! Why a function cannot be used.

use core::fmt;

use virtio_drivers::transport::pci::bus::PciError as BusError;

use crate::mem::MemoryError;

/// Why a function cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PciError {
    /// A base address register is of no known type.
    Bar(BusError),
    /// There are no free addresses for a base address register.
    NoAddresses {
        /// The register's number.
        bar: u8,
        /// Bytes it wants.
        size: u64,
    },
    /// The list of capabilities leads nowhere.
    Capabilities {
        /// Where in configuration space.
        offset: u8,
    },
    /// A structure lies outside the addresses that its base address register decodes.
    Outside {
        /// The register's number.
        bar: u8,
        /// Where the structure begins.
        offset: u32,
        /// Its length.
        length: u32,
    },
    /// Registers cannot be mapped.
    Map(MemoryError),
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bar(error) => error.fmt(f),
            Self::NoAddresses { bar, size } => write!(
                f,
                "BAR {bar} wants {size} bytes, and there is no such gap below 4 GiB"
            ),
            Self::Capabilities { offset } => write!(
                f,
                "the list of capabilities is damaged at {offset:#x} in configuration space"
            ),
            Self::Outside {
                bar,
                offset,
                length,
            } => write!(
                f,
                "a structure of {length:#x} bytes at {offset:#x} does not fit into BAR {bar}"
            ),
            Self::Map(error) => write!(f, "cannot map registers: {error}"),
        }
    }
}

impl From<BusError> for PciError {
    fn from(error: BusError) -> Self {
        Self::Bar(error)
    }
}
