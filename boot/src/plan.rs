//! Deciding what the machine looks like when the kernel is entered. Nothing is touched here: the
//! result says what to build.

use bootloader_api::config::{BootloaderConfig, Mapping};
use bootloader_api::info::MemoryRegion;
use x86_64::structures::paging::PageTableFlags;

use crate::error::{BootError, Report};
use crate::image::KernelImage;
use crate::layout::{self, AddressSpace, TRAMPOLINE_PAGE, Wish};
use crate::list::List;
use crate::memmap::{self, MAX_RUNS, Regions, Reserved, Run, Runs};
use crate::paging::{Map, SLOT, TableMemory, Tables, tables_needed};
use crate::pvh::Machine;
use crate::span::{FOUR_GIB, GIB, LARGE_PAGE, PAGE, PHYSICAL_LIMIT, Span, align_up};
use crate::what::What;

/// Stack of a kernel whose wish cannot be granted; `bootloader_api`'s own default.
const DEFAULT_STACK: u64 = 80 * 1024;

/// Flags of pages with data.
const DATA: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);
/// Flags of pages with constants.
const CONSTANTS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::NO_EXECUTE);
/// Flags of pages with code.
const CODE: PageTableFlags = PageTableFlags::PRESENT;
/// Flags of large pages of memory.
const MEMORY: PageTableFlags = DATA.union(PageTableFlags::HUGE_PAGE);
/// Flags of large pages without memory: what is there may be device registers. PCD and PWT select
/// the strong uncacheable type in the power-on PAT (Intel SDM Vol. 3A, 12.12.4).
const DEVICES: PageTableFlags = MEMORY
    .union(PageTableFlags::NO_CACHE)
    .union(PageTableFlags::WRITE_THROUGH);

/// All mappings: the runs of physical memory, the cuts in them around what is read-only, and
/// trampoline, three of the kernel, ramdisk, stack, boot info.
pub(crate) type Maps = List<Map, { MAX_RUNS + MAX_CUTS + 7 }>;

/// Where the mapping of physical memory changes because of code and constants: the rights change at
/// two places, the size of pages at up to four.
const MAX_CUTS: usize = 6;

/// What there is to plan with.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// What the kernel wants.
    pub(crate) config: &'a BootloaderConfig,
    /// What the loader said.
    pub(crate) machine: &'a Machine,
    /// Where the kernel lies.
    pub(crate) image: &'a KernelImage,
    /// Physical memory of the boot stub, its page tables and stack, and the pool.
    pub(crate) boot: Span,
    /// Pages inside `boot` for stack, boot info and page tables.
    pub(crate) pool: Span,
    /// Bytes of the boot info with its regions.
    pub(crate) boot_info_len: u64,
}

/// What to build.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The memory map for the kernel.
    pub(crate) regions: Regions,
    /// The mappings.
    pub(crate) maps: Maps,
    /// Physical pages for the page tables.
    pub(crate) tables: Span,
    /// Root table entry for the recursive mapping.
    pub(crate) recursive: Option<u16>,
    /// Virtual address of physical address 0, if physical memory is mapped.
    pub(crate) physical_memory: Option<u64>,
    /// First virtual address of the stack, above the guard page.
    pub(crate) stack: u64,
    /// Bytes of the stack.
    pub(crate) stack_len: u64,
    /// Virtual address of the boot info.
    pub(crate) boot_info: u64,
    /// Virtual address and bytes of the ramdisk.
    pub(crate) ramdisk: Option<(u64, u64)>,
}

impl Plan {
    /// A plan of nothing, to be filled by [`Self::make`].
    pub(crate) const fn new() -> Self {
        Self {
            regions: List::new(MemoryRegion::empty()),
            maps: List::new(Map {
                virt: 0,
                phys: 0,
                len: 0,
                flags: PageTableFlags::empty(),
            }),
            tables: Span::EMPTY,
            recursive: None,
            physical_memory: None,
            stack: 0,
            stack_len: 0,
            boot_info: 0,
            ramdisk: None,
        }
    }

    /// Makes the plan. What cannot be done as wished is done in a smaller way, and reported; false
    /// if not even the smallest plan fits, which a kernel of the size that the linker script allows
    /// cannot bring about.
    #[must_use]
    pub(crate) fn make(&mut self, given: &Given<'_>, report: &mut Report) -> bool {
        let mut reserved = Reserved::new(Span::EMPTY);
        let image = Span::new(given.image.physical.start, given.image.physical.end);
        for span in [given.boot, image]
            .iter()
            .chain(given.machine.modules.iter())
        {
            // Cannot overflow: MAX_RESERVED is more than these and the block.
            let _ = reserved.push(*span);
        }
        let entries = &given.machine.memory;
        memmap::carve(entries, &reserved, PHYSICAL_LIMIT, &mut self.regions);
        memmap::check(entries, &self.regions, TRAMPOLINE_PAGE, report);

        let Some((attempt, block)) = self.find_attempt(given) else {
            return false;
        };
        let _ = self.lay_out(given, &attempt, block.start, report);
        let requested = given.config.kernel_stack_size;
        if requested == 0 || attempt.stack_len != wished_stack(given.config) {
            report.push(BootError::StackSize {
                requested,
                given: attempt.stack_len,
            });
        }
        if attempt.limit < PHYSICAL_LIMIT && given.config.mappings.physical_memory.is_some() {
            report.push(BootError::PhysicalMemoryTruncated { end: attempt.limit });
        }
        if let Some(ramdisk) = given.machine.ramdisk()
            && self.ramdisk.is_none()
        {
            report.push(BootError::RamdiskNotMapped {
                start: ramdisk.start,
                size: ramdisk.len(),
            });
        }
        let _ = reserved.push(block);
        memmap::carve(entries, &reserved, attempt.limit, &mut self.regions);
        true
    }

    /// The most generous attempt for which there is memory, and that memory.
    fn find_attempt(&mut self, given: &Given<'_>) -> Option<(Attempt, Span)> {
        let wished = wished_stack(given.config);
        let small = wished.min(DEFAULT_STACK);
        // Not all of memory can be mapped if the map is a lie, or the kernel wants it elsewhere.
        let low = match given.config.mappings.physical_memory {
            Some(_) => FOUR_GIB,
            None => PHYSICAL_LIMIT,
        };
        let attempts = [
            (wished, PHYSICAL_LIMIT, true),
            (small, PHYSICAL_LIMIT, true),
            (wished, low, true),
            (small, low, true),
            (small, low, false),
        ];
        attempts
            .into_iter()
            .filter(|&(stack_len, ..)| stack_len > 0 && stack_len <= FOUR_GIB)
            .find_map(|(stack_len, limit, ramdisk)| {
                let attempt = Attempt {
                    stack_len,
                    limit,
                    ramdisk,
                };
                // The errors of the attempt that is taken are reported when it is repeated.
                let len = self.lay_out(given, &attempt, 0, &mut Report::new())?;
                let block = if len <= given.pool.len() {
                    Span::new(given.pool.start, given.pool.start + len)
                } else {
                    memmap::find_usable(&self.regions, len)?
                };
                Some((attempt, block))
            })
    }

    /// Places everything; stack, boot info and page tables take physical memory from `block` on.
    /// Returns how many bytes of it; nothing if something that the kernel needs has no place.
    fn lay_out(
        &mut self,
        given: &Given<'_>,
        attempt: &Attempt,
        block: u64,
        report: &mut Report,
    ) -> Option<u64> {
        let wanted = &given.config.mappings;
        let limit = attempt.limit.min(memmap::memory_end(&self.regions));
        let physical_len = align_up(limit, GIB);
        let boot_info_len = align_up(given.boot_info_len, PAGE);
        let ramdisk = given.machine.ramdisk().filter(|_| attempt.ramdisk);
        let ramdisk_pages = ramdisk.map(|span| span.outward(PAGE));
        // A ramdisk that may be anywhere is found through the mapping of physical memory.
        let separate =
            wanted.physical_memory.is_none() || wanted.ramdisk_memory != Mapping::Dynamic;

        let wish = |what, mapping, len, align, default| {
            Some(Wish {
                what,
                mapping,
                len,
                align,
                default,
            })
        };
        let wishes = [
            wanted.physical_memory.and_then(|mapping| {
                let default = layout::PHYSICAL_MEMORY;
                wish(
                    What::PhysicalMemory,
                    mapping,
                    physical_len,
                    LARGE_PAGE,
                    default,
                )
            }),
            wish(
                What::KernelStack,
                wanted.kernel_stack,
                attempt.stack_len + PAGE,
                PAGE,
                layout::KERNEL_STACK,
            ),
            wish(
                What::BootInfo,
                wanted.boot_info,
                boot_info_len,
                PAGE,
                layout::BOOT_INFO,
            ),
            wanted
                .page_table_recursive
                .and_then(|mapping| wish(What::PageTables, mapping, SLOT, SLOT, layout::RECURSIVE)),
            ramdisk_pages.filter(|_| separate).and_then(|span| {
                let mapping = wanted.ramdisk_memory;
                wish(What::Ramdisk, mapping, span.len(), PAGE, layout::RAMDISK)
            }),
        ];
        let mut space = AddressSpace::new(
            wanted.dynamic_range_start.unwrap_or(0),
            wanted.dynamic_range_end.unwrap_or(u64::MAX),
        );
        let fixed = wishes.map(|wish| wish.and_then(|wish| space.place_fixed(&wish, report)));
        let mut placed = fixed;
        for (wish, place) in wishes.iter().zip(&mut placed) {
            if let (Some(wish), None) = (wish, &place) {
                *place = space.place_dynamic(wish, report);
            }
        }
        let [physical, stack, boot_info, recursive, ramdisk_place] = placed;
        let (stack, boot_info) = (stack? + PAGE, boot_info?);
        if wanted.physical_memory.is_some() {
            physical?;
        }

        self.physical_memory = physical;
        self.stack = stack;
        self.stack_len = attempt.stack_len;
        self.boot_info = boot_info;
        self.recursive = recursive.map(|address| (address / SLOT % 512) as u16);
        self.ramdisk = ramdisk.and_then(|span| {
            let address = match (ramdisk_place, physical) {
                (Some(place), _) => place + span.start % PAGE,
                (None, Some(offset)) if !separate && span.end <= physical_len => {
                    offset + span.start
                }
                _ => return None,
            };
            Some((address, span.len()))
        });

        self.maps.clear();
        self.map(TRAMPOLINE_PAGE, TRAMPOLINE_PAGE, PAGE, CODE);
        if let Some(offset) = physical {
            let mut runs = Runs::new(Run {
                span: Span::EMPTY,
                memory: false,
            });
            memmap::physical_runs(&self.regions, limit, &mut runs);
            for Run { span, memory } in runs.iter() {
                let flags = if *memory { MEMORY } else { DEVICES };
                self.map_run(offset, *span, constant(given.image), flags);
            }
        }
        if let (Some(place), Some(pages)) = (ramdisk_place, ramdisk_pages) {
            self.map(place, pages.start, pages.len(), DATA);
        }
        let mut phys = block;
        self.map(stack, phys, attempt.stack_len, DATA);
        phys += attempt.stack_len;
        self.map(boot_info, phys, boot_info_len, DATA);
        phys += boot_info_len;
        let image = given.image;
        for (section, flags) in [
            (&image.text, CODE),
            (&image.rodata, CONSTANTS),
            (&image.data, DATA),
        ] {
            let phys = image.physical.start + (section.start - image.text.start);
            self.map(section.start, phys, section.end - section.start, flags);
        }
        let tables = tables_needed(&self.maps) * PAGE;
        self.tables = Span::new(phys, phys + tables);
        Some(self.tables.end - block)
    }

    /// Builds the page tables as planned; what cannot be mapped is reported. Nothing if there is
    /// not even memory for the root.
    pub(crate) fn build<M: TableMemory>(
        &mut self,
        memory: M,
        report: &mut Report,
    ) -> Option<Tables<M>> {
        let mut tables = Tables::new(memory)?;
        for map in self.maps.iter() {
            if let Err(error) = tables.map(map) {
                report.push(BootError::MappingFailed {
                    virt: map.virt,
                    reason: error.reason(),
                });
            }
        }
        if let Some(slot) = self.recursive
            && let Err(error) = tables.map_recursively(slot)
        {
            self.recursive = None;
            report.push(BootError::MappingFailed {
                virt: u64::from(slot) * SLOT,
                reason: error.reason(),
            });
        }
        Some(tables)
    }

    /// Maps the physical addresses `run`, large pages, at `offset`: but `constant` cannot be
    /// written, and the large pages that it has only in part are made of small ones.
    fn map_run(&mut self, offset: u64, run: Span, constant: Span, flags: PageTableFlags) {
        let outer = constant.outward(LARGE_PAGE);
        let inner = match constant.inward(LARGE_PAGE) {
            Span::EMPTY => Span::new(constant.end, constant.end),
            inner => inner,
        };
        let small = flags.difference(PageTableFlags::HUGE_PAGE);
        let fixed = |flags: PageTableFlags| flags.difference(PageTableFlags::WRITABLE);
        for (start, end, flags) in [
            (run.start, outer.start, flags),
            (outer.start, constant.start, small),
            (constant.start, inner.start, fixed(small)),
            (inner.start, inner.end, fixed(flags)),
            (inner.end, constant.end, fixed(small)),
            (constant.end, outer.end, small),
            (outer.end, run.end, flags),
        ] {
            // All ends but those of small pages are ends of large ones, as the run's are.
            let part = Span::new(
                start.clamp(run.start, run.end),
                end.clamp(run.start, run.end),
            );
            if part.len() > 0 {
                self.map(offset + part.start, part.start, part.len(), flags);
            }
        }
    }

    fn map(&mut self, virt: u64, phys: u64, len: u64, flags: PageTableFlags) {
        // Cannot overflow: `Maps` counts the callers.
        let _ = self.maps.push(Map {
            virt,
            phys,
            len,
            flags,
        });
    }
}

/// The physical memory of the kernel's code and constants.
fn constant(image: &KernelImage) -> Span {
    let start = image.physical.start;
    Span::new(start, start + (image.rodata.end - image.text.start))
}

/// One way to divide the memory.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// Bytes of the stack, whole pages.
    stack_len: u64,
    /// Memory from here on is neither mapped nor usable.
    limit: u64,
    /// False: leave out the ramdisk.
    ramdisk: bool,
}

/// The stack that the kernel wishes for, in whole pages; the default if it wishes for none.
fn wished_stack(config: &BootloaderConfig) -> u64 {
    match config.kernel_stack_size {
        0 => DEFAULT_STACK,
        size => align_up(size, PAGE),
    }
}

#[cfg(test)]
mod tests;
