//! Regular expressions, within bounds.

use regex::bytes::{Regex, RegexBuilder};

/// The most bytes that a compiled pattern may take, and its cache.
const MAX_SIZE: usize = 1 << 20;

/// How deep groups may lie within each other.
const MAX_NESTING: u32 = 64;

/// A regular expression in the syntax of the crate `regex`: it takes linear time, whatever the text
/// is.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// It as it stands between the quotes.
    text: String,
    /// Finds it.
    regex: Regex,
}

impl Pattern {
    /// Compiles what stands between quotes: a backslash belongs to the pattern, also one before a
    /// quotation mark.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(text);
        builder
            .size_limit(MAX_SIZE)
            .dfa_size_limit(MAX_SIZE)
            .nest_limit(MAX_NESTING);
        match builder.build() {
            Ok(regex) => Ok(Self {
                text: text.to_owned(),
                regex,
            }),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err("the pattern is too large when compiled: fewer repetitions".to_owned())
            }
            // Its last line says what is wrong, those before show where.
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                let what = last.strip_prefix("error: ").unwrap_or(last);
                Err(format!("a pattern that can be compiled: {what}"))
            }
        }
    }

    /// It as it stands between the quotes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is found in a text.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}
