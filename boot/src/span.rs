//! Ranges of physical addresses, and the page sizes.

/// Size of a small page in bytes.
pub(crate) const PAGE: u64 = 4096;
/// Size of a large page (one page directory entry) in bytes.
pub(crate) const LARGE_PAGE: u64 = 2 << 20;
/// What one page directory maps.
pub(crate) const GIB: u64 = 1 << 30;
/// Below this, memory is never handed out: BIOS data, PVH structures, trampoline.
pub(crate) const ONE_MIB: u64 = 1 << 20;
/// What the scaffold page tables map, and the kernel's physical memory mapping at least.
pub(crate) const FOUR_GIB: u64 = 4 << 30;
/// End of the physical address space (Intel SDM Vol. 3A, 4.1.4: MAXPHYADDR is at most 52).
pub(crate) const PHYSICAL_LIMIT: u64 = 1 << 52;

/// `value` rounded down to a multiple of `unit`, a power of two.
pub(crate) const fn align_down(value: u64, unit: u64) -> u64 {
    value & !(unit - 1)
}

/// `value` rounded up to a multiple of `unit`, a power of two; saturates at the largest multiple.
pub(crate) const fn align_up(value: u64, unit: u64) -> u64 {
    align_down(value.saturating_add(unit - 1), unit)
}

/// The addresses from `start` up to, not including, `end`; empty if `end <= start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First address.
    pub(crate) start: u64,
    /// First address behind it.
    pub(crate) end: u64,
}

impl Span {
    /// No address at all.
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0 };

    /// The addresses from `start` up to, not including, `end`.
    pub(crate) const fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Number of bytes.
    pub(crate) const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// True if `self` and `other` share an address.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.start < other.end
            && other.start < self.end
            && self.start < self.end
            && other.start < other.end
    }

    /// The smallest span of whole units that contains `self`.
    pub(crate) const fn outward(self, unit: u64) -> Self {
        Self::new(align_down(self.start, unit), align_up(self.end, unit))
    }

    /// The largest span of whole units inside `self`.
    pub(crate) const fn inward(self, unit: u64) -> Self {
        let start = align_up(self.start, unit);
        let end = align_down(self.end, unit);
        if start < end {
            Self::new(start, end)
        } else {
            Self::EMPTY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Span, align_up};

    #[test]
    fn rounding() {
        assert_eq!(align_up(1, PAGE), PAGE);
        assert_eq!(align_up(PAGE, PAGE), PAGE);
        assert_eq!(align_up(u64::MAX, PAGE), u64::MAX - (PAGE - 1));
        assert_eq!(Span::new(1, 4097).outward(PAGE), Span::new(0, 8192));
        assert_eq!(Span::new(1, 8193).inward(PAGE), Span::new(4096, 8192));
        assert_eq!(Span::new(1, 4095).inward(PAGE), Span::EMPTY);
    }

    #[test]
    fn empty_spans_overlap_nothing() {
        assert!(!Span::EMPTY.overlaps(Span::new(0, 10)));
        assert!(!Span::new(5, 5).overlaps(Span::new(0, 10)));
        assert!(Span::new(9, 11).overlaps(Span::new(0, 10)));
        assert!(!Span::new(10, 11).overlaps(Span::new(0, 10)));
    }
}
