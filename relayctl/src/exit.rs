//! The exit codes of relayctl and of the reference kernel's runner.

use std::process::ExitCode;

use relay_decode::capture::{CaptureError, FolderError};

/// How a command ended; the discriminants are the process's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Good = 0,
    /// The scenario or the check failed.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// It could not be found out: the build, QEMU, the machine or the time.
    Infrastructure = 3,
}

impl Exit {
    /// How a check ends.
    #[must_use]
    pub(crate) fn check(is_good: bool) -> Self {
        match is_good {
            true => Self::Good,
            false => Self::Failed,
        }
    }

    /// The process's exit code.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&CaptureError> for Exit {
    /// A folder that somebody named and that cannot be used is a matter of usage.
    fn from(error: &CaptureError) -> Self {
        match error {
            CaptureError::Folder(FolderError::Exists(_) | FolderError::NoCapture(_)) => Self::Usage,
            CaptureError::Folder(FolderError::Io { .. }) | CaptureError::Write { .. } => {
                Self::Infrastructure
            }
        }
    }
}
