//! Waiting for what shall be followed, and for what comes.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use relay_decode::capture::Live;

use super::error::WalkError;
use crate::commands::captures;
use crate::terminal::{near, say};

/// How often is looked for what comes.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// The capture or file to follow: the one that was named, as soon as it is there; else the newest
/// capture, or the next one if nobody is making that any more. The user is told what is waited for.
///
/// # Errors
///
/// When there is nobody any more who wants to see what comes, or the newest capture is none.
pub(super) fn for_source(name: Option<&Path>, stop: &AtomicBool) -> Result<PathBuf, WalkError> {
    let Some(name) = name else {
        return for_capture(&captures::latest(), stop);
    };
    if is_awaited(name) {
        say(format!("waiting for {}", near(name).display()));
    }
    while is_awaited(name) {
        pause(stop)?;
    }
    Ok(name.to_owned())
}

/// Waits until the newest capture is one that is being made, or another than at first.
fn for_capture(latest: &Path, stop: &AtomicBool) -> Result<PathBuf, WalkError> {
    let newest = || {
        fs::canonicalize(latest)
            .ok()
            .filter(|folder| folder.is_dir())
    };
    let first = newest();
    let Some(folder) = &first else {
        say(format!(
            "waiting for the first run ({})",
            near(latest).display()
        ));
        return for_another(newest, None, stop);
    };
    if Live::open(folder)?.is_being_made() {
        return Ok(captures::named(latest));
    }
    say(format!(
        "waiting for the next run: {} is over, and shown without --follow",
        near(folder).display()
    ));
    for_another(newest, Some(folder), stop)
}

/// Waits until `newest` is another than `first`.
fn for_another(
    newest: impl Fn() -> Option<PathBuf>,
    first: Option<&PathBuf>,
    stop: &AtomicBool,
) -> Result<PathBuf, WalkError> {
    loop {
        if let Some(folder) = newest().filter(|folder| Some(folder) != first) {
            say(format!("reading {}", near(&folder).display()));
            return Ok(folder);
        }
        pause(stop)?;
    }
}

/// Whether something is not there yet, or is a folder that a capture is about to be made in.
fn is_awaited(name: &Path) -> bool {
    if name == Path::new("-") {
        return false;
    }
    let entries = |folder: &Path| fs::read_dir(folder).map(|entries| entries.flatten());
    match entries(name) {
        Ok(mut found) => {
            found.all(|entry| entry.file_name() == "trace" && is_awaited(&entry.path()))
        }
        Err(_) => !name.exists(),
    }
}

/// Waits until it is time to look again.
///
/// # Errors
///
/// When there is nobody any more who wants to see what comes.
pub(super) fn pause(stop: &AtomicBool) -> Result<(), WalkError> {
    let stdout = io::stdout();
    // Nothing is asked for, so that only the reader's end is reported.
    let mut reader = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let time = PollTimeout::try_from(POLL).unwrap_or(PollTimeout::ZERO);
    match poll(&mut reader, time) {
        Ok(0) | Err(Errno::EINTR) => {}
        Ok(_) => return Err(WalkError::Stopped),
        Err(error) => return Err(WalkError::Output(error.into())),
    }
    match stop.load(Ordering::Relaxed) {
        true => Err(WalkError::Stopped),
        false => Ok(()),
    }
}
