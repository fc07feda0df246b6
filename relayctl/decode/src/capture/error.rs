//! Why a capture cannot be made.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::folder::FolderError;

/// Why a capture cannot be made or finished.
#[derive(Debug)]
pub enum CaptureError {
    /// Its folder cannot be made.
    Folder(FolderError),
    /// Something could not be written; the capture ends there.
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(error) => error.fmt(f),
            Self::Write { path, error } => {
                write!(f, "the capture is cut off: {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for CaptureError {}
