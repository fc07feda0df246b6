//! Devices: the firmware's tables, PCI and virtio, and the way out.

pub(crate) mod acpi;
pub(crate) mod exit;
mod madt;
pub(crate) mod pci;
#[cfg_attr(
    target_os = "none",
    expect(dead_code, reason = "the ports are found; the drain is to drive them")
)]
pub(crate) mod virtio;

pub(crate) use exit::{ExitCode, exit};
