//! MSI-X: interrupts as messages, each with a target of its own (PCI Local Bus Specification 3.0,
//! section 6.8.2).

use core::ptr::NonNull;

use virtio_drivers::transport::pci::bus::DeviceFunction;
use volatile::{VolatilePtr, map_field};

use super::{CAPABILITY_MSIX, Capabilities, PciError, PortConfiguration, Snapshot};
use crate::mem;

/// In the capability's first word: MSI-X is used, and the interrupt pin is not.
const ENABLE: u32 = 1 << 31;
/// In the capability's first word: all entries are masked.
const MASK_ALL: u32 = 1 << 30;
/// In an entry's control word: masked.
const MASKED: u32 = 1;
/// Where messages to local APICs go (Intel SDM Vol. 3A, 11.11.1): the target's identifier at bit
/// 12, physical destination mode, no redirection.
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;

/// One entry of the table (figure 6-11).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Entry {
    address_low: u32,
    address_high: u32,
    data: u32,
    control: u32,
}

/// Where an interrupt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// The identifier of the CPU's local APIC, below 255.
    pub(crate) apic_id: u8,
    /// The vector.
    pub(crate) vector: u8,
}

impl Target {
    /// The message that raises the vector, edge triggered, fixed delivery (Intel SDM Vol. 3A,
    /// 11.11.1 and 11.11.2): address and data.
    fn message(self) -> (u32, u32) {
        (
            MESSAGE_ADDRESS | u32::from(self.apic_id) << 12,
            u32::from(self.vector),
        )
    }
}

/// A function's table of messages.
#[derive(Debug)]
pub(crate) struct Msix {
    table: NonNull<Entry>,
    count: u16,
}

// SAFETY: the registers can be used from any CPU; who has the table has them alone.
unsafe impl Send for Msix {}

impl Msix {
    /// Switches a function to MSI-X, with all entries masked. `None` where it has no MSI-X. Once
    /// for each function. Task context.
    ///
    /// # Errors
    /// When the table lies outside the function's memory, or cannot be mapped.
    pub(crate) fn enable(
        function: DeviceFunction,
        snapshot: &Snapshot,
        capabilities: &Capabilities,
    ) -> Result<Option<Self>, PciError> {
        let Some(capability) = capabilities.with_id(CAPABILITY_MSIX).next() else {
            return Ok(None);
        };
        let damaged = PciError::Capabilities {
            offset: capability.offset,
        };
        let control = capability.word(snapshot, 0).ok_or(damaged.clone())?;
        let place = capability.word(snapshot, 4).ok_or(damaged)?;
        let (bar, offset, count) = locate(control, place);
        let length = u32::from(count) * size_of::<Entry>() as u32;
        let table = snapshot.memory(bar, offset, length)?;
        let table = mem::map_device(table.start, table.end - table.start).map_err(PciError::Map)?;
        let outside = PciError::Outside {
            bar,
            offset,
            length,
        };
        let table = NonNull::new(table as *mut Entry).ok_or(outside)?;
        let mut this = Self { table, count };
        let mut configuration = PortConfiguration;
        let control = |bits: u32| move |word: u32| word & !(ENABLE | MASK_ALL) | bits;
        // Nothing is sent while entries are what the firmware, or nobody, made them.
        let enabled_and_masked = control(ENABLE | MASK_ALL);
        super::update(
            &mut configuration,
            function,
            capability.offset,
            enabled_and_masked,
        );
        for entry in 0..count {
            this.mask(entry);
        }
        super::update(
            &mut configuration,
            function,
            capability.offset,
            control(ENABLE),
        );
        Ok(Some(this))
    }

    /// How many messages there are.
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// Sends the message to `target` from now on. Nothing happens when there is no such entry.
    pub(crate) fn route(&mut self, entry: u16, target: Target) {
        // Never a message that is half the old, half the new.
        self.mask(entry);
        let Some(entry) = self.entry(entry) else {
            return;
        };
        let (address, data) = target.message();
        map_field!(entry.address_low).write(address);
        map_field!(entry.address_high).write(0);
        map_field!(entry.data).write(data);
        map_field!(entry.control).update(|bits| bits & !MASKED);
    }

    /// Sends the message no more; what there is to tell is kept until it is routed again.
    pub(crate) fn mask(&mut self, entry: u16) {
        if let Some(entry) = self.entry(entry) {
            map_field!(entry.control).update(|bits| bits | MASKED);
        }
    }

    fn entry(&mut self, entry: u16) -> Option<VolatilePtr<'_, Entry>> {
        if entry >= self.count {
            return None;
        }
        // SAFETY: `enable` mapped `count` entries there for ever; they are registers of the
        // function that nothing else uses, and `self` is borrowed as long as the pointer lives.
        Some(unsafe { VolatilePtr::new(self.table.add(usize::from(entry))) })
    }
}

/// Base address register, offset and number of entries of the table, out of the capability's first
/// two words (sections 6.8.2.3 and 6.8.2.4).
fn locate(control: u32, place: u32) -> (u8, u32, u16) {
    let count = (control >> 16 & 0x7ff) as u16 + 1;
    ((place & 7) as u8, place & !7, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_found_as_the_specification_says() {
        assert_eq!(locate(0x001f_0011, 0x0000_0001), (1, 0, 32));
        assert_eq!(locate(0x87ff_4011, 0x0000_2004), (4, 0x2000, 2048));
    }

    #[test]
    fn messages_are_encoded_as_the_manual_says() {
        let target = Target {
            apic_id: 7,
            vector: 0x61,
        };
        assert_eq!(target.message(), (0xfee0_7000, 0x61));
    }

    #[test]
    fn entries_are_routed_and_masked_within_the_table() {
        let blank = Entry {
            address_low: 1,
            address_high: 2,
            data: 3,
            control: MASKED,
        };
        let mut entries = [blank; 3];
        let mut msix = Msix {
            table: NonNull::from(&mut entries).cast(),
            count: 2,
        };
        let target = Target {
            apic_id: 1,
            vector: 0x70,
        };
        msix.route(1, target);
        msix.route(2, target);
        msix.mask(2);
        assert_eq!(entries[0].control, MASKED);
        let routed = entries[1];
        assert_eq!(
            (routed.address_low, routed.address_high, routed.data),
            (0xfee0_1000, 0, 0x70)
        );
        assert_eq!(routed.control, 0);
        assert_eq!((entries[2].data, entries[2].control), (3, MASKED));
        let mut msix = Msix {
            table: NonNull::from(&mut entries).cast(),
            count: 2,
        };
        msix.mask(1);
        assert_eq!(entries[1].control, MASKED);
    }
}
