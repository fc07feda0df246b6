//! An address, and a function that it lies in.

use std::fmt;

/// An address in a program's code, and what it is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// An instruction.
    Instruction(u64),
    /// What a function returns to.
    Return(u64),
}

impl Address {
    /// The number that it is.
    #[must_use]
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Instruction(address) | Self::Return(address) => address,
        }
    }

    /// An address that is certain to lie in the code that is meant. A return
    /// address is behind its call, which may be the last instruction of its
    /// function or of its line, so the byte before it is taken.
    pub(super) fn inside(self) -> u64 {
        match self {
            Self::Instruction(address) => address,
            Self::Return(address) => address.saturating_sub(1),
        }
    }
}

/// One function that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    /// The function's name, demangled; of one that was inlined it may lack its module.
    pub(crate) function: String,
    /// The source file, without the parts of its path that say nothing.
    pub(crate) file: Option<String>,
    /// The line in it.
    pub(crate) line: Option<u32>,
    /// Whether it was inlined into the next one.
    pub(crate) is_inlined: bool,
}

impl Frame {
    /// Source file and line, as far as they are known.
    #[must_use]
    pub(crate) fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        })
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match self.place() {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}
