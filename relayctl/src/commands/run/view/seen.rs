//! Which records were shown.

use std::collections::HashMap;

/// The most separate ranges of numbers that are kept for one CPU.
const MAX_RANGES: usize = 256;

/// Which records were shown, by CPU and number.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Ranges of numbers, `(first, behind last)`, ascending and apart.
    ranges: HashMap<u32, Vec<(u64, u64)>>,
}

impl Seen {
    /// Whether a record was shown.
    pub(super) fn has(&self, cpu: u32, number: u64) -> bool {
        let ranges = self.ranges.get(&cpu).map_or(&[][..], Vec::as_slice);
        let at = ranges.partition_point(|(_, end)| *end <= number);
        ranges.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// Notes that a record is shown; false if it was before. Where numbers have too many gaps, the
    /// oldest gap counts as shown.
    pub(super) fn add(&mut self, cpu: u32, number: u64) -> bool {
        if self.has(cpu, number) {
            return false;
        }
        let behind = number.saturating_add(1);
        let ranges = self.ranges.entry(cpu).or_default();
        let at = ranges.partition_point(|(_, end)| *end < number);
        match ranges.get_mut(at) {
            Some((_, end)) if *end == number => {
                *end = behind;
                if let Some(&(first, next)) = ranges.get(at + 1)
                    && first == behind
                {
                    ranges[at].1 = next;
                    ranges.remove(at + 1);
                }
            }
            Some((first, _)) if *first == behind => *first = number,
            _ => ranges.insert(at, (number, behind)),
        }
        if ranges.len() > MAX_RANGES {
            let (first, _) = ranges.remove(0);
            ranges[0].0 = first;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn ranges_are_bounded() {
        let mut seen = Seen::default();
        for number in (0..10_000).step_by(2) {
            assert!(seen.add(0, number));
            assert!(seen.ranges[&0].len() <= MAX_RANGES);
        }
        assert!(seen.has(0, 9998) && !seen.has(0, 9997) && seen.has(0, 1));
        assert!(seen.add(1, u64::MAX - 1) && seen.has(1, u64::MAX - 1));
    }

    proptest! {
        /// It is a set.
        #[test]
        fn it_knows_what_was_added(
            numbers in prop::collection::vec((0u32..3, 0u64..40), 0..200)
        ) {
            let (mut seen, mut set) = (Seen::default(), HashSet::new());
            for (cpu, number) in numbers {
                prop_assert_eq!(seen.add(cpu, number), set.insert((cpu, number)));
                for cpu in 0..3 {
                    for number in 0..42 {
                        prop_assert_eq!(seen.has(cpu, number), set.contains(&(cpu, number)));
                    }
                }
            }
        }
    }
}
