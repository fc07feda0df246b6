//! What the command line may ask for: settings, and the scenarios that read them.
//!
//! Each is declared once. The kernel's parser reads these declarations
//! ([`cmdline`](super::cmdline)), and [`describe`](super::describe) writes them as JSON into a
//! section of the kernel's ELF file, where the host finds what to offer and what to refuse before a
//! machine boots.

use core::fmt;

use super::carried::{self, Carried};
use super::choice::{self, Choice, Or};
use super::cpuset::MAX_CPUS;

/// Something that the command line can set, as `key=value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its name on the command line.
    pub(crate) key: &'static str,
    /// What it sets, in a line.
    pub(crate) about: &'static str,
    /// Which values it takes.
    pub(crate) takes: Takes,
    /// What holds without it.
    pub(crate) default: Preset,
}

/// Which values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A number.
    Number(Range),
    /// A power of two.
    PowerOfTwo(Range),
    /// The number of a CPU. Whether the machine has it is for the reader of the setting to say.
    Cpu(Range),
    /// One of these words.
    OneOf(&'static [Choice]),
    /// Some of these words, with commas between them: a bit for each, by its place.
    SomeOf(&'static [Choice]),
    /// Some channels: [`Carried`].
    Carried,
    /// A text, of this form: [`Options::text`](super::cmdline::Options::text).
    Text(&'static str),
}

/// From the least to the most, both taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The least.
    pub(crate) least: u64,
    /// The most.
    pub(crate) most: u64,
    /// What it counts; may be empty.
    pub(crate) unit: &'static str,
}

/// What holds where nothing is set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// This value, as [`Takes::read`] gives it.
    Value(u64),
    /// Something else, in words.
    Else(&'static str),
}

/// A scenario, as far as the command line is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// What it shows, in a line.
    pub(crate) about: &'static str,
    /// What it reads beside [`GENERAL`].
    pub(crate) settings: &'static [Setting],
}

/// Which statements are logged.
pub(crate) const LOG: Setting = Setting {
    key: "log",
    about: "the least severe that is logged, of all and of single modules",
    takes: Takes::Text(
        "off, a severity from emerg to trace, and MODULE=SEVERITY with commas between them",
    ),
    default: Preset::Else("info"),
};

/// Which events are traced.
pub(crate) const TRACE: Setting = Setting {
    key: "trace",
    about: "the events that are traced",
    takes: Takes::Text(
        "off, all, or names (with * and ?) and facilities with commas between them; -NAME takes one out",
    ),
    default: Preset::Else("off"),
};

/// At which records a snapshot of the trace is taken.
pub(crate) const TRACE_SNAPSHOT: Setting = Setting {
    key: "trace-snapshot",
    about: "at which records a snapshot of a continuous trace is taken",
    takes: Takes::Text(
        "off, or severities, names of events (with * and ?) and facilities with commas between them",
    ),
    default: Preset::Else("off"),
};

/// Which events of the log of events are written.
pub(crate) const EVLOG: Setting = Setting {
    key: "evlog",
    about: "the events that the channel evlog has",
    takes: TRACE.takes,
    default: Preset::Else("all"),
};

/// The modes of a ring, in the order of relay's.
const MODES: [Choice; 2] = [
    Choice::new("discard", "what finds no room is lost"),
    Choice::new("overwrite", "it takes the place of what is oldest"),
];

/// The modes of the ring of a client, in the same order.
const CLIENT_MODES: [Choice; 2] = [
    Choice::new("discard", "what finds no room is lost"),
    Choice::new(
        "continuous",
        "a flight recorder: it takes the place of what is oldest",
    ),
];

/// What a full ring of a client does.
const fn client_mode(key: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        about,
        takes: Takes::OneOf(&CLIENT_MODES),
        default: Preset::Value(0),
    }
}

/// The size of the ring of a client.
const fn client_size(key: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        about,
        takes: Takes::PowerOfTwo(Range {
            least: 2048,
            most: 32 << 20,
            unit: "bytes",
        }),
        default: Preset::Value(32 * 1024),
    }
}

/// The ring of the log.
pub(crate) const LOG_SIZE: Setting = Setting {
    default: Preset::Value(128 * 1024),
    ..client_size("log-size", "the size of the log's ring, one for each CPU")
};

/// The rings of the channels of clients.
pub(crate) const TRACE_MODE: Setting =
    client_mode("trace-mode", "what a full ring of the channel trace does");
pub(crate) const TRACE_SIZE: Setting =
    client_size("trace-size", "the size of such a ring, one for each CPU");
pub(crate) const EVLOG_MODE: Setting =
    client_mode("evlog-mode", "what a full ring of the channel evlog does");
pub(crate) const EVLOG_SIZE: Setting =
    client_size("evlog-size", "the size of such a ring, one for each CPU");
pub(crate) const USER_MODE: Setting =
    client_mode("user-mode", "what a full ring of the channel user does");
pub(crate) const USER_SIZE: Setting = Setting {
    default: Preset::Value(16 * 1024),
    ..client_size("user-size", "the size of such a ring, one for each CPU")
};
pub(crate) const PROFILE_MODE: Setting = client_mode(
    "profile-mode",
    "what a full ring of the channel profile does",
);
pub(crate) const PROFILE_SIZE: Setting =
    client_size("profile-size", "the size of such a ring, one for each CPU");

/// How often CPUs are looked at.
pub(crate) const PROFILE: Setting = Setting {
    key: "profile",
    about: "how often a second each CPU is looked at for the channel profile; 0: never",
    takes: Takes::number(0, 10_000, "Hz"),
    default: Preset::Value(0),
};

/// What may interrupt CPUs to look at them, in the order of `arch::sampling::Kind::ALL`.
const SOURCES: [Choice; 4] = [
    Choice::new("pmu", "NMIs of each CPU's own counter of cycles"),
    Choice::new("hpet", "NMIs to all, from the HPET through the I/O APIC"),
    Choice::new(
        "ipi",
        "NMIs that CPU 0 sends to the others from its timer interrupt",
    ),
    Choice::new(
        "timer",
        "each CPU's timer interrupt: blind where interrupts are off",
    ),
];

/// What interrupts them.
pub(crate) const PROFILE_SOURCE: Setting = Setting {
    key: "profile-source",
    about: "what interrupts CPUs to look at them",
    takes: Takes::OneOf(&SOURCES),
    default: Preset::Else("the first of these that there is"),
};

/// The frequency of the time-stamp counter, instead of measuring it. The range keeps every
/// conversion between ticks and time within 64 bits.
pub(crate) const TSC_HZ: Setting = Setting {
    key: "tsc_hz",
    about: "the frequency of the time-stamp counter",
    takes: Takes::number(1_000_000, 100_000_000_000, "Hz"),
    default: Preset::Else("measured"),
};

/// A CPU that is started too late.
pub(crate) const LOSE: Setting = Setting {
    key: "lose",
    about: "starts this CPU too late, to see that a missing CPU is reported",
    takes: Takes::cpu(1),
    default: Preset::Else("none"),
};

/// The names of serial ports, in the order of `dev::serial::Com::ALL`.
const COMS: [Choice; 4] = [
    Choice::new(
        "com1",
        "the console's: it has no text then, but for a panic and the end",
    ),
    Choice::new("com2", "the second one"),
    Choice::new("com3", "the third one"),
    Choice::new("com4", "the fourth one"),
];

/// Which serial port carries packets.
pub(crate) const LINE: Setting = Setting {
    key: "line",
    about: "the serial port that carries packets",
    takes: Takes::OneOf(&COMS),
    default: Preset::Else("com2; com1 if serial asks for it and there is no other"),
};

/// What a serial port carries.
pub(crate) const SERIAL: Setting = Setting {
    key: "serial",
    about: "what a serial port carries, instead of virtio ports",
    takes: Takes::Carried,
    default: Preset::Else("all where there are no virtio ports, but a com2"),
};

/// What init is told.
pub(crate) const PROGRAMS: Setting = Setting {
    key: "programs",
    about: "programs that init starts beside the scenario, separated by ';', each with arguments behind ','",
    takes: Takes::Text("NAME[,ARGUMENT...][;...]"),
    default: Preset::Else("some in the scenario init, none in others"),
};

/// The channels that programs may take, by the names that they have in [`super::carried`].
pub(crate) const TAKEABLE: [Choice; 5] = [
    Choice::new("flood", "the load of scenarios"),
    Choice::new("trace", "what the machine does"),
    Choice::new("evlog", "events for those who run the machine"),
    Choice::new("user", "what programs write"),
    Choice::new("profile", "samples of what every CPU does"),
];

/// Which of them programs take.
pub(crate) const TAKEN: Setting = Setting {
    key: "taken",
    about: "the channels that programs take: they do not leave the machine, but are claimed",
    takes: Takes::SomeOf(&TAKEABLE),
    default: Preset::Else("none"),
};

/// Who drains, in this order.
const DRAINS: [Choice; 2] = [
    Choice::new(
        "user",
        "a program, draind, from its start on; the kernel before, at the end, and when it has died",
    ),
    Choice::new("kernel", "the kernel, always"),
];

/// Who has what is written leave the machine.
pub(crate) const DRAIN: Setting = Setting {
    key: "drain",
    about: "who has what is written leave the machine",
    takes: Takes::OneOf(&DRAINS),
    default: Preset::Else("user where programs run, else kernel"),
};

/// The place of `user` among those who drain.
pub(crate) const DRAIN_USER: u64 = 0;

/// What every scenario takes.
pub(crate) const GENERAL: [Setting; 22] = [
    LOG,
    LOG_SIZE,
    TRACE,
    TRACE_MODE,
    TRACE_SIZE,
    TRACE_SNAPSHOT,
    EVLOG,
    EVLOG_MODE,
    EVLOG_SIZE,
    USER_MODE,
    USER_SIZE,
    PROFILE,
    PROFILE_SOURCE,
    PROFILE_MODE,
    PROFILE_SIZE,
    LOSE,
    TSC_HZ,
    SERIAL,
    LINE,
    PROGRAMS,
    TAKEN,
    DRAIN,
];

/// How long a scenario shall last; at most a year.
pub(crate) const SECONDS: Setting = Setting {
    key: "seconds",
    about: "how long it lasts",
    takes: Takes::number(1, 366 * 24 * 3600, "seconds"),
    default: Preset::Else("no limit"),
};

/// The size of a sub-buffer of the channel `flood`.
pub(crate) const SUBBUF: Setting = Setting {
    key: "subbuf",
    about: "the size of a sub-buffer of the channel flood",
    takes: Takes::PowerOfTwo(Range {
        least: 256,
        most: 1 << 30,
        unit: "bytes",
    }),
    default: Preset::Value(16 * 1024),
};

/// How many sub-buffers a ring of the channel `flood` has.
pub(crate) const COUNT: Setting = Setting {
    key: "count",
    about: "how many of them each CPU has",
    takes: Takes::PowerOfTwo(Range {
        least: 2,
        most: 1 << 15,
        unit: "",
    }),
    default: Preset::Value(16),
};

/// What a full ring of the channel `flood` does.
pub(crate) const MODE: Setting = Setting {
    key: "mode",
    about: "what a full ring of the channel flood does",
    takes: Takes::OneOf(&MODES),
    default: Preset::Value(0),
};

/// What becomes readable, in the order of relay's.
const DELIVERIES: [Choice; 2] = [
    Choice::new("bulk", "whole sub-buffers"),
    Choice::new(
        "record",
        "each record, when it and all before it are committed",
    ),
];

/// What becomes readable of the load.
pub(crate) const DELIVERY: Setting = Setting {
    key: "delivery",
    about: "what becomes readable",
    takes: Takes::OneOf(&DELIVERIES),
    default: Preset::Value(0),
};

/// The usages of a channel, in the order of relay's.
const USAGES: [Choice; 2] = [
    Choice::new("percpu", "each writes its own, of the channel flood"),
    Choice::new("global", "all write one, that of the channel shared"),
];

/// Which streams the load goes to.
pub(crate) const USAGE: Setting = Setting {
    key: "usage",
    about: "which stream a CPU writes",
    takes: Takes::OneOf(&USAGES),
    default: Preset::Value(0),
};

/// Blocks beside the sub-buffers of a ring of the channel `flood` that overwrites.
pub(crate) const SPARES: Setting = Setting {
    key: "spares",
    about: "how many packets of a ring that overwrites may be read while it goes on",
    takes: Takes::number(0, 64, ""),
    default: Preset::Value(0),
};

/// Where rings may lie.
const PLACES: [Choice; 2] = [
    Choice::new("heap", "memory of the heap"),
    Choice::new(
        "static",
        "small static memory, which they leave while all CPUs write",
    ),
];

/// Where the rings of the load lie at first.
pub(crate) const BEGIN: Setting = Setting {
    key: "begin",
    about: "where the rings lie at first",
    takes: Takes::OneOf(&PLACES),
    default: Preset::Value(0),
};

impl Range {
    const fn has(self, number: u64) -> bool {
        self.least <= number && number <= self.most
    }
}

impl Takes {
    /// A number from `least` to `most`.
    pub(crate) const fn number(least: u64, most: u64, unit: &'static str) -> Self {
        Self::Number(Range { least, most, unit })
    }

    /// A CPU from this one on.
    pub(crate) const fn cpu(least: u64) -> Self {
        Self::Cpu(Range {
            least,
            most: MAX_CPUS as u64 - 1,
            unit: "",
        })
    }

    /// Reads a value: the number, the word's place among those that are taken, or a bit for each
    /// word. `None` if it is none of this setting's.
    pub(crate) fn read(&self, text: &str) -> Option<u64> {
        match self {
            Self::Number(range) | Self::Cpu(range) => {
                number(text).filter(|number| range.has(*number))
            }
            Self::PowerOfTwo(range) => {
                number(text).filter(|number| range.has(*number) && number.is_power_of_two())
            }
            Self::OneOf(choices) => {
                let place = choices.iter().position(|choice| choice.word == text)?;
                Some(place as u64)
            }
            Self::SomeOf(choices) => choice::some_of(choices, text),
            Self::Carried => Carried::read(text).map(Carried::number),
            Self::Text(_) => (!text.is_empty()).then_some(0),
        }
    }
}

/// A decimal number, or a hexadecimal one after `0x`; no sign, no blanks.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// What would be right, for messages.
impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, range) = match self {
            Self::Number(range) => ("a number", range),
            Self::PowerOfTwo(range) => ("a power of two", range),
            Self::Cpu(range) => ("the number of a CPU", range),
            Self::OneOf(choices) => return write!(f, "{}", Or(choices)),
            Self::SomeOf(choices) => {
                f.write_str("some of")?;
                for choice in *choices {
                    write!(f, " {}", choice.word)?;
                }
                return f.write_str(" with commas between them");
            }
            Self::Text(form) => return f.write_str(form),
            Self::Carried => {
                let alone = Or(&carried::ALONE);
                write!(f, "{alone}, or some of")?;
                for known in carried::KNOWN {
                    let level = if known.has_levels { "[@LEVEL]" } else { "" };
                    write!(f, " {}{level}", known.name)?;
                }
                return f.write_str(" with commas between them");
            }
        };
        let Range { least, most, unit } = range;
        let space = if unit.is_empty() { "" } else { " " };
        write!(f, "{what} from {least} to {most}{space}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::choice::LEVELS;

    #[test]
    fn values_are_numbers_powers_of_two_or_words() {
        let number = Takes::number(1, 100, "Hz");
        for (text, value) in [("1", 1), ("100", 100), ("0x2a", 42), ("007", 7)] {
            assert_eq!(number.read(text), Some(value), "{text}");
        }
        for text in [
            "0",
            "101",
            "-1",
            "+1",
            "0x",
            "0x+1",
            "",
            "1 ",
            "1k",
            "18446744073709551616",
        ] {
            assert_eq!(number.read(text), None, "{text:?}");
        }
        assert_eq!(SUBBUF.takes.read("4096"), Some(4096));
        for text in ["4095", "128", "2147483648"] {
            assert_eq!(SUBBUF.takes.read(text), None, "{text:?}");
        }
        assert_eq!(LOG.takes.read("info,mem=debug"), Some(0));
        assert_eq!(LOG.takes.read(""), None);
        let level = Takes::OneOf(&LEVELS);
        assert_eq!(level.read("trace"), Some(4));
        assert_eq!(level.read("Trace"), None);
        let some = Takes::SomeOf(&MODES);
        assert_eq!(some.read("overwrite"), Some(2));
        assert_eq!(some.read("overwrite,discard"), Some(3));
        for text in [
            "",
            "discard,",
            "discard,discard",
            "all",
            "discard overwrite",
        ] {
            assert_eq!(some.read(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_taken_is_said() {
        assert_eq!(
            Takes::number(1, 9, "Hz").to_string(),
            "a number from 1 to 9 Hz"
        );
        assert_eq!(COUNT.takes.to_string(), "a power of two from 2 to 32768");
        assert_eq!(
            Takes::OneOf(&LEVELS).to_string(),
            "error, warn, info, debug or trace"
        );
        assert_eq!(
            Takes::SomeOf(&MODES).to_string(),
            "some of discard overwrite with commas between them"
        );
        assert_eq!(
            SERIAL.takes.to_string(),
            "all or off, or some of klog[@LEVEL] flood trace evlog user profile with commas between them"
        );
    }

    #[test]
    fn every_default_is_a_value_that_is_taken() {
        for setting in GENERAL.iter().chain(&[SECONDS, SUBBUF, COUNT]) {
            let Preset::Value(value) = setting.default else {
                continue;
            };
            let text = match setting.takes {
                Takes::OneOf(choices) => choices[value as usize].word.to_owned(),
                _ => value.to_string(),
            };
            assert_eq!(setting.takes.read(&text), Some(value), "{}", setting.key);
        }
    }
}
