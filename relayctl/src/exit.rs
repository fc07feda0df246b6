//! The exit codes of relayctl and of the reference kernel's runner.

use std::process::ExitCode;

/// How a command ended; the discriminants are the process's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
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
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
