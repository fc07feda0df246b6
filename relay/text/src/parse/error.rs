//! What a format string says wrongly.

use core::fmt;

/// A part of a format string that is wrong.
///
/// ```
/// use relay_text::parse::{ErrorKind, pieces};
///
/// let errors: Vec<_> = pieces("{a} {b!} }").filter_map(Result::err).collect();
/// assert_eq!(errors[0].source, "{b!}");
/// assert_eq!(errors[0].kind, ErrorKind::Unexpected('!'));
/// assert_eq!(errors[1].kind, ErrorKind::Unopened);
/// assert_eq!(errors[0].to_string(), "`{b!}`: `!` stands where `:` or `}` should");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// It, as it stands.
    pub source: &'a str,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with a part of a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A closing brace that closes nothing.
    Unopened,
    /// An opening brace that is never closed.
    Unclosed,
    /// A character that does not belong where it stands.
    Unexpected(char),
    /// A number that does not fit 16 bits.
    TooLarge,
    /// A style that there is not.
    UnknownStyle,
    /// `_` as a name.
    Underscore,
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.source, self.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unopened => f.write_str("no `{` before it; a brace itself is written `}}`"),
            Self::Unclosed => f.write_str("no `}` after it; a brace itself is written `{{`"),
            Self::Unexpected(character) => write!(
                f,
                "`{}` stands where `:` or `}}` should",
                character.escape_debug()
            ),
            Self::TooLarge => f.write_str("numbers are at most 65535"),
            Self::UnknownStyle => f.write_str(
                "unknown style; there are `?`, `x?`, `X?`, `x`, `X`, `o`, `b`, `p`, `e`, `E` and none",
            ),
            Self::Underscore => f.write_str("`_` is no name"),
        }
    }
}

impl core::error::Error for Error<'_> {}

impl core::error::Error for ErrorKind {}
