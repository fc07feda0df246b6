//! What is written: statements by module and severity, events by name; changed while the machine
//! runs.
//!
//! ```
//! use relay::event::filter;
//!
//! relay::event! {
//!     #[event(channel = "sched", facility = "sched")]
//!     pub struct TaskWoken { pub task: u32 }
//! }
//! # use relay::event::Event;
//! # let _ = TaskWoken::id();
//!
//! # if relay::event::HAS_REGISTRY {
//! assert_eq!(filter::events("sched", "task_*")?, 1);
//! assert!(TaskWoken::is_enabled());
//! assert_eq!(filter::events("sched", "off")?, 0);
//! assert!(!TaskWoken::is_enabled());
//! let error = filter::events("sched", "task_slept").unwrap_err();
//! assert_eq!(error.to_string(), "no event of sched is called 'task_slept'; a name with * and ?, a facility, all, or off would be right");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{Registered, Severity, Site, registered};
use core::fmt;

/// Why a filter is refused. Nothing was changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError<'a> {
    /// This is no severity.
    Severity(&'a str),
    /// No statement is in this module.
    Module(&'a str),
    /// The channel has no event of this name.
    Event {
        /// The channel.
        channel: &'a str,
        /// The name.
        name: &'a str,
    },
}

impl fmt::Display for FilterError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Severity(word) => {
                write!(f, "'{word}' is no severity; off")?;
                for severity in Severity::ALL {
                    f.write_str(", ")?;
                    for letter in severity.name().chars() {
                        write!(f, "{}", letter.to_ascii_lowercase())?;
                    }
                }
                f.write_str(" are")
            }
            Self::Module(module) => write!(
                f,
                "no statement is in a module '{module}'; a part of a path such as kernel::mem \
                 would be right"
            ),
            Self::Event { channel, name } => write!(
                f,
                "no event of {channel} is called '{name}'; a name with * and ?, a facility, all, or \
                 off would be right"
            ),
        }
    }
}

impl core::error::Error for FilterError<'_> {}

/// Turns the statements of a channel on and off: `text` is a severity, for all, and
/// `MODULE=SEVERITY`, for those in modules whose path has this part, with commas between them. Of
/// what fits, the last counts; where nothing does, it is as at first. The least important severity
/// that is on is named, or `off`. Returns how many are on.
///
/// Task and IRQ context; it looks at every class.
///
/// # Errors
/// What is wrong with the text.
pub fn statements<'a>(channel: &str, text: &'a str) -> Result<usize, FilterError<'a>> {
    for word in words(text) {
        let (module, _) = directive(word)?;
        let is_known =
            |module| sites(channel, true).any(|site| is_in(site.source().module, module));
        if let Some(module) = module.filter(|module| !is_known(module)) {
            return Err(FilterError::Module(module));
        }
    }
    let mut on = 0;
    for site in sites(channel, true) {
        let fits = |module: Option<&str>| module.is_none_or(|it| is_in(site.source().module, it));
        let directives = words(text).filter_map(|word| directive(word).ok());
        match directives.filter(|(module, _)| fits(*module)).last() {
            Some((_, least)) => site.set_enabled(least.is_some_and(|it| site.severity() <= it)),
            None => site.reset(),
        }
        on += usize::from(site.is_enabled());
    }
    Ok(on)
}

/// What a text for [`statements`] says of those in modules that it does not name: the least severe
/// that is on, or `None` for off; nothing if it says nothing, or is wrong. Any context.
#[must_use]
pub fn severity_of_all(text: &str) -> Option<Option<Severity>> {
    let directives = words(text).filter_map(|word| directive(word).ok());
    let of_all = directives.filter(|(module, _)| module.is_none());
    of_all.map(|(_, least)| least).last()
}

/// Turns the events of a channel on and off: `text` is a list of names, with `*` for any letters
/// and `?` for one, or of facilities, with commas between them; `-` before one takes out what was
/// taken before. `all` is all of them, `off` or nothing is none. Returns how many are on.
///
/// Task and IRQ context; it looks at every class.
///
/// # Errors
/// What is wrong with the text.
pub fn events<'a>(channel: &'a str, text: &'a str) -> Result<usize, FilterError<'a>> {
    for word in words(text) {
        let name = word.strip_prefix('-').unwrap_or(word);
        let is_known = matches!(name, "all" | "off");
        if !is_known && !sites(channel, false).any(|site| is_called(site, name)) {
            return Err(FilterError::Event { channel, name });
        }
    }
    let mut on = 0;
    for site in sites(channel, false) {
        let is_on = words(text).fold(false, |is_on, word| match word {
            "all" => true,
            "off" => false,
            word => match word.strip_prefix('-') {
                Some("all") => false,
                Some(name) => is_on && !is_called(site, name),
                None => is_on || is_called(site, word),
            },
        });
        site.set_enabled(is_on);
        on += usize::from(is_on);
    }
    Ok(on)
}

/// The sites of a channel: its statements, or its events.
fn sites(channel: &str, statements: bool) -> impl Iterator<Item = &'static Site> {
    let sites = registered().map(|Registered { site, .. }| site);
    sites.filter(move |site| site.channel() == channel && site.is_statement() == statements)
}

/// The words of a list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty())
}

/// Reads `[MODULE=]SEVERITY`; a severity of `None` is off.
fn directive(word: &str) -> Result<(Option<&str>, Option<Severity>), FilterError<'_>> {
    let (module, severity) = match word.split_once('=') {
        Some((module, severity)) => (Some(module.trim()), severity.trim()),
        None => (None, word),
    };
    let least = match severity {
        "off" => None,
        word => Some(Severity::from_name(word).ok_or(FilterError::Severity(word))?),
    };
    Ok((module, least))
}

/// Whether `part` is some parts of the path `module`, one behind the other.
fn is_in(module: &str, part: &str) -> bool {
    let mut rest = Some(module);
    while let Some(path) = rest {
        if let Some(behind) = path.strip_prefix(part)
            && (behind.is_empty() || behind.starts_with("::"))
        {
            return !part.is_empty();
        }
        rest = path.split_once("::").map(|(_, rest)| rest);
    }
    false
}

/// Whether an event has this name, with `*` and `?`, or this facility: what a word of
/// [`events`] means. Any context.
///
/// ```
/// # use relay::event::{Site, Source, filter};
/// # let place = Source { module: "kernel", file: "kernel.rs", line: 1 };
/// let woken = Site::event("sched", "task_woken", place).with_facility("tasks");
/// assert!(filter::is_called(&woken, "task_*") && filter::is_called(&woken, "tasks"));
/// assert!(!filter::is_called(&woken, "sched"));
/// ```
#[must_use]
pub fn is_called(site: &Site, name: &str) -> bool {
    let matches = |text: &str| matches_pattern(text.as_bytes(), name.as_bytes());
    matches(site.name()) || site.facility().is_some_and(matches)
}

/// Whether `text` is as `pattern` says: `*` is any letters, `?` is one. It looks back to the last
/// `*` alone, so it takes at most as many steps as both are long, multiplied.
fn matches_pattern(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    let mut star = None;
    while let Some(letter) = text.get(at) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((at, in_pattern));
                in_pattern += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == letter => {
                at += 1;
                in_pattern += 1;
            }
            _ => match star {
                Some((begin, place)) => {
                    star = Some((begin + 1, place));
                    (at, in_pattern) = (begin + 1, place + 1);
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|letter| *letter == b'*')
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_are_found() {
        assert!(is_in("kernel::dev::virtio::console", "virtio"));
        assert!(is_in("kernel::dev::virtio", "dev::virtio"));
        assert!(is_in("kernel", "kernel"));
        for no in ["virt", "irtio", "kernel::virtio", "", "::", "dev::"] {
            assert!(!is_in("kernel::dev::virtio", no), "{no:?}");
        }
    }

    #[test]
    fn patterns_match_what_they_say() {
        let matches =
            |text: &str, pattern: &str| matches_pattern(text.as_bytes(), pattern.as_bytes());
        for pattern in [
            "irq_entry",
            "irq*",
            "*entry",
            "i?q_*",
            "*",
            "*r*e*",
            "irq_entry*",
        ] {
            assert!(matches("irq_entry", pattern), "{pattern}");
        }
        for pattern in ["irq", "entry", "irq?", "*x*", "", "irq_entry?", "i*q"] {
            assert!(!matches("irq_entry", pattern), "{pattern}");
        }
        assert!(matches("", "") && matches("", "*") && !matches("", "?"));
        // Many stars take no longer than the product of the lengths.
        assert!(!matches(
            &"a".repeat(2000),
            &"*a".repeat(200).replacen("*a", "*b", 1)
        ));
    }

    #[test]
    fn directives_are_read_or_refused() {
        assert_eq!(directive("info"), Ok((None, Some(Severity::Info))));
        assert_eq!(directive("mem=off"), Ok((Some("mem"), None)));
        assert_eq!(
            directive("mem = Debug"),
            Ok((Some("mem"), Some(Severity::Debug)))
        );
        for (wrong, word) in [("loud", "loud"), ("mem=", ""), ("a=b=info", "b=info")] {
            assert_eq!(directive(wrong), Err(FilterError::Severity(word)));
        }
        let told = std::format!("{}", FilterError::Severity("loud"));
        assert!(
            told.contains("off, emerg, alert") && told.ends_with("trace are"),
            "{told}"
        );
    }

    extern crate std;
}
