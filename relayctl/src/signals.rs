//! Signals that ask to end.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit::Exit;

/// Lets a file that may not grow any more (`ulimit -f`) be an error of the write, and no reason to
/// die.
pub(crate) fn outlive_file_limit() {
    // Where it cannot be had, it is as if nobody had asked.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Calls `end` when SIGINT, SIGTERM or SIGHUP comes, in a thread of its own: it may wait. The
/// second one ends relayctl at once, and with it a QEMU that it started.
///
/// # Errors
///
/// When the signals cannot be listened for.
pub(crate) fn on_end(end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let mut signals = signals.forever();
        let asked = signals.next().map(|_| thread::Builder::new().spawn(end));
        // Where there can be no more threads, once is enough.
        let is_heard = asked.is_some_and(|spawned| spawned.is_ok());
        if !is_heard || signals.next().is_some() {
            process::exit(Exit::Infrastructure.code().into());
        }
    });
    Ok(())
}
