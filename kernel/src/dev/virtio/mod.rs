//! Virtio devices (the specification cited is version 1.2).
//!
//! - [`device`]: what a driver needs of a device beyond `virtio-drivers`' `Transport`;
//! - [`queue`]: queues whose size is the device's choice, and in which nothing that the device
//!   says is believed;
//! - [`pci`]: a device on PCI; [`hal`]: this kernel's memory;
//! - [`events`]: what the trace has of them;
//! - [`console`]: the driver of the console device, with many ports.

pub(crate) mod console;
mod device;
mod events;
mod hal;
mod pci;
mod queue;
