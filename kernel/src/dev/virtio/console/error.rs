//! Why there is no console.

use core::fmt;

use crate::dev::virtio::pci::Unusable;
use crate::dev::virtio::queue::{QueueError, QueueFault};

/// Why a console device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// It is not usable as a device on PCI.
    Unusable(Unusable),
    /// It does not reset: its status register does not read 0.
    NoReset,
    /// It is older than virtio 1.0.
    Legacy,
    /// It does not accept the features it offered.
    Features,
    /// Its configuration cannot be read.
    Configuration(virtio_drivers::Error),
    /// A control queue cannot be set up.
    Queue(QueueError),
    /// There is no memory for the control queues.
    NoMemory,
    /// It broke the rules of its control queues.
    Control(QueueFault),
    /// It does not take the driver's messages.
    Silent,
    /// It goes on saying things.
    Endless,
    /// It asks for a reset.
    NeedsReset,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(error) => error.fmt(f),
            Self::NoReset => f.write_str("the device does not reset"),
            Self::Legacy => f.write_str(
                "the device is older than virtio 1.0; start QEMU without disable-modern",
            ),
            Self::Features => f.write_str("the device refuses the features that it offered"),
            Self::Configuration(error) => write!(f, "the device's configuration: {error}"),
            Self::Queue(error) => error.fmt(f),
            Self::NoMemory => {
                f.write_str("no memory for control messages; start the machine with more")
            }
            Self::Control(fault) => write!(f, "control queue: {fault}"),
            Self::Silent => f.write_str(
                "the device does not take the driver's messages; does an IOMMU keep it from memory?",
            ),
            Self::Endless => f.write_str("the device does not come to the end of its messages"),
            Self::NeedsReset => f.write_str("the device says that it failed and wants a reset"),
        }
    }
}

impl From<Unusable> for Error {
    fn from(error: Unusable) -> Self {
        Self::Unusable(error)
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl From<QueueFault> for Error {
    fn from(fault: QueueFault) -> Self {
        Self::Control(fault)
    }
}
