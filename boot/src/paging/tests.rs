use proptest::prelude::*;
use x86_64::structures::paging::PageTableFlags;

use super::*;

const RW: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);

/// Tables in a vector: table n (from 1) stands at physical address n pages.
#[derive(Debug)]
pub(crate) struct Memory {
    tables: Vec<[u64; 512]>,
    limit: usize,
}

impl Memory {
    /// Room for `limit` tables.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            tables: Vec::new(),
            limit,
        }
    }
}

impl TableMemory for Memory {
    fn allocate(&mut self) -> Option<u64> {
        if self.tables.len() == self.limit {
            return None;
        }
        self.tables.push([0; 512]);
        Some(self.tables.len() as u64 * PAGE)
    }

    fn get(&self, table: u64, index: usize) -> u64 {
        self.tables[(table / PAGE - 1) as usize][index]
    }

    fn set(&mut self, table: u64, index: usize, entry: u64) {
        self.tables[(table / PAGE - 1) as usize][index] = entry;
    }
}

fn tables(limit: usize) -> Tables<Memory> {
    Tables::new(Memory::new(limit)).expect("one page for the root")
}

/// What the processor makes of `virt`: the physical address and the entry's flags.
pub(crate) fn translate(tables: &Tables<Memory>, virt: u64) -> Option<(u64, PageTableFlags)> {
    let mut table = tables.root;
    for level in (1..=4).rev() {
        let entry = tables.memory.get(table, index(virt, level));
        let flags = PageTableFlags::from_bits_truncate(entry);
        if !flags.contains(PageTableFlags::PRESENT) {
            return None;
        }
        if level == 1 || flags.contains(PageTableFlags::HUGE_PAGE) {
            let size = PAGE << (9 * (level - 1));
            return Some(((entry & ADDRESS_MASK) + virt % size, flags));
        }
        table = entry & ADDRESS_MASK;
    }
    unreachable!("level 1 returns")
}

fn map(virt: u64, phys: u64, pages: u64, flags: PageTableFlags) -> Map {
    let mut map = Map {
        virt,
        phys,
        len: 0,
        flags,
    };
    map.len = pages * map.page_size();
    map
}

#[test]
fn small_and_large_pages_are_found_and_nothing_else() {
    let mut tables = tables(100);
    let text = map(0xffff_ffff_8020_0000, 0x20_0000, 3, PageTableFlags::PRESENT);
    let large = map(
        0xffff_8000_0000_0000,
        0,
        513,
        RW | PageTableFlags::HUGE_PAGE,
    );
    let top = map(0xffff_ffff_ffff_f000, 0x7000, 1, RW);
    for map in [text, large, top] {
        assert_eq!(tables.map(&map), Ok(()));
    }
    assert_eq!(
        translate(&tables, 0xffff_ffff_8020_2fff),
        Some((0x20_2fff, PageTableFlags::PRESENT))
    );
    assert_eq!(translate(&tables, 0xffff_ffff_8020_3000), None);
    assert_eq!(translate(&tables, 0xffff_ffff_801f_ffff), None);
    assert_eq!(
        translate(&tables, 0xffff_8000_4012_3456),
        Some((0x4012_3456, large.flags))
    );
    assert_eq!(translate(&tables, 0xffff_8000_4020_0000), None);
    assert_eq!(translate(&tables, u64::MAX), Some((0x7fff, RW)));
}

#[test]
fn misaligned_wrapping_and_overlapping_mappings_are_refused() {
    let mut tables = tables(100);
    let large = RW | PageTableFlags::HUGE_PAGE;
    for wrong in [
        map(0x1001, 0x1000, 1, RW),
        map(0x1000, 0x1800, 1, RW),
        map(0x1000, 0x20_0000, 1, large),
        map(0x20_0000, 0x1000, 1, large),
        map(0xffff_ffff_ffff_f000, 0x1000, 2, RW),
        map(0x1000, 0xffff_ffff_ffff_f000, 2, RW),
    ] {
        assert_eq!(tables.map(&wrong), Err(MapError::Misaligned), "{wrong:x?}");
    }
    assert_eq!(tables.map(&map(0x40_0000, 0, 1, large)), Ok(()));
    assert_eq!(tables.map(&map(0x80_1000, 0, 1, RW)), Ok(()));
    for wrong in [
        map(0x40_0000, 0, 1, large),
        map(0x5f_f000, 0, 1, RW),
        map(0x80_0000, 0, 1, large),
        map(0x80_0000, 0, 2, RW),
    ] {
        assert_eq!(tables.map(&wrong), Err(MapError::Overlap), "{wrong:x?}");
    }
}

#[test]
fn running_out_of_tables_is_an_error() {
    for limit in 1..4 {
        let mut tables = tables(limit);
        let result = tables.map(&map(0x1000, 0, 1, RW));
        assert_eq!(result, Err(MapError::OutOfTables), "{limit}");
    }
    assert_eq!(tables(4).map(&map(0x1000, 0, 1, RW)), Ok(()));
    assert!(Tables::new(Memory::new(0)).is_none());
}

#[test]
fn the_recursive_slot_shows_the_root() {
    let mut tables = tables(10);
    assert_eq!(tables.map(&map(0x1000, 0x5000, 1, RW)), Ok(()));
    assert_eq!(tables.map_recursively(0), Err(MapError::Overlap));
    assert_eq!(tables.map_recursively(510), Ok(()));
    let root_at = 0xffff_0000_0000_0000 | 510 << 39 | 510 << 30 | 510 << 21 | 510 << 12;
    let (address, flags) = translate(&tables, root_at).expect("mapped");
    assert_eq!(address, tables.root());
    assert!(flags.contains(PageTableFlags::NO_EXECUTE));
}

proptest! {
    /// Whatever is mapped translates as asked, `tables_needed` is enough, and exact for mappings
    /// in ascending order.
    #[test]
    fn mappings_translate_and_their_tables_are_counted(
        gaps in prop::collection::vec((0u64..1 << 20, 1u64..1200, any::<bool>()), 1..8),
    ) {
        let mut virt = 0;
        let mut maps = Vec::new();
        for (gap, pages, large) in gaps {
            let (size, flags) = if large {
                (LARGE_PAGE, RW | PageTableFlags::HUGE_PAGE)
            } else {
                (PAGE, RW)
            };
            virt = (virt + gap * PAGE).next_multiple_of(size);
            maps.push(map(virt, virt & 0xff_ffff_ffff, pages, flags));
            // Tables for large and small pages may not meet in one 2 MiB unit.
            virt = (virt + pages * size).next_multiple_of(LARGE_PAGE);
        }
        let needed = tables_needed(&maps);
        let mut tables = tables(needed as usize);
        for map in &maps {
            prop_assert_eq!(tables.map(map), Ok(()));
        }
        prop_assert_eq!(tables.memory.tables.len() as u64, needed, "exact");
        for map in &maps {
            for offset in [0, map.len / 2, map.len - 1] {
                let expected = (map.phys + offset, map.flags);
                prop_assert_eq!(translate(&tables, map.virt + offset), Some(expected));
            }
            let before = maps.iter().any(|m| m.virt + m.len == map.virt);
            if map.virt > 0 && !before {
                prop_assert_eq!(translate(&tables, map.virt - 1), None);
            }
        }
        maps.reverse();
        prop_assert!(tables_needed(&maps) >= needed);
    }
}
