//! Tests of `pci`.

use super::*;
use virtio_drivers::transport::pci::bus::{BarInfo, MemoryBarType};

/// QEMU's device, as `(offset, word)`: capabilities at 0x40 (device), 0x50 (notify), 0x64
/// (ISR), 0x74 (common).
const WORDS: [(u8, u32); 20] = [
    (0x04, 0x0010_0000),
    (0x20, 0xf000_4004),
    (0x34, 0x40),
    (0x40, 0x0410_5009),
    (0x44, 4),
    (0x48, 0x2000),
    (0x4c, 0x1000),
    (0x50, 0x0214_6409),
    (0x54, 4),
    (0x58, 0x3000),
    (0x5c, 0x1000),
    (0x60, 4),
    (0x64, 0x0310_7409),
    (0x68, 4),
    (0x6c, 0x1000),
    (0x70, 0x1000),
    (0x74, 0x0110_0009),
    (0x78, 4),
    (0x7c, 0),
    (0x80, 0x1000),
];

/// The structures of the device with some words changed.
fn structures(changes: &[(u8, u32)]) -> Result<Structures, Unusable> {
    chosen(changes, 0x4000).map(|(structures, _)| structures)
}

/// The same, and what others are then shown; its memory has this size.
fn chosen(changes: &[(u8, u32)], size: u64) -> Result<(Structures, Snapshot), Unusable> {
    let mut bars: [Option<BarInfo>; 6] = Default::default();
    bars[2] = Some(BarInfo::IO {
        address: 0xc000,
        size: 4,
    });
    bars[4] = Some(BarInfo::Memory {
        address_type: MemoryBarType::Width64,
        prefetchable: true,
        address: 0xf000_4000,
        size,
    });
    let words: Vec<_> = WORDS.iter().chain(changes).copied().collect();
    let mut snapshot = Snapshot::of_words(&words, bars);
    let capabilities = Capabilities::of(&snapshot)?;
    let structures = Structures::choose(&mut snapshot, &capabilities)?;
    Ok((structures, snapshot))
}

#[test]
fn the_structures_are_found() {
    assert_eq!(
        structures(&[]),
        Ok(Structures {
            common: 0xf000_4000..0xf000_5000,
            notify: 0xf000_7000..0xf000_8000,
            multiplier: 4,
            isr: 0xf000_5000..0xf000_6000,
            device: Some(0xf000_6000..0xf000_7000),
        })
    );
}

#[test]
fn impossible_structures_are_errors() {
    // Beyond the memory; beyond 32 bits; no such BAR; too short; not aligned; missing.
    for changes in [
        [(0x7c, 0x4000)],
        [(0x7c, 0xffff_f000)],
        [(0x78, 0xff)],
        [(0x80, 0x37)],
        [(0x7c, 2)],
        [(0x74, 0x0710_0009)],
        [(0x74, 0x010f_0009)],
    ] {
        assert!(structures(&changes).is_err(), "{changes:x?}");
    }
}

#[test]
fn a_structure_among_ports_is_passed_over_and_hidden() {
    // As QEMU has it with `modern-pio-notify=on`: before the one in memory.
    let changes = [
        (0x34, 0xa0),
        (0xa0, 0x0214_4009),
        (0xa4, 2),
        (0xa8, 0),
        (0xac, 4),
        (0xb0, 0),
    ];
    let (found, shown) = chosen(&changes, 0x4000).unwrap();
    assert_eq!(
        (found.notify, found.multiplier),
        (0xf000_7000..0xf000_8000, 4)
    );
    // `PciTransport` takes the first of this type.
    assert_eq!(shown.word(0xa0), 0x0014_4009);
    assert_eq!(shown.word(0x50), 0x0214_6409);
    // Registers that cannot be (section 4.1.4.1): ignored, too.
    let (found, shown) = chosen(&[&changes[..], &[(0xa4, 6)]].concat(), 0x4000).unwrap();
    assert_eq!(found.notify, 0xf000_7000..0xf000_8000);
    assert_eq!(shown.word(0xa0), 0x0014_4009);
    // Nothing else is there: nothing is found.
    let alone = [&changes[..], &[(0x50, 0x0014_6409)]].concat();
    assert_eq!(
        chosen(&alone, 0x4000).map(|_| ()),
        Err(Unusable::Virtio(VirtioPciError::MissingNotifyConfig))
    );
}

#[test]
fn every_queue_may_be_notified_on_a_page_of_its_own() {
    // As QEMU has it with `page-per-vq=on`.
    let changes = [(0x58, 0x40_0000), (0x5c, 0x40_0000), (0x60, 0x1000)];
    let (found, _) = chosen(&changes, 0x80_0000).unwrap();
    assert_eq!(found.notify, 0xf040_4000..0xf080_4000);
    assert_eq!(found.multiplier, 0x1000);
    let changes = [(0x58, 0x40_0000), (0x5c, LONGEST_NOTIFY + 1)];
    assert_eq!(
        chosen(&changes, 1 << 40).map(|_| ()),
        Err(Unusable::Structure {
            kind: VIRTIO_PCI_CAP_NOTIFY_CFG,
            length: LONGEST_NOTIFY + 1
        })
    );
    // All other structures are short.
    assert!(chosen(&[(0x80, LONGEST + 1)], 1 << 40).is_err());
}

#[test]
fn a_capability_that_leaves_configuration_space_is_an_error() {
    let changes = [(0x64, 0x0310_f809), (0xf8, 0x0110_0009)];
    assert_eq!(
        structures(&changes),
        Err(Unusable::Pci(PciError::Capabilities { offset: 0xf8 }))
    );
}

#[test]
fn doorbells_lie_within_the_registers() {
    let area = NotifyArea {
        start: 0x1000,
        length: 0x100,
        multiplier: 4,
    };
    assert_eq!(area.register(0), Some(0x1000));
    assert_eq!(area.register(63), Some(0x10fc));
    assert_eq!(area.register(64), None);
    let area = NotifyArea {
        multiplier: u32::MAX,
        ..area
    };
    assert_eq!(area.register(u16::MAX), None);
    let area = NotifyArea {
        length: 1,
        multiplier: 0,
        ..area
    };
    assert_eq!(area.register(0), None);
}
