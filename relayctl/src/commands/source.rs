//! What a command reads: a capture, a raw file, or standard input.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use relay_decode::audit::Audit;
use relay_decode::capture::{self, CaptureError, OpenError, Scratch, Stored, Totals};

use super::captures;
use crate::terminal::near;

/// Why there is nothing to read.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// No capture was named, and there is none yet.
    NoLatest(PathBuf),
    /// A capture cannot be read.
    Open(OpenError),
    /// A raw file, or standard input, cannot be read.
    Raw(PathBuf, io::Error),
    /// What it says cannot be kept while it is sorted.
    Scratch(CaptureError),
    /// It holds no metadata.
    NoMetadata(PathBuf, Box<Totals>),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLatest(path) => write!(
                f,
                "there is no capture yet ({}): 'relayctl run' makes one, or name one",
                near(path).display()
            ),
            Self::Open(error) => error.fmt(f),
            Self::Raw(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Scratch(error) => error.fmt(f),
            Self::NoMetadata(path, totals) => write!(
                f,
                "{}: no metadata in its {} bytes, so that nothing in it can be read: {}",
                path.display(),
                totals.fragments,
                totals.metadata_error.as_deref().unwrap_or("none came")
            ),
        }
    }
}

impl std::error::Error for SourceError {}

/// The options of every command that judges a capture.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportArgs {
    /// A capture, a raw file, or - for standard input; the newest capture if not given
    pub(crate) capture: Option<PathBuf>,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Something to read.
#[derive(Debug)]
pub(crate) struct Source {
    /// The capture.
    pub(crate) stored: Stored,
    /// Where it is, if it is made of a raw file; it is removed with this.
    _scratch: Option<Scratch>,
}

impl Source {
    /// Opens the capture or raw file that was named, the newest capture if none
    /// was. `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub(crate) fn open(name: Option<&Path>) -> Result<Self, SourceError> {
        match name {
            None => {
                let latest = captures::latest();
                match latest.is_dir() {
                    true => Self::folder(&latest),
                    false => Err(SourceError::NoLatest(latest)),
                }
            }
            Some(name) if name == Path::new("-") => {
                Self::raw(Path::new("standard input"), io::stdin().lock())
            }
            // A pipe is as good as a file.
            Some(name) if name.exists() && !name.is_dir() => {
                let file =
                    File::open(name).map_err(|error| SourceError::Raw(name.into(), error))?;
                Self::raw(name, file)
            }
            Some(name) => Self::folder(name),
        }
    }

    /// Opens it, and reads all of it for its ledger.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub(crate) fn audited(name: Option<&Path>) -> Result<(Self, Audit), SourceError> {
        let source = Self::open(name)?;
        let audit = Audit::of(&source.stored).map_err(SourceError::Open)?;
        Ok((source, audit))
    }

    /// Opens a capture.
    fn folder(folder: &Path) -> Result<Self, SourceError> {
        let stored = Stored::open(folder).map_err(SourceError::Open)?;
        Ok(Self {
            stored,
            _scratch: None,
        })
    }

    /// Reads a raw stream of packets.
    fn raw(name: &Path, input: impl io::Read) -> Result<Self, SourceError> {
        let scratch = Scratch::new().map_err(|error| SourceError::Raw(name.into(), error))?;
        let totals = capture::read_raw(input, scratch.path()).map_err(SourceError::Scratch)?;
        match Stored::open(scratch.path()) {
            Ok(stored) => Ok(Self {
                stored,
                _scratch: Some(scratch),
            }),
            Err(OpenError::NoMetadata { .. }) => {
                Err(SourceError::NoMetadata(name.into(), Box::new(totals)))
            }
            Err(error) => Err(SourceError::Open(error)),
        }
    }
}
