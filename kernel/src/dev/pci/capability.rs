//! The list of a function's capabilities (PCI Local Bus Specification 3.0, section 6.7).

use super::{PciError, Snapshot};

/// Capability identifier: vendor specific, section 6.7 and appendix H.
pub(crate) const CAPABILITY_VENDOR: u8 = 0x09;
/// Capability identifier: MSI-X.
pub(crate) const CAPABILITY_MSIX: u8 = 0x11;

/// Status register: there is a list.
const STATUS_LIST: u32 = 1 << (16 + 4);
/// Where the offset of the first capability is.
const POINTER: u8 = 0x34;
/// Capabilities lie behind the header.
const LOWEST: u8 = 0x40;
/// There is room for this many.
const MOST: usize = (0x100 - LOWEST as usize) / 4;

/// One capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capability {
    /// Where it begins in configuration space; a multiple of four from 0x40 on.
    pub(crate) offset: u8,
    /// What it is.
    pub(crate) id: u8,
}

impl Capability {
    /// The word at this distance from the beginning; `None` beyond configuration space.
    pub(crate) fn word(&self, snapshot: &Snapshot, distance: u8) -> Option<u32> {
        Some(snapshot.word(self.offset.checked_add(distance)?))
    }
}

/// All capabilities of a function: a list that was seen to end.
#[derive(Debug)]
pub(crate) struct Capabilities {
    list: [Capability; MOST],
    count: usize,
}

impl Capabilities {
    /// Follows the list.
    ///
    /// # Errors
    /// When it leads out of where capabilities can be, or round in a circle.
    pub(crate) fn of(snapshot: &Snapshot) -> Result<Self, PciError> {
        let mut this = Self {
            list: [Capability { offset: 0, id: 0 }; MOST],
            count: 0,
        };
        if snapshot.word(4) & STATUS_LIST == 0 {
            return Ok(this);
        }
        // The two lowest bits are reserved and to be masked.
        let mut offset = snapshot.word(POINTER) as u8 & !3;
        while offset != 0 {
            if offset < LOWEST || !offset.is_multiple_of(4) || this.count == MOST {
                return Err(PciError::Capabilities { offset });
            }
            let header = snapshot.word(offset);
            this.list[this.count] = Capability {
                offset,
                id: header as u8,
            };
            this.count += 1;
            offset = (header >> 8) as u8;
        }
        Ok(this)
    }

    /// The capabilities with this identifier, in order.
    pub(crate) fn with_id(&self, id: u8) -> impl Iterator<Item = Capability> {
        let all = self.list[..self.count].iter().copied();
        all.filter(move |capability| capability.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(words: &[(u8, u32)]) -> Snapshot {
        Snapshot::of_words(words, Default::default())
    }

    #[test]
    fn a_list_is_followed_to_its_end() {
        let snapshot = snapshot(&[
            (0x04, STATUS_LIST),
            (0x34, 0x43),
            (0x40, 0xabcd_5009),
            (0x50, 0x0000_fc11),
            (0xfc, 0x0000_0009),
        ]);
        let all = Capabilities::of(&snapshot).unwrap();
        let vendor: Vec<_> = all.with_id(CAPABILITY_VENDOR).collect();
        assert_eq!(vendor.len(), 2);
        assert_eq!((vendor[0].offset, vendor[1].offset), (0x40, 0xfc));
        assert_eq!(vendor[0].word(&snapshot, 0x10), Some(0x0000_fc11));
        assert_eq!(vendor[1].word(&snapshot, 4), None);
        assert_eq!(all.with_id(CAPABILITY_MSIX).count(), 1);
    }

    #[test]
    fn no_list_is_no_capability() {
        let all = Capabilities::of(&snapshot(&[(0x34, 0x40), (0x40, 9)])).unwrap();
        assert_eq!(all.count, 0);
    }

    #[test]
    fn a_list_that_leads_nowhere_is_an_error() {
        for words in [
            // Round in a circle.
            &[(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x4009)][..],
            // Into the header.
            &[(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x1009)],
            &[(0x04, STATUS_LIST), (0x34, 0x08)],
            // Between words.
            &[(0x04, STATUS_LIST), (0x34, 0x40), (0x40, 0x4209)],
        ] {
            assert!(matches!(
                Capabilities::of(&snapshot(words)),
                Err(PciError::Capabilities { .. })
            ));
        }
    }
}
