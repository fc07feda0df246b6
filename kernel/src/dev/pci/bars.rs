//! Addresses for the registers of functions that the firmware gave none.

use alloc::vec::Vec;
use core::ops::Range;

use virtio_drivers::transport::pci::bus::{
    BarInfo, ConfigurationAccess, DeviceFunction, HeaderType, PciRoot,
};

use super::PciError;
use super::snapshot::Bars;

/// Addresses that PCs keep for PCI: above the memory of any machine that QEMU makes, below the I/O
/// APIC. The boot code maps them.
const WINDOW: Range<u64> = 0xf000_0000..0xfec0_0000;

/// A bridge's two memory windows (PCI-to-PCI Bridge Architecture 1.2, sections 3.2.5.8 and
/// 3.2.5.9).
const BRIDGE_WINDOWS: [u8; 2] = [0x20, 0x24];

/// The base address registers of a function, after those without an address were given one that
/// nothing else on bus 0 uses.
///
/// # Errors
/// When a register makes no sense, or there are no addresses left.
pub(super) fn assign<C: ConfigurationAccess + Clone>(
    configuration: &C,
    function: DeviceFunction,
) -> Result<Bars, PciError> {
    let mut root = PciRoot::new(configuration.clone());
    let mut bars = root.bars(function)?;
    let is_unassigned = |bar: &BarInfo| matches!(bar.memory_address_size(), Some((0, 1..)));
    if !bars.iter().flatten().any(is_unassigned) {
        return Ok(bars);
    }
    let mut taken = taken(configuration);
    for (index, bar) in (0_u8..).zip(bars.iter_mut()) {
        let Some(bar) = bar.as_mut().filter(|bar| is_unassigned(bar)) else {
            continue;
        };
        let is_wide = bar.takes_two_entries();
        let BarInfo::Memory { address, size, .. } = bar else {
            continue;
        };
        *address = gap(&taken, *size).ok_or(PciError::NoAddresses {
            bar: index,
            size: *size,
        })?;
        taken.push(*address..*address + *size);
        if is_wide {
            root.set_bar_64(function, index, *address);
        } else {
            root.set_bar_32(function, index, *address as u32);
        }
    }
    Ok(bars)
}

/// The lowest gap in the window for `size` bytes, aligned to their size.
fn gap(taken: &[Range<u64>], size: u64) -> Option<u64> {
    let mut start = WINDOW.start;
    loop {
        start = start.checked_next_multiple_of(size)?;
        let end = start.checked_add(size)?;
        if end > WINDOW.end {
            return None;
        }
        let in_the_way = |other: &&Range<u64>| other.start < end && start < other.end;
        match taken.iter().find(in_the_way) {
            Some(other) => start = other.end,
            None => return Some(start),
        }
    }
}

/// The addresses that functions on bus 0 decode.
fn taken<C: ConfigurationAccess + Clone>(configuration: &C) -> Vec<Range<u64>> {
    let mut root = PciRoot::new(configuration.clone());
    let mut taken = Vec::new();
    for (function, info) in root.enumerate_bus(0).collect::<Vec<_>>() {
        // Other headers have something else in the place of some or all registers.
        let count = match info.header_type {
            HeaderType::Standard => 6,
            HeaderType::PciPciBridge => 2,
            _ => 0,
        };
        let mut index = 0;
        while index < count {
            // What makes no sense decodes nothing.
            let bar = root.bar_info(function, index).ok().flatten();
            if let Some((address @ 1.., size)) = bar.as_ref().and_then(BarInfo::memory_address_size)
            {
                taken.push(address..address.saturating_add(size));
            }
            index += 1 + u8::from(bar.is_some_and(|bar| bar.takes_two_entries()));
        }
        if info.header_type == HeaderType::PciPciBridge {
            let windows = BRIDGE_WINDOWS.map(|offset| configuration.read_word(function, offset));
            taken.extend(windows.map(bridge_window));
        }
    }
    taken
}

/// The addresses that a bridge hands on, out of one of its window registers: 12 bits each of the
/// first and the last MiB. Empty when the bridge hands on none.
fn bridge_window(register: u32) -> Range<u64> {
    let first = u64::from(register & 0xfff0) << 16;
    let last = u64::from(register & 0xfff0_0000) | 0xf_ffff;
    first..last + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, collections::HashMap, rc::Rc};
    use virtio_drivers::transport::pci::bus::MemoryBarType;

    /// Functions by device number: their words, and which bits of them can be written.
    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Words>>);

    /// By device number and offset.
    type Words = HashMap<(u8, u8), (u32, u32)>;

    impl Fake {
        fn word(&self, device: u8, offset: u8, value: u32, writable: u32) {
            let mut words = self.0.borrow_mut();
            words.insert((device, offset), (value, writable));
        }

        /// A function with a 64-bit register at BAR 4 and a 32-bit one at BAR 1, like QEMU's.
        fn virtio(&self, device: u8) {
            self.word(device, 0x00, 0x1003_1af4, 0);
            self.word(device, 0x04, 0x0010_0000, 0xffff);
            self.word(device, 0x10, 1, !63);
            self.word(device, 0x14, 0, !0xfff);
            self.word(device, 0x20, 0xc, !0x3fff);
            self.word(device, 0x24, 0, !0);
        }
    }

    impl ConfigurationAccess for Fake {
        fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
            let words = self.0.borrow();
            let nothing = if words.contains_key(&(function.device, 0)) && function.function == 0 {
                0
            } else {
                !0
            };
            if function.function != 0 {
                return nothing;
            }
            words
                .get(&(function.device, offset))
                .map_or(nothing, |word| word.0)
        }

        fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
            if let Some((value, writable)) = self.0.borrow_mut().get_mut(&(function.device, offset))
            {
                *value = data & *writable | *value & !*writable;
            }
        }

        unsafe fn unsafe_clone(&self) -> Self {
            self.clone()
        }
    }

    fn function(device: u8) -> DeviceFunction {
        DeviceFunction {
            bus: 0,
            device,
            function: 0,
        }
    }

    #[test]
    fn registers_without_addresses_get_some_that_nobody_uses() {
        let fake = Fake::default();
        fake.virtio(3);
        // The firmware put another function where the search begins, and a bridge behind it.
        fake.word(5, 0x00, 0x1234_5678, 0);
        fake.word(5, 0x10, 0xf000_0000, !0xffff);
        fake.word(6, 0x00, 0x1234_5678, 0);
        fake.word(6, 0x0c, 0x0001_0000, 0);
        fake.word(6, 0x20, 0xf010_f000, 0);
        let bars = assign(&fake, function(3)).unwrap();
        let memory = |bar: usize| bars[bar].as_ref().unwrap().memory_address_size();
        assert_eq!(memory(1), Some((0xf020_0000, 0x1000)));
        assert_eq!(memory(4), Some((0xf020_4000, 0x4000)));
        assert_eq!(bars[0].as_ref().unwrap().memory_address_size(), None);
        // The function was told.
        assert_eq!(PciRoot::new(fake.clone()).bars(function(3)).unwrap(), bars);
        assert_eq!(fake.read_word(function(3), 0x24), 0);
        // A second time there is nothing to do.
        assert_eq!(assign(&fake, function(3)).unwrap(), bars);
    }

    #[test]
    fn a_register_that_fits_nowhere_is_an_error() {
        let fake = Fake::default();
        fake.virtio(1);
        fake.word(1, 0x14, 0, !0xfff_ffff);
        assert_eq!(
            assign(&fake, function(1)),
            Err(PciError::NoAddresses {
                bar: 1,
                size: 0x1000_0000
            })
        );
        // All ones kept as 64-bit register: half of all addresses.
        fake.word(1, 0x14, 0, 0);
        fake.word(1, 0x20, 0xc, 0);
        fake.word(1, 0x24, 0, 1 << 31);
        assert!(matches!(
            assign(&fake, function(1)),
            Err(PciError::NoAddresses { bar: 4, .. })
        ));
    }

    #[test]
    fn assigned_registers_stay() {
        let fake = Fake::default();
        fake.virtio(1);
        fake.word(1, 0x14, 0xfebf_0000, !0xfff);
        fake.word(1, 0x20, 0xfe00_000c, !0x3fff);
        let bars = assign(&fake, function(1)).unwrap();
        assert_eq!(
            bars[4],
            Some(BarInfo::Memory {
                address_type: MemoryBarType::Width64,
                prefetchable: true,
                address: 0xfe00_0000,
                size: 0x4000
            })
        );
    }

    #[test]
    fn windows_of_bridges_are_decoded() {
        assert_eq!(bridge_window(0xf010_f000), 0xf000_0000..0xf020_0000);
        assert!(bridge_window(0x0000_fff0).is_empty());
    }
}
