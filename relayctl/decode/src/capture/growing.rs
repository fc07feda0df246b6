//! A file that is read while it grows.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::folder::open_file;
use super::stored::OpenError;

/// Why a file cannot be followed any further.
#[derive(Debug)]
pub enum FollowError {
    /// It cannot be read, or is no capture.
    Open(OpenError),
    /// It is not there any more.
    Removed(PathBuf),
    /// There is another file where it was.
    Replaced(PathBuf),
    /// It is shorter than it was.
    Truncated {
        /// The file.
        path: PathBuf,
        /// How far it was read, in bytes.
        from: u64,
        /// Its length.
        to: u64,
    },
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Removed(path) => write!(f, "{}: removed while it was followed", path.display()),
            Self::Replaced(path) => write!(
                f,
                "{}: replaced by another file while it was followed",
                path.display()
            ),
            Self::Truncated { path, from, to } => write!(
                f,
                "{}: truncated to {to} bytes while it was followed, {from} had been read",
                path.display()
            ),
        }
    }
}

impl std::error::Error for FollowError {}

impl From<OpenError> for FollowError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// A plain file that grows, read from its beginning.
#[derive(Debug)]
pub struct GrowingFile {
    /// Where it is.
    path: PathBuf,
    /// The file.
    file: File,
    /// How many bytes were read.
    at: u64,
}

impl GrowingFile {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is no plain file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_file(path)?;
        let path = path.to_owned();
        Ok(Self { path, file, at: 0 })
    }

    /// Reads what has come since; 0 is that there is nothing now.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not the file any more that it was.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FollowError> {
        let io = |path: &Path, error| FollowError::Open(OpenError::Io(path.to_owned(), error));
        loop {
            match self.file.read(buffer) {
                Ok(0) => {
                    self.check()?;
                    return Ok(0);
                }
                Ok(length) => {
                    self.at += length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io(&self.path, error)),
            }
        }
    }

    /// Finds out what has become of the file.
    fn check(&self) -> Result<(), FollowError> {
        let io = |error| FollowError::Open(OpenError::Io(self.path.clone(), error));
        let own = self.file.metadata().map_err(io)?;
        let there = match self.path.metadata() {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FollowError::Removed(self.path.clone()));
            }
            Err(error) => return Err(io(error)),
        };
        if (there.dev(), there.ino()) != (own.dev(), own.ino()) {
            return Err(FollowError::Replaced(self.path.clone()));
        }
        match own.len() < self.at {
            true => Err(FollowError::Truncated {
                path: self.path.clone(),
                from: self.at,
                to: own.len(),
            }),
            false => Ok(()),
        }
    }
}
