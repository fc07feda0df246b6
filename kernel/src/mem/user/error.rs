//! Why something was not done in a program's space.

use core::fmt;

/// Why something was not done in a program's space. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpaceError {
    /// The machine has no frames for programs.
    NoFrames,
    /// The program may not have more.
    Quota,
    /// There are too many pieces, or no gap is large enough.
    NoRoom,
    /// The range is none that a program can have, is not of whole pages, or is not mapped as it
    /// must be.
    BadAddress,
    /// Something is there, or a page that must stay empty.
    InUse,
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFrames => "there are no frames left for programs",
            Self::Quota => "the program has all the memory that it may have",
            Self::NoRoom => "there is no room in the program's address space",
            Self::BadAddress => "the range of addresses is none of the program's",
            Self::InUse => "something is mapped there already",
        })
    }
}
