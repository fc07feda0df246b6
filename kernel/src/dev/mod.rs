//! Devices: the firmware's tables, PCI and virtio, the serial port, the clock of the day, and the way
//! out.

pub(crate) mod acpi;
pub(crate) mod exit;
mod madt;
pub(crate) mod packet;
pub(crate) mod pci;
pub(crate) mod rtc;
pub(crate) mod serial;
pub(crate) mod virtio;

pub(crate) use exit::{ExitCode, exit};
