//! Building 4-level page tables (Intel SDM Vol. 3A, 4.5 "4-Level Paging").

use x86_64::structures::paging::PageTableFlags;

use crate::span::{GIB, LARGE_PAGE, PAGE};

/// What one entry of the root table maps.
pub(crate) const SLOT: u64 = 1 << 39;

/// Where an entry keeps the physical address of its table or page.
const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;

/// Flags of entries that point to a table: the leaf alone decides about rights.
const TABLE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

/// One contiguous mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    /// First virtual address, a multiple of the page size.
    pub(crate) virt: u64,
    /// First physical address, a multiple of the page size.
    pub(crate) phys: u64,
    /// Bytes, a multiple of the page size.
    pub(crate) len: u64,
    /// Flags of the leaf entries; with `HUGE_PAGE` the pages are large (2 MiB).
    pub(crate) flags: PageTableFlags,
}

impl Map {
    /// Size of the pages.
    pub(crate) const fn page_size(&self) -> u64 {
        if self.flags.contains(PageTableFlags::HUGE_PAGE) {
            LARGE_PAGE
        } else {
            PAGE
        }
    }
}

/// Why a mapping was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapError {
    /// There was no page left for a table.
    OutOfTables,
    /// Something is mapped there already.
    Overlap,
    /// An address or the length is not a multiple of the page size, or the end wraps.
    Misaligned,
}

impl MapError {
    /// The reason in words.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::OutOfTables => "no page left for a page table",
            Self::Overlap => "it overlaps another mapping",
            Self::Misaligned => "it is not made of whole pages",
        }
    }
}

/// The memory that tables live in.
pub(crate) trait TableMemory {
    /// A zeroed page for a table: its physical address.
    fn allocate(&mut self) -> Option<u64>;
    /// Reads entry `index` (0..512) of the table at physical `table`.
    fn get(&self, table: u64, index: usize) -> u64;
    /// Writes entry `index` (0..512) of the table at physical `table`.
    fn set(&mut self, table: u64, index: usize, entry: u64);
}

/// Page tables under construction.
#[derive(Debug)]
pub(crate) struct Tables<M> {
    root: u64,
    memory: M,
}

impl<M: TableMemory> Tables<M> {
    /// Empty tables; nothing if there is no page for the root.
    pub(crate) fn new(mut memory: M) -> Option<Self> {
        let root = memory.allocate()?;
        Some(Self { root, memory })
    }

    /// Physical address of the root table, the value for CR3.
    pub(crate) const fn root(&self) -> u64 {
        self.root
    }

    /// Maps `map`.
    ///
    /// # Errors
    /// With [`MapError::Misaligned`] nothing was mapped, with the others the pages before the one
    /// that did not work.
    pub(crate) fn map(&mut self, map: &Map) -> Result<(), MapError> {
        let size = map.page_size();
        if (map.virt | map.phys | map.len) & (size - 1) != 0 {
            return Err(MapError::Misaligned);
        }
        // The last byte may be the last of the address space.
        let wraps = |start: u64| map.len != 0 && start.checked_add(map.len - 1).is_none();
        if wraps(map.virt) || wraps(map.phys) {
            return Err(MapError::Misaligned);
        }
        for offset in (0..map.len).step_by(size as usize) {
            self.map_page(map.virt + offset, map.phys + offset, map.flags)?;
        }
        Ok(())
    }

    fn map_page(&mut self, virt: u64, phys: u64, flags: PageTableFlags) -> Result<(), MapError> {
        let leaf_level = if flags.contains(PageTableFlags::HUGE_PAGE) {
            2
        } else {
            1
        };
        let mut table = self.root;
        for level in (leaf_level + 1..=4).rev() {
            table = self.next_table(table, index(virt, level))?;
        }
        let index = index(virt, leaf_level);
        if self.memory.get(table, index) != 0 {
            return Err(MapError::Overlap);
        }
        self.memory.set(table, index, phys | flags.bits());
        Ok(())
    }

    /// The table that entry `index` of `table` points to, made if there is none.
    fn next_table(&mut self, table: u64, index: usize) -> Result<u64, MapError> {
        let entry = self.memory.get(table, index);
        if entry == 0 {
            let next = self.memory.allocate().ok_or(MapError::OutOfTables)?;
            self.memory.set(table, index, next | TABLE.bits());
            return Ok(next);
        }
        if PageTableFlags::from_bits_truncate(entry).contains(PageTableFlags::HUGE_PAGE) {
            return Err(MapError::Overlap);
        }
        Ok(entry & ADDRESS_MASK)
    }

    /// Makes entry `slot` (0..512) of the root point to the root, so that all tables appear in
    /// the address space; writable, not executable.
    ///
    /// # Errors
    /// [`MapError::Overlap`] if the slot is in use.
    pub(crate) fn map_recursively(&mut self, slot: u16) -> Result<(), MapError> {
        let slot = usize::from(slot);
        if self.memory.get(self.root, slot) != 0 {
            return Err(MapError::Overlap);
        }
        let flags = TABLE | PageTableFlags::NO_EXECUTE;
        self.memory.set(self.root, slot, self.root | flags.bits());
        Ok(())
    }
}

/// Index of `virt` in its table of `level` (1: page table, 4: root).
const fn index(virt: u64, level: u32) -> usize {
    (virt >> (12 + 9 * (level - 1)) & 0x1ff) as usize
}

/// Pages that the tables for `maps` take at most; exact if the mappings are sorted by address.
pub(crate) fn tables_needed(maps: &[Map]) -> u64 {
    let mut tables = 1;
    // The last unit of each size that has a table already.
    let mut last = [u64::MAX; 3];
    for map in maps.iter().filter(|map| map.len > 0) {
        let end = map.virt.saturating_add(map.len - 1);
        let units = [SLOT, GIB, LARGE_PAGE];
        // Large pages need no table of the lowest level.
        let levels = if map.page_size() == LARGE_PAGE { 2 } else { 3 };
        for (unit, last) in units.into_iter().zip(&mut last).take(levels) {
            let (from, to) = (map.virt / unit, end / unit);
            tables += to - from + 1 - u64::from(from == *last);
            *last = to;
        }
    }
    tables
}

#[cfg(test)]
pub(crate) mod tests;
