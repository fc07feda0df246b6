//! Which channels a serial line carries: `serial=klog@warn,flood` on the command line.
//!
//! Such a line is slow, so one may choose. What is not chosen is not in the capture at all: neither
//! described nor claimed. The claims always go along, since they prove the rest.

use core::fmt;

use super::choice::{Choice, LEVELS};

/// A channel that can be chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it has, in a line.
    pub(crate) about: &'static str,
    /// Its records have a severity, so that less severe ones can be left out.
    pub(crate) has_levels: bool,
}

/// All of them.
pub(crate) const KNOWN: [Known; 6] = [
    Known {
        name: "klog",
        about: "the log",
        has_levels: true,
    },
    Known {
        name: "flood",
        about: "the load of scenarios",
        has_levels: false,
    },
    Known {
        name: "trace",
        about: "what the machine does",
        has_levels: false,
    },
    Known {
        name: "evlog",
        about: "events for those who run the machine",
        has_levels: false,
    },
    Known {
        name: "user",
        about: "what programs write",
        has_levels: false,
    },
    Known {
        name: "profile",
        about: "samples of what every CPU does",
        has_levels: false,
    },
];

/// What can stand instead of channels.
pub(crate) const ALONE: [Choice; 2] = [
    Choice::new(
        "all",
        "every channel, even if there are other ways out, or only COM1",
    ),
    Choice::new("off", "none, even if there is no other way out"),
];

/// A choice of channels, and the least severe level of each: a bit for each of [`KNOWN`], then four
/// bits for each with its level's place, from 1, or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried(u64);

/// Where the levels begin.
const LEVELS_AT: usize = 16;

impl Carried {
    /// Every channel, all of it.
    pub(crate) const ALL: Self = Self((1 << KNOWN.len()) - 1);
    /// None.
    pub(crate) const NONE: Self = Self(0);

    /// The choice that a number stands for: that of a setting.
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number that stands for it.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// Whether it has a channel. Those that cannot be chosen always go along.
    pub(crate) fn has(self, name: &str) -> bool {
        let known = KNOWN.iter().position(|known| known.name == name);
        known.is_none_or(|at| self.0 & (1 << at) != 0)
    }

    /// The least severe level of a channel, as its place among [`LEVELS`]; `None` if all go.
    pub(crate) fn level(self, name: &str) -> Option<usize> {
        let at = KNOWN.iter().position(|known| known.name == name)?;
        let level = self.0 >> (LEVELS_AT + 4 * at) & 0xF;
        (level as usize).checked_sub(1)
    }

    /// Reads `all`, `off`, or `NAME,NAME@LEVEL,...`, each name once.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "all" => return Some(Self::ALL),
            "off" => return Some(Self::NONE),
            _ => {}
        }
        let mut carried = 0;
        for word in text.split(',') {
            let (name, level) = match word.split_once('@') {
                Some((name, level)) => (name, Some(level)),
                None => (word, None),
            };
            let at = KNOWN.iter().position(|known| known.name == name)?;
            if carried & (1 << at) != 0 {
                return None;
            }
            carried |= 1 << at;
            if let Some(level) = level {
                let mut levels = LEVELS.iter();
                let place = levels.position(|choice| choice.word == level)?;
                let has_levels = KNOWN[at].has_levels.then_some(place as u64 + 1)?;
                carried |= has_levels << (LEVELS_AT + 4 * at);
            }
        }
        Some(Self(carried))
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut carried = KNOWN.iter().filter(|known| self.has(known.name));
        carried.try_for_each(|known| {
            f.write_str(known.name)?;
            if let Some(level) = self.level(known.name).and_then(|at| LEVELS.get(at)) {
                write!(f, "@{}", level.word)?;
            }
            f.write_str(", ")
        })?;
        f.write_str("claims")
    }
}

const _: () = assert!(KNOWN.len() <= 12 && LEVELS.len() < 16, "they fit a number");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_chosen_by_name_with_or_without_a_level() {
        let read = |text| Carried::read(text);
        let carried = read("klog@warn,flood").expect("both are known");
        assert!(carried.has("klog") && carried.has("flood") && carried.has("claims"));
        assert_eq!(
            (carried.level("klog"), carried.level("flood")),
            (Some(1), None)
        );
        let carried = read("flood").expect("it is known");
        assert!(!carried.has("klog") && carried.has("flood") && carried.has("metadata"));
        assert_eq!(read("all"), Some(Carried::ALL));
        assert_eq!(read("off"), Some(Carried::NONE));
        assert_eq!(
            read("flood,profile,trace,user,klog,evlog"),
            Some(Carried::ALL)
        );
        for wrong in [
            "",
            "x",
            "klog,",
            ",klog",
            "klog@",
            "klog@loud",
            "flood@info",
            "klog,klog",
            "all,klog",
            "off,klog",
            "klog flood",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        let carried = read("klog@error,flood").expect("both are known");
        assert_eq!(carried.to_string(), "klog@error, flood, claims");
        let number = carried.number();
        assert_eq!(Carried::from_number(number), carried);
    }
}
