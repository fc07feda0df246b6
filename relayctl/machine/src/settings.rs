//! What a kernel's command line may say, as its ELF file tells: scenarios, and their settings.
//!
//! A kernel that has the section `.relay.settings` is never booted with a word that it would not
//! understand. One without it, somebody else's, gets every word as it is.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use object::read::{ReadCache, ReadCacheOps};
use object::{Object, ObjectSection};
use serde::Deserialize;

/// The section of the ELF file.
const SECTION: &str = ".relay.settings";

/// The longest text that is read, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// How alike a word must be to be meant, from 0 to 1.
const ALIKE: f64 = 0.5;

/// Why a kernel does not tell what it takes.
#[derive(Debug)]
pub enum SettingsError {
    /// The file cannot be read.
    Io(io::Error),
    /// The section cannot be read.
    Section(object::Error),
    /// The section is longer than it may be.
    TooLong(u64),
    /// The section's text is not what it should be.
    Text(serde_json::Error),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Section(error) => write!(f, "{SECTION}: {error}"),
            Self::TooLong(size) => write!(f, "{SECTION}: {size} bytes, more than {MAX_TEXT}"),
            Self::Text(error) => write!(f, "{SECTION}: {error}"),
        }
    }
}

impl std::error::Error for SettingsError {}

/// Everything that a kernel's command line may say.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// What every scenario takes.
    #[serde(rename = "settings")]
    pub general: Vec<Setting>,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
}

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// What it takes beside what every scenario takes.
    pub settings: Vec<Setting>,
}

/// A setting.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// What it sets.
    pub about: String,
    /// The value that holds without it.
    pub default: Option<String>,
    /// What holds without it, if that is no value.
    pub otherwise: Option<String>,
    /// Which values it takes.
    #[serde(flatten)]
    pub takes: Takes,
}

/// Which values a setting takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// A number.
    Number(Range),
    /// A power of two.
    PowerOfTwo(Range),
    /// The number of a CPU that the machine has.
    Cpu(Range),
    /// One of these words.
    OneOf(Vec<Choice>),
    /// Some of these words, each once, with commas between them.
    SomeOf(Vec<Choice>),
    /// Channels.
    Channels(Channels),
    /// A text, of which the kernel knows whether it is right.
    Text(Form),
}

/// What a text looks like.
#[derive(Clone, Debug, Deserialize)]
pub struct Form {
    /// In words.
    pub form: String,
}

/// Which channels a setting takes: one of the words that stand alone, or channels with commas
/// between them, each with `@` and a level if it has such.
#[derive(Clone, Debug, Deserialize)]
pub struct Channels {
    /// The channels.
    pub some_of: Vec<Channel>,
    /// Words that stand alone.
    pub alone: Vec<Choice>,
    /// The levels, from the most severe on.
    pub levels: Vec<Choice>,
}

/// A channel that a setting takes.
#[derive(Clone, Debug, Deserialize)]
pub struct Channel {
    /// Its name.
    pub word: String,
    /// What it has.
    pub about: String,
    /// Whether its records have a level.
    pub has_levels: bool,
}

impl Channels {
    /// Whether it takes a value.
    fn has(&self, text: &str) -> bool {
        let is_one_of = |choices: &[Choice], word| choices.iter().any(|choice| choice.word == word);
        if is_one_of(&self.alone, text) {
            return true;
        }
        let mut left: Vec<_> = self.some_of.iter().collect();
        text.split(',').all(|word| {
            let (name, level) = match word.split_once('@') {
                Some((name, level)) => (name, Some(level)),
                None => (word, None),
            };
            // Each of them once.
            let at = left.iter().position(|channel| channel.word == name);
            let channel = at.map(|at| left.swap_remove(at));
            channel.is_some_and(|channel| {
                level.is_none_or(|level| channel.has_levels && is_one_of(&self.levels, level))
            })
        })
    }

    /// What it takes, without the levels.
    fn form(&self) -> String {
        let alone = self.alone.iter().map(|choice| format!("{}, ", choice.word));
        let some_of = self.some_of.iter().map(|channel| {
            let level = if channel.has_levels { "[@LEVEL]" } else { "" };
            format!(" {}{level}", channel.word)
        });
        let (alone, some_of): (String, String) = (alone.collect(), some_of.collect());
        format!("{alone}or some of{some_of} with commas between them")
    }

    /// The levels, if there are some.
    fn levels(&self) -> Option<String> {
        let levels: Vec<_> = self.levels.iter().map(|level| &*level.word).collect();
        (!levels.is_empty()).then(|| format!("LEVEL: {}", levels.join(", ")))
    }

    /// What can be written in it.
    fn words(&self) -> Vec<String> {
        let some_of = self.some_of.iter().map(|channel| &channel.word);
        let alone = self.alone.iter().map(|choice| &choice.word);
        alone.chain(some_of).cloned().collect()
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.form())?;
        match self.levels() {
            Some(levels) => write!(f, " ({levels})"),
            None => Ok(()),
        }
    }
}

/// From the least to the most, both taken.
#[derive(Clone, Debug, Deserialize)]
pub struct Range {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// What it counts; may be empty.
    pub unit: String,
}

/// A word that a setting takes.
#[derive(Clone, Debug, Deserialize)]
pub struct Choice {
    /// The word.
    pub word: String,
    /// What it means.
    pub about: String,
}

impl Takes {
    /// The same for a machine of so many CPUs, if that is known.
    fn with(&self, cpus: Option<u32>) -> Self {
        let mut takes = self.clone();
        if let (Self::Cpu(range), Some(cpus)) = (&mut takes, cpus) {
            range.most = range.most.min(u64::from(cpus).saturating_sub(1));
        }
        takes
    }

    /// Whether it takes a value: numbers are decimal, or hexadecimal after `0x`.
    fn has(&self, text: &str) -> bool {
        let within = |range: &Range| {
            let number = match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => text.parse(),
            };
            let number = number.ok().filter(|_| !text.contains('+'));
            number.filter(|number| (range.least..=range.most).contains(number))
        };
        match self {
            Self::Number(range) | Self::Cpu(range) => within(range).is_some(),
            Self::PowerOfTwo(range) => within(range).is_some_and(u64::is_power_of_two),
            Self::OneOf(choices) => choices.iter().any(|choice| choice.word == text),
            Self::SomeOf(choices) => {
                let mut left: Vec<_> = choices.iter().map(|choice| &*choice.word).collect();
                text.split(',').all(|word| {
                    let at = left.iter().position(|known| *known == word);
                    at.map(|at| left.swap_remove(at)).is_some()
                })
            }
            Self::Channels(channels) => channels.has(text),
            // It is one word of the command line.
            Self::Text(_) => !text.is_empty() && !text.contains(|c: char| c.is_ascii_whitespace()),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, range) = match self {
            Self::Number(range) => ("a number", range),
            Self::PowerOfTwo(range) => ("a power of two", range),
            Self::Cpu(range) if range.least > range.most => {
                return f.write_str("the number of a CPU, and the machine has too few");
            }
            Self::Cpu(range) => ("the number of a CPU", range),
            Self::OneOf(choices) => {
                let words: Vec<_> = choices.iter().map(|choice| &*choice.word).collect();
                return write!(f, "one of {}", words.join(", "));
            }
            Self::SomeOf(choices) => {
                let words: Vec<_> = choices.iter().map(|choice| &*choice.word).collect();
                return write!(f, "some of {} with commas between them", words.join(" "));
            }
            Self::Channels(channels) => return channels.fmt(f),
            Self::Text(Form { form }) => return f.write_str(form),
        };
        let Range { least, most, unit } = range;
        write!(f, "{what} from {least} to {most}")?;
        match unit.is_empty() {
            true => Ok(()),
            false => write!(f, " {unit}"),
        }
    }
}

/// A word that the kernel would not understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordError {
    /// There is no such scenario.
    Scenario {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The scenario takes no such setting.
    Setting {
        /// Its name.
        key: String,
        /// The scenario.
        scenario: String,
        /// Those that it takes.
        known: Vec<String>,
        /// The scenarios that take it.
        others: Vec<String>,
    },
    /// The setting takes no such value.
    Value {
        /// The setting.
        key: String,
        /// The value.
        value: String,
        /// What it takes.
        takes: String,
        /// A word that is meant, perhaps.
        near: Option<String>,
    },
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (near, known) = match self {
            Self::Scenario { name, known } => {
                write!(f, "there is no scenario '{name}'")?;
                (nearest(name, known), Some(("the scenarios are", known)))
            }
            Self::Setting {
                key,
                scenario,
                known,
                others,
            } => {
                write!(f, "the scenario {scenario} has no setting '{key}'")?;
                if !others.is_empty() {
                    write!(f, ", as {} would", others.join(", "))?;
                }
                (nearest(key, known), Some(("it has", known)))
            }
            Self::Value {
                key,
                value,
                takes,
                near,
            } => {
                write!(f, "{key}={value}: the value must be {takes}")?;
                (near.as_deref(), None)
            }
        };
        if let Some((what, known)) = known {
            write!(f, "; {what} {}", known.join(", "))?;
        }
        match near {
            Some(near) => write!(f, ". Did you mean '{near}'?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for WordError {}

/// The word that somebody may have meant.
fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let alike = known
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(word, known), known));
    let alike = alike.filter(|(alike, _)| *alike > ALIKE);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, known)| known.as_str())
}

impl Settings {
    /// What the kernel in an ELF file takes; `None` if it does not tell, or is no ELF file.
    ///
    /// # Errors
    ///
    /// When the file, or what it tells, cannot be read.
    pub fn of(elf: &Path) -> Result<Option<Self>, SettingsError> {
        let file = File::open(elf).map_err(SettingsError::Io)?;
        Self::within(&ReadCache::new(file))
    }

    /// The same of something that can be read.
    fn within<R: ReadCacheOps>(cache: &ReadCache<R>) -> Result<Option<Self>, SettingsError> {
        // Whoever boots it says what is wrong with it.
        let Ok(elf) = object::File::parse(cache) else {
            return Ok(None);
        };
        let Some(section) = elf.section_by_name(SECTION) else {
            return Ok(None);
        };
        if section.size() > MAX_TEXT {
            return Err(SettingsError::TooLong(section.size()));
        }
        let text = section.data().map_err(SettingsError::Section)?;
        serde_json::from_slice(text)
            .map(Some)
            .map_err(SettingsError::Text)
    }

    /// Checks the settings, each `key=value`, that a scenario is to be started with on a machine of
    /// so many CPUs, if that is known.
    ///
    /// # Errors
    ///
    /// The first word that the kernel would not understand.
    pub fn check<'a>(
        &self,
        scenario: &str,
        words: impl IntoIterator<Item = &'a str>,
        cpus: Option<u32>,
    ) -> Result<(), WordError> {
        let mut scenarios = self.scenarios.iter();
        let Some(found) = scenarios.find(|known| known.name == scenario) else {
            let known = self.scenarios.iter().map(|known| known.name.clone());
            return Err(WordError::Scenario {
                name: scenario.to_owned(),
                known: known.collect(),
            });
        };
        let settings = || found.settings.iter().chain(&self.general);
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let Some(setting) = settings().find(|setting| setting.key == key) else {
                let has = |scenario: &&Scenario| scenario.settings.iter().any(|s| s.key == key);
                let others = self.scenarios.iter().filter(has);
                return Err(WordError::Setting {
                    others: others.map(|scenario| scenario.name.clone()).collect(),
                    key: key.to_owned(),
                    scenario: scenario.to_owned(),
                    known: settings().map(|setting| setting.key.clone()).collect(),
                });
            };
            let takes = setting.takes.with(cpus);
            if !takes.has(value) {
                let words: Vec<_> = match &takes {
                    Takes::OneOf(choices) | Takes::SomeOf(choices) => {
                        choices.iter().map(|choice| choice.word.clone()).collect()
                    }
                    Takes::Channels(channels) => channels.words(),
                    _ => Vec::new(),
                };
                return Err(WordError::Value {
                    key: key.to_owned(),
                    value: value.to_owned(),
                    takes: takes.to_string(),
                    near: nearest(value, &words).map(str::to_owned),
                });
            }
        }
        Ok(())
    }
}

/// A page for people.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Scenarios (--scenario), and their settings (--set):")?;
        for scenario in &self.scenarios {
            writeln!(f, "  {:<9} {}", scenario.name, scenario.about)?;
            list(f, &scenario.settings)?;
        }
        writeln!(f, "\nSettings of all scenarios:")?;
        list(f, &self.general)
    }
}

/// Writes settings, a line each, and their words below them.
fn list(f: &mut fmt::Formatter<'_>, settings: &[Setting]) -> fmt::Result {
    for setting in settings {
        let Setting {
            key, about, takes, ..
        } = setting;
        writeln!(f, "    {key:<9} {about}")?;
        let default = setting.default.as_ref().or(setting.otherwise.as_ref());
        let default = default.map_or("none", |text| text);
        match takes {
            Takes::OneOf(choices) | Takes::SomeOf(choices) => {
                let what = match takes {
                    Takes::OneOf(_) => "one of these words",
                    _ => "some of these words with commas between them",
                };
                writeln!(f, "              {what}; default: {default}")?;
                for Choice { word, about } in choices {
                    writeln!(f, "              {word:<9} {about}")?;
                }
            }
            Takes::Text(Form { form }) => {
                writeln!(f, "              {form};")?;
                writeln!(f, "              default: {default}")?;
            }
            Takes::Channels(channels) => {
                writeln!(f, "              {};", channels.form())?;
                if let Some(levels) = channels.levels() {
                    writeln!(f, "              {levels};")?;
                }
                writeln!(f, "              default: {default}")?;
                let some_of = channels.some_of.iter();
                let some_of = some_of.map(|channel| (&channel.word, &channel.about));
                let alone = channels.alone.iter();
                let alone = alone.map(|choice| (&choice.word, &choice.about));
                for (word, about) in alone.chain(some_of) {
                    writeln!(f, "              {word:<9} {about}")?;
                }
            }
            _ => {
                writeln!(f, "              {takes}; default: {default}")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
