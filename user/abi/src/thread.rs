//! Programs and threads.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The priority that goes before all others.
pub const TOP_PRIORITY: u32 = 0;
/// The priority of most threads.
pub const NORMAL_PRIORITY: u32 = 20;
/// The priority that comes last.
pub const LEAST_PRIORITY: u32 = 39;

/// How a thread is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ThreadOptions {
    /// From [`TOP_PRIORITY`] to [`LEAST_PRIORITY`].
    pub priority: u32,
    /// The CPUs that it may run on, a bit each; those that are not there are passed over, and 0 is
    /// all.
    pub cpus: u32,
}

/// A program to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Spawn {
    /// Where its name in the archive is, and how many bytes, up to `PATH_BYTES`.
    pub name: u64,
    /// Bytes of the name.
    pub name_len: u64,
    /// Where its arguments are: text, up to `MESSAGE_BYTES`. It finds them on its stack.
    pub arguments: u64,
    /// Bytes of the arguments.
    pub arguments_len: u64,
    /// Where the handles are that it gets: they become its handles 0, 1, ...; a place that holds
    /// `NO_HANDLE` stays empty. Each must have the right to be passed.
    pub handles: u64,
    /// How many, at most 8.
    pub handles_len: u64,
    /// How its first thread is run.
    pub options: ThreadOptions,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has not: some of its threads go on.
    Not,
    /// It said so, with this code.
    Exited(u32),
    /// By a fault with this vector.
    Faulted(u32),
    /// Somebody ended it.
    Killed,
}

impl Ended {
    /// As one word, for `rdx`.
    #[must_use]
    pub const fn word(self) -> u64 {
        match self {
            Self::Not => 0,
            Self::Exited(code) => 1 << 32 | code as u64,
            Self::Faulted(vector) => 2 << 32 | vector as u64,
            Self::Killed => 3 << 32,
        }
    }

    /// What such a word says.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        match word >> 32 {
            1 => Self::Exited(word as u32),
            2 => Self::Faulted(word as u32),
            3 => Self::Killed,
            _ => Self::Not,
        }
    }
}
