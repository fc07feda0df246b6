//! Why `export` cannot go on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::commands::profile::ProfileError;
use crate::commands::source::SourceError;
use crate::commands::walk::WalkError;
use crate::exit::Exit;

/// Why a capture could not be exported.
#[derive(Debug)]
pub(super) enum ExportError {
    /// What is wanted makes no sense.
    Usage(String),
    /// There is nothing to read.
    Source(SourceError),
    /// There are no samples.
    Profile(ProfileError),
    /// Records cannot be shown.
    Records(WalkError),
    /// The output cannot be written.
    Output(io::Error),
    /// The same, of a file.
    File(PathBuf, io::Error),
}

impl ExportError {
    /// How `export` ends.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Source(error) => error.exit(),
            Self::Profile(error) => error.exit(),
            Self::Records(error) => error.exit(),
            Self::Output(_) | Self::File(..) => Exit::Infrastructure,
        }
    }

    /// The error of writing, if it is one.
    fn writing(&self) -> Option<&io::Error> {
        match self {
            Self::Output(error) | Self::Records(WalkError::Output(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the reader of the output has gone.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let error = self.writing();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The same error, if it is about writing, with the name of the file.
    pub(super) fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Output(error) | Self::Records(WalkError::Output(error)) => {
                Self::File(path.to_owned(), error)
            }
            other => other,
        }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::Source(error) => error.fmt(f),
            Self::Profile(error) => error.fmt(f),
            Self::Records(error) => error.fmt(f),
            Self::Output(error) => write!(f, "cannot write: {error}"),
            Self::File(path, error) => write!(f, "{}: cannot be written: {error}", path.display()),
        }
    }
}

impl From<SourceError> for ExportError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<ProfileError> for ExportError {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error)
    }
}
