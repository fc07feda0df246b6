use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use proptest::prelude::*;

use super::*;

use MemoryRegionKind::{Bootloader, UnknownBios, Usable};

fn entry(start: u64, end: u64, kind: u32) -> Entry {
    Entry {
        start,
        size: end - start,
        kind,
    }
}

fn carved(entries: &[Entry], reserved: &[Span], limit: u64) -> Vec<MemoryRegion> {
    let mut regions = Regions::new(MemoryRegion::empty());
    carve(entries, reserved, limit, &mut regions);
    regions.to_vec()
}

fn region(start: u64, end: u64, kind: MemoryRegionKind) -> MemoryRegion {
    MemoryRegion { start, end, kind }
}

/// What QEMU's q35 with 256 MiB reports, and a kernel, a ramdisk.
#[test]
fn an_ordinary_machine() {
    let entries = [
        entry(0, 0x9fc00, RAM),
        entry(0x9fc00, 0xa0000, 2),
        entry(0xf0000, 0x100000, 2),
        entry(0x100000, 0xffdf000, RAM),
        entry(0xffdf000, 0x10000000, 2),
        entry(0xb0000000, 0xc0000000, 2),
    ];
    let reserved = [
        Span::new(0x100000, 0x200000),
        Span::new(0x200000, 0x254321),
        Span::new(0xff00000, 0xffdeabc),
    ];
    assert_eq!(
        carved(&entries, &reserved, u64::MAX),
        [
            region(0, 0x9f000, Bootloader),
            region(0x9f000, 0xa0000, UnknownBios(2)),
            region(0xf0000, 0x100000, UnknownBios(2)),
            region(0x100000, 0x255000, Bootloader),
            region(0x255000, 0xff00000, Usable),
            region(0xff00000, 0xffdf000, Bootloader),
            region(0xffdf000, 0x10000000, UnknownBios(2)),
            region(0xb0000000, 0xc0000000, UnknownBios(2)),
        ]
    );
}

#[test]
fn empty_and_nonsense_maps_give_nothing_usable() {
    assert_eq!(carved(&[], &[], u64::MAX), []);
    let entries = [
        Entry {
            start: 0x200000,
            size: 0,
            kind: RAM,
        },
        Entry {
            start: 0x200001,
            size: 0xfff,
            kind: RAM,
        },
        Entry {
            start: u64::MAX,
            size: u64::MAX,
            kind: RAM,
        },
        Entry {
            start: 0x300800,
            size: 0,
            kind: 2,
        },
    ];
    assert_eq!(carved(&entries, &[], u64::MAX), []);
}

#[test]
fn wrapping_entries_are_cut_and_reported() {
    let entries = [Entry {
        start: 0x4000_0000,
        size: u64::MAX,
        kind: RAM,
    }];
    let regions = carved(&entries, &[], u64::MAX);
    assert_eq!(regions, [region(0x4000_0000, PHYSICAL_LIMIT, Usable)]);
    let mut report = Report::new();
    check(&entries, &regions, 0x8000, &mut report);
    assert_eq!(
        report.errors(),
        [
            BootError::MemoryMapEntry {
                index: 0,
                start: 0x4000_0000,
                size: u64::MAX
            },
            BootError::TrampolineNotRam { address: 0x8000 },
        ]
    );
}

#[test]
fn a_map_without_usable_memory_is_fatal() {
    let entries = [entry(0, 0x100000, RAM), entry(0x100000, 0x10000000, 2)];
    let mut report = Report::new();
    check(
        &entries,
        &carved(&entries, &[], u64::MAX),
        0x8000,
        &mut report,
    );
    assert_eq!(report.errors(), [BootError::NoUsableMemory]);
    assert!(report.is_fatal());
}

#[test]
fn memory_from_the_limit_on_is_withheld() {
    let entries = [entry(0x100000, 0x2_0000_0000, RAM)];
    assert_eq!(
        carved(&entries, &[], FOUR_GIB),
        [
            region(0x100000, FOUR_GIB, Usable),
            region(FOUR_GIB, 0x2_0000_0000, Bootloader),
        ]
    );
}

#[test]
fn a_reserved_range_outside_all_entries_is_listed() {
    assert_eq!(
        carved(&[], &[Span::new(0x200000, 0x200001)], u64::MAX),
        [region(0x200000, 0x201000, Bootloader)]
    );
}

#[test]
fn find_usable_takes_the_first_fit_below_4_gib() {
    let regions = [
        region(0x100000, 0x200000, Bootloader),
        region(0x200000, 0x202000, Usable),
        region(0x300000, 0x310000, Usable),
        region(FOUR_GIB - 0x20000, FOUR_GIB + 0x100000, Usable),
    ];
    assert_eq!(
        find_usable(&regions, 0x3000),
        Some(Span::new(0x300000, 0x303000))
    );
    assert_eq!(
        find_usable(&regions, 0x20000),
        Some(Span::new(FOUR_GIB - 0x20000, FOUR_GIB))
    );
    assert_eq!(find_usable(&regions, 0x21000), None);
}

fn runs_of(regions: &[MemoryRegion], limit: u64) -> Vec<Run> {
    let mut runs = Runs::new(Run {
        span: Span::EMPTY,
        memory: false,
    });
    physical_runs(regions, limit, &mut runs);
    runs.to_vec()
}

fn run(start: u64, end: u64, memory: bool) -> Run {
    Run {
        span: Span::new(start, end),
        memory,
    }
}

#[test]
fn runs_cover_4_gib_and_the_memory_above() {
    let regions = [
        region(0x100000, 0x7fe0_0000, Usable),
        region(0x7fe0_0000, 0x7fe0_1000, UnknownBios(3)),
        region(0xfffc_0000, FOUR_GIB, UnknownBios(2)),
        region(FOUR_GIB, FOUR_GIB + 0x300000, Usable),
        region(0xfd_0000_0000, 0x100_0000_0000, UnknownBios(2)),
    ];
    assert_eq!(
        runs_of(&regions, u64::MAX),
        [
            run(0, 0x8000_0000, true),
            run(0x8000_0000, FOUR_GIB, false),
            run(FOUR_GIB, FOUR_GIB + 0x400000, true),
        ]
    );
    assert_eq!(
        runs_of(&regions, FOUR_GIB),
        [run(0, 0x8000_0000, true), run(0x8000_0000, FOUR_GIB, false),]
    );
    assert_eq!(runs_of(&[], u64::MAX), [run(0, FOUR_GIB, false)]);
}

/// An address in few pages around 1 MiB, so that everything overlaps, or anywhere.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (0u64..64 * 4).prop_map(|quarter| ONE_MIB - 16 * PAGE + quarter * PAGE / 4),
        1 => any::<u64>(),
        1 => (0u64..9000).prop_map(|n| u64::MAX - n),
        1 => (0u64..9000).prop_map(|n| PHYSICAL_LIMIT - 4500 + n),
    ]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    (
        address(),
        prop_oneof![6 => 0u64..20 * PAGE, 1 => any::<u64>()],
        0u32..6,
    )
        .prop_map(|(start, size, kind)| Entry { start, size, kind })
}

fn any_span() -> impl Strategy<Value = Span> {
    (address(), 0u64..10 * PAGE).prop_map(|(start, len)| {
        let start = start.min(PHYSICAL_LIMIT);
        Span::new(start, (start + len).min(PHYSICAL_LIMIT))
    })
}

/// The kind of one page, straight from the rules of the module, with 128-bit arithmetic.
fn oracle(page: u64, entries: &[Entry], reserved: &[Span], limit: u64) -> Option<MemoryRegionKind> {
    let (first, end) = (u128::from(page), u128::from(page) + u128::from(PAGE));
    let cut = |e: &Entry| {
        let end = (u128::from(e.start) + u128::from(e.size)).min(u128::from(PHYSICAL_LIMIT));
        (u128::from(e.start), end)
    };
    let other = entries
        .iter()
        .filter(|e| {
            let (start, stop) = cut(e);
            e.kind != RAM && start < stop && start < end && first < stop
        })
        .map(|e| e.kind)
        .max();
    if let Some(kind) = other {
        return Some(UnknownBios(kind));
    }
    let ram = entries.iter().any(|e| {
        let (start, stop) = cut(e);
        e.kind == RAM && start <= first && end <= stop
    });
    let taken = reserved
        .iter()
        .any(|s| s.start < s.end && u128::from(s.start) < end && page < s.end);
    match (ram, taken) {
        (true, false) if page >= ONE_MIB && page < limit => Some(Usable),
        (true, _) | (false, true) => Some(Bootloader),
        (false, false) => None,
    }
}

proptest! {
    #[test]
    fn every_page_has_the_kind_that_the_rules_say(
        entries in prop::collection::vec(any_entry(), 0..12),
        reserved in prop::collection::vec(any_span(), 0..4),
        limit in prop_oneof![Just(u64::MAX), address().prop_map(|a| a & !(PAGE - 1))],
    ) {
        let regions = carved(&entries, &reserved, limit);
        for pair in regions.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start, "sorted, no overlap: {pair:?}");
            prop_assert!(
                pair[0].end < pair[1].start || pair[0].kind != pair[1].kind,
                "joined: {pair:?}"
            );
        }
        for region in &regions {
            prop_assert!(region.start < region.end && region.end <= PHYSICAL_LIMIT);
            prop_assert!(region.start % PAGE == 0 && region.end % PAGE == 0);
        }
        // All pages near 1 MiB, and the pages around every edge.
        let mut pages: Vec<u64> = (0..96).map(|n| ONE_MIB - 32 * PAGE + n * PAGE).collect();
        let ends = entries.iter().flat_map(|e| [e.start, e.start.wrapping_add(e.size)]);
        let ends = ends.chain(reserved.iter().flat_map(|s| [s.start, s.end]));
        let ends = ends.chain(regions.iter().flat_map(|r| [r.start, r.end]));
        for end in ends {
            let page = end & !(PAGE - 1);
            pages.extend([page.saturating_sub(PAGE), page, page.saturating_add(PAGE) & !(PAGE - 1)]);
        }
        for page in pages.into_iter().filter(|&page| page < PHYSICAL_LIMIT) {
            let found = regions
                .iter()
                .find(|r| r.start <= page && page < r.end)
                .map(|r| r.kind);
            prop_assert_eq!(found, oracle(page, &entries, &reserved, limit), "page {:#x}", page);
        }
    }

    #[test]
    fn runs_are_aligned_ascending_and_complete(
        entries in prop::collection::vec(any_entry(), 0..12),
        scale in 0u32..14,
        limit in prop_oneof![Just(u64::MAX), Just(FOUR_GIB)],
    ) {
        // Spread the entries over memory, also across 4 GiB.
        let entries: Vec<Entry> = entries
            .into_iter()
            .map(|e| Entry { start: e.start << scale, size: e.size << scale, ..e })
            .collect();
        let regions = carved(&entries, &[], limit);
        let runs = runs_of(&regions, limit);
        let mut low = 0;
        for pair in runs.windows(2) {
            prop_assert!(pair[0].span.end <= pair[1].span.start);
        }
        for run in &runs {
            prop_assert!(run.span.len() > 0);
            prop_assert!(run.span.start % LARGE_PAGE == 0 && run.span.end % LARGE_PAGE == 0);
            if run.span.start < FOUR_GIB {
                prop_assert_eq!(run.span.start, low, "no gap below 4 GiB");
                low = run.span.end;
            }
        }
        prop_assert!(low >= FOUR_GIB);
        for region in regions.iter().filter(|r| is_memory(r) && r.start < limit) {
            let inside = runs.iter().any(|run| {
                run.memory && run.span.start <= region.start && region.end.min(limit) <= run.span.end
            });
            prop_assert!(inside, "{region:?} in {runs:?}");
        }
    }

    #[test]
    fn the_lists_are_long_enough_for_the_worst_map(
        entries in prop::collection::vec(any_entry(), MAX_ENTRIES),
        reserved in prop::collection::vec(any_span(), MAX_RESERVED),
    ) {
        // `carve` and `physical_runs` drop what does not fit: nothing may come near.
        let regions = carved(&entries, &reserved, u64::MAX);
        prop_assert!(regions.len() < MAX_REGIONS);
        prop_assert!(runs_of(&regions, u64::MAX).len() < MAX_RUNS);
    }
}

/// Entries that never touch need the most regions and runs.
#[test]
fn separate_entries_fill_the_lists_without_loss() {
    let entries: Vec<Entry> = (0..MAX_ENTRIES as u64)
        .map(|n| entry(0x100_0000 + n * 0x80_0000, 0x100_1000 + n * 0x80_0000, RAM))
        .collect();
    let reserved: Vec<Span> = (0..MAX_RESERVED as u64)
        .map(|n| Span::new(0x140_0000 + n * 0x80_0000, 0x140_1000 + n * 0x80_0000))
        .collect();
    let regions = carved(&entries, &reserved, u64::MAX);
    assert_eq!(regions.len(), MAX_ENTRIES + MAX_RESERVED);
    let runs = runs_of(&regions, u64::MAX);
    assert_eq!(runs.len(), 2 * (MAX_ENTRIES + MAX_RESERVED) + 1);
}
