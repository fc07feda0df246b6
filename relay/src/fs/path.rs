//! What a path looks like.

use core::fmt;

/// Why a text is no path, or no path of what was asked for. Places are counted in bytes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// A name was expected here and there is none: `//`, or `/` at the end.
    EmptyName {
        /// Where.
        at: usize,
    },
    /// Names are made of other characters.
    Character {
        /// Where.
        at: usize,
        /// The byte there.
        found: u8,
    },
    /// A channel's path has one name or two: that of its client, and its own.
    Depth {
        /// How many names there are.
        names: usize,
    },
    /// A channel cannot be called by a number: these are the names of the files in its client's
    /// folder.
    Number,
    /// A CPU's number is written without leading zeros, so that every file has one name.
    LeadingZero,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAbsolute => f.write_str("a path begins with '/'"),
            Self::EmptyName { at } => {
                write!(
                    f,
                    "the path lacks a name at byte {at}: '//' or a '/' at its end"
                )
            }
            Self::Character { at, found } => write!(
                f,
                "byte {at} of the path is '{}': names are made of a-z, 0-9 and '-'",
                found.escape_ascii()
            ),
            Self::Depth { names } => write!(
                f,
                "the path has {names} names: a channel has one or two, /client or /client/channel"
            ),
            Self::Number => f.write_str(
                "a channel cannot be called by a number: the files of its client's folder are",
            ),
            Self::LeadingZero => {
                f.write_str("the number of a CPU is written without leading zeros")
            }
        }
    }
}

impl core::error::Error for PathError {}

/// Checks that `path` is made of names, each behind a `/`; returns how many.
pub(super) const fn count_names(path: &str) -> Result<usize, PathError> {
    let bytes = path.as_bytes();
    if bytes.is_empty() || bytes[0] != b'/' {
        return Err(PathError::NotAbsolute);
    }
    let (mut names, mut at) = (0, 0);
    while at < bytes.len() {
        at += 1;
        let start = at;
        while at < bytes.len() && bytes[at] != b'/' {
            let found = bytes[at];
            if !matches!(found, b'a'..=b'z' | b'0'..=b'9' | b'-') {
                return Err(PathError::Character { at, found });
            }
            at += 1;
        }
        if at == start {
            return Err(PathError::EmptyName { at });
        }
        names += 1;
    }
    Ok(names)
}

/// Checks that a channel can be mounted at `path`.
pub(super) const fn check_mount(path: &str) -> Result<(), PathError> {
    match count_names(path) {
        Ok(1) => Ok(()),
        Ok(2) if ends_in_number(path) => Err(PathError::Number),
        Ok(2) => Ok(()),
        Ok(names) => Err(PathError::Depth { names }),
        Err(error) => Err(error),
    }
}

/// Whether the last name of `path`, which is one, is a number.
const fn ends_in_number(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut at = bytes.len();
    while at > 0 && bytes[at - 1] != b'/' {
        at -= 1;
        if !bytes[at].is_ascii_digit() {
            return false;
        }
    }
    true
}

/// What a path of two names or more could be the file of.
pub(super) struct FilePath<'p> {
    /// The path of its channel.
    pub(super) channel: &'p str,
    /// The number of its CPU; no channel has room for the largest.
    pub(super) cpu: usize,
}

impl<'p> FilePath<'p> {
    /// Takes `path` apart; `None` if it cannot be that of a file.
    pub(super) fn of(path: &'p str) -> Result<Option<Self>, PathError> {
        if count_names(path)? < 2 || !ends_in_number(path) {
            return Ok(None);
        }
        let Some((channel, digits)) = path.rsplit_once('/') else {
            return Ok(None);
        };
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(PathError::LeadingZero);
        }
        // Digits only: what can go wrong is that it is too large.
        let cpu = digits.parse().unwrap_or(usize::MAX);
        Ok(Some(Self { channel, cpu }))
    }
}

/// The name that `path` has in `folder` (empty: the root), if it lies in there.
pub(super) fn child<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    let inside = path.strip_prefix(folder)?.strip_prefix('/')?;
    inside.split('/').next()
}
