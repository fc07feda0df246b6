//! Other programs, and the end of this one.

use relay_abi::{Ended, Error, Handle, NORMAL_PRIORITY, ThreadOptions};

use crate::files::{Files, Owned};
use crate::sys;

/// Threads like most: normal priority, all CPUs.
pub const NORMAL: ThreadOptions = ThreadOptions {
    priority: NORMAL_PRIORITY,
    cpus: 0,
};

/// A program that was started.
#[derive(Debug, PartialEq, Eq)]
pub struct Process(Owned);

impl Process {
    /// Starts a program of the archive, with these arguments and copies of these handles, which
    /// become its handles 0, 1, and so on.
    ///
    /// # Errors
    /// The kernel's: `NotFound` if there is no such program.
    pub fn spawn(
        files: Files,
        name: &str,
        arguments: &str,
        handles: &[Handle],
        options: ThreadOptions,
    ) -> Result<Self, Error> {
        let handle = sys::spawn(files.handle(), name, arguments, handles, options)?;
        Ok(Self(Owned::new(handle)))
    }

    /// Its handle, for [`poll`](crate::files::poll).
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// How it ended.
    ///
    /// # Errors
    /// The kernel's.
    pub fn status(&self) -> Result<Ended, Error> {
        sys::status(self.handle()).map(Ended::from_word)
    }

    /// Ends it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(&self) -> Result<(), Error> {
        sys::kill(self.handle())
    }
}

/// Ends this program with a code.
pub fn exit(code: u32) -> ! {
    sys::exit(code)
}
