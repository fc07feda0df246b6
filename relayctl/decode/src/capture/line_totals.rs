//! What came over a serial line beside packets.

use std::fmt;

use serde_json::{Value, json};

use crate::escape::printable;
use crate::wire::Damage;

/// The most places of damage that are kept.
const MAX_PLACES: usize = 16;

/// A place of damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where it begins, in bytes from where the line was opened.
    pub at: u64,
    /// How many bytes it has.
    pub length: u64,
    /// What it is.
    pub why: String,
}

/// What came over a serial line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineTotals {
    /// Sound frames of packets.
    pub frames: u64,
    /// Sound frames of messages: what the machine has answered.
    pub messages: u64,
    /// Bytes of somebody's text.
    pub text: u64,
    /// Pieces of the line that are neither frames nor text.
    pub damaged: u64,
    /// Their bytes, which are among the fragments.
    pub damaged_bytes: u64,
    /// The first of them.
    pub places: Vec<Place>,
}

impl LineTotals {
    /// Adds a damaged piece.
    pub(super) fn add(&mut self, damage: &Damage) {
        self.damaged += 1;
        self.damaged_bytes = self.damaged_bytes.saturating_add(damage.length);
        if self.places.len() < MAX_PLACES {
            self.places.push(Place {
                at: damage.at,
                length: damage.length,
                why: damage.why.to_string(),
            });
        }
    }

    /// Whether no frame came, and nothing that could have been one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames == 0 && self.messages == 0 && self.damaged == 0
    }

    /// Whether something came beside frames.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.damaged > 0 || self.text > 0
    }

    /// As `run.json` has it.
    #[must_use]
    pub fn json(&self) -> Value {
        let places = self
            .places
            .iter()
            .map(|Place { at, length, why }| json!({ "at": at, "length": length, "why": why }));
        json!({
            "frames": self.frames,
            "messages": self.messages,
            "text": self.text,
            "damaged": self.damaged,
            "damaged_bytes": self.damaged_bytes,
            "damage": places.collect::<Vec<_>>(),
        })
    }

    /// What `run.json` has, if it tells of a line.
    pub(super) fn of(line: &Value) -> Option<Self> {
        line.is_object().then(|| {
            let number = |of: &Value, key: &str| of[key].as_u64().unwrap_or(0);
            let places = line["damage"].as_array().into_iter().flatten();
            let places = places.take(MAX_PLACES).map(|place| Place {
                at: number(place, "at"),
                length: number(place, "length"),
                why: match place["why"].as_str() {
                    Some(why) => printable(why.as_bytes()).into_owned(),
                    None => String::new(),
                },
            });
            Self {
                frames: number(line, "frames"),
                messages: number(line, "messages"),
                text: number(line, "text"),
                damaged: number(line, "damaged"),
                damaged_bytes: number(line, "damaged_bytes"),
                places: places.collect(),
            }
        })
    }
}

impl fmt::Display for LineTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            frames,
            messages: _,
            text,
            damaged,
            damaged_bytes,
            places,
        } = self;
        write!(f, "line: {frames} frames, {damaged} damaged")?;
        if let Some(Place { at, why, .. }) = places.first() {
            write!(f, " ({damaged_bytes} bytes, first at byte {at}: {why})")?;
        }
        write!(f, ", {text} bytes of text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Why;

    #[test]
    fn a_line_is_told_alike_before_and_after_it_was_written() {
        let mut line = LineTotals {
            frames: 7,
            messages: 2,
            text: 11,
            ..LineTotals::default()
        };
        assert_eq!(
            line.to_string(),
            "line: 7 frames, 0 damaged, 11 bytes of text"
        );
        for at in 0..20 {
            line.add(&Damage {
                at: 100 + at,
                length: 3,
                why: Why::Noise,
            });
        }
        assert_eq!(line.places.len(), MAX_PLACES);
        let told = line.to_string();
        let wanted = "line: 7 frames, 20 damaged (60 bytes, first at byte 100: neither text nor a \
                      frame), 11 bytes of text";
        assert_eq!(told, wanted);
        assert_eq!(LineTotals::of(&line.json()), Some(line));
        assert_eq!(LineTotals::of(&Value::Null), None);
        let odd = LineTotals::of(&json!({ "frames": -1, "damage": [{ "why": "\u{1b}[2J" }, 3] }));
        assert!(!odd.expect("it is an object").to_string().contains('\u{1b}'));
    }
}
