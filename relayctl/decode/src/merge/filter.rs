//! Which records are wanted.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use relay_format::Severity;

use crate::query::Query;
use crate::records::{Channel, Event, Schema};

/// Why a filter lets nothing through, whatever a capture holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// There is no such channel.
    Channel {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// There are no such CPUs.
    Cpu {
        /// The first and the last one.
        range: (u32, u32),
        /// How many there are.
        cpus: u32,
    },
    /// None of the wanted channels has levels.
    Level {
        /// The wanted channels.
        names: Vec<String>,
        /// The channels that have levels.
        known: Vec<String>,
    },
    /// The time ends before it begins.
    Time,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |words: &[String]| match words {
            [] => "no channel".to_owned(),
            words => words.join(", "),
        };
        match self {
            Self::Channel { name, known } => write!(
                f,
                "the capture has no channel '{name}'; it has {}",
                list(known)
            ),
            Self::Cpu {
                range: (first, last),
                cpus,
            } => {
                write!(f, "the capture has no CPU {first}")?;
                if first != last {
                    write!(f, "-{last}")?;
                }
                match cpus {
                    1 => f.write_str("; it has CPU 0"),
                    cpus => write!(f, "; it has CPUs 0-{}", cpus.saturating_sub(1)),
                }
            }
            Self::Level { names, known } => write!(
                f,
                "there is no level in the channel {}; --level is for {}",
                list(names),
                list(known)
            ),
            Self::Time => f.write_str("--until is before --since: no record can be between them"),
        }
    }
}

impl std::error::Error for FilterError {}

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
    /// Of these Rust modules, and those within them; of all, and of none, if there is none here.
    pub modules: Vec<String>,
    /// From this time after the machine's start.
    pub since: Option<Duration>,
    /// Up to this time after the machine's start.
    pub until: Option<Duration>,
    /// Whether entries and exits are [paired](crate::pairs). They are before anything is filtered.
    pub spans: bool,
    /// Those of which this is true.
    pub query: Option<Query>,
}

impl Filter {
    /// Checks that it names what a capture with these channels and CPUs can have. Which they are is
    /// said by the metadata, for good: no more come later.
    ///
    /// # Errors
    ///
    /// What it names and the capture does not have.
    pub fn check(&self, schema: &Schema) -> Result<(), FilterError> {
        let names = |channels: &mut dyn Iterator<Item = &Channel>| {
            channels.map(|channel| channel.name.clone()).collect()
        };
        let all = || schema.channels.iter();
        for name in &self.channels {
            if !all().any(|channel| channel.name == *name) {
                return Err(FilterError::Channel {
                    name: name.clone(),
                    known: names(&mut all()),
                });
            }
        }
        if let Some(CpuSet(ranges)) = &self.cpus {
            let mut unknown = ranges.iter().filter(|(first, _)| *first >= schema.cpus);
            if let Some(range) = unknown.next() {
                return Err(FilterError::Cpu {
                    range: *range,
                    cpus: schema.cpus,
                });
            }
        }
        let has_levels = |channel: &&Channel| {
            let mut events = channel.events();
            events.any(Event::has_severity)
        };
        let is_wanted =
            |channel: &&Channel| self.channels.is_empty() || self.channels.contains(&channel.name);
        if self.level.is_some() && !all().filter(is_wanted).any(|channel| has_levels(&channel)) {
            return Err(FilterError::Level {
                names: names(&mut all().filter(is_wanted)),
                known: names(&mut all().filter(has_levels)),
            });
        }
        match (self.since, self.until) {
            (Some(since), Some(until)) if until < since => Err(FilterError::Time),
            _ => Ok(()),
        }
    }

    /// Whether a stream is wanted.
    #[must_use]
    pub fn has_stream(&self, channel: &str, cpu: u32) -> bool {
        self.has_channel(channel) && self.cpus.as_ref().is_none_or(|cpus| cpus.has(cpu))
    }

    /// Whether a channel is wanted.
    pub(super) fn has_channel(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|name| name == channel)
    }

    /// Whether a severity is wanted.
    #[must_use]
    pub fn has_severity(&self, severity: Option<Severity>) -> bool {
        self.level
            .is_none_or(|level| severity.is_some_and(|severity| severity <= level))
    }

    /// Whether a record of a module is wanted; `module` is asked only if that matters.
    ///
    /// ```
    /// use relay_decode::merge::Filter;
    ///
    /// let filter = Filter {
    ///     modules: vec!["kernel::dev".to_owned()],
    ///     ..Filter::default()
    /// };
    /// assert!(filter.has_module(|| Some(b"kernel::dev::serial")));
    /// assert!(!filter.has_module(|| Some(b"kernel::device")));
    /// ```
    #[must_use]
    pub fn has_module<'m>(&self, module: impl FnOnce() -> Option<&'m [u8]>) -> bool {
        if self.modules.is_empty() {
            return true;
        }
        let Some(module) = module() else { return false };
        self.modules.iter().any(|wanted| {
            let rest = module.strip_prefix(wanted.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"::"))
        })
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

    #[test]
    fn a_module_has_those_within_it() {
        let wanted = Filter {
            modules: vec!["kernel::dev".to_owned(), "relay".to_owned()],
            ..Filter::default()
        };
        let cases = [
            (Some("kernel::dev"), true),
            (Some("kernel::dev::serial"), true),
            (Some("kernel::device"), false),
            (Some("kernel"), false),
            (Some("relay::ring"), true),
            (Some(""), false),
            (None, false),
        ];
        for (module, is_wanted) in cases {
            let module = module.map(str::as_bytes);
            assert_eq!(wanted.has_module(|| module), is_wanted, "{module:?}");
        }
        assert!(Filter::default().has_module(|| None));
    }
}
