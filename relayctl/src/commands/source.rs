//! What a command reads: a capture, a raw file, or standard input.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use relay_decode::audit::Audit;
use relay_decode::capture::{
    self, BootFolder, Boots, CaptureError, OpenError, Packed, PackedError, Scratch, Stored, Totals,
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
    /// A packed capture cannot be read.
    Packed(PathBuf, PackedError),
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
            Self::Packed(path, error) => write!(f, "{}: {error}", path.display()),
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
    /// A capture or its trace, also as .tar or .tar.gz; a raw file; - for standard input; the
    /// newest capture if not given
    pub(crate) capture: Option<PathBuf>,

    /// Which boots of a machine that was reset: a number from 1, all, or last
    #[arg(long, value_name = "BOOT", default_value_t)]
    pub(crate) boot: Which,

    /// One JSON object for each boot, a line each; verify adds one for several boots together
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
    /// What is wrong with what it was unpacked from.
    problems: Vec<String>,
    /// The folder again, if it is made of a raw file or unpacked; it is removed with this.
    _scratch: Option<Scratch>,
}

impl Source {
    /// Finds the capture or file that was named, the newest capture if none was: the user is told
    /// which that is. `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is none, or a file cannot be read.
    pub(crate) fn open(name: Option<&Path>) -> Result<Self, SourceError> {
        match name {
            None => {
                let latest = captures::latest();
                if !latest.is_dir() {
                    return Err(SourceError::NoLatest(latest));
                }
                Ok(Self::folder(captures::named(&latest)))
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
            Some(name) => Ok(Self::folder(captures::named(name))),
        }
    }

    /// A capture.
    fn folder(folder: PathBuf) -> Self {
        Self {
            folder,
            raw: None,
            problems: Vec::new(),
            _scratch: None,
        }
    }

    /// Reads a packed capture, or a raw stream of packets.
    fn file(name: &Path, input: impl io::Read) -> Result<Self, SourceError> {
        let failed = |error| SourceError::Packed(name.into(), error);
        let scratch = Scratch::new().map_err(|error| SourceError::Raw(name.into(), error))?;
        let mut source = Self::folder(scratch.path().to_owned());
        match Packed::of(input).map_err(failed)? {
            Packed::Raw(input) => {
                let totals = capture::read_raw(input, scratch.path());
                let totals = totals.map_err(SourceError::Scratch)?;
                source.raw = Some((name.to_owned(), totals));
            }
            Packed::Archive(input) => {
                let unpacked = capture::unpack(input, scratch.path()).map_err(failed)?;
                source.folder = unpacked.folder;
                let told = unpacked.problems.into_iter();
                let told = told.map(|what| format!("{}: {what}", name.display()));
                source.problems = told.collect();
            }
        }
        source._scratch = Some(scratch);
        Ok(source)
    }

    /// The boots that are wanted.
    ///
    /// # Errors
    ///
    /// When there is no such boot, or it cannot be found out.
    pub(crate) fn boots(&self, wanted: Which) -> Result<Selection, SourceError> {
        let boots = Boots::of(&self.folder).map_err(SourceError::Open)?;
        let mut selection = wanted.of(boots).map_err(SourceError::NoBoot)?;
        // What is wrong with the archive may be about any boot.
        selection.problems.extend(self.problems.iter().cloned());
        Ok(selection)
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
