//! Sets of CPUs as one word.

use core::fmt;

/// The most CPUs this kernel brings up; what goes beyond is reported and left alone.
pub(crate) const MAX_CPUS: usize = 32;

/// A set of CPU numbers below [`MAX_CPUS`]. Printed like `0-3,5`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CpuSet(u32);

const _: () = assert!(MAX_CPUS == u32::BITS as usize);

impl CpuSet {
    /// No CPU.
    pub(crate) const EMPTY: Self = Self(0);

    /// The set whose members are the one bits of `bits`.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The set of one CPU; empty when `cpu` is not below [`MAX_CPUS`].
    pub(crate) const fn only(cpu: usize) -> Self {
        if cpu < MAX_CPUS {
            Self(1 << cpu)
        } else {
            Self(0)
        }
    }

    /// One bit for every member.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set has no member.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `cpu` is a member.
    pub(crate) const fn contains(self, cpu: usize) -> bool {
        self.0 & Self::only(cpu).0 != 0
    }

    /// The members of this set that are not members of `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members of either set.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The members of both sets.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The members, from the lowest number up.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let cpu = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            (cpu < u32::BITS).then_some(cpu as usize)
        })
    }

    /// The member after `cpu`, going round; `cpu` itself when it is the only one,
    /// and `None` when the set is empty.
    pub(crate) fn next_after(self, cpu: usize) -> Option<usize> {
        (1..=MAX_CPUS)
            .map(|step| (cpu % MAX_CPUS + step) % MAX_CPUS)
            .find(|&candidate| self.contains(candidate))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        let mut cpu = 0;
        while cpu < MAX_CPUS {
            if !self.contains(cpu) {
                cpu += 1;
                continue;
            }
            let first = cpu;
            while self.contains(cpu + 1) {
                cpu += 1;
            }
            match cpu - first {
                0 => write!(f, "{separator}{first}")?,
                1 => write!(f, "{separator}{first},{cpu}")?,
                _ => write!(f, "{separator}{first}-{cpu}")?,
            }
            separator = ",";
            cpu += 1;
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_print_as_ranges() {
        for (bits, text) in [
            (0, "none"),
            (1, "0"),
            (0b11, "0,1"),
            (0b111, "0-2"),
            (0b1010_1111, "0-3,5,7"),
            (0x8000_0000, "31"),
            (u32::MAX, "0-31"),
        ] {
            assert_eq!(CpuSet::from_bits(bits).to_string(), text);
        }
    }

    #[test]
    fn membership_ends_at_the_last_cpu() {
        assert!(CpuSet::from_bits(u32::MAX).contains(31));
        assert!(!CpuSet::from_bits(u32::MAX).contains(32));
        assert!(CpuSet::only(32).is_empty());
    }

    #[test]
    fn the_next_member_goes_round() {
        let set = CpuSet::from_bits(0b1000_0101);
        assert_eq!(set.next_after(0), Some(2));
        assert_eq!(set.next_after(2), Some(7));
        assert_eq!(set.next_after(7), Some(0));
        assert_eq!(CpuSet::only(5).next_after(5), Some(5));
        assert_eq!(CpuSet::EMPTY.next_after(0), None);
    }

    #[test]
    fn difference_union_and_intersection() {
        let all = CpuSet::from_bits(0b111);
        assert_eq!(
            all.without(CpuSet::only(1)).iter().collect::<Vec<_>>(),
            [0, 2]
        );
        assert_eq!(all.and(CpuSet::from_bits(0b110)).bits(), 0b110);
        assert_eq!(CpuSet::only(0).with(CpuSet::only(4)).bits(), 0b1_0001);
    }
}
