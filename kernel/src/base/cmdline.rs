//! The kernel command line: space separated `key=value` words.
//!
//! Pure text handling, without heap, usable from the first lines of bring-up.
//! Nothing a command line says can make the kernel stop there: what is not understood is handed to
//! a callback as a [`Complaint`], the default stays, and the machine comes up, so that the
//! complaint is heard. It ends as failed before the scenario starts.

use core::fmt;

use super::settings::{About, GENERAL, Preset, Setting, Takes};

/// The most settings that a command line can set.
const MAX_GIVEN: usize = 40;

/// What the command line asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// `scenario=NAME`: what the machine does after bring-up. The first of all without it.
    pub(crate) scenario: &'a str,
    /// Whether `scenario=` was there.
    is_named: bool,
    /// Words that were not understood.
    pub(crate) complaints: usize,
    /// The scenario, if there is one with that name.
    about: Option<&'static About>,
    /// What was set: key, value, and the text of that.
    given: [Option<(&'static str, u64, &'a str)>; MAX_GIVEN],
}

impl<'a> Options<'a> {
    /// What a setting was set to, as [`Takes::read`] gives it; its default, if that is a value.
    pub(crate) fn value(&self, setting: &Setting) -> Option<u64> {
        if let Some(value) = self.given(setting) {
            return Some(value);
        }
        // A scenario may have a default of its own.
        match known(self.about, setting.key).unwrap_or(setting).default {
            Preset::Value(value) => Some(value),
            Preset::Else(_) => None,
        }
    }

    /// What a setting was set to, if it was.
    pub(crate) fn given(&self, setting: &Setting) -> Option<u64> {
        let mut given = self.given.iter().flatten();
        let found = given.find(|(key, ..)| *key == setting.key);
        found.map(|(_, value, _)| *value)
    }

    /// The text that a setting was set to, if it was.
    pub(crate) fn text(&self, setting: &Setting) -> Option<&'a str> {
        let mut given = self.given.iter().flatten();
        let found = given.find(|(key, ..)| *key == setting.key);
        found.map(|(.., text)| *text)
    }

    /// Whether the scenario was asked for: by its name, or by a setting that is its own.
    pub(crate) fn is_asked_for(&self) -> bool {
        let own = self.about.map_or(&[][..], |about| about.settings);
        self.is_named || own.iter().any(|setting| self.given(setting).is_some())
    }

    /// Has the machine run this scenario.
    pub(crate) fn choose(&mut self, about: &'static About) {
        self.scenario = about.name;
        self.about = Some(about);
    }

    /// Sets a setting; the last word counts.
    fn set(&mut self, key: &'static str, value: u64, text: &'a str) {
        let is_free = |entry: &&mut Option<(_, _, _)>| entry.is_none_or(|(known, ..)| known == key);
        if let Some(entry) = self.given.iter_mut().find(is_free) {
            *entry = Some((key, value, text));
        }
    }
}

/// The setting with this key, of those that a scenario takes.
fn known(about: Option<&'static About>, key: &str) -> Option<&'static Setting> {
    settings(about).find(|setting| setting.key == key)
}

/// What a scenario takes.
fn settings(about: Option<&'static About>) -> impl Iterator<Item = &'static Setting> {
    let own = about.map_or(&[][..], |about| about.settings);
    own.iter().chain(&GENERAL)
}

/// Something on the command line that was not understood.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Complaint<'a> {
    /// A word without `=`, or without a key before it.
    NotAPair {
        /// The word as it stands on the command line.
        word: &'a str,
    },
    /// There is no such scenario.
    UnknownScenario {
        /// Its name.
        name: &'a str,
        /// Those that there are.
        scenarios: &'static [About],
    },
    /// A key that the scenario does not read.
    UnknownKey {
        /// The key.
        key: &'a str,
        /// The scenario.
        about: &'static About,
    },
    /// A value that the key does not take.
    BadValue {
        /// The key.
        key: &'a str,
        /// The value.
        value: &'a str,
        /// What would have been right.
        wanted: Takes,
    },
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("command line: ")?;
        match *self {
            Self::NotAPair { word } => write!(f, "'{word}' is not key=value"),
            Self::UnknownScenario { name, scenarios } => {
                write!(f, "there is no scenario '{name}', only ")?;
                list(f, scenarios.iter().map(|about| about.name))
            }
            Self::UnknownKey { key, about } => {
                write!(f, "scenario {} takes no '{key}', only ", about.name)?;
                list(f, settings(Some(about)).map(|setting| setting.key))
            }
            Self::BadValue { key, value, wanted } => {
                write!(f, "{key}={value}: the value must be {wanted}")
            }
        }
    }
}

/// Writes words with commas between them.
fn list<'a>(f: &mut fmt::Formatter<'_>, mut words: impl Iterator<Item = &'a str>) -> fmt::Result {
    f.write_str(words.next().unwrap_or("none"))?;
    words.try_for_each(|word| write!(f, ", {word}"))
}

/// Reads a command line for one of `scenarios`. Where a key is given twice the last good value
/// counts.
///
/// Words are separated by ASCII white space. Every word that is not understood is given to
/// `complain`.
pub(crate) fn parse<'a>(
    text: &'a str,
    scenarios: &'static [About],
    mut complain: impl FnMut(Complaint<'a>),
) -> Options<'a> {
    let mut options = Options {
        scenario: scenarios.first().map_or("", |about| about.name),
        is_named: false,
        complaints: 0,
        about: scenarios.first(),
        given: [None; MAX_GIVEN],
    };
    let mut complaints = 0;
    let mut complain = |complaint| {
        complaints += 1;
        complain(complaint);
    };
    let words = || text.split_ascii_whitespace();
    // It says which others are taken, wherever it stands.
    for name in words().filter_map(|word| word.strip_prefix("scenario=")) {
        options.scenario = name;
        options.is_named = true;
        options.about = scenarios.iter().find(|about| about.name == name);
        if options.about.is_none() {
            complain(Complaint::UnknownScenario { name, scenarios });
        }
    }
    for word in words() {
        match word.split_once('=') {
            None | Some(("", _)) => complain(Complaint::NotAPair { word }),
            Some(("scenario", _)) => {}
            Some((key, value)) => match (known(options.about, key), options.about) {
                (Some(setting), _) => match setting.takes.read(value) {
                    Some(number) => options.set(setting.key, number, value),
                    None => complain(Complaint::BadValue {
                        key,
                        value,
                        wanted: setting.takes,
                    }),
                },
                (None, Some(about)) => complain(Complaint::UnknownKey { key, about }),
                // Nobody knows what the scenario would take.
                (None, None) => {}
            },
        }
    }
    options.complaints = complaints;
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::{COUNT, LOG, LOSE, SECONDS, SUBBUF, TSC_HZ};

    /// A scenario's own default.
    const LARGE: Setting = Setting {
        default: Preset::Value(65536),
        ..SUBBUF
    };
    static SCENARIOS: [About; 3] = [
        About {
            name: "first",
            about: "reads nothing",
            settings: &[],
        },
        About {
            name: "second",
            about: "reads much",
            settings: &[SECONDS, SUBBUF, COUNT],
        },
        About {
            name: "third",
            about: "has a default of its own",
            settings: &[LARGE],
        },
    ];

    fn run(text: &str) -> (Options<'_>, Vec<String>) {
        let mut complaints = Vec::new();
        let options = parse(text, &SCENARIOS, |complaint| {
            complaints.push(complaint.to_string());
        });
        assert_eq!(options.complaints, complaints.len());
        (options, complaints)
    }

    #[test]
    fn nothing_gives_the_defaults() {
        for text in ["", " ", "\t \n"] {
            let (options, complaints) = run(text);
            assert_eq!((options.scenario, complaints.len()), ("first", 0));
            assert_eq!(options.text(&LOG), None);
            assert_eq!(options.value(&SUBBUF), Some(16384));
            for setting in [TSC_HZ, LOSE, SECONDS] {
                assert_eq!(options.value(&setting), None);
            }
        }
        assert_eq!(run("scenario=third").0.value(&SUBBUF), Some(65536));
        assert_eq!(run("subbuf=512 scenario=third").0.value(&SUBBUF), Some(512));
    }

    #[test]
    fn every_key_is_read_wherever_the_scenario_stands() {
        let (options, complaints) = run(
            "seconds=0x2a  log=trace,mem=off tsc_hz=2300000000 lose=3 scenario=second subbuf=4096 \
             count=8",
        );
        assert_eq!(complaints, [""; 0]);
        assert_eq!(options.scenario, "second");
        for (setting, value) in [
            (SECONDS, 42),
            (TSC_HZ, 2_300_000_000),
            (LOSE, 3),
            (SUBBUF, 4096),
            (COUNT, 8),
        ] {
            assert_eq!(options.value(&setting), Some(value), "{}", setting.key);
        }
        assert_eq!(options.text(&LOG), Some("trace,mem=off"));
    }

    /// What all scenarios take.
    fn general() -> String {
        GENERAL.map(|setting| setting.key).join(", ")
    }

    #[test]
    fn what_is_not_understood_is_told_with_what_would_be_right() {
        let (options, complaints) =
            run("quiet =x scenario=second nope=1 subbuf=64 count=3 seconds= log=");
        for setting in [LOG, SECONDS, SUBBUF, COUNT] {
            let (default, _) = run("scenario=second");
            assert_eq!(options.value(&setting), default.value(&setting));
        }
        assert_eq!(
            complaints,
            [
                "command line: 'quiet' is not key=value",
                "command line: '=x' is not key=value",
                &*format!(
                    "command line: scenario second takes no 'nope', only seconds, subbuf, count, {}",
                    general()
                ),
                "command line: subbuf=64: the value must be a power of two from 256 to 1073741824 \
                 bytes",
                "command line: count=3: the value must be a power of two from 2 to 32768",
                "command line: seconds=: the value must be a number from 1 to 31622400 seconds",
                "command line: log=: the value must be off, a severity from emerg to trace, and \
                 MODULE=SEVERITY with commas between them",
            ]
        );
    }

    #[test]
    fn an_unknown_scenario_is_told_and_so_is_what_another_one_takes() {
        let (options, complaints) = run("scenario=fourth speed=3");
        assert_eq!(options.scenario, "fourth");
        assert_eq!(
            complaints,
            ["command line: there is no scenario 'fourth', only first, second, third"]
        );
        let (_, complaints) = run("seconds=1");
        assert_eq!(
            complaints,
            [format!(
                "command line: scenario first takes no 'seconds', only {}",
                general()
            )]
        );
    }

    #[test]
    fn the_last_good_value_counts() {
        let (options, complaints) = run("lose=1 lose=2 lose=x");
        assert_eq!(options.value(&LOSE), Some(2));
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn a_scenario_is_asked_for_by_name_or_by_its_settings() {
        let is_asked_for = |text| parse(text, &SCENARIOS[1..], |_| {}).is_asked_for();
        for (text, is) in [
            ("", false),
            ("log=debug", false),
            ("scenario=second", true),
            ("scenario=third", true),
            ("seconds=5", true),
        ] {
            assert_eq!(is_asked_for(text), is, "{text}");
        }
        let mut options = parse("log=debug", &SCENARIOS, |_| {});
        options.choose(&SCENARIOS[2]);
        assert_eq!(options.scenario, "third");
        assert_eq!(options.value(&SUBBUF), Some(65536));
    }

    #[test]
    fn all_settings_fit_at_once() {
        let most = SCENARIOS.iter().map(|about| settings(Some(about)).count());
        assert!(most.max().is_some_and(|most| most <= MAX_GIVEN));
    }
}
