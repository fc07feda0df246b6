//! Where captures lie, and what they are called.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::boots::number_of;

/// The link to the newest capture.
const LATEST: &str = "latest";

/// The trace within a capture.
pub(super) const TRACE: &str = "trace";
/// The metadata within the trace.
pub(super) const METADATA: &str = "metadata";
/// The list of packets.
pub(super) const PACKETS: &str = "packets";
/// The folder of bytes that were no whole packet.
pub(super) const FRAGMENTS: &str = "fragments";
/// Where packets that a stopped CPU left wait until all ports have ended.
pub(super) const SALVAGED: &str = "salvaged";
/// What the serial console said.
pub(super) const CONSOLE: &str = "console.log";
/// The socket through which the machine is asked while the capture is made.
pub const CONTROL: &str = "control";
/// How the capture was made.
pub(super) const RUN: &str = "run.json";
/// The same, while it is written.
pub(super) const NEW_RUN: &str = "run.json.new";

/// Why a folder for a capture cannot be made.
#[derive(Debug)]
pub enum FolderError {
    /// There is something already.
    Exists(PathBuf),
    /// There is something that is no capture; `--force` does not remove it.
    NoCapture(PathBuf),
    /// The file system does not allow it.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(
                f,
                "{} exists; --force replaces a capture, or name another folder with --out",
                path.display()
            ),
            Self::NoCapture(path) => write!(
                f,
                "{} exists and is not a capture, so that --force does not replace it",
                path.display()
            ),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for FolderError {}

/// Adds the path to an error.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |error| FolderError::Io { path, error }
}

/// The newest capture in a folder of captures.
#[must_use]
pub fn latest(root: &Path) -> PathBuf {
    root.join(LATEST)
}

/// A name for a capture that is made now: `2026-11-23T02-47-25Z`.
#[must_use]
pub(super) fn name_of_now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    name_of(now.map_or(0, |now| now.as_secs()))
}

/// The name of a second since 1970.
fn name_of(seconds: u64) -> String {
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    // The Gregorian calendar repeats every 400 years, which have 146097 days;
    // years are counted from March, so that leap days come last.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{date:02}T{:02}-{:02}-{:02}Z",
        era * 400 + year + carry,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Makes the folder of a new capture: `out`, or one named after the time in `root`.
///
/// # Errors
///
/// When it exists and may not be replaced, or cannot be made.
pub(super) fn create(root: &Path, out: Option<&Path>, force: bool) -> Result<PathBuf, FolderError> {
    let folder = match out {
        Some(out) => {
            if fs::symlink_metadata(out).is_ok() && !is_empty_folder(out) {
                if !force {
                    return Err(FolderError::Exists(out.to_owned()));
                }
                remove(out)?;
            }
            fs::create_dir_all(out).map_err(at(out))?;
            out.to_owned()
        }
        None => {
            let name = name_of_now();
            fs::create_dir_all(root).map_err(at(root))?;
            let mut folder = root.join(&name);
            let mut more = 1;
            // Another one of the same second.
            while let Err(error) = fs::create_dir(&folder) {
                if error.kind() != io::ErrorKind::AlreadyExists || more == 1000 {
                    return Err(at(&folder)(error));
                }
                more += 1;
                folder = root.join(format!("{name}-{more}"));
            }
            folder
        }
    };
    let trace = folder.join(TRACE);
    fs::create_dir_all(&trace).map_err(at(&trace))?;
    Ok(folder)
}

/// Lets `latest` point at a capture, if it lies directly in `root`.
pub(super) fn link(folder: &Path, root: &Path) -> Result<(), FolderError> {
    let (Ok(root), Ok(folder)) = (fs::canonicalize(root), fs::canonicalize(folder)) else {
        return Ok(());
    };
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(());
    };
    if parent != root || name == LATEST {
        return Ok(());
    }
    // Made beside it and moved there, so that there is a link at any time.
    let new = root.join(format!(".{LATEST}.{}", std::process::id()));
    let _ = fs::remove_file(&new);
    symlink(name, &new).map_err(at(&new))?;
    let latest = root.join(LATEST);
    fs::rename(&new, &latest).map_err(at(&latest))
}

/// Opens a plain file for reading. Anything else could make the reader wait.
pub(super) fn open_file(path: &Path) -> io::Result<fs::File> {
    match fs::metadata(path)?.is_file() {
        true => fs::File::open(path),
        false => Err(io::Error::other("this is not a plain file")),
    }
}

/// Whether there is a folder with nothing in it.
fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes a capture, and nothing that is none.
pub(super) fn remove(folder: &Path) -> Result<(), FolderError> {
    let foreign = || FolderError::NoCapture(folder.to_owned());
    let mut paths = Vec::new();
    for (name, path) in entries(folder).map_err(|_| foreign())? {
        if name.to_str().and_then(number_of).is_some() {
            // A further boot: a folder of the same form, but for others in it.
            let within = entries(&path).map_err(|_| foreign())?;
            if !within.iter().all(|(name, _)| is_known(name)) {
                return Err(foreign());
            }
        } else if !is_known(&name) {
            return Err(foreign());
        }
        paths.push(path);
    }
    for path in paths {
        match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(&path).map_err(at(&path))?,
            false => fs::remove_file(&path).map_err(at(&path))?,
        }
    }
    Ok(())
}

/// Whether a capture has files or folders of this name.
fn is_known(name: &OsStr) -> bool {
    let known = [TRACE, PACKETS, FRAGMENTS, SALVAGED, CONSOLE, CONTROL, RUN];
    // What is written anew has a name of its own until it is.
    let name = name.to_str();
    let name = name.map(|name| name.strip_suffix(".new").unwrap_or(name));
    known.iter().any(|known| name == Some(known))
}

/// The names and paths of what is in a folder.
fn entries(folder: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let entries = fs::read_dir(folder)?;
    entries
        .map(|entry| entry.map(|entry| (entry.file_name(), entry.path())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dates() {
        assert_eq!(name_of(0), "1970-01-01T00-00-00Z");
        assert_eq!(name_of(951_782_399), "2000-02-28T23-59-59Z");
        assert_eq!(name_of(951_782_400), "2000-02-29T00-00-00Z");
        assert_eq!(name_of(1_795_402_045), "2026-11-23T02-47-25Z");
        assert_eq!(name_of(4_107_542_400), "2100-03-01T00-00-00Z");
    }
}
