//! What became of messages, for people and programs.

use std::fmt;

use serde::{Serialize, Serializer};

use super::destination::Destination;
use super::frames::Faults;
use super::queue::Counts;

/// What became of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Where they were to go.
    pub to: String,
    /// Messages that the machine has said.
    pub came: u64,
    /// Those that were passed on.
    pub passed: u64,
    /// The others.
    pub not_passed: u64,
    /// Why they were not, if there are such: the last reason.
    pub why: Option<String>,
    /// Messages with control characters in them, which were escaped.
    pub malformed: u64,
    /// Connections that broke: what was under way in them may be missing at the other end.
    pub broken: u64,
    /// What the machine said that was no message.
    #[serde(serialize_with = "faults")]
    pub faults: Option<Faults>,
}

/// Faults as JSON shows them.
fn faults<S: Serializer>(faults: &Option<Faults>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown {
        first: String,
        at: u64,
        count: u64,
        passed_over: u64,
    }
    let shown = faults.map(|faults| Shown {
        first: faults.first.to_string(),
        at: faults.at,
        count: faults.count,
        passed_over: faults.passed_over,
    });
    shown.serialize(serializer)
}

impl Told {
    /// What these counts say.
    pub(super) fn new(to: &Destination, counts: Counts) -> Self {
        let Counts {
            came,
            passed,
            malformed,
            broken,
            why,
            faults,
        } = counts;
        Self {
            to: to.to_string(),
            came,
            passed,
            not_passed: came.saturating_sub(passed),
            why: why.filter(|_| came > passed),
            malformed,
            broken,
            faults,
        }
    }
}

/// A number of things.
fn number(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl fmt::Display for Told {
    /// A line for people, as long as there is something to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = number(self.passed, "message", "messages");
        write!(f, "{messages} passed to {}", self.to)?;
        if self.not_passed > 0 {
            write!(f, ", {} not passed on", self.not_passed)?;
        }
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if self.broken > 0 {
            let times = number(self.broken, "time", "times");
            write!(
                f,
                "; the connection broke {times}: what was under way then may be missing"
            )?;
        }
        if self.malformed > 0 {
            let malformed = self.malformed;
            write!(f, "; control characters of {malformed} were escaped")?;
        }
        if let Some(faults) = self.faults {
            let bytes = number(faults.passed_over, "byte", "bytes");
            let places = number(faults.count, "place", "places");
            let (first, at) = (faults.first, faults.at);
            write!(
                f,
                "; {bytes} that came at {places} are no messages, first at byte {at}: {first}"
            )?;
        }
        Ok(())
    }
}
