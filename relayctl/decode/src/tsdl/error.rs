//! What is wrong with a metadata text, and where.

use std::fmt;

/// What is wrong with a metadata text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsdlError {
    /// The line, from 1.
    pub line: u32,
    /// The column in bytes, from 1.
    pub column: u32,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for TsdlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metadata {}:{}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for TsdlError {}
