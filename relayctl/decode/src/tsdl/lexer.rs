//! Cuts a metadata text into words.

use super::error::TsdlError;

/// Where a word begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The line, from 1.
    pub(super) line: u32,
    /// The column in bytes, from 1.
    pub(super) column: u32,
}

impl Place {
    /// An error here.
    pub(super) fn error(self, what: impl Into<String>) -> TsdlError {
        TsdlError {
            line: self.line,
            column: self.column,
            what: what.into(),
        }
    }
}

/// A word of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or keyword.
    Word(&'a str),
    /// A number without sign.
    Number(u64),
    /// A text, without its quotes and escapes.
    Text(String),
    /// `{`, `;`, `:=`, `...` and the like.
    Sign(&'static str),
    /// Behind the last one.
    End,
}

/// The signs, longer ones first.
const SIGNS: [&str; 16] = [
    "...", ":=", "->", "{", "}", "[", "]", "(", ")", ";", ",", ".", ":", "=", "-", "+",
];

/// Reads words, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    /// What is left.
    rest: &'a str,
    /// Where it begins.
    place: Place,
}

impl<'a> Lexer<'a> {
    /// Begins at the beginning.
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            place: Place { line: 1, column: 1 },
        }
    }

    /// Goes on by `length` bytes, which end at a character's end.
    fn advance(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        for byte in taken.bytes() {
            if byte == b'\n' {
                self.place.line = self.place.line.saturating_add(1);
                self.place.column = 1;
            } else {
                self.place.column = self.place.column.saturating_add(1);
            }
        }
        self.rest = rest;
        taken
    }

    /// Goes on behind blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), TsdlError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_ascii_start().len();
            self.advance(blanks);
            if self.rest.starts_with("/*") {
                let end = self.rest[2..].find("*/");
                let end = end.ok_or_else(|| self.place.error("this comment does not end"))?;
                self.advance(end + 4);
            } else if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if blanks == 0 {
                return Ok(());
            }
        }
    }

    /// The next word, and where it is.
    pub(super) fn next(&mut self) -> Result<(Place, Token<'a>), TsdlError> {
        self.skip_blanks()?;
        let place = self.place;
        let Some(first) = self.rest.chars().next() else {
            return Ok((place, Token::End));
        };
        let token = if first.is_ascii_digit() {
            let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
            let word = &self.rest[..end];
            let number = number(word).ok_or_else(|| {
                place.error(format!("'{}' is not a number of 64 bits", clip(word)))
            })?;
            self.advance(end);
            Token::Number(number)
        } else if in_word(first) {
            let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
            Token::Word(self.advance(end))
        } else if first == '"' {
            self.text(place)?
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
            self.advance(sign.len());
            Token::Sign(sign)
        } else {
            return Err(place.error(format!("{first:?} does not belong here")));
        };
        Ok((place, token))
    }

    /// The next word, whatever comes: what is none is passed over, and `None`.
    pub(super) fn next_of_any(&mut self) -> Option<Token<'a>> {
        if let Ok((_, token)) = self.next() {
            return Some(token);
        }
        let mut chars = self.rest.char_indices();
        let end = match chars.next() {
            Some((_, '"')) => loop {
                match chars.next() {
                    Some((at, '"')) => break at + 1,
                    Some((_, '\\')) => drop(chars.next()),
                    Some((at, '\n')) => break at,
                    Some(_) => {}
                    None => break self.rest.len(),
                }
            },
            // A comment without end takes all that is left.
            Some((_, '/')) if self.rest.starts_with("/*") => self.rest.len(),
            // A number that is too large.
            Some((_, first)) if in_word(first) => {
                self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len())
            }
            first => first.map_or(0, |(_, first)| first.len_utf8()),
        };
        self.advance(end);
        None
    }

    /// Reads a text in quotes.
    fn text(&mut self, place: Place) -> Result<Token<'a>, TsdlError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.advance(at + 1);
                    return Ok(Token::Text(text));
                }
                '\\' => {
                    let (length, c) = escape(&self.rest[at + 1..]).ok_or_else(|| {
                        place.error(
                            "only \\n, \\r, \\t, \\\", \\', \\\\, and ASCII characters by number \
                             (\\x1b, \\033) are known in a text",
                        )
                    })?;
                    text.push(c);
                    // What an escape is made of is ASCII.
                    chars.nth(length - 1);
                }
                '\n' => break,
                c => text.push(c),
            }
        }
        Err(place.error("this text does not end on its line"))
    }
}

/// Reads what is behind the backslash of an escape: how many bytes it has, and the character.
fn escape(text: &str) -> Option<(usize, char)> {
    let mut bytes = text.bytes();
    let by_number = |digits: &str, radix| {
        let number = u8::from_str_radix(digits, radix).ok()?;
        number.is_ascii().then_some(char::from(number))
    };
    match bytes.next()? {
        b'n' => Some((1, '\n')),
        b'r' => Some((1, '\r')),
        b't' => Some((1, '\t')),
        c @ (b'"' | b'\\' | b'\'') => Some((1, c.into())),
        b'x' => {
            let digits = bytes.take(2).take_while(u8::is_ascii_hexdigit).count();
            Some((1 + digits, by_number(&text[1..1 + digits], 16)?))
        }
        b'0'..=b'7' => {
            let digits = 1 + bytes
                .take(2)
                .take_while(|c| (b'0'..=b'7').contains(c))
                .count();
            Some((digits, by_number(&text[..digits], 8)?))
        }
        _ => None,
    }
}

/// Whether a character may be part of a word.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Reads a number as C writes it, suffixes included.
fn number(word: &str) -> Option<u64> {
    let word = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let (digits, radix) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&word[2..], 16),
        [b'0', b'b' | b'B', ..] => (&word[2..], 2),
        [b'0', _, ..] => (&word[1..], 8),
        _ => (word, 10),
    };
    u64::from_str_radix(digits, radix).ok()
}

/// The beginning of a word, for a message.
pub(super) fn clip(word: &str) -> String {
    match word.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", &word[..at]),
        None => word.to_owned(),
    }
}
