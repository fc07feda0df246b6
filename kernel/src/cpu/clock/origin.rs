//! Time zero.

use core::sync::atomic::{AtomicU64, Ordering};

/// What the time stamp counter showed at time zero.
#[derive(Debug)]
pub(super) struct Origin(AtomicU64);

impl Origin {
    /// The counter's own zero.
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Time zero is when the counter showed `counter`.
    pub(super) fn set(&self, counter: u64) {
        self.0.store(counter, Ordering::Relaxed);
    }

    /// Ticks from time zero to when the counter shows `counter`. None for the counter of a CPU that
    /// lags behind, until it has caught up: a time before zero would look like one far ahead.
    #[inline]
    pub(super) fn ticks(&self, counter: u64) -> u64 {
        counter.saturating_sub(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::clock::scale;

    /// A host that has been up for a year, at 3 GHz.
    const YEAR: u64 = 365 * 24 * 3600 * HZ;
    const HZ: u64 = 3_000_000_000;

    #[test]
    fn a_counter_that_starts_high_is_at_zero_when_the_machine_starts() {
        let origin = Origin::new();
        origin.set(YEAR);
        assert_eq!(origin.ticks(YEAR), 0);
        let first_line = origin.ticks(YEAR + 25_000_000);
        assert_eq!(scale(first_line, 1_000_000, HZ), 8_333);
        // Where the counter passes the lower 40 bits, which stamps have, times do not.
        let passes = ((YEAR >> 40) + 1) << 40;
        let (before, after) = (origin.ticks(passes - 1), origin.ticks(passes));
        assert_eq!(after, before + 1);
        assert_eq!(before >> 40, after >> 40);
        // And at the greatest of all counts.
        origin.set(u64::MAX - 5);
        assert_eq!(origin.ticks(u64::MAX), 5);
    }

    #[test]
    fn a_cpu_that_lags_behind_is_at_zero_until_it_has_caught_up() {
        let origin = Origin::new();
        origin.set(YEAR);
        for behind in [1, HZ, YEAR] {
            assert_eq!(origin.ticks(YEAR - behind), 0);
        }
    }
}
