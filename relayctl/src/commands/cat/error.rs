//! Why `cat` cannot go on.

use std::fmt;
use std::io;
use std::path::PathBuf;

use relay_decode::capture::{FollowError, OpenError};
use relay_decode::merge::FilterError;

use crate::commands::source::SourceError;
use crate::exit::Exit;

/// Why the records could not be shown to the end.
#[derive(Debug)]
pub(in crate::commands) enum CatError {
    /// What is wanted is not there.
    Filter(FilterError),
    /// A packed capture cannot be followed.
    Packed(PathBuf),
    /// There is nothing to read.
    Source(SourceError),
    /// A file of the capture cannot be read.
    Open(OpenError),
    /// What is followed has gone, or is another.
    Follow(FollowError),
    /// Signals cannot be listened for.
    Signals(io::Error),
    /// The output cannot be written.
    Output(io::Error),
    /// The user has seen enough.
    Stopped,
}

impl CatError {
    /// How `cat` ends.
    pub(in crate::commands) fn exit(&self) -> Exit {
        match self {
            Self::Source(error) => error.exit(),
            Self::Filter(_) | Self::Packed(_) => Exit::Usage,
            _ => Exit::Infrastructure,
        }
    }
}

impl fmt::Display for CatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(error) => error.fmt(f),
            Self::Packed(path) => write!(
                f,
                "{}: a packed capture does not grow: show it without --follow",
                path.display()
            ),
            Self::Source(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
            Self::Follow(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "cannot listen for signals: {error}"),
            Self::Output(error) => write!(f, "cannot write the records: {error}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl From<FilterError> for CatError {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

impl From<OpenError> for CatError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<FollowError> for CatError {
    fn from(error: FollowError) -> Self {
        Self::Follow(error)
    }
}
