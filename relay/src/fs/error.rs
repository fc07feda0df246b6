//! Why nothing was mounted, or found.

use super::path::PathError;
use core::fmt;

/// Why a channel was not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// A channel has this path already.
    Taken,
    /// The namespace has no room for more channels.
    Full {
        /// How many it has room for.
        capacity: usize,
    },
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("there is a channel at this path already; choose another"),
            Self::Full { capacity } => write!(
                f,
                "the namespace is full: it was made for {capacity} channels"
            ),
        }
    }
}

impl core::error::Error for CreateError {}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindError {
    /// That is no path.
    Path(PathError),
    /// There is nothing of this name.
    NotFound,
    /// This is a folder, and something else was asked for.
    IsFolder,
    /// This is a file, and a folder was asked for.
    IsFile,
    /// The channel has no room for this CPU.
    NoSuchCpu {
        /// How many it has room for, numbered from 0.
        cpus: usize,
    },
    /// The stream of this CPU has not started yet.
    NotStarted(usize),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => error.fmt(f),
            Self::NotFound => f.write_str("there is no channel, folder or file of this name"),
            Self::IsFolder => f.write_str("this is a folder: it can be listed"),
            Self::IsFile => f.write_str("this is a file: it can be opened"),
            Self::NoSuchCpu { cpus } => write!(
                f,
                "the channel has no such CPU: it has room for {cpus}, numbered from 0"
            ),
            Self::NotStarted(cpu) => write!(f, "the stream of CPU {cpu} has not started"),
        }
    }
}

impl core::error::Error for FindError {}

impl From<PathError> for FindError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}
