//! A place in a format string.

use super::error::ErrorKind;

/// What is left of a format string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next character.
    pub(super) fn peek(self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes the next character.
    pub(super) fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    /// Takes the next character if it is `wanted`.
    pub(super) fn take_if(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn skip_while(&mut self, is_skipped: fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(is_skipped);
    }

    /// What lies between here and `later`, which has come from here.
    pub(super) fn up_to(self, later: Self) -> &'a str {
        self.rest.strip_suffix(later.rest).unwrap_or(self.rest)
    }

    /// Takes a number, if there is one.
    pub(super) fn number(&mut self) -> Result<Option<u16>, ErrorKind> {
        let begin = *self;
        self.skip_while(|character| character.is_ascii_digit());
        let digits = begin.up_to(*self);
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| ErrorKind::TooLarge)
    }

    /// Takes a name or keyword; empty if there is none.
    pub(super) fn word(&mut self) -> Result<&'a str, ErrorKind> {
        let begin = *self;
        if self.peek().is_some_and(|first| !first.is_ascii_digit()) {
            self.skip_while(is_in_name);
        }
        match begin.up_to(*self) {
            "_" => Err(ErrorKind::Underscore),
            word => Ok(word),
        }
    }
}

fn is_in_name(character: char) -> bool {
    match character.is_ascii() {
        true => character == '_' || character.is_ascii_alphanumeric(),
        false => !character.is_whitespace(),
    }
}
