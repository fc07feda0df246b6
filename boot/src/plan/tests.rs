use bootloader_api::config::{BootloaderConfig, Mapping};
use bootloader_api::info::MemoryRegionKind;
use proptest::prelude::*;
use x86_64::structures::paging::PageTableFlags;

use super::*;
use crate::memmap::{Entry, RAM};
use crate::paging::tests::{Memory, translate};

const MIB: u64 = 1 << 20;

/// What `boot/link.ld` reserves.
const BOOT: Span = Span::new(0x10_0000, 0x20_0000);
const POOL: Span = Span::new(0x12_b000, 0x20_0000);

fn image() -> KernelImage {
    let base = layout::KERNEL + 0x20_0000;
    KernelImage {
        text: base..base + 0x1_0000,
        rodata: base + 0x1_0000..base + 0x1_4000,
        data: base + 0x1_4000..base + 0x10_0000,
        physical: 0x20_0000..0x30_0000,
    }
}

fn ram(start: u64, end: u64) -> Entry {
    Entry {
        start,
        size: end - start,
        kind: RAM,
    }
}

fn machine(entries: &[Entry], modules: &[Span]) -> Box<Machine> {
    let mut machine = Box::new(Machine::unknown());
    for entry in entries {
        machine.memory.push(*entry).expect("room for the entry");
    }
    for module in modules {
        machine.modules.push(*module).expect("room for the module");
    }
    machine
}

fn pc(mib: u64) -> [Entry; 2] {
    [ram(0, 0x9_fc00), ram(MIB, mib * MIB)]
}

fn config() -> BootloaderConfig {
    let mut config = BootloaderConfig::new_default();
    config.mappings.physical_memory = Some(Mapping::Dynamic);
    config
}

fn plan(machine: &Machine, config: &BootloaderConfig) -> (Box<Plan>, Report) {
    let mut plan = Box::new(Plan::new());
    let mut report = Report::new();
    let given = Given {
        config,
        machine,
        image: &image(),
        boot: BOOT,
        pool: POOL,
        boot_info_len: 7000,
    };
    assert!(plan.make(&given, &mut report), "there is always a plan");
    (plan, report)
}

/// Builds the plan and checks what must hold for every plan.
fn check(plan: &mut Plan, machine: &Machine) {
    let mut report = Report::new();
    let pages = Memory::new((plan.tables.len() / PAGE) as usize);
    let tables = plan.build(pages, &mut report).expect("room for the root");
    assert_eq!(report.errors(), []);
    for map in plan.maps.iter() {
        let writable = map.flags.contains(PageTableFlags::WRITABLE);
        let executable = !map.flags.contains(PageTableFlags::NO_EXECUTE);
        assert!(!(writable && executable), "W^X: {map:x?}");
    }
    let mapped = |virt| translate(&tables, virt);
    assert!(mapped(0).is_none(), "the null page");
    assert!(mapped(plan.stack - 1).is_none(), "the guard page");
    let stack = mapped(plan.stack).expect("the stack").0;
    let top = mapped(plan.stack + plan.stack_len - 1)
        .expect("all of it")
        .0;
    assert_eq!(top - stack, plan.stack_len - 1, "contiguous");
    let info = mapped(plan.boot_info).expect("the boot info").0;
    let (text, flags) = mapped(image().text.start).expect("the kernel");
    assert_eq!((text, flags), (0x20_0000, PageTableFlags::PRESENT));
    let trampoline = mapped(TRAMPOLINE_PAGE).expect("the trampoline page");
    assert_eq!(trampoline.0, TRAMPOLINE_PAGE);

    let ours = [
        BOOT,
        Span::new(0x20_0000, 0x30_0000),
        Span::new(stack, top + 1),
        Span::new(info, info + 8192),
        plan.tables,
    ];
    for pair in [[2, 3], [2, 4], [3, 4]] {
        assert!(!ours[pair[0]].overlaps(ours[pair[1]]));
    }
    for span in &ours[2..] {
        assert!(span.end <= FOUR_GIB, "boot must reach {span:x?}");
    }
    for region in plan.regions.iter() {
        if region.kind != MemoryRegionKind::Usable {
            continue;
        }
        let span = Span::new(region.start, region.end);
        assert!(region.start >= MIB);
        for taken in ours.iter().chain(machine.modules.iter()) {
            assert!(!span.overlaps(*taken), "{span:x?} {taken:x?}");
        }
        if let Some(offset) = plan.physical_memory {
            for address in [span.start, span.start + span.len() / 2, span.end - 1] {
                let (phys, flags) = mapped(offset + address).expect("usable memory is mapped");
                assert_eq!(phys, address);
                // Next to the kernel pages are small.
                assert_eq!(flags | PageTableFlags::HUGE_PAGE, MEMORY);
            }
        }
    }
    if let Some(offset) = plan.physical_memory {
        let constant = constant(&image());
        let around = constant.outward(LARGE_PAGE);
        for phys in (around.start..around.end).step_by(PAGE as usize) {
            let (to, flags) = mapped(offset + phys).expect("the kernel's memory is mapped");
            assert_eq!(to, phys);
            let is_writable = !(constant.start..constant.end).contains(&phys);
            assert_eq!(flags.contains(PageTableFlags::WRITABLE), is_writable);
            assert!(flags.contains(PageTableFlags::NO_EXECUTE));
        }
        let (phys, flags) = mapped(offset + TRAMPOLINE_PAGE).expect("the trampoline page");
        assert_eq!(phys, TRAMPOLINE_PAGE);
        assert!(
            flags.contains(PageTableFlags::WRITABLE),
            "it is written through this"
        );
        let (phys, _) = mapped(offset + 0xfee0_0030).expect("device registers are mapped");
        assert_eq!(phys, 0xfee0_0030);
    }
    if let (Some((address, len)), Some(span)) = (plan.ramdisk, machine.ramdisk()) {
        assert_eq!(len, span.len());
        assert_eq!(mapped(address).expect("ramdisk").0, span.start);
        assert_eq!(mapped(address + len - 1).expect("ramdisk").0, span.end - 1);
    }
}

#[test]
fn an_ordinary_machine_uses_the_pool_and_the_default_places() {
    let machine = machine(&pc(256), &[Span::new(0xff0_0000, 0xff1_2345)]);
    let (mut plan, report) = plan(&machine, &config());
    check(&mut plan, &machine);
    assert_eq!(report.errors(), []);
    assert_eq!(plan.physical_memory, Some(layout::PHYSICAL_MEMORY));
    assert_eq!(plan.stack, layout::KERNEL_STACK + PAGE);
    assert_eq!(plan.stack_len, DEFAULT_STACK);
    assert_eq!(plan.boot_info, layout::BOOT_INFO);
    assert_eq!(plan.ramdisk, Some((0xffff_8000_0ff0_0000, 0x1_2345)));
    assert!(plan.tables.end <= POOL.end);
    let usable: u64 = plan
        .regions
        .iter()
        .filter(|region| region.kind == MemoryRegionKind::Usable)
        .map(|region| region.end - region.start)
        .sum();
    assert_eq!(
        usable,
        253 * MIB - 0x1_3000,
        "256 MiB, less 3 and the ramdisk"
    );
}

#[test]
fn device_registers_are_uncacheable() {
    let machine = machine(&pc(256), &[]);
    let (plan, _) = plan(&machine, &config());
    let apic = 0xffff_8000_fee0_0000;
    let map = plan
        .maps
        .iter()
        .find(|map| map.virt <= apic && apic - map.virt < map.len)
        .expect("mapped");
    assert_eq!(map.flags, DEVICES);
}

#[test]
fn a_large_stack_comes_out_of_usable_memory() {
    let machine = machine(&pc(256), &[]);
    let mut config = config();
    config.kernel_stack_size = 40 * MIB + 1;
    let (mut plan, report) = plan(&machine, &config);
    check(&mut plan, &machine);
    assert_eq!(report.errors(), []);
    assert_eq!(plan.stack_len, 40 * MIB + PAGE);
}

#[test]
fn impossible_stacks_become_the_default() {
    let machine = machine(&pc(64), &[]);
    for requested in [0, 64 * MIB, 5 << 30, u64::MAX] {
        let mut config = config();
        config.kernel_stack_size = requested;
        let (mut plan, report) = plan(&machine, &config);
        check(&mut plan, &machine);
        let given = DEFAULT_STACK;
        assert_eq!(plan.stack_len, given);
        assert_eq!(report.errors(), [BootError::StackSize { requested, given }]);
    }
}

#[test]
fn without_a_memory_map_the_pool_is_enough() {
    let machine = machine(&[], &[]);
    let (mut plan, report) = plan(&machine, &config());
    check(&mut plan, &machine);
    assert!(report.is_fatal());
}

#[test]
fn a_map_that_promises_too_much_is_cut_at_4_gib() {
    for end in [1 << 46, 1 << 51, u64::MAX] {
        let machine = machine(&[ram(MIB, 64 * MIB), ram(FOUR_GIB, end)], &[]);
        let (mut plan, report) = plan(&machine, &config());
        check(&mut plan, &machine);
        assert!(
            report
                .errors()
                .contains(&BootError::PhysicalMemoryTruncated { end: FOUR_GIB }),
            "{report:?}"
        );
        let last = plan
            .regions
            .iter()
            .rfind(|region| region.kind == MemoryRegionKind::Usable)
            .expect("usable memory");
        assert!(last.end <= FOUR_GIB);
    }
}

#[test]
fn memory_above_4_gib_is_mapped_and_usable() {
    let machine = machine(&[ram(MIB, 2048 * MIB), ram(FOUR_GIB, 7 << 30)], &[]);
    let (mut plan, report) = plan(&machine, &config());
    check(&mut plan, &machine);
    assert_eq!(
        report.errors(),
        [BootError::TrampolineNotRam { address: 0x8000 }]
    );
    let last = plan.regions.last().expect("a region");
    assert_eq!((last.start, last.end), (FOUR_GIB, 7 << 30));
    assert_eq!(last.kind, MemoryRegionKind::Usable);
}

#[test]
fn fixed_addresses_are_honoured() {
    let machine = machine(&pc(256), &[Span::new(0xff0_0100, 0xff1_2345)]);
    let mut config = config();
    config.mappings.physical_memory = Some(Mapping::FixedAddress(0xffff_9000_0020_0000));
    config.mappings.kernel_stack = Mapping::FixedAddress(0xffff_a000_0000_3000);
    config.mappings.boot_info = Mapping::FixedAddress(0x1234_5000);
    config.mappings.ramdisk_memory = Mapping::FixedAddress(0x7f00_0000_0000);
    config.mappings.page_table_recursive = Some(Mapping::FixedAddress(0xffff_8000_0000_0000));
    let (mut plan, report) = plan(&machine, &config);
    check(&mut plan, &machine);
    assert_eq!(report.errors(), []);
    assert_eq!(plan.physical_memory, Some(0xffff_9000_0020_0000));
    assert_eq!(plan.stack, 0xffff_a000_0000_4000, "above the guard page");
    assert_eq!(plan.boot_info, 0x1234_5000);
    assert_eq!(plan.ramdisk, Some((0x7f00_0000_0100, 0x1_2245)));
    assert_eq!(plan.recursive, Some(256));
}

#[test]
fn the_guard_page_counts_as_part_of_the_stack() {
    let machine = machine(&pc(256), &[]);
    let mut config = config();
    let address = 0xffff_a000_0000_0000;
    config.mappings.kernel_stack = Mapping::FixedAddress(address);
    // The last page of the stack, which the guard page moved up by one.
    let wish = address + DEFAULT_STACK;
    config.mappings.boot_info = Mapping::FixedAddress(wish);
    let (mut plan, report) = plan(&machine, &config);
    check(&mut plan, &machine);
    assert!(matches!(
        report.errors(),
        [BootError::AddressRefused { what: What::BootInfo, address, .. }] if *address == wish
    ));
}

#[test]
fn a_dynamic_place_makes_room_for_a_fixed_one() {
    let machine = machine(&pc(256), &[]);
    let mut config = config();
    config.mappings.kernel_stack = Mapping::FixedAddress(layout::PHYSICAL_MEMORY + GIB);
    let (mut plan, report) = plan(&machine, &config);
    check(&mut plan, &machine);
    assert_eq!(report.errors(), []);
    assert_eq!(plan.stack, layout::PHYSICAL_MEMORY + GIB + PAGE);
    assert_eq!(plan.physical_memory, Some(layout::PHYSICAL_MEMORY + SLOT));
}

#[test]
fn without_physical_memory_the_ramdisk_has_its_own_place() {
    let machine = machine(&pc(256), &[Span::new(0xff0_0100, 0xff1_2345)]);
    let (mut plan, report) = plan(&machine, &BootloaderConfig::new_default());
    check(&mut plan, &machine);
    assert_eq!(report.errors(), []);
    assert_eq!(plan.physical_memory, None);
    assert_eq!(plan.ramdisk, Some((layout::RAMDISK + 0x100, 0x1_2245)));
}

#[test]
fn a_ramdisk_too_large_for_page_tables_is_left_out() {
    let span = Span::new(FOUR_GIB, 1 << 46);
    let machine = machine(&pc(256), &[span]);
    let (mut plan, report) = plan(&machine, &BootloaderConfig::new_default());
    check(&mut plan, &machine);
    assert_eq!(plan.ramdisk, None);
    assert_eq!(
        report.errors(),
        [BootError::RamdiskNotMapped {
            start: span.start,
            size: span.len()
        }]
    );
}

#[test]
fn a_plan_without_room_is_reported() {
    let machine = machine(&pc(256), &[]);
    let (mut plan, _) = plan(&machine, &config());
    let mut report = Report::new();
    assert!(plan.build(Memory::new(0), &mut report).is_none());
    assert!(plan.build(Memory::new(5), &mut report).is_some());
    assert!(report.is_fatal());
    let slot = 511;
    plan.recursive = Some(slot);
    let mut report = Report::new();
    assert!(plan.build(Memory::new(200), &mut report).is_some());
    assert_eq!(report.errors().len(), 1, "the kernel's slot is in use");
    assert_eq!(plan.recursive, None);
}

fn any_mapping() -> impl Strategy<Value = Mapping> {
    prop_oneof![
        3 => Just(Mapping::Dynamic),
        1 => any::<u64>().prop_map(Mapping::FixedAddress),
        // Places that can be used, and that collide with each other.
        2 => (0u64..8, 0u64..4).prop_map(|(slot, page)| {
            Mapping::FixedAddress((0xffff_8000_0000_0000 | slot << 39) + page * 0x20_0000)
        }),
        1 => (0u64..0x300).prop_map(|page| Mapping::FixedAddress(page * PAGE)),
        1 => Just(Mapping::FixedAddress(layout::KERNEL + 0x20_0000)),
    ]
}

prop_compose! {
    fn any_config()(
        physical in prop::option::weighted(0.8, any_mapping()),
        recursive in prop::option::of(any_mapping()),
        (stack, info, ramdisk) in (any_mapping(), any_mapping(), any_mapping()),
        size in prop_oneof![0u64..200_000, any::<u64>(), 0u64..300 * MIB],
        range in prop_oneof![
            Just((None, None)),
            any::<(Option<u64>, Option<u64>)>(),
        ],
    ) -> BootloaderConfig {
        let mut config = BootloaderConfig::new_default();
        config.kernel_stack_size = size;
        config.mappings.physical_memory = physical;
        config.mappings.page_table_recursive = recursive;
        config.mappings.kernel_stack = stack;
        config.mappings.boot_info = info;
        config.mappings.ramdisk_memory = ramdisk;
        config.mappings.dynamic_range_start = range.0;
        config.mappings.dynamic_range_end = range.1;
        config
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let number = || {
        prop_oneof![
            0u64..16 * MIB,
            (0u64..1 << 16).prop_map(|page| page * PAGE),
            (0u64..40).prop_map(|bit| 1 << (bit + 12)),
            any::<u64>(),
        ]
    };
    (
        number(),
        number(),
        prop_oneof![4 => Just(RAM), 2 => 0u32..6, 1 => any::<u32>()],
    )
        .prop_map(|(start, size, kind)| Entry { start, size, kind })
}

fn any_module() -> impl Strategy<Value = Span> {
    prop_oneof![
        (0x40_0000u64..0x1000_0000, 0u64..MIB).prop_map(|(at, len)| Span::new(at, at + len)),
        (0x40_0000..PHYSICAL_LIMIT, 0..PHYSICAL_LIMIT)
            .prop_map(|(at, len)| Span::new(at, (at + len).min(PHYSICAL_LIMIT))),
    ]
}

proptest! {
    // A failing case prints a backtrace for each step of shrinking it.
    #![proptest_config(ProptestConfig { max_shrink_iters: 64, ..ProptestConfig::default() })]

    /// Whatever the machine and the kernel say, there is a plan, and it can be built.
    #[test]
    fn every_plan_can_be_built(
        mut entries in prop::collection::vec(any_entry(), 0..10),
        ordinary in any::<bool>(),
        modules in prop::collection::vec(any_module(), 0..4),
        config in any_config(),
    ) {
        if ordinary {
            entries.extend(pc(256));
        }
        // A loader does not put a ramdisk over the kernel.
        let machine = machine(&entries, &modules);
        let (mut plan, _) = plan(&machine, &config);
        check(&mut plan, &machine);
        prop_assert!(plan.physical_memory.is_some() == config.mappings.physical_memory.is_some());
    }
}

/// What is mapped of `run`, of which `constant` is read-only.
fn run_maps(run: Span, constant: Span) -> Vec<Map> {
    let mut plan = Box::new(Plan::new());
    plan.map_run(layout::PHYSICAL_MEMORY, run, constant, MEMORY);
    plan.maps.to_vec()
}

#[test]
fn large_pages_of_constants_stay_large() {
    let maps = run_maps(
        Span::new(0, 64 * MIB),
        Span::new(2 * MIB, 9 * MIB + 3 * PAGE),
    );
    let expected = [
        (0, 2 * MIB, MEMORY),
        (
            2 * MIB,
            8 * MIB,
            MEMORY.difference(PageTableFlags::WRITABLE),
        ),
        (8 * MIB, 9 * MIB + 3 * PAGE, CONSTANTS),
        (9 * MIB + 3 * PAGE, 10 * MIB, DATA),
        (10 * MIB, 64 * MIB, MEMORY),
    ];
    let found: Vec<_> = maps
        .iter()
        .map(|map| (map.phys, map.phys + map.len, map.flags))
        .collect();
    assert_eq!(found, expected);
}

proptest! {
    /// Runs side by side are mapped byte by byte, once; what is constant, and only that, is
    /// read-only; no more pieces than there is room for.
    #[test]
    fn constants_are_read_only_whatever_they_share_pages_with(
        ends in prop::collection::vec(1u64..40, 1..4),
        start in 0u64..4096,
        len in 1u64..4096,
    ) {
        let constant = Span::new(start * PAGE, (start + len) * PAGE);
        let (mut at, mut pieces) = (0, 0);
        let runs: Vec<_> = ends
            .iter()
            .map(|large| {
                let run = Span::new(at, at + large * LARGE_PAGE);
                at = run.end;
                run
            })
            .collect();
        let mut next = 0;
        for run in &runs {
            for map in run_maps(*run, constant) {
                prop_assert_eq!(map.phys, next, "no gap, nothing twice");
                prop_assert_eq!(map.virt, layout::PHYSICAL_MEMORY + map.phys);
                prop_assert_eq!((map.phys | map.len) % map.page_size(), 0);
                next = map.phys + map.len;
                pieces += 1;
                let is_inside = constant.start <= map.phys && next <= constant.end;
                let is_outside = next <= constant.start || constant.end <= map.phys;
                prop_assert!(is_inside || is_outside);
                prop_assert_eq!(!map.flags.contains(PageTableFlags::WRITABLE), is_inside);
            }
            prop_assert_eq!(next, run.end);
        }
        prop_assert!(pieces <= runs.len() + MAX_CUTS);
    }
}
