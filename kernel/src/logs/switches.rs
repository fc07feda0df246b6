//! What is written, switched by name: on the command line, and while the machine runs.
//!
//! | switch | its text |
//! |---|---|
//! | `log` | the least severe statements of klog: `info,virtio=debug` ([`filter::statements`]) |
//! | `trace` | the events of the channel trace: `irq*,-irq_handler_exit` ([`filter::events`]) |
//! | `trace-snapshot` | at which records a flight recorder is read: `error,ipi_send` ([`trigger::set`]) |
//! | `evlog` | likewise those of the channel evlog |
//!
//! The facade `log` has no statements of its own: it follows the severity that `log` says of all.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu::lock::Mutex;
use arrayvec::ArrayString;
use log::LevelFilter;
use relay::event::filter::{self, FilterError};
use relay::event::{Severity, registered};

use super::client::Client;
use super::trigger::{self, Unknown};
use super::{evlog, klog, trace};

/// The most that a switch's text may have, in bytes.
const ROOM: usize = 256;

/// A switch.
#[derive(Clone, Copy)]
enum Switch {
    /// Of the statements of klog.
    Log,
    /// Of the events of a client.
    Events(&'static Client),
    /// Of what asks for a snapshot of the trace.
    Snapshot,
}

/// All of them, with their names and what they are set to at first.
static ALL: [(&str, Switch, &str); 4] = [
    ("log", Switch::Log, "info"),
    ("trace", Switch::Events(&trace::CLIENT), "off"),
    ("trace-snapshot", Switch::Snapshot, "off"),
    ("evlog", Switch::Events(&evlog::CLIENT), "all"),
];

/// What they are set to. Nobody waits for it: who finds it taken is told so.
static TEXTS: Mutex<[Option<ArrayString<ROOM>>; ALL.len()]> = Mutex::new([None; ALL.len()]);

/// The least severe that is logged, whatever the switch says: a slow line carries no more.
static CEILING: AtomicU8 = AtomicU8::new(Severity::Trace as u8);

/// Why a switch was not set. Its `Display` says what would be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchError<'a> {
    /// There is no such switch.
    Unknown,
    /// The text is longer than any that is right.
    TooLong,
    /// The text has line ends or other control characters, which answers have between switches.
    Control,
    /// This is neither a severity nor an event.
    Trigger(&'a str),
    /// The text is wrong.
    Filter(FilterError<'a>),
    /// Somebody else sets one.
    Busy,
}

impl fmt::Display for SwitchError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("there is no such switch: ")?;
                for (place, name) in names().enumerate() {
                    let before = if place == 0 { "" } else { ", " };
                    write!(f, "{before}{name}")?;
                }
                f.write_str(" would be right")
            }
            Self::TooLong => write!(f, "it is too long: {ROOM} bytes would be right"),
            Self::Control => f.write_str(
                "it has control characters: words with commas between them would be right",
            ),
            Self::Trigger(word) => write!(
                f,
                "nothing is called '{word}'; a severity, the name of an event with * and ?, a \
                 facility, or off would be right"
            ),
            Self::Filter(error) => error.fmt(f),
            Self::Busy => f.write_str("somebody else sets one: to ask again would be right"),
        }
    }
}

impl<'a> From<Unknown<'a>> for SwitchError<'a> {
    fn from(Unknown(word): Unknown<'a>) -> Self {
        Self::Trigger(word)
    }
}

impl<'a> From<FilterError<'a>> for SwitchError<'a> {
    fn from(error: FilterError<'a>) -> Self {
        Self::Filter(error)
    }
}

/// The names of all switches. Any context.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, ..)| *name)
}

/// What a switch is set to. Task and IRQ context: it does not wait.
///
/// # Errors
/// [`SwitchError`]: there is no such switch, or it is being set.
pub(crate) fn get(name: &str) -> Result<impl fmt::Display + use<>, SwitchError<'static>> {
    let place = ALL.iter().position(|(known, ..)| *known == name);
    let place = place.ok_or(SwitchError::Unknown)?;
    let text = TEXTS.try_lock().ok_or(SwitchError::Busy)?[place];
    Ok(text.unwrap_or_else(|| ArrayString::from(ALL[place].2).unwrap_or_default()))
}

/// Sets a switch; to what it was at first, if the text is empty. Task and IRQ context: it does not
/// wait.
///
/// # Errors
/// [`SwitchError`]: there is no such switch, or it does not take the text. Then all is as it was.
pub(crate) fn set<'a>(name: &str, text: &'a str) -> Result<(), SwitchError<'a>> {
    let place = ALL.iter().position(|(known, ..)| *known == name);
    let place = place.ok_or(SwitchError::Unknown)?;
    // A list of nothing is what it was at first, so that is what it is called.
    let is_empty = text.split(',').all(|word| word.trim().is_empty());
    let text = if is_empty { ALL[place].2 } else { text };
    let kept = ArrayString::from(text).map_err(|_| SwitchError::TooLong)?;
    if text.contains(char::is_control) {
        return Err(SwitchError::Control);
    }
    let mut texts = TEXTS.try_lock().ok_or(SwitchError::Busy)?;
    match ALL[place].1 {
        Switch::Log => set_log(text)?,
        Switch::Events(client) => {
            client.know_how_many_are_on(filter::events(client.name(), text)?);
        }
        Switch::Snapshot => trigger::set(text)?,
    }
    texts[place] = Some(kept);
    Ok(())
}

/// Logs nothing that is less severe than this, whatever the switch says. Task context.
pub(crate) fn limit(severity: Severity) {
    CEILING.store(severity as u8, Ordering::Relaxed);
    let text = TEXTS.try_lock().and_then(|texts| texts[0]);
    // It was right before.
    let _ = set_log(text.as_deref().unwrap_or(ALL[0].2));
}

/// Whether the [limit] lets through what is so severe. Any context.
pub(crate) fn is_carried(severity: Severity) -> bool {
    severity as u8 <= CEILING.load(Ordering::Relaxed)
}

/// Turns on what is said in this module, whatever the switch says. Any context: it looks at every
/// class.
pub(crate) fn say_all_of(module: &str) {
    let sites = registered().map(|class| class.site);
    let own = sites.filter(|site| site.is_statement() && site.source().module == module);
    own.for_each(|site| site.set_enabled(true));
}

fn set_log(text: &str) -> Result<(), FilterError<'_>> {
    filter::statements(klog::STREAM.name, text)?;
    let ceiling = Severity::from_number(CEILING.load(Ordering::Relaxed));
    let ceiling = ceiling.unwrap_or(Severity::Trace);
    let statements = registered().map(|class| class.site);
    for site in statements.filter(|site| site.is_statement() && site.severity() > ceiling) {
        site.set_enabled(false);
    }
    let least = filter::severity_of_all(text).unwrap_or(Some(Severity::Info));
    log::set_max_level(level(least.map(|least| least.min(ceiling))));
    Ok(())
}

/// The facade's level for the least severe that is logged.
fn level(least: Option<Severity>) -> LevelFilter {
    match least {
        None => LevelFilter::Off,
        // The facade has nothing so severe.
        Some(severity) if severity < Severity::Error => LevelFilter::Off,
        Some(Severity::Error) => LevelFilter::Error,
        Some(Severity::Warn) => LevelFilter::Warn,
        Some(Severity::Debug) => LevelFilter::Debug,
        Some(Severity::Trace) => LevelFilter::Trace,
        Some(_) => LevelFilter::Info,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// The right to set switches in a test: there is one set of them.
    pub(crate) fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(name: &str) -> Option<String> {
        get(name).ok().map(|value| value.to_string())
    }

    #[test]
    fn a_switch_has_the_text_that_it_was_given() {
        let _alone = alone();
        for (text, level) in [
            ("off", LevelFilter::Off),
            ("crit", LevelFilter::Off),
            ("error", LevelFilter::Error),
            ("warn", LevelFilter::Warn),
            ("notice", LevelFilter::Info),
            ("debug", LevelFilter::Debug),
            ("trace", LevelFilter::Trace),
        ] {
            assert_eq!(set("log", text), Ok(()));
            assert_eq!(value("log").as_deref(), Some(text));
            assert_eq!(log::max_level(), level);
        }
        assert_eq!(set("log", "info"), Ok(()));
        assert!(names().all(|name| get(name).is_ok()));
    }

    #[test]
    fn nothing_is_what_it_was_at_first() {
        let _alone = alone();
        for nothing in ["", " , "] {
            for (name, text, first) in [
                ("log", "warn", "info"),
                ("trace", "all", "off"),
                ("trace-snapshot", "error", "off"),
                ("evlog", "off", "all"),
            ] {
                assert_eq!(set(name, text), Ok(()));
                assert_eq!(set(name, nothing), Ok(()));
                assert_eq!(value(name).as_deref(), Some(first));
            }
        }
        assert_eq!(log::max_level(), LevelFilter::Info);
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_says_what_would_be_right() {
        let _alone = alone();
        assert_eq!(set("log", "warn"), Ok(()));
        let long = "x".repeat(ROOM + 1);
        for wrong in ["loud", "warn debug", "debug\n=", "info,\n", &long] {
            assert!(set("log", wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(set("logs", "warn"), Err(SwitchError::Unknown));
        assert_eq!(value("log").as_deref(), Some("warn"));
        assert_eq!(value("logs"), None);
        {
            let _held = TEXTS.lock();
            assert_eq!(get("log").err(), Some(SwitchError::Busy));
            assert_eq!(set("log", "debug"), Err(SwitchError::Busy));
        }
        assert_eq!(value("log").as_deref(), Some("warn"));
        let unknown = SwitchError::Unknown.to_string();
        assert_eq!(
            unknown,
            "there is no such switch: log, trace, trace-snapshot, evlog would be right"
        );
        assert_eq!(set("log", "info"), Ok(()));
    }

    #[test]
    fn a_limit_holds_whatever_is_set() {
        let _alone = alone();
        limit(Severity::Warn);
        assert_eq!(log::max_level(), LevelFilter::Warn);
        assert!(is_carried(Severity::Warn) && !is_carried(Severity::Notice));
        assert_eq!(set("log", "debug"), Ok(()));
        assert_eq!(log::max_level(), LevelFilter::Warn);
        limit(Severity::Trace);
        assert_eq!(log::max_level(), LevelFilter::Debug);
        assert_eq!(set("log", "info"), Ok(()));
    }
}
