//! Records at which a [snapshot] of the trace is taken.
//!
//! Who writes a record looks whether there are any; only if so, whether this is one. So without
//! them a record costs a load and a branch more, and with them those alone that are written.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use relay::event::{Severity, Site, filter, find, registered};

use super::snapshot::{self, Why};

/// Whether there are any.
static IS_ARMED: AtomicBool = AtomicBool::new(false);
/// The least severe statement that is one, as its number; [`NONE`]: no statement is.
static LEAST: AtomicU8 = AtomicU8::new(NONE);
const NONE: u8 = u8::MAX;

/// Ids of classes are below this.
const IDS: usize = 1 << 14;
/// A bit for each event that is one, by its id.
static EVENTS: [AtomicU32; IDS / 32] = [const { AtomicU32::new(0) }; IDS / 32];

/// A word that names neither a severity nor an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown<'a>(pub(super) &'a str);

/// Whether there are any. A load; any context.
#[inline(always)]
pub(super) fn is_armed() -> bool {
    IS_ARMED.load(Ordering::Relaxed)
}

/// An event with this id was written, and triggers [are armed](is_armed). Any context.
#[cold]
pub(super) fn event(id: u16) {
    let word = EVENTS.get(usize::from(id) / 32);
    let is_one = word.is_some_and(|word| word.load(Ordering::Relaxed) >> (id % 32) & 1 == 1);
    if is_one {
        snapshot::ask(Why::Match);
    }
}

/// A statement with this id was written, likewise.
#[cold]
pub(super) fn statement(id: u16) {
    if let Some(class) = find(id) {
        severity(class.site.severity());
    }
}

/// Something so severe was logged, likewise.
#[cold]
pub(super) fn severity(severity: Severity) {
    let least = LEAST.load(Ordering::Relaxed);
    if least != NONE && severity as u8 <= least {
        snapshot::ask(Why::Match);
    }
}

/// Sets them: a list of severities, of which the least severe counts, and of names of events with
/// `*` and `?`, or facilities, in whatever channel; `off` and nothing are none. Task and IRQ context;
/// it looks at every class.
///
/// # Errors
/// A word that is neither; then all is as it was.
pub(super) fn set(text: &str) -> Result<(), Unknown<'_>> {
    let words = || {
        text.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
    };
    for word in words() {
        let is_known = word == "off"
            || Severity::from_name(word).is_some()
            || events().any(|(_, site)| filter::is_called(site, word));
        if !is_known {
            return Err(Unknown(word));
        }
    }
    IS_ARMED.store(false, Ordering::Relaxed);
    let severities = words().filter_map(Severity::from_name);
    let least = severities.map(|severity| severity as u8).max();
    LEAST.store(least.unwrap_or(NONE), Ordering::Relaxed);
    EVENTS
        .iter()
        .for_each(|word| word.store(0, Ordering::Relaxed));
    let mut are_any = least.is_some();
    let is_named = |site: &Site| {
        let mut names = words().filter(|word| Severity::from_name(word).is_none());
        names.any(|word| word != "off" && filter::is_called(site, word))
    };
    for (id, _) in events().filter(|(_, site)| is_named(site)) {
        if let Some(word) = EVENTS.get(usize::from(id) / 32) {
            word.fetch_or(1 << (id % 32), Ordering::Relaxed);
            are_any = true;
        }
    }
    IS_ARMED.store(are_any, Ordering::Relaxed);
    Ok(())
}

/// All events, with their ids.
fn events() -> impl Iterator<Item = (u16, &'static Site)> {
    let all = registered().map(|class| (class.class.id, class.site));
    all.filter(|(_, site)| !site.is_statement())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an event is one.
    fn is_set(id: u16) -> bool {
        EVENTS[usize::from(id) / 32].load(Ordering::Relaxed) >> (id % 32) & 1 == 1
    }

    #[test]
    fn words_are_severities_or_events_or_refused() {
        let ids = |name: &str| -> Vec<u16> {
            let found = events().filter(|(_, site)| filter::is_called(site, name));
            found.map(|(id, _)| id).collect()
        };
        assert_eq!(set("crit, error,ipi_send"), Ok(()));
        assert!(is_armed());
        assert_eq!(LEAST.load(Ordering::Relaxed), Severity::Error as u8);
        assert!(ids("ipi_send").into_iter().all(is_set));
        assert_eq!(set("error,no_such_event"), Err(Unknown("no_such_event")));
        assert!(is_armed() && ids("ipi_send").into_iter().all(is_set));
        assert_eq!(set("x86_*"), Ok(()));
        assert_eq!(LEAST.load(Ordering::Relaxed), NONE);
        assert!(!is_set(ids("ipi_send")[0]) && ids("x86_*").into_iter().all(is_set));
        for nothing in ["off", "", " , "] {
            assert_eq!(set(nothing), Ok(()));
            assert!(
                !is_armed() && !events().any(|(id, _)| is_set(id)),
                "{nothing:?}"
            );
        }
    }
}
