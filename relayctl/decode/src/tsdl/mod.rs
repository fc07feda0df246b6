//! The metadata: the part of CTF 1.8's trace stream description language (TSDL)
//! that relay's kernel writes.
//!
//! That is: the blocks `trace`, `env`, `clock`, `stream` and `event`; named and unnamed integers,
//! enumerations, floating point numbers, zero-terminated strings, structures, arrays, and sequences
//! whose length is an earlier field of the same structure. Everything is little-endian and
//! byte-aligned. Bit fields are known in event headers and contexts only. The rest of the language
//! (variants, big-endian numbers, dotted lengths) gives an error that says where and what; in the
//! block of an event, that class is [unreadable](EventClass::unreadable), and the others are not.
//!
//! The text comes from a guest: nesting, sizes and counts are bounded.

mod blocks;
mod error;
mod lexer;
mod metadata;
mod parser;
mod types;

pub use error::TsdlError;
pub use metadata::{Clock, EnvValue, EventClass, Metadata, StreamClass, Unreadable};
pub use types::{Enum, EnumForm, Field, Int, Len, Struct, Type};

/// The longest metadata text that is read, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// Reads a metadata text.
///
/// # Errors
///
/// Where the text is not TSDL, or not of the part described above.
pub fn parse(text: &str) -> Result<Metadata, TsdlError> {
    if text.len() > MAX_TEXT {
        return Err(TsdlError {
            line: 1,
            column: 1,
            what: format!("it has {} bytes, at most {MAX_TEXT} are read", text.len()),
        });
    }
    blocks::parse(parser::Parser::new(text)?)
}
