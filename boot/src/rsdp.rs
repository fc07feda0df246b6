//! Finding the ACPI root pointer (ACPI 6.5, 5.2.5.1 "Finding the RSDP on IA-PC Systems").

use crate::error::{BootError, Report};
use crate::physical::{PhysicalMemory, number};

/// Bytes of the ACPI 1.0 part, covered by the first checksum.
const LEGACY_LEN: usize = 20;
/// Longest root pointer that is read; ACPI 2.0 and later define 36 bytes.
const MAX_LEN: usize = 64;
/// Where the BIOS keeps the real-mode segment of the extended BIOS data area.
const EBDA_SEGMENT: u64 = 0x40e;
/// Only the first KiB of the EBDA is searched.
const EBDA_LEN: u64 = 1024;
/// The BIOS read-only memory, searched after the EBDA.
const BIOS_START: u64 = 0xe_0000;
/// End of the BIOS read-only memory.
const BIOS_END: u64 = 0x10_0000;

/// True if a valid root pointer stands at physical `address`.
fn is_rsdp(memory: &impl PhysicalMemory, address: u64) -> bool {
    let mut bytes = [0; MAX_LEN];
    if !memory.read(address, &mut bytes[..LEGACY_LEN])
        || &bytes[..8] != b"RSD PTR "
        || !sums_to_zero(&bytes[..LEGACY_LEN])
    {
        return false;
    }
    // Revision 0 is ACPI 1.0; later ones have a length and a checksum over all of it.
    if bytes[15] == 0 {
        return true;
    }
    if !memory.read(address, &mut bytes[..36]) {
        return false;
    }
    let len = number::<4>(&bytes, 20) as usize;
    (36..=MAX_LEN).contains(&len)
        && memory.read(address, &mut bytes[..len])
        && sums_to_zero(&bytes[..len])
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// The physical address of the root pointer: `hint` (0 for none) if one is there, else the first
/// in the BIOS areas.
pub(crate) fn find(memory: &impl PhysicalMemory, hint: u64, report: &mut Report) -> Option<u64> {
    if hint != 0 && is_rsdp(memory, hint) {
        return Some(hint);
    }
    let mut segment = [0; 2];
    let ebda = if memory.read(EBDA_SEGMENT, &mut segment) {
        u64::from(u16::from_le_bytes(segment)) << 4
    } else {
        0
    };
    let ebda = if ebda == 0 {
        0..0
    } else {
        ebda..ebda + EBDA_LEN
    };
    let found = ebda
        .step_by(16)
        .chain((BIOS_START..BIOS_END).step_by(16))
        .find(|&address| is_rsdp(memory, address));
    match found {
        None => report.push(BootError::NoRsdp),
        Some(_) if hint != 0 => report.push(BootError::RsdpWrong { address: hint }),
        Some(_) => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::error::{BootError, Report};
    use crate::physical::FakeMemory;

    /// A valid root pointer of the given revision and length.
    fn rsdp(revision: u8, len: usize) -> Vec<u8> {
        let mut bytes = b"RSD PTR \0BOCHS \0\0\0\0\0".to_vec();
        bytes[15] = revision;
        bytes[8] = 0u8.wrapping_sub(bytes.iter().fold(0, |a, b| a.wrapping_add(*b)));
        if revision > 0 {
            bytes.extend((len as u32).to_le_bytes());
            bytes.resize(len.max(36), 7);
            bytes[32] = 0;
            bytes[32] = 0u8.wrapping_sub(bytes.iter().fold(0, |a, b| a.wrapping_add(*b)));
        }
        bytes
    }

    fn search(pieces: &[(u64, Vec<u8>)], hint: u64) -> (Option<u64>, Vec<BootError>) {
        let mut memory = FakeMemory::default();
        for (address, bytes) in pieces {
            memory.put(*address, bytes);
        }
        let mut report = Report::new();
        let found = find(&memory, hint, &mut report);
        (found, report.errors().to_vec())
    }

    #[test]
    fn the_hint_is_taken_if_it_is_right() {
        assert_eq!(
            search(&[(0x5_0008, rsdp(0, 20))], 0x5_0008),
            (Some(0x5_0008), vec![])
        );
        assert_eq!(
            search(&[(0x5_0008, rsdp(2, 36))], 0x5_0008),
            (Some(0x5_0008), vec![])
        );
    }

    #[test]
    fn a_wrong_hint_is_reported_and_the_areas_are_searched() {
        assert_eq!(
            search(&[(0xf_fff0 - 16, rsdp(0, 20))], 0x77),
            (Some(0xf_ffe0), vec![BootError::RsdpWrong { address: 0x77 }])
        );
        assert_eq!(search(&[], u64::MAX), (None, vec![BootError::NoRsdp]));
    }

    #[test]
    fn the_ebda_is_searched_first_on_16_byte_boundaries() {
        let segment = (0x40e, 0x9fc0u16.to_le_bytes().to_vec());
        let pieces = [
            segment.clone(),
            (0x9_fc18, rsdp(0, 20)),
            (0x9_fc40, rsdp(2, 36)),
            (0xe_0000, rsdp(0, 20)),
        ];
        assert_eq!(search(&pieces, 0), (Some(0x9_fc40), vec![]));
        let behind = [segment, (0x9_fc00 + 1024, rsdp(0, 20))];
        assert_eq!(search(&behind, 0), (None, vec![BootError::NoRsdp]));
    }

    #[test]
    fn wrong_checksums_and_lengths_are_refused() {
        for (revision, flip) in [(0, 9), (0, 19), (2, 12), (2, 33)] {
            let mut bytes = rsdp(revision, 36);
            bytes[flip] ^= 1;
            assert_eq!(search(&[(0xe_0000, bytes)], 0).0, None, "{revision} {flip}");
        }
        for len in [0, 35, 65, u32::MAX as usize] {
            let mut bytes = rsdp(2, 36);
            bytes[20..24].copy_from_slice(&(len as u32).to_le_bytes());
            assert_eq!(search(&[(0xe_0000, bytes)], 0).0, None, "{len}");
        }
    }
}
