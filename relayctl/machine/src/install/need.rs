//! What may be missing, and why it is missing still.

use std::fmt;

/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";

/// The reference reader of traces.
pub const BABELTRACE: &str = "babeltrace2";

/// The syslog daemon that messages are passed to in tests. It lies where users seldom look.
pub const RSYSLOG: &str = "/usr/sbin/rsyslogd";

/// Something that relayctl cannot work without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The Rust target that the kernel is built for.
    RustTarget,
    /// The emulator that runs the kernel.
    Qemu,
    /// The reference reader of traces; only tests need it.
    Babeltrace,
    /// A syslog daemon; only tests need it.
    Rsyslog,
}

impl Need {
    /// What it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RustTarget => "the Rust target x86_64-unknown-none",
            Self::Qemu => QEMU,
            Self::Babeltrace => BABELTRACE,
            Self::Rsyslog => RSYSLOG,
        }
    }

    /// The words behind `apt-get` that install it.
    pub(super) fn install_words(self) -> &'static [&'static str] {
        match self {
            Self::Babeltrace => INSTALL_BABELTRACE,
            Self::Rsyslog => INSTALL_RSYSLOG,
            _ => INSTALL_QEMU,
        }
    }

    /// What makes it say its version, and do nothing else.
    pub(super) fn version_word(self) -> &'static str {
        match self {
            Self::Rsyslog => "-v",
            _ => "--version",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something is missing still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallError {
    /// It is not ours to install it; the command would.
    NotAllowed {
        /// What is missing.
        need: Need,
        /// Why it was not installed.
        why: &'static str,
        /// What installs it.
        command: String,
    },
    /// Nobody knows how to install it here.
    NoRecipe {
        /// What is missing.
        need: Need,
        /// What the user can do.
        advice: &'static str,
    },
    /// The installation failed.
    Failed {
        /// What is missing.
        need: Need,
        /// The command that failed.
        command: String,
        /// What went wrong.
        detail: String,
    },
    /// It was installed and is not there.
    StillMissing {
        /// What is missing.
        need: Need,
        /// What was run.
        command: String,
    },
    /// The Rust compiler itself does not run.
    NoRustc {
        /// What went wrong.
        detail: String,
    },
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { need, why, command } => {
                write!(
                    f,
                    "{need} is missing, and {why}.\nInstall it with:\n    {command}"
                )
            }
            Self::NoRecipe { need, advice } => write!(f, "{need} is missing: {advice}"),
            Self::Failed {
                need,
                command,
                detail,
            } => {
                write!(f, "{need} is missing, and `{command}` failed: {detail}")
            }
            Self::StillMissing { need, command } => {
                write!(f, "{need} is still missing after `{command}`")
            }
            Self::NoRustc { detail } => write!(f, "the Rust compiler does not run: {detail}"),
        }
    }
}

impl std::error::Error for InstallError {}

/// The words behind `apt-get` that install the emulator and its firmware.
const INSTALL_QEMU: &[&str] = &[
    "install",
    "-y",
    "--no-install-recommends",
    "qemu-system-x86",
];

/// The words behind `apt-get` that install the reference reader of traces.
const INSTALL_BABELTRACE: &[&str] = &["install", "-y", "--no-install-recommends", "babeltrace2"];

/// The words behind `apt-get` that install the syslog daemon.
const INSTALL_RSYSLOG: &[&str] = &["install", "-y", "--no-install-recommends", "rsyslog"];
