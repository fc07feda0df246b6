//! Why the machine cannot be brought up.

use core::fmt;

use crate::arch::{apic::ApicError, smp::StartError};
use crate::dev::acpi::PlatformError;
use crate::mem::MemoryError;

/// What stopped bring-up.
#[derive(Debug)]
pub(crate) enum BringUpError {
    /// The boot code could not do its part; its report has been logged.
    Boot,
    /// Memory cannot be used.
    Memory(MemoryError),
    /// The firmware's tables cannot be used.
    Platform(PlatformError),
    /// The boot CPU's local APIC cannot be used.
    Apic(ApicError),
    /// The other CPUs cannot be started.
    Start(StartError),
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot => f.write_str("the boot code reports a fatal error, see above"),
            Self::Memory(error) => error.fmt(f),
            Self::Platform(error) => error.fmt(f),
            Self::Apic(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
        }
    }
}

/// Lets `?` wrap one kind of error.
macro_rules! from {
    ($error:ty, $variant:ident) => {
        impl From<$error> for BringUpError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    };
}

from!(MemoryError, Memory);
from!(PlatformError, Platform);
from!(ApicError, Apic);
from!(StartError, Start);
