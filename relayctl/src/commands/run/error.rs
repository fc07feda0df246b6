//! Why a run comes to nothing.

use std::fmt;
use std::io;
use std::path::PathBuf;

use relay_decode::capture::CaptureError;
use relay_machine::install::InstallError;
use relay_machine::syslog::Destination;
use relay_machine::workspace::{BuildError, RUNNER};

use crate::exit::Exit;

/// Why a run did not get as far as a guest's verdict.
#[derive(Debug)]
pub(in crate::commands) enum RunError {
    /// The command line asks for something impossible.
    Usage(String),
    /// Something is missing on this machine.
    Install(InstallError),
    /// The workspace was not found, or the kernel was not built.
    Build(BuildError),
    /// The kernel's ELF file, or the ramdisk, cannot be read.
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// KVM was asked for and is missing.
    Kvm(io::Error),
    /// QEMU's runner did not start or could not be waited for.
    Guest(io::Error),
    /// The signal handlers could not be installed.
    Signals(io::Error),
    /// The log could not be shown.
    Output(io::Error),
    /// The capture could not be begun.
    Capture(CaptureError),
    /// The socket for the guest's ports could not be made.
    Ports(io::Error),
    /// The file for what goes to syslog cannot be written to.
    Syslog {
        /// The file.
        to: Destination,
        /// What is wrong with it.
        error: io::Error,
    },
}

impl RunError {
    /// The exit code for it.
    pub(in crate::commands) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Capture(error) => error.into(),
            _ => Exit::Infrastructure,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::Install(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Kernel { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Kvm(error) => write!(
                f,
                "--accel kvm needs /dev/kvm, readable and writable: {error}. \
                 --accel tcg works everywhere"
            ),
            Self::Guest(error) => write!(f, "QEMU could not be started: {RUNNER}: {error}"),
            Self::Signals(error) => write!(f, "cannot listen for signals: {error}"),
            Self::Output(error) => write!(f, "cannot show the log: {error}"),
            Self::Capture(error) => error.fmt(f),
            Self::Ports(error) => write!(f, "cannot make a socket for the guest's ports: {error}"),
            Self::Syslog { to, error } => write!(f, "--syslog {to}: {error}"),
        }
    }
}

impl std::error::Error for RunError {}
