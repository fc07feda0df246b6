//! So many matches within a time.

use std::collections::VecDeque;
use std::time::Duration;

/// Counts matches by their times.
#[derive(Debug)]
pub(super) struct Threshold {
    /// How many.
    times: usize,
    /// Within how many nanoseconds.
    within: u64,
    /// The times of the last ones, fewer than that.
    recent: VecDeque<u64>,
}

impl Threshold {
    pub(super) fn new(times: u32, within: Duration) -> Self {
        Self {
            times: times as usize,
            within: u64::try_from(within.as_nanos()).unwrap_or(u64::MAX),
            recent: VecDeque::new(),
        }
    }

    /// A match at a time in nanoseconds; true if it is the last of so many, which are over then.
    pub(super) fn reached(&mut self, ns: u64) -> bool {
        self.recent.push_back(ns);
        let is_old = |first: &u64| ns.saturating_sub(*first) > self.within;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        let is_reached = self.recent.len() >= self.times;
        if is_reached {
            self.recent.clear();
        }
        is_reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_many_within_the_time_count() {
        let mut threshold = Threshold::new(3, Duration::from_nanos(10));
        let times = [0, 5, 11, 12, 13, 14, 20, 24, 40, 50, 50, 61];
        let reached: Vec<_> = times
            .into_iter()
            .filter(|ns| threshold.reached(*ns))
            .collect();
        // 5, 11, 12; 13, 14, 20; 40, 50, 50.
        assert_eq!(reached, [12, 20, 50]);
        // One that comes late is within.
        let mut threshold = Threshold::new(2, Duration::from_nanos(10));
        assert!(!threshold.reached(100) && threshold.reached(50));
    }
}
