//! Configuration space through the ports 0xcf8 and 0xcfc.

use crate::cpu::lock::Mutex;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};
use x86_64::instructions::port::Port;

/// Says which word the data port shows.
const ADDRESS: u16 = 0xcf8;
/// Shows the word.
const DATA: u16 = 0xcfc;
/// In the address port: it is an address, not a command for the host bridge.
const ENABLE: u32 = 1 << 31;

/// Held over the two steps that an access takes.
static ACCESS: Mutex<()> = Mutex::new(());

/// Access to every function's configuration space. Task context, any CPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PortConfiguration;

/// What the address port takes for a word (PCI Local Bus Specification 3.0, figure 3-2).
fn address(function: DeviceFunction, offset: u8) -> u32 {
    ENABLE
        | u32::from(function.bus) << 16
        | u32::from(function.device & 31) << 11
        | u32::from(function.function & 7) << 8
        | u32::from(offset & !3)
}

impl ConfigurationAccess for PortConfiguration {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        let _one_at_a_time = ACCESS.lock();
        // SAFETY: these ports are the host bridge's on every PC; nothing else in the kernel uses
        // them, and reading configuration space changes nothing that Rust knows of.
        unsafe {
            Port::new(ADDRESS).write(address(function, offset));
            Port::new(DATA).read()
        }
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        let _one_at_a_time = ACCESS.lock();
        // SAFETY: as above. What a write makes a function do to memory is checked where the
        // write is asked for: base addresses are given out by `bars`, and bus mastering lets a
        // function at the memory that its driver gives it.
        unsafe {
            Port::new(ADDRESS).write(address(function, offset));
            Port::new(DATA).write(data);
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded_as_the_specification_says() {
        let function = DeviceFunction {
            bus: 1,
            device: 2,
            function: 3,
        };
        assert_eq!(address(function, 0x3e), 0x8001_133c);
    }
}
