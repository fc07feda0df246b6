//! Words of which one is chosen.

use core::fmt;

/// A word that a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The word.
    pub(crate) word: &'static str,
    /// What it means, in a line.
    pub(crate) about: &'static str,
}

/// The levels, in the order of `log::LevelFilter` from `Error` on.
pub(super) const LEVELS: [Choice; 5] = [
    Choice::new("error", "what failed"),
    Choice::new("warn", "and what may be wrong"),
    Choice::new("info", "and what happens"),
    Choice::new("debug", "and why"),
    Choice::new("trace", "and everything else"),
];

impl Choice {
    /// A word and what it means.
    pub(crate) const fn new(word: &'static str, about: &'static str) -> Self {
        Self { word, about }
    }
}

/// The set of these words that `text` names, with commas between them, each once: a bit for each,
/// by its place. `None` if it names anything else.
pub(super) fn some_of(choices: &[Choice], text: &str) -> Option<u64> {
    text.split(',').try_fold(0, |set, word| {
        let place = choices.iter().position(|choice| choice.word == word)?;
        let bit = 1 << place;
        (set & bit == 0).then_some(set | bit)
    })
}

/// Words of which one is to be chosen.
pub(super) struct Or<'a>(pub(super) &'a [Choice]);

impl fmt::Display for Or<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(choices) = self;
        choices.iter().enumerate().try_for_each(|(place, choice)| {
            let separator = match place {
                0 => "",
                _ if place + 1 == choices.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{}", choice.word)
        })
    }
}
