//! PCI: finding a function on bus 0, its registers, its message interrupts.
//!
//! Configuration space is reached through ports, as every PC allows (PCI Local Bus Specification
//! 3.0, section 3.2.2.3.2). Bridges are not crossed: `qemu-runner.sh` puts devices on bus 0, and
//! the firmware that boots fastest (qboot) sets up no bridge.
//!
//! What a function says of itself is checked before it is used: see [`Snapshot`].

mod bars;
mod capability;
mod config;
mod error;
pub(crate) mod msix;
mod snapshot;

use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, DeviceFunctionInfo, PciRoot,
};

pub(crate) use capability::{CAPABILITY_MSIX, CAPABILITY_VENDOR, Capabilities, Capability};
pub(crate) use config::PortConfiguration;
pub(crate) use error::PciError;
pub(crate) use snapshot::Snapshot;

/// The first function on bus 0 that is `wanted`. Task context.
pub(crate) fn find(wanted: impl Fn(&DeviceFunctionInfo) -> bool) -> Option<DeviceFunction> {
    PciRoot::new(PortConfiguration)
        .enumerate_bus(0)
        .find(|(_, info)| wanted(info))
        .map(|(function, _)| function)
}

/// Makes a function usable: its registers get addresses where the firmware gave them none, answer,
/// and it may write to memory. Its interrupt pin is off: what it has to say, it says by message.
/// Returns what its configuration space then holds. Task context.
///
/// # Errors
/// When a base address register makes no sense, or there are no addresses for it.
pub(crate) fn enable(function: DeviceFunction) -> Result<Snapshot, PciError> {
    let bars = bars::assign(&PortConfiguration, function)?;
    let mut root = PciRoot::new(PortConfiguration);
    let (_, command) = root.get_status_command(function);
    let wanted = Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
    root.set_command(function, command | wanted);
    Ok(Snapshot::take(&PortConfiguration, function, bars))
}

/// Stops a function from reading and writing memory, and from sending messages. Task context.
pub(crate) fn cut_off(function: DeviceFunction) {
    let mut root = PciRoot::new(PortConfiguration);
    let (_, command) = root.get_status_command(function);
    root.set_command(function, command & !Command::BUS_MASTER);
}

/// Changes bits of a word of a function's configuration space.
fn update<C: ConfigurationAccess>(
    configuration: &mut C,
    function: DeviceFunction,
    offset: u8,
    change: impl FnOnce(u32) -> u32,
) {
    let word = configuration.read_word(function, offset);
    configuration.write_word(function, offset, change(word));
}
