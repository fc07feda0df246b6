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
        if signals.next().is_some() {
            thread::spawn(end);
        }
        if signals.next().is_some() {
            process::exit(Exit::Infrastructure.code().into());
        }
    });
    Ok(())
}
