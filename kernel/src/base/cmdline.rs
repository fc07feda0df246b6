//! The kernel command line: space separated `key=value` words.
//!
//! Pure text handling, without heap, usable from the first lines of bring-up.
//! Nothing a command line says can make the kernel stop: what is not
//! understood is handed to a callback as a [`Complaint`] and the default stays.

use core::fmt;

use log::LevelFilter;

/// What the command line asked for, with defaults where it said nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    /// `scenario=NAME`: what the machine does after bring-up.
    pub(crate) scenario: &'a str,
    /// `seed=N`: the seed of everything random.
    pub(crate) seed: u64,
    /// `seconds=N`: how long scenarios that last shall last.
    pub(crate) seconds: Option<u64>,
    /// `loglevel=LEVEL`: the least severe level that is logged.
    pub(crate) level: LevelFilter,
    /// `tsc_hz=N`: the frequency of the time stamp counter, instead of measuring it.
    pub(crate) tsc_hz: Option<u64>,
    /// `lose=N`: start this CPU too late, to see that a missing CPU is reported.
    pub(crate) lose: Option<usize>,
    /// `cpu=N`: the CPU that a scenario acts on.
    pub(crate) cpu: Option<usize>,
    /// `kind=WORD`: the variant of a scenario.
    pub(crate) kind: Option<&'a str>,
    /// `records=N`: how many records each CPU shall write.
    pub(crate) records: Option<u64>,
    /// `subbuf=BYTES`: the size of the scenario's sub-buffers.
    pub(crate) subbuf: Option<usize>,
    /// `count=N`: the number of the scenario's sub-buffers.
    pub(crate) count: Option<usize>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            scenario: "smoke",
            seed: 1,
            seconds: None,
            level: LevelFilter::Info,
            tsc_hz: None,
            lose: None,
            cpu: None,
            kind: None,
            records: None,
            subbuf: None,
            count: None,
        }
    }
}

/// Something on the command line that was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint<'a> {
    /// A word without `=`, or without a key before it.
    NotAPair {
        /// The word as it stands on the command line.
        word: &'a str,
    },
    /// A key that nothing reads.
    UnknownKey {
        /// The key.
        key: &'a str,
    },
    /// A value that the key does not take; the default (or the earlier value) stays.
    BadValue {
        /// The key.
        key: &'a str,
        /// The value.
        value: &'a str,
        /// What would have been right.
        wanted: &'static str,
    },
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAPair { word } => {
                write!(
                    f,
                    "command line: '{word}' is ignored: a word must be key=value"
                )
            }
            Self::UnknownKey { key } => write!(
                f,
                "command line: unknown key '{key}' is ignored; known keys: {KNOWN_KEYS}"
            ),
            Self::BadValue { key, value, wanted } => {
                write!(f, "command line: {key}='{value}' is ignored: want {wanted}")
            }
        }
    }
}

/// The keys [`parse`] understands, for messages.
const KNOWN_KEYS: &str =
    "scenario, seed, seconds, loglevel, tsc_hz, lose, cpu, kind, records, subbuf, count";

/// Slowest and fastest clock that `tsc_hz` may claim. The range keeps every
/// conversion between ticks and time within 64 bits.
const TSC_HZ: core::ops::RangeInclusive<u64> = 1_000_000..=100_000_000_000;

/// Longest run that `seconds` may ask for: a year.
const SECONDS: core::ops::RangeInclusive<u64> = 1..=366 * 24 * 3600;

/// Reads a command line. Where a key is given twice the last good value counts.
///
/// Words are separated by ASCII white space. Every word that is not understood
/// is given to `complain`, in order.
pub(crate) fn parse<'a>(text: &'a str, mut complain: impl FnMut(Complaint<'a>)) -> Options<'a> {
    let mut options = Options::default();
    for word in text.split_ascii_whitespace() {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            complain(Complaint::NotAPair { word });
            continue;
        };
        let understood = match key {
            "scenario" => set(
                &mut options.scenario,
                text_value(value),
                "a scenario's name",
            ),
            "seed" => set(&mut options.seed, number(value), "a number below 2^64"),
            "seconds" => set(
                &mut options.seconds,
                number(value).filter(|n| SECONDS.contains(n)).map(Some),
                "a number of seconds from 1 to a year",
            ),
            "loglevel" => set(
                &mut options.level,
                level(value),
                "error, warn, info, debug or trace",
            ),
            "tsc_hz" => set(
                &mut options.tsc_hz,
                number(value).filter(|n| TSC_HZ.contains(n)).map(Some),
                "a frequency in Hz from 1000000 to 100000000000",
            ),
            "lose" => set(&mut options.lose, cpu(value), "a CPU's number"),
            "cpu" => set(&mut options.cpu, cpu(value), "a CPU's number"),
            "kind" => set(&mut options.kind, text_value(value).map(Some), "a word"),
            "records" => set(
                &mut options.records,
                number(value).map(Some),
                "a number below 2^64",
            ),
            "subbuf" => set(&mut options.subbuf, size(value), "a number of bytes"),
            "count" => set(&mut options.count, size(value), "a number"),
            _ => {
                complain(Complaint::UnknownKey { key });
                continue;
            }
        };
        if let Err(wanted) = understood {
            complain(Complaint::BadValue { key, value, wanted });
        }
    }
    options
}

/// Stores a value that could be read, or says what was wanted instead.
fn set<T>(target: &mut T, value: Option<T>, wanted: &'static str) -> Result<(), &'static str> {
    *target = value.ok_or(wanted)?;
    Ok(())
}

/// A value that is not empty.
fn text_value(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

/// A decimal number, or a hexadecimal one after `0x`; no sign, no blanks.
fn number(value: &str) -> Option<u64> {
    let (digits, radix) = match value.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (value, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// A CPU's number. Whether that CPU exists is for the reader of the option to say.
fn cpu(value: &str) -> Option<Option<usize>> {
    usize::try_from(number(value)?).ok().map(Some)
}

/// A size or count. Whether a buffer can have it is for the reader of the option to say.
fn size(value: &str) -> Option<Option<usize>> {
    usize::try_from(number(value)?).ok().map(Some)
}

/// A log level by its name, in lower case.
fn level(value: &str) -> Option<LevelFilter> {
    match value {
        "error" => Some(LevelFilter::Error),
        "warn" => Some(LevelFilter::Warn),
        "info" => Some(LevelFilter::Info),
        "debug" => Some(LevelFilter::Debug),
        "trace" => Some(LevelFilter::Trace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> (Options<'_>, Vec<Complaint<'_>>) {
        let mut complaints = Vec::new();
        let options = parse(text, |complaint| complaints.push(complaint));
        (options, complaints)
    }

    #[test]
    fn nothing_gives_the_defaults() {
        for text in ["", " ", "\t \n"] {
            assert_eq!(run(text), (Options::default(), vec![]));
        }
    }

    #[test]
    fn every_key_is_read() {
        let (options, complaints) = run(
            "scenario=panic seed=0x2a  seconds=5 loglevel=trace tsc_hz=2300000000 lose=3 \
             cpu=1 kind=fault records=9 subbuf=4096 count=8",
        );
        assert_eq!(complaints, []);
        assert_eq!(
            options,
            Options {
                scenario: "panic",
                seed: 42,
                seconds: Some(5),
                level: LevelFilter::Trace,
                tsc_hz: Some(2_300_000_000),
                lose: Some(3),
                cpu: Some(1),
                kind: Some("fault"),
                records: Some(9),
                subbuf: Some(4096),
                count: Some(8),
            }
        );
    }

    #[test]
    fn what_is_not_understood_is_reported_and_changes_nothing() {
        let (options, complaints) =
            run("quiet =x nope=1 seed=-1 seed=+1 seed=0x seed= loglevel=loud");
        assert_eq!(options, Options::default());
        assert_eq!(complaints.len(), 8);
        assert_eq!(complaints[0], Complaint::NotAPair { word: "quiet" });
        assert_eq!(complaints[1], Complaint::NotAPair { word: "=x" });
        assert_eq!(complaints[2], Complaint::UnknownKey { key: "nope" });
        for complaint in &complaints[3..7] {
            assert!(matches!(complaint, Complaint::BadValue { key: "seed", .. }));
        }
        assert_eq!(
            complaints[7].to_string(),
            "command line: loglevel='loud' is ignored: want error, warn, info, debug or trace"
        );
    }

    #[test]
    fn out_of_range_values_are_refused() {
        for text in [
            "tsc_hz=999999",
            "tsc_hz=100000000001",
            "seconds=0",
            "seconds=99999999999",
            "seed=18446744073709551616",
            "scenario=",
            "kind=",
            "cpu=x",
        ] {
            let (options, complaints) = run(text);
            assert_eq!(options, Options::default(), "{text}");
            assert_eq!(complaints.len(), 1, "{text}");
        }
    }

    #[test]
    fn the_last_good_value_counts() {
        let (options, complaints) = run("seed=1 seed=2 seed=x scenario=a=b");
        assert_eq!((options.seed, options.scenario), (2, "a=b"));
        assert_eq!(complaints.len(), 1);
    }
}
