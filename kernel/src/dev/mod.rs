//! Devices: the firmware's tables and the way out.

pub(crate) mod acpi;
pub(crate) mod exit;
mod madt;

pub(crate) use exit::{ExitCode, exit};
