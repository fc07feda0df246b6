//! The memory map: from what the firmware says to what the kernel may use.
//!
//! The firmware's entries may be unsorted, overlap, have no size or wrap around. The result is
//! sorted, free of overlaps and made of whole pages. Where sources disagree the cautious one wins:
//! anything that is not RAM beats RAM (and of two such the larger type, as in Linux's e820 code),
//! and what boot reserves is never usable. Below 1 MiB nothing is usable.

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};

use crate::error::{BootError, Report};
use crate::list::List;
use crate::span::{FOUR_GIB, LARGE_PAGE, ONE_MIB, PAGE, PHYSICAL_LIMIT, Span};

/// Firmware entries that are read; more are reported and ignored.
pub(crate) const MAX_ENTRIES: usize = 128;
/// Ranges that boot can keep out of usable memory.
pub(crate) const MAX_RESERVED: usize = 12;
/// Places where the kind of memory can change: both ends of each entry and reservation, 1 MiB and
/// the limit.
const MAX_EDGES: usize = 2 * (MAX_ENTRIES + MAX_RESERVED) + 2;
/// Regions of the result: there is at most one between two edges.
pub(crate) const MAX_REGIONS: usize = MAX_EDGES;
/// Runs of [`physical_runs`]: two for each region (what it maps, the gap after it), and the ends.
pub(crate) const MAX_RUNS: usize = 2 * MAX_REGIONS + 2;

/// E820 type of usable RAM (ACPI 6.5, table 15.4; PVH uses the same numbers).
pub(crate) const RAM: u32 = 1;
/// E820 type of ACPI tables, RAM once they are not needed any more.
const ACPI_TABLES: u32 = 3;
/// E820 type of RAM that ACPI keeps across sleep.
const ACPI_NVS: u32 = 4;

/// One entry of the firmware's map, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Physical start address.
    pub(crate) start: u64,
    /// Size in bytes.
    pub(crate) size: u64,
    /// E820 type.
    pub(crate) kind: u32,
}

impl Entry {
    /// An entry of no memory.
    pub(crate) const EMPTY: Self = Self {
        start: 0,
        size: 0,
        kind: 0,
    };

    /// The whole pages that the entry speaks of: RAM without, anything else with the pages that it
    /// covers only in part. Cut at the end of the physical address space.
    fn pages(&self) -> Span {
        let end = self.start.saturating_add(self.size).min(PHYSICAL_LIMIT);
        let span = Span::new(self.start, end);
        if self.kind == RAM {
            span.inward(PAGE)
        } else if span.len() > 0 {
            span.outward(PAGE)
        } else {
            Span::EMPTY
        }
    }
}

/// The resulting map.
pub(crate) type Regions = List<MemoryRegion, MAX_REGIONS>;
/// Ranges that are not usable because boot, the kernel or a module lies there.
pub(crate) type Reserved = List<Span, MAX_RESERVED>;

/// Reports entries that reach beyond the physical address space, a missing trampoline page, and a
/// map without usable memory.
pub(crate) fn check(
    entries: &[Entry],
    regions: &[MemoryRegion],
    trampoline: u64,
    report: &mut Report,
) {
    for (index, &Entry { start, size, .. }) in entries.iter().enumerate() {
        if start
            .checked_add(size)
            .is_none_or(|end| end > PHYSICAL_LIMIT)
        {
            report.push(BootError::MemoryMapEntry { index, start, size });
        }
    }
    // Below 1 MiB `Bootloader` means RAM that is not handed out.
    if !regions.iter().any(|region| {
        region.kind == MemoryRegionKind::Bootloader
            && region.start <= trampoline
            && trampoline + PAGE <= region.end
    }) {
        report.push(BootError::TrampolineNotRam {
            address: trampoline,
        });
    }
    if !regions.iter().any(is_usable) {
        report.push(BootError::NoUsableMemory);
    }
}

fn is_usable(region: &MemoryRegion) -> bool {
    region.kind == MemoryRegionKind::Usable
}

/// Computes the map from the firmware's `entries`. RAM in `reserved`, below 1 MiB and from `limit`
/// on is not usable. Reserved ranges that the firmware does not know of are listed all the same.
pub(crate) fn carve(entries: &[Entry], reserved: &[Span], limit: u64, regions: &mut Regions) {
    let mut edges = List::<u64, MAX_EDGES>::new(0);
    // Cannot overflow: MAX_EDGES counts exactly these, and both slices come from bounded lists;
    // if they do not, the excess is cut here and below alike.
    let entries = &entries[..entries.len().min(MAX_ENTRIES)];
    let reserved = &reserved[..reserved.len().min(MAX_RESERVED)];
    let mut edge = |address| {
        let _ = edges.push(address);
    };
    for entry in entries {
        let pages = entry.pages();
        edge(pages.start);
        edge(pages.end);
    }
    for span in reserved {
        let pages = reserved_pages(*span);
        edge(pages.start);
        edge(pages.end);
    }
    edge(ONE_MIB);
    edge(limit);
    edges.sort_unstable();

    regions.clear();
    for pair in edges.windows(2) {
        let span = Span::new(pair[0], pair[1]);
        if span.len() == 0 {
            continue;
        }
        if let Some(kind) = kind_of(span, entries, reserved, limit) {
            append(
                regions,
                MemoryRegion {
                    start: span.start,
                    end: span.end,
                    kind,
                },
            );
        }
    }
}

/// The pages that a reserved range touches.
fn reserved_pages(span: Span) -> Span {
    if span.len() > 0 {
        span.outward(PAGE)
    } else {
        Span::EMPTY
    }
}

/// The kind of memory in `span`, which no edge divides; nothing if nobody speaks of it.
fn kind_of(
    span: Span,
    entries: &[Entry],
    reserved: &[Span],
    limit: u64,
) -> Option<MemoryRegionKind> {
    let covering = || entries.iter().filter(|entry| entry.pages().overlaps(span));
    if let Some(kind) = covering()
        .map(|entry| entry.kind)
        .filter(|&kind| kind != RAM)
        .max()
    {
        return Some(MemoryRegionKind::UnknownBios(kind));
    }
    let is_reserved = reserved
        .iter()
        .any(|reserved| reserved_pages(*reserved).overlaps(span));
    match covering().next() {
        Some(_) if !is_reserved && span.start >= ONE_MIB && span.start < limit => {
            Some(MemoryRegionKind::Usable)
        }
        Some(_) => Some(MemoryRegionKind::Bootloader),
        None if is_reserved => Some(MemoryRegionKind::Bootloader),
        None => None,
    }
}

/// Adds `region` behind the others, joined to the last one if it continues it.
fn append(regions: &mut Regions, region: MemoryRegion) {
    if let Some(last) = regions.last_mut()
        && last.end == region.start
        && last.kind == region.kind
    {
        last.end = region.end;
        return;
    }
    // Cannot overflow: at most one region between two edges.
    let _ = regions.push(region);
}

/// The lowest `len` bytes (a multiple of the page size) of usable memory below 4 GiB in one piece.
pub(crate) fn find_usable(regions: &[MemoryRegion], len: u64) -> Option<Span> {
    regions
        .iter()
        .filter(|region| is_usable(region))
        .map(|region| Span::new(region.start, region.end.min(FOUR_GIB)))
        .find(|span| span.len() >= len)
        .map(|span| Span::new(span.start, span.start + len))
}

/// A piece of the mapping of physical memory, in large pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The physical addresses.
    pub(crate) span: Span,
    /// True for RAM; false for what may be device registers, which must not be cached.
    pub(crate) memory: bool,
}

/// Pieces of the mapping of physical memory, ascending.
pub(crate) type Runs = List<Run, MAX_RUNS>;

/// What the mapping of physical memory up to `limit` consists of: the first 4 GiB without gap,
/// because device registers lie there, and above that the RAM of the map.
pub(crate) fn physical_runs(regions: &[MemoryRegion], limit: u64, runs: &mut Runs) {
    runs.clear();
    let mut push = |start: u64, end: u64, memory: bool| {
        if start >= end {
            return;
        }
        if let Some(last) = runs.last_mut()
            && last.span.end == start
            && last.memory == memory
        {
            last.span.end = end;
            return;
        }
        // Cannot overflow: each region adds at most itself and the gap before it, and the last
        // gap below 4 GiB is one more.
        let _ = runs.push(Run {
            span: Span::new(start, end),
            memory,
        });
    };
    // Everything below `done` is decided.
    let mut done = 0;
    for region in regions.iter().filter(|region| is_memory(region)) {
        let pages = Span::new(region.start, region.end.min(limit)).outward(LARGE_PAGE);
        let start = pages.start.max(done);
        if pages.end <= start {
            continue;
        }
        push(done, start.min(FOUR_GIB), false);
        push(start, pages.end, true);
        done = pages.end;
    }
    push(done, FOUR_GIB, false);
}

/// True for regions that are RAM, whoever may use it.
fn is_memory(region: &MemoryRegion) -> bool {
    matches!(
        region.kind,
        MemoryRegionKind::Usable
            | MemoryRegionKind::Bootloader
            | MemoryRegionKind::UnknownBios(ACPI_TABLES | ACPI_NVS)
    )
}

/// End of the RAM in the map, at least 4 GiB: what a mapping of physical memory must reach.
pub(crate) fn memory_end(regions: &[MemoryRegion]) -> u64 {
    regions
        .iter()
        .filter(|region| is_memory(region))
        .map(|region| region.end)
        .fold(FOUR_GIB, u64::max)
}

#[cfg(test)]
mod tests;
