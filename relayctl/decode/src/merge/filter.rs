//! Which records are wanted.

use std::str::FromStr;
use std::time::Duration;

use relay_format::Severity;

/// Some CPUs, such as `0,2-4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuSet(Vec<(u32, u32)>);

impl FromStr for CpuSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("'{text}' is not like 0,2-4");
        let number = |word: &str| word.parse::<u32>().map_err(|_| wrong());
        let mut ranges = Vec::new();
        for word in text.split(',') {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(format!("'{word}' ends before it begins"));
            }
            ranges.push((from, to));
        }
        Ok(Self(ranges))
    }
}

impl CpuSet {
    /// Whether a CPU is one of them.
    #[must_use]
    pub fn has(&self, cpu: u32) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&cpu))
    }
}

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these channels; of all if there is none.
    pub channels: Vec<String>,
    /// Of these CPUs.
    pub cpus: Option<CpuSet>,
    /// At least so grave; what has no severity is not wanted then.
    pub level: Option<Severity>,
    /// From this time after the machine's start.
    pub since: Option<Duration>,
    /// Up to this time after the machine's start.
    pub until: Option<Duration>,
}

impl Filter {
    /// Whether a stream is wanted.
    #[must_use]
    pub fn has_stream(&self, channel: &str, cpu: u32) -> bool {
        (self.channels.is_empty() || self.channels.iter().any(|name| name == channel))
            && self.cpus.as_ref().is_none_or(|cpus| cpus.has(cpu))
    }

    /// Whether a time in nanoseconds is not too early.
    #[must_use]
    pub fn has_begun(&self, ns: u64) -> bool {
        self.since
            .is_none_or(|since| u128::from(ns) >= since.as_nanos())
    }

    /// Whether a time in nanoseconds is not too late.
    #[must_use]
    pub fn is_not_over(&self, ns: u64) -> bool {
        self.until
            .is_none_or(|until| u128::from(ns) <= until.as_nanos())
    }

    /// Whether a severity is wanted.
    #[must_use]
    pub fn has_severity(&self, severity: Option<Severity>) -> bool {
        self.level
            .is_none_or(|level| severity.is_some_and(|severity| severity <= level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_lists_of_ranges() {
        let set: CpuSet = "0,2-4".parse().expect("it is one");
        let has: Vec<u32> = (0..8).filter(|cpu| set.has(*cpu)).collect();
        assert_eq!(has, [0, 2, 3, 4]);
        for wrong in ["", ",", "1,", "a", "4-2", "-1", "1-2-3", "99999999999"] {
            assert!(wrong.parse::<CpuSet>().is_err(), "{wrong}");
        }
    }
}
