//! What is wrong with an expression, and where.

use std::fmt;

/// How many characters of an expression are shown before and behind the place.
const BEFORE: usize = 60;
const BEHIND: usize = 20;

/// What is wrong with an expression.
///
/// It is shown with the expression, a caret below the place, and what would be right there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The expression.
    text: String,
    /// The place, in bytes.
    at: usize,
    /// What is wrong there.
    fault: Fault,
}

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// One of these would be right.
    Expected(Vec<String>),
    /// This is too much.
    TooMuch(String),
}

impl Fault {
    /// One of these would be right.
    pub(super) fn expected(words: &[&str]) -> Self {
        Self::Expected(words.iter().map(|word| (*word).to_owned()).collect())
    }
}

impl QueryError {
    /// Something is wrong at a place.
    pub(super) fn new(text: &str, at: usize, fault: Fault) -> Self {
        Self {
            text: text.to_owned(),
            at,
            fault,
        }
    }

    /// The place: how many bytes of the expression are right.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text.get(..self.at).unwrap_or(&self.text);
        let place = before.chars().count();
        writeln!(f, "at character {}:", place + 1)?;
        let from = place.saturating_sub(BEFORE);
        let mut shown = self.text.chars().skip(from);
        let length = place - from + BEHIND;
        // A character that is not shown by itself would move the caret.
        let plain = |c: char| match c {
            ' '..='~' => c,
            c if c.is_alphanumeric() => c,
            c if c.is_whitespace() => ' ',
            _ => '\u{fffd}',
        };
        let mark = |is_cut| if is_cut { "..." } else { "" };
        let text: String = shown.by_ref().take(length).map(plain).collect();
        let (start, end) = (mark(from > 0), mark(shown.next().is_some()));
        writeln!(f, "  {start}{}{end}", text.trim_end())?;
        let indent = start.len() + place - from;
        writeln!(f, "  {:indent$}^", "")?;
        match &self.fault {
            Fault::Expected(words) => match words.as_slice() {
                [word] => write!(f, "{word} would be right here"),
                words => write!(f, "one of these would be right here: {}", words.join(", ")),
            },
            Fault::TooMuch(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for QueryError {}
