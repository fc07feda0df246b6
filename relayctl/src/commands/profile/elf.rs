//! The ELF file that a profile's addresses belong to.

use std::fmt;
use std::path::{Path, PathBuf};

use relay_decode::capture::{Image, Kernel};
use relay_machine::workspace::Workspace;

use crate::symbols::{ElfError, ElfFile, Symbols};
use crate::terminal::{near, say};

/// Why the file that somebody named is not used.
#[derive(Debug)]
pub(in crate::commands) enum WrongElf {
    /// It cannot be read.
    Unreadable(PathBuf, ElfError),
    /// It is another program than the one that ran.
    Other {
        /// The file.
        path: PathBuf,
        /// What of it is loaded.
        is: Image,
        /// What was loaded.
        ran: Image,
    },
}

impl fmt::Display for WrongElf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", near(path).display()),
            Self::Other { path, is, ran } => write!(
                f,
                "{} is not the kernel that ran: what it loads has {} bytes with checksum {:08x}, \
                 the kernel had {} with {:08x}",
                near(path).display(),
                is.bytes,
                is.crc,
                ran.bytes,
                ran.crc
            ),
        }
    }
}

/// Symbols, and the file that they are from.
#[derive(Debug)]
pub(super) struct Known {
    /// The file.
    pub(super) path: PathBuf,
    /// Its symbols.
    pub(super) symbols: Symbols,
}

/// The symbols of the file that was named, else of the kernel that the capture tells of. Without
/// them the user is told why.
///
/// # Errors
///
/// When the file that was named cannot be read, or is another program than the one that ran.
pub(super) fn symbols(named: Option<&Path>, kernel: &Kernel) -> Result<Option<Known>, WrongElf> {
    let Some(path) = named else {
        let known = told(kernel);
        return Ok(known
            .inspect_err(|why| {
                say(format!(
                    "addresses have no names: {why}; --elf PATH names the kernel"
                ));
            })
            .ok());
    };
    let known = load(path, kernel.image)?;
    if kernel.image.is_none() {
        say(format!(
            "the capture does not tell which kernel ran: that it was {} is believed",
            near(path).display()
        ));
    }
    Ok(Some(known))
}

/// The symbols of the kernel that the capture tells of; why there are none.
fn told(kernel: &Kernel) -> Result<Known, String> {
    let Some(path) = &kernel.path else {
        return Err("the capture does not tell which kernel ran".to_owned());
    };
    let Some(image) = kernel.image else {
        return Err(format!(
            "the capture does not tell what {path} was when it ran"
        ));
    };
    load(Path::new(path), Some(image)).map_err(|error| error.to_string())
}

/// Reads a file's symbols, if it is the program that ran.
fn load(path: &Path, ran: Option<Image>) -> Result<Known, WrongElf> {
    let unreadable = |error| WrongElf::Unreadable(path.to_owned(), error);
    let file = ElfFile::read(path).map_err(unreadable)?;
    let is = file.image().map_err(unreadable)?;
    if let Some(ran) = ran.filter(|ran| *ran != is) {
        let path = path.to_owned();
        return Err(WrongElf::Other { path, is, ran });
    }
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = Workspace::around(&whole).map_or_else(|| "/".into(), |workspace| workspace.root);
    let symbols = Symbols::of(&file, &root).map_err(unreadable)?;
    Ok(Known {
        path: path.to_owned(),
        symbols,
    })
}
