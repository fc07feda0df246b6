//! How many notifications there may be.

use std::str::FromStr;
use std::time::Duration;

/// How many there may be in a time; as many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// Any number.
    Unlimited,
    /// So many in each time.
    Limited(u32, Duration),
}

impl Rate {
    /// What a command may be started for, if nothing else is said.
    pub(super) const DEFAULT: Self = Self::Limited(10, Duration::from_secs(1));
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        let read = text.split_once('/').and_then(|(count, unit)| {
            let is_number = count.bytes().all(|byte| byte.is_ascii_digit());
            let count: u32 = count.parse().ok().filter(|_| is_number)?;
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            (count > 0).then_some(Self::Limited(count, Duration::from_secs(seconds)))
        });
        read.ok_or_else(|| "a rate is like 10/s, 5/m or 1/h, or none".to_owned())
    }
}

/// What is left of a rate.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// How much time is saved: a notification takes its part of it.
    saved: Duration,
    /// When that was counted.
    counted: Duration,
}

impl Bucket {
    /// All of it is left.
    pub(super) fn new(rate: Rate) -> Self {
        let saved = match rate {
            Rate::Unlimited => Duration::ZERO,
            Rate::Limited(_, time) => time,
        };
        Self {
            rate,
            saved,
            counted: Duration::ZERO,
        }
    }

    /// Takes one, at a time since the beginning; false if there is none left.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let Rate::Limited(count, time) = self.rate else {
            return true;
        };
        let passed = now.saturating_sub(self.counted);
        self.counted = now;
        self.saved = self.saved.saturating_add(passed).min(time);
        match self.saved.checked_sub(time / count) {
            Some(left) => {
                self.saved = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let minute = Duration::from_secs(60);
        assert_eq!("5/m".parse(), Ok(Rate::Limited(5, minute)));
        assert_eq!("none".parse(), Ok(Rate::Unlimited));
        for wrong in [
            "",
            "5",
            "0/s",
            "-1/s",
            "+1/s",
            "5/d",
            "x/s",
            "5/",
            "99999999999/s",
        ] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_burst_is_possible_and_then_no_more_than_the_rate() {
        let mut bucket = Bucket::new(Rate::Limited(3, Duration::from_secs(3)));
        let mut take = |ms| bucket.take(Duration::from_millis(ms));
        assert_eq!(
            [take(0), take(0), take(0), take(0)],
            [true, true, true, false]
        );
        assert_eq!([take(999), take(1000), take(1000)], [false, true, false]);
        // What is saved has a bound; time that goes back saves nothing.
        assert_eq!([take(90_000), take(90_000), take(90_000)], [true; 3]);
        assert_eq!([take(90_000), take(1)], [false; 2]);
        let mut bucket = Bucket::new(Rate::Unlimited);
        assert!((0..1000).all(|_| bucket.take(Duration::ZERO)));
    }
}
