//! A function's configuration space as it was at one moment.

use core::ops::Range;

use virtio_drivers::transport::pci::bus::{BarInfo, ConfigurationAccess, DeviceFunction};

use super::PciError;

/// Where the base address registers begin.
const BARS: u8 = 0x10;
/// How many a function has.
pub(super) const BAR_COUNT: usize = 6;

/// A function's base address registers.
pub(super) type Bars = [Option<BarInfo>; BAR_COUNT];

/// A function's configuration space as it was at one moment, with the sizes of its base address
/// registers.
///
/// What is checked here stays checked: parsers that trust what they read, such as
/// `virtio-drivers`' `PciTransport`, are given this instead of the function itself, which could
/// answer otherwise the second time. It answers as the function would, but writes go no further.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    words: [u32; 64],
    bars: Bars,
}

impl Snapshot {
    /// Reads the whole configuration space.
    pub(super) fn take(
        configuration: &impl ConfigurationAccess,
        function: DeviceFunction,
        bars: Bars,
    ) -> Self {
        let words =
            core::array::from_fn(|word| configuration.read_word(function, (word * 4) as u8));
        Self { words, bars }
    }

    /// The word at an offset, which is rounded down to a multiple of four.
    pub(crate) fn word(&self, offset: u8) -> u32 {
        self.words[usize::from(offset / 4)]
    }

    /// Changes the word at an offset, which is rounded down likewise: for who reads it from here.
    pub(crate) fn set_word(&mut self, offset: u8, word: u32) {
        self.words[usize::from(offset / 4)] = word;
    }

    /// Whether there is such a base address register, and it decodes memory.
    pub(crate) fn is_memory(&self, bar: u8) -> bool {
        let info = self.bars.get(usize::from(bar)).and_then(Option::as_ref);
        info.and_then(BarInfo::memory_address_size).is_some()
    }

    /// The physical addresses of a structure in the memory that a base address register decodes.
    ///
    /// # Errors
    /// When there is no such register, or it decodes no memory, or less than that.
    pub(crate) fn memory(&self, bar: u8, offset: u32, length: u32) -> Result<Range<u64>, PciError> {
        let outside = PciError::Outside {
            bar,
            offset,
            length,
        };
        let info = self.bars.get(usize::from(bar)).and_then(Option::as_ref);
        let (base, size) = info
            .and_then(BarInfo::memory_address_size)
            .ok_or(outside.clone())?;
        let end = u64::from(offset) + u64::from(length);
        // The second test is for parsers that add in 32 bits.
        if base == 0 || end > size || offset.checked_add(length).is_none() || length == 0 {
            return Err(outside);
        }
        let start = base.checked_add(u64::from(offset)).ok_or(outside.clone())?;
        let end = base.checked_add(end).ok_or(outside)?;
        Ok(start..end)
    }

    /// What a base address register keeps of all ones: the mask that tells its size.
    fn size_mask(&self, index: usize) -> u32 {
        // The upper half of a 64-bit register belongs to the one before it.
        let lower = index
            .checked_sub(1)
            .and_then(|lower| self.bars[lower].as_ref());
        match (&self.bars[index], lower) {
            (_, Some(lower)) if lower.takes_two_entries() => {
                let size = lower.memory_address_size().map_or(0, |(_, size)| size);
                (size.wrapping_neg() >> 32) as u32
            }
            (Some(BarInfo::Memory { size, .. }), _) => size.wrapping_neg() as u32,
            (Some(BarInfo::IO { size, .. }), _) => size.wrapping_neg(),
            (None, _) => 0,
        }
    }

    /// A function with these words, for tests.
    #[cfg(test)]
    pub(crate) fn of_words(words: &[(u8, u32)], bars: Bars) -> Self {
        let mut this = Self {
            words: [0; 64],
            bars,
        };
        for &(offset, word) in words {
            this.words[usize::from(offset / 4)] = word;
        }
        this
    }
}

impl ConfigurationAccess for Snapshot {
    fn read_word(&self, _function: DeviceFunction, offset: u8) -> u32 {
        self.word(offset)
    }

    /// Base address registers keep what they would keep; everything else stays.
    fn write_word(&mut self, _function: DeviceFunction, offset: u8, data: u32) {
        let word = usize::from(offset / 4);
        let Some(index) = word
            .checked_sub(usize::from(BARS / 4))
            .filter(|&index| index < BAR_COUNT)
        else {
            return;
        };
        let mask = self.size_mask(index);
        // The lowest bits say what kind of register it is, and are read only.
        let is_upper_half = index
            .checked_sub(1)
            .and_then(|lower| self.bars[lower].as_ref())
            .is_some_and(BarInfo::takes_two_entries);
        let kind = match &self.bars[index] {
            _ if is_upper_half => 0,
            Some(BarInfo::Memory { .. }) => 0b1111,
            Some(BarInfo::IO { .. }) => 0b11,
            None => 0,
        };
        self.words[word] = data & mask & !kind | self.words[word] & kind;
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtio_drivers::transport::pci::bus::{MemoryBarType, PciRoot};

    const FUNCTION: DeviceFunction = DeviceFunction {
        bus: 0,
        device: 0,
        function: 0,
    };

    fn memory(address: u64, size: u64, address_type: MemoryBarType) -> Option<BarInfo> {
        Some(BarInfo::Memory {
            address_type,
            prefetchable: false,
            address,
            size,
        })
    }

    fn snapshot() -> Snapshot {
        let mut bars = Bars::default();
        bars[0] = Some(BarInfo::IO {
            address: 0xc000,
            size: 64,
        });
        bars[1] = memory(0xf000_0000, 0x1000, MemoryBarType::Width32);
        bars[4] = memory(0x1_f000_4000, 0x4000, MemoryBarType::Width64);
        let words = [
            (0x10, 0xc001),
            (0x14, 0xf000_0000),
            (0x20, 0xf000_4004),
            (0x24, 1),
        ];
        Snapshot::of_words(&words, bars)
    }

    #[test]
    fn base_address_registers_can_be_sized_again() {
        let expected = snapshot().bars;
        let mut root = PciRoot::new(snapshot());
        for bar in [0, 1, 2, 3, 4] {
            let found = root.bar_info(FUNCTION, bar).unwrap();
            assert_eq!(found, expected[usize::from(bar)], "BAR {bar}");
        }
    }

    #[test]
    fn structures_must_lie_in_their_memory() {
        let snapshot = snapshot();
        assert_eq!(
            snapshot.memory(4, 0x1000, 0x38),
            Ok(0x1_f000_5000..0x1_f000_5038)
        );
        assert_eq!(snapshot.memory(1, 0, 0x1000), Ok(0xf000_0000..0xf000_1000));
        for (bar, offset, length) in [
            (1, 0, 0x1001),
            (1, 0x1000, 1),
            (1, 0, 0),
            (4, u32::MAX, u32::MAX),
            (0, 0, 4),
            (2, 0, 4),
            (5, 0, 4),
            (6, 0, 4),
            (255, 0, 4),
        ] {
            assert_eq!(
                snapshot.memory(bar, offset, length),
                Err(PciError::Outside {
                    bar,
                    offset,
                    length
                })
            );
        }
    }
}
