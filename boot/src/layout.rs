//! The virtual address space: what goes where, and why not where it was asked for.

use bootloader_api::config::Mapping;

use crate::error::{BootError, Report};
use crate::list::List;
use crate::paging::SLOT;
use crate::span::PAGE;
use crate::what::What;

/// Physical address of the page in which the kernel puts the code that other CPUs start in.
///
/// It is RAM that is not handed out as usable, and the final page tables map it at the same
/// virtual address, readable and executable, not writable (write to it through the mapping of
/// physical memory). See the [crate documentation](crate) for how to start a CPU with it.
pub const TRAMPOLINE_PAGE: u64 = 0x8000;

/// Default start of the mapping of physical memory: root table entries 256 and up.
pub(crate) const PHYSICAL_MEMORY: u64 = 0xffff_8000_0000_0000;
/// Default start of a ramdisk that the mapping of physical memory does not contain: entry 507.
pub(crate) const RAMDISK: u64 = slot_base(507);
/// Default start of the kernel stack, beginning with its guard page: entry 508.
pub(crate) const KERNEL_STACK: u64 = slot_base(508);
/// Default start of the boot info: entry 509.
pub(crate) const BOOT_INFO: u64 = slot_base(509);
/// Default start of the recursive mapping: entry 510.
pub(crate) const RECURSIVE: u64 = slot_base(510);
/// The last 2 GiB, where the kernel is linked (what the kernel code model of the target needs):
/// entry 511.
pub(crate) const KERNEL: u64 = 0xffff_ffff_8000_0000;

/// First address of entry `slot` (256..512) of the root table.
const fn slot_base(slot: u64) -> u64 {
    0xffff_0000_0000_0000 | slot << 39
}

/// One wish for a place in the address space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// What is to be placed.
    pub(crate) what: What,
    /// Where the kernel's configuration wants it.
    pub(crate) mapping: Mapping,
    /// Bytes that it takes, at least 1.
    pub(crate) len: u64,
    /// What its address must be a multiple of, a power of two, at least [`PAGE`].
    pub(crate) align: u64,
    /// Where it goes if the configuration does not care.
    pub(crate) default: u64,
}

/// A range of virtual addresses by its first and last address, so that it may end at the top.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u64,
    last: u64,
}

/// Ranges that are taken: the kernel, the trampoline page and one for each [`What`].
const MAX_TAKEN: usize = 7;

/// What is taken of the address space.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    taken: List<Range, MAX_TAKEN>,
    dynamic: Range,
}

impl AddressSpace {
    /// An address space with the kernel and the trampoline page in it. Dynamic places are chosen
    /// from `first` to `last`.
    pub(crate) fn new(first: u64, last: u64) -> Self {
        let mut space = Self {
            taken: List::new(Range { first: 0, last: 0 }),
            dynamic: Range { first, last },
        };
        space.take(Range {
            first: KERNEL,
            last: u64::MAX,
        });
        space.take(Range {
            first: TRAMPOLINE_PAGE,
            last: TRAMPOLINE_PAGE + (PAGE - 1),
        });
        space
    }

    fn take(&mut self, range: Range) {
        // Cannot overflow: MAX_TAKEN counts the kinds of things, each is placed once.
        let _ = self.taken.push(range);
    }

    /// Places what is wished for at a fixed address, if it is; nothing and a report if it cannot
    /// be there. Fixed places come first, so that no dynamic one is in their way.
    pub(crate) fn place_fixed(&mut self, wish: &Wish, report: &mut Report) -> Option<u64> {
        let Mapping::FixedAddress(address) = wish.mapping else {
            return None;
        };
        match self.check(address, wish.len, wish.align) {
            Ok(range) => {
                self.take(range);
                Some(address)
            }
            Err(reason) => {
                report.push(BootError::AddressRefused {
                    what: wish.what,
                    address,
                    reason,
                });
                None
            }
        }
    }

    /// Places what is wished for at its default address, or at the start of the first root table
    /// entry that is free; outside the dynamic range only if there is no room in it.
    pub(crate) fn place_dynamic(&mut self, wish: &Wish, report: &mut Report) -> Option<u64> {
        let upper = (256..512).map(slot_base);
        let lower = (1..256).map(|slot: u64| slot * SLOT);
        // A dynamic range may begin or end inside an entry.
        let begin = self.dynamic.first.checked_next_multiple_of(wish.align);
        let candidates = || {
            [wish.default]
                .into_iter()
                .chain(upper.clone())
                .chain(lower.clone())
                .chain(begin)
        };
        let fits = |address: u64| self.check(address, wish.len, wish.align).ok();
        let within =
            |range: &Range| self.dynamic.first <= range.first && range.last <= self.dynamic.last;
        let range = match candidates().filter_map(fits).find(within) {
            Some(range) => range,
            None => {
                let Some(range) = candidates().find_map(fits) else {
                    report.push(BootError::NoAddress { what: wish.what });
                    return None;
                };
                report.push(BootError::DynamicRangeIgnored {
                    what: wish.what,
                    start: self.dynamic.first,
                    last: self.dynamic.last,
                });
                range
            }
        };
        self.take(range);
        Some(range.first)
    }

    /// The range of `len` bytes at `address`, if it can be used.
    fn check(&self, address: u64, len: u64, align: u64) -> Result<Range, &'static str> {
        if address & (align - 1) != 0 {
            return Err(match align {
                PAGE => "it is not a multiple of 4 KiB",
                SLOT => "it is not a multiple of 512 GiB",
                _ => "it is not a multiple of 2 MiB",
            });
        }
        let Some(last) = address.checked_add(len - 1) else {
            return Err("it reaches beyond the end of the address space");
        };
        // Bits 63 to 47 must be all equal (Intel SDM Vol. 1, 3.3.7.1 "Canonical Addressing").
        let half = |address: u64| address.cast_signed() >> 47;
        if !matches!(half(address), 0 | -1) || half(address) != half(last) {
            return Err("it is not in the canonical 48-bit address space");
        }
        if address == 0 {
            return Err("the first page stays unmapped");
        }
        let range = Range {
            first: address,
            last,
        };
        if self
            .taken
            .iter()
            .any(|taken| taken.first <= range.last && range.first <= taken.last)
        {
            return Err("something else is there");
        }
        Ok(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::LARGE_PAGE;

    fn wish(mapping: Mapping, len: u64) -> Wish {
        Wish {
            what: What::KernelStack,
            mapping,
            len,
            align: PAGE,
            default: KERNEL_STACK,
        }
    }

    fn refused(address: u64, len: u64, align: u64) -> Option<&'static str> {
        let mut report = Report::new();
        let mut space = AddressSpace::new(0, u64::MAX);
        let wish = Wish {
            align,
            ..wish(Mapping::FixedAddress(address), len)
        };
        let placed = space.place_fixed(&wish, &mut report);
        match report.errors() {
            [] => {
                assert_eq!(placed, Some(address));
                None
            }
            [BootError::AddressRefused { reason, .. }] => {
                assert_eq!(placed, None);
                Some(reason)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_where_the_documentation_says() {
        assert_eq!(KERNEL_STACK, 0xffff_fe00_0000_0000);
        assert_eq!(BOOT_INFO, 0xffff_fe80_0000_0000);
        let mut space = AddressSpace::new(0, u64::MAX);
        let mut report = Report::new();
        let placed = space.place_dynamic(&wish(Mapping::Dynamic, 1), &mut report);
        assert_eq!(placed, Some(KERNEL_STACK));
        let again = space.place_dynamic(&wish(Mapping::Dynamic, 1), &mut report);
        assert_eq!(again, Some(PHYSICAL_MEMORY), "the first free entry");
        assert!(report.errors().is_empty());
    }

    #[test]
    fn fixed_addresses_are_checked() {
        assert_eq!(refused(0x1000, PAGE, PAGE), None);
        assert_eq!(refused(0xffff_9000_0000_0000, 1 << 40, LARGE_PAGE), None);
        let cases = [
            (0x1001, PAGE, PAGE, "4 KiB"),
            (0x1000, PAGE, LARGE_PAGE, "2 MiB"),
            (0x20_0000, PAGE, SLOT, "512 GiB"),
            (0, PAGE, PAGE, "unmapped"),
            (0x8000, 1, PAGE, "something else"),
            (0x7000, PAGE + 1, PAGE, "something else"),
            (KERNEL + 0x20_0000, PAGE, PAGE, "something else"),
            (KERNEL - PAGE, 2 * PAGE, PAGE, "something else"),
            (u64::MAX - (PAGE - 1), 2 * PAGE, PAGE, "beyond the end"),
            (0x1000, 1 << 63, PAGE, "canonical"),
            (0x8000_0000_0000, PAGE, PAGE, "canonical"),
            (0x7fff_ffff_f000, 2 * PAGE, PAGE, "canonical"),
            (0xffff_7fff_ffff_f000, 2 * PAGE, PAGE, "canonical"),
        ];
        for (address, len, align, part) in cases {
            let reason = refused(address, len, align).expect("must be refused");
            assert!(reason.contains(part), "{address:#x}: {reason}");
        }
    }

    #[test]
    fn dynamic_places_stay_in_their_range() {
        let mut report = Report::new();
        let mut space = AddressSpace::new(0xffff_9000_0000_1000, 0xffff_9000_0000_4fff);
        let placed = space.place_dynamic(&wish(Mapping::Dynamic, 4 * PAGE), &mut report);
        assert_eq!(placed, Some(0xffff_9000_0000_1000));
        assert!(report.errors().is_empty());
        let placed = space.place_dynamic(&wish(Mapping::Dynamic, PAGE), &mut report);
        assert_eq!(placed, Some(KERNEL_STACK), "the range is full");
        assert!(matches!(
            report.errors(),
            [BootError::DynamicRangeIgnored { .. }]
        ));
    }

    #[test]
    fn a_reversed_or_wild_range_is_ignored_aloud() {
        for (first, last) in [(u64::MAX, 0), (u64::MAX, u64::MAX), (1 << 47, 1 << 60)] {
            let mut report = Report::new();
            let mut space = AddressSpace::new(first, last);
            let placed = space.place_dynamic(&wish(Mapping::Dynamic, PAGE), &mut report);
            assert_eq!(placed, Some(KERNEL_STACK));
            assert_eq!(report.errors().len(), 1);
        }
    }

    #[test]
    fn what_fits_nowhere_is_left_out() {
        let mut report = Report::new();
        let mut space = AddressSpace::new(0, u64::MAX);
        let placed = space.place_dynamic(&wish(Mapping::Dynamic, 1 << 47), &mut report);
        assert_eq!(placed, None);
        assert_eq!(
            report.errors(),
            [BootError::NoAddress {
                what: What::KernelStack
            }]
        );
    }
}
