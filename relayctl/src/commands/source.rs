//! What a command reads: a capture, a raw file, or standard input.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use relay_decode::audit::Audit;
use relay_decode::capture::{
    self, BootFolder, Boots, CaptureError, OpenError, Scratch, Stored, Totals,
};

use super::boots::{NoBoot, Selection, Which};
use super::captures;
use crate::exit::Exit;
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
    /// It has no such boot.
    NoBoot(NoBoot),
}

impl SourceError {
    /// How a command ends that has nothing to read.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoBoot(_) => Exit::Usage,
            _ => Exit::Infrastructure,
        }
    }
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
            Self::NoBoot(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SourceError {}

/// The options of every command that judges a capture.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportArgs {
    /// A capture, a raw file, or - for standard input; the newest capture if not given
    pub(crate) capture: Option<PathBuf>,

    /// Which boots of a machine that was reset: a number from 1, all, or last
    #[arg(long, value_name = "BOOT", default_value_t)]
    pub(crate) boot: Which,

    /// One JSON object for each boot, a line each
    #[arg(long)]
    pub(crate) json: bool,
}

/// Something to read.
#[derive(Debug)]
pub(crate) struct Source {
    /// The capture's folder.
    folder: PathBuf,
    /// What it is made of, if that is a raw file, and what came of it.
    raw: Option<(PathBuf, Totals)>,
    /// The folder again, in this case; it is removed with this.
    _scratch: Option<Scratch>,
}

impl Source {
    /// Finds the capture or raw file that was named, the newest capture if none
    /// was. `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is none, or a raw file cannot be read.
    pub(crate) fn open(name: Option<&Path>) -> Result<Self, SourceError> {
        match name {
            None => {
                let latest = captures::latest();
                match latest.is_dir() {
                    true => Ok(Self::folder(latest)),
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
            Some(name) => Ok(Self::folder(name.to_owned())),
        }
    }

    /// A capture.
    fn folder(folder: PathBuf) -> Self {
        Self {
            folder,
            raw: None,
            _scratch: None,
        }
    }

    /// Reads a raw stream of packets.
    fn raw(name: &Path, input: impl io::Read) -> Result<Self, SourceError> {
        let scratch = Scratch::new().map_err(|error| SourceError::Raw(name.into(), error))?;
        let totals = capture::read_raw(input, scratch.path()).map_err(SourceError::Scratch)?;
        Ok(Self {
            folder: scratch.path().to_owned(),
            raw: Some((name.to_owned(), totals)),
            _scratch: Some(scratch),
        })
    }

    /// The boots that are wanted.
    ///
    /// # Errors
    ///
    /// When there is no such boot, or it cannot be found out.
    pub(crate) fn boots(&self, wanted: Which) -> Result<Selection, SourceError> {
        let boots = Boots::of(&self.folder).map_err(SourceError::Open)?;
        wanted.of(boots).map_err(SourceError::NoBoot)
    }

    /// Opens a boot.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn boot(&self, boot: &BootFolder) -> Result<Stored, SourceError> {
        Stored::open(&boot.folder).map_err(|error| match (error, &self.raw) {
            (OpenError::NoMetadata { .. }, Some((name, totals))) => {
                SourceError::NoMetadata(name.clone(), Box::new(totals.clone()))
            }
            (error, _) => SourceError::Open(error),
        })
    }

    /// Opens a boot, and reads all of it for its ledger.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn audited(&self, boot: &BootFolder) -> Result<(Stored, Audit), SourceError> {
        let stored = self.boot(boot)?;
        let audit = Audit::of(&stored).map_err(SourceError::Open)?;
        Ok((stored, audit))
    }
}
