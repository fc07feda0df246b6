//! Signals that ask to end.

use std::io;
use std::process;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;

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
