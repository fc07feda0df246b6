//! What programs may do with memory.

/// What a program may do with pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Look at them.
    Read,
    /// Look at them and change them.
    ReadWrite,
    /// Look at them and execute them.
    ReadExecute,
}
