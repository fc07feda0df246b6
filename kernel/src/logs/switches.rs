//! What is logged, switched by name while the machine runs.
//!
//! Every switch has a value that is a text. Who asks for another one is told why, if it cannot be.

use core::fmt;

use log::LevelFilter;

/// The switch of what is logged: the least important severity.
const LOG: &str = "log";

/// Why a switch was not set. Its `Display` says what would be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchError {
    /// There is no such switch.
    Unknown,
    /// The value is no severity.
    Severity,
}

impl fmt::Display for SwitchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("there is no such switch")?;
                for (place, name) in names().enumerate() {
                    let before = if place == 0 { ": " } else { ", " };
                    write!(f, "{before}{name}")?;
                }
                f.write_str(" would be right")
            }
            Self::Severity => {
                f.write_str("this is no severity:")?;
                for level in LevelFilter::iter() {
                    write!(f, " {}", word(level))?;
                }
                f.write_str(" would be right")
            }
        }
    }
}

/// The names of all switches. Any context.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [LOG].into_iter()
}

/// The value of a switch; `None` if there is no such switch. Any context.
pub(crate) fn get(name: &str) -> Option<impl fmt::Display + use<>> {
    (name == LOG).then(|| word(log::max_level()))
}

/// Gives a switch a value. Task and IRQ context: takes no lock and does not wait, and who calls it
/// sees to it that nobody else is in it.
///
/// # Errors
/// [`SwitchError`]: there is no such switch, or it does not take the value. Then all is as it was.
pub(crate) fn set(name: &str, value: &str) -> Result<(), SwitchError> {
    if name != LOG {
        return Err(SwitchError::Unknown);
    }
    let mut levels = LevelFilter::iter();
    let level = levels.find(|level| word(*level) == value);
    log::set_max_level(level.ok_or(SwitchError::Severity)?);
    Ok(())
}

/// The word for a severity.
fn word(level: LevelFilter) -> &'static str {
    match level {
        LevelFilter::Off => "off",
        LevelFilter::Error => "error",
        LevelFilter::Warn => "warn",
        LevelFilter::Info => "info",
        LevelFilter::Debug => "debug",
        LevelFilter::Trace => "trace",
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
        get(name).map(|value| value.to_string())
    }

    #[test]
    fn a_switch_has_the_value_that_it_was_given() {
        let _alone = alone();
        for word in ["off", "error", "warn", "info", "debug", "trace"] {
            assert_eq!(set("log", word), Ok(()));
            assert_eq!(value("log").as_deref(), Some(word));
        }
        assert_eq!(log::max_level(), LevelFilter::Trace);
        assert!(names().all(|name| get(name).is_some()));
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_says_what_would_be_right() {
        let _alone = alone();
        assert_eq!(set("log", "warn"), Ok(()));
        for wrong in ["", "loud", "WARN ", "debug\n"] {
            assert_eq!(set("log", wrong), Err(SwitchError::Severity));
        }
        assert_eq!(set("logs", "warn"), Err(SwitchError::Unknown));
        assert_eq!(value("log").as_deref(), Some("warn"));
        assert_eq!(value("logs"), None);
        assert_eq!(
            SwitchError::Severity.to_string(),
            "this is no severity: off error warn info debug trace would be right"
        );
        let unknown = SwitchError::Unknown.to_string();
        assert_eq!(unknown, "there is no such switch: log would be right");
    }
}
