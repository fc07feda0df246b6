//! What a command reads: a capture, a raw file, or standard input.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use relay_decode::audit::Audit;
use relay_decode::capture::{
    self, CaptureError, OpenError, Packed, PackedError, Scratch, Stored, Totals,
};

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
    /// A packed capture cannot be read.
    Packed(PathBuf, PackedError),
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
            Self::Packed(path, error) => write!(f, "{}: {error}", path.display()),
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
    /// A capture or its trace, also as .tar or .tar.gz; a raw file; - for standard input; the newest
    /// capture if not given
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
    /// Where it is, if it is made of a raw file or unpacked; it is removed with this.
    _scratch: Option<Scratch>,
}

impl Source {
    /// Opens the capture or file that was named, the newest capture if none was: the user is told
    /// which that is. `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub(crate) fn open(name: Option<&Path>) -> Result<Self, SourceError> {
        match name {
            None => {
                let latest = captures::latest();
                if !latest.is_dir() {
                    return Err(SourceError::NoLatest(latest));
                }
                Self::folder(&captures::named(&latest))
            }
            Some(name) if name == Path::new("-") => {
                Self::file(Path::new("standard input"), io::stdin().lock())
            }
            // A pipe is as good as a file.
            Some(name) if name.exists() && !name.is_dir() => {
                let file =
                    File::open(name).map_err(|error| SourceError::Raw(name.into(), error))?;
                Self::file(name, file)
            }
            Some(name) => Self::folder(&captures::named(name)),
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

    /// Reads a packed capture, or a raw stream of packets.
    fn file(name: &Path, input: impl io::Read) -> Result<Self, SourceError> {
        let failed = |error| SourceError::Packed(name.into(), error);
        let scratch = Scratch::new().map_err(|error| SourceError::Raw(name.into(), error))?;
        match Packed::of(input).map_err(failed)? {
            Packed::Raw(input) => Self::raw(name, input, scratch),
            Packed::Archive(input) => {
                let unpacked = capture::unpack(input, scratch.path()).map_err(failed)?;
                let mut stored = Stored::open(&unpacked.folder).map_err(SourceError::Open)?;
                let told = unpacked.problems.into_iter();
                let told = told.map(|what| format!("{}: {what}", name.display()));
                stored.problems.extend(told);
                Ok(Self {
                    stored,
                    _scratch: Some(scratch),
                })
            }
        }
    }

    /// Reads a raw stream of packets.
    fn raw(name: &Path, input: impl io::Read, scratch: Scratch) -> Result<Self, SourceError> {
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
