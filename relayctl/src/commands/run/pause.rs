//! Notices when relayctl itself did not run, so that nobody else is blamed for it.

use std::fmt;
use std::time::{Duration, Instant};

/// What is no pause yet: a busy machine is late, too.
const LEAST: Duration = Duration::from_secs(2);

/// The times in which nothing was read from the guest.
///
/// A process that is stopped does not notice, but time goes on. Whoever looks at the clock at least
/// once in a known while, and finds that much more has gone by, was stopped, or got no processor,
/// or waited for a disk; and so did, as a rule, the threads that read.
#[derive(Debug)]
pub(super) struct Pauses {
    /// When the clock was looked at last.
    looked: Instant,
    /// When the first pause began.
    first: Option<Instant>,
    /// How long all of them were.
    total: Duration,
}

impl Pauses {
    /// Begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            looked: now,
            first: None,
            total: Duration::ZERO,
        }
    }

    /// Looks at the clock; the time before should not have been longer than `expected`. This is how
    /// much of it was a pause.
    pub(super) fn look(&mut self, now: Instant, expected: Duration) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        let before = std::mem::replace(&mut self.looked, now);
        let over = passed.saturating_sub(expected);
        if over < LEAST {
            return Duration::ZERO;
        }
        self.first.get_or_insert(before);
        self.total += over;
        over
    }

    /// How long nothing was read, all pauses together.
    pub(super) fn total(&self) -> Duration {
        self.total
    }

    /// What there is to say about it, if anything; the guest was started at this time.
    pub(super) fn told(&self, started: Instant) -> Option<Told> {
        let first = self.first?.saturating_duration_since(started);
        let total = self.total;
        Some(Told { first, total })
    }
}

/// What there is to say about pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When the first began, after QEMU's start.
    first: Duration,
    /// How long all were.
    total: Duration,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the host did not read for {:.1} s, from {:.1} s after QEMU's start on: relayctl was \
             stopped, or this machine was too busy",
            self.total.as_secs_f64(),
            self.first.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_what_is_too_long() {
        let begin = Instant::now();
        let mut pauses = Pauses::new(begin);
        let second = Duration::from_secs(1);
        let at = |seconds: u32| begin + second * seconds;
        assert_eq!(pauses.look(at(1), second), Duration::ZERO);
        assert_eq!(pauses.look(at(3), second), Duration::ZERO);
        assert_eq!(pauses.told(begin), None);
        assert_eq!(pauses.look(at(29), second), second * 25);
        assert_eq!(pauses.look(at(33), second), second * 3);
        assert_eq!(pauses.total(), second * 28);
        let told = pauses.told(begin).expect("there was one").to_string();
        assert!(told.contains("for 28.0 s, from 3.0 s after"), "{told}");
    }
}
