//! Virtual to physical addresses without a lock, for addresses that devices are given.
//!
//! Sound because nothing that is mapped is ever mapped elsewhere or taken away: an entry that is
//! present stays as it is, but for the bits that the CPU sets.

/// Page table entry: there is something (Intel SDM Vol. 3A, tables 4-15 to 4-20).
const PRESENT: u64 = 1 << 0;
/// Entry of the second or third level: maps a page, not a table.
const LARGE: u64 = 1 << 7;
/// The physical address in an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The physical address behind the virtual `address`, and how many bytes from there on belong to
/// the same page. `None` when nothing is mapped there.
///
/// `top` is the physical address of the topmost of four tables; `read` reads the entry at a
/// physical address.
fn page_of(top: u64, address: u64, read: &impl Fn(u64) -> u64) -> Option<(u64, u64)> {
    let mut table = top & ADDRESS;
    for shift in [39, 30, 21, 12] {
        let entry = read(table + (address >> shift & 511) * 8);
        if entry & PRESENT == 0 {
            return None;
        }
        let is_page = shift == 12 || (shift < 39 && entry & LARGE != 0);
        if is_page {
            let size = 1_u64 << shift;
            let within = address & (size - 1);
            // Large pages keep attributes in the address's low bits.
            let physical = (entry & ADDRESS & !(size - 1)) + within;
            return Some((physical, size - within));
        }
        table = entry & ADDRESS;
    }
    None
}

/// The physical address behind the virtual `address`, and how many of the `length` bytes from
/// there on follow each other in physical memory, too. `None` when nothing is mapped there.
pub(super) fn contiguous(
    top: u64,
    address: u64,
    length: u64,
    read: impl Fn(u64) -> u64,
) -> Option<(u64, u64)> {
    let (physical, mut run) = page_of(top, address, &read)?;
    while run < length {
        match page_of(top, address.checked_add(run)?, &read) {
            Some((next, more)) if next == physical + run => run += more,
            _ => break,
        }
    }
    Some((physical, run.min(length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const MIB: u64 = 1 << 20;
    const TOP: u64 = 0x1000;
    const BASE: u64 = 0xffff_c000_0000_0000;

    /// Page tables that map a 2 MiB page to 8 MiB, the next to 10 MiB, the next to 2 MiB, then
    /// 4 KiB pages to 1 MiB, 1 MiB + 4 KiB, and 64 KiB; then nothing.
    fn tables() -> impl Fn(u64) -> u64 {
        let mut entries = HashMap::new();
        let index = |shift: u64| (BASE >> shift & 511) * 8;
        entries.insert(TOP + index(39), 0x2000 | 3);
        entries.insert(0x2000 + index(30), 0x3000 | 3);
        // With the attribute bit 12 of large pages set, and no-execute.
        for (slot, physical) in [(0, 8 * MIB), (1, 10 * MIB), (2, 2 * MIB)] {
            entries.insert(0x3000 + slot * 8, 1 << 63 | physical | 1 << 12 | 0x83);
        }
        entries.insert(0x3000 + 3 * 8, 0x4000 | 3);
        for (slot, physical) in [(0, MIB), (1, MIB + 4096), (2, 0x1_0000)] {
            entries.insert(0x4000 + slot * 8, physical | 3);
        }
        move |address| entries.get(&address).copied().unwrap_or(0)
    }

    #[test]
    fn addresses_are_found_in_pages_of_both_sizes() {
        let read = tables();
        assert_eq!(page_of(TOP, BASE, &read), Some((8 * MIB, 2 * MIB)));
        assert_eq!(
            page_of(TOP, BASE + 4 * MIB + 5, &read),
            Some((2 * MIB + 5, 2 * MIB - 5))
        );
        let small = BASE + 6 * MIB;
        assert_eq!(page_of(TOP, small + 9, &read), Some((MIB + 9, 4087)));
        assert_eq!(page_of(TOP, small + 0x3000, &read), None);
        assert_eq!(page_of(TOP, BASE - 1, &read), None);
    }

    #[test]
    fn runs_end_where_physical_memory_does_not_follow() {
        let read = tables();
        let run = |offset, length| contiguous(TOP, BASE + offset, length, &read);
        assert_eq!(run(0, 100), Some((8 * MIB, 100)));
        assert_eq!(run(0, 8 * MIB), Some((8 * MIB, 4 * MIB)));
        assert_eq!(run(MIB, 2 * MIB), Some((9 * MIB, 2 * MIB)));
        assert_eq!(run(4 * MIB - 1, 2), Some((12 * MIB - 1, 1)));
        assert_eq!(run(6 * MIB, 0x3000), Some((MIB, 0x2000)));
        assert_eq!(run(6 * MIB + 0x2000, 0x3000), Some((0x1_0000, 0x1000)));
        assert_eq!(run(6 * MIB + 0x3000, 1), None);
    }
}
