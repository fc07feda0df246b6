//! The metadata: the part of CTF 1.8's trace stream description language (TSDL)
//! that relay's kernel writes.
//!
//! That is: the blocks `trace`, `env`, `clock`, `stream` and `event`; named and
//! unnamed integers, enumerations, floating point numbers, zero-terminated
//! strings, structures, arrays, and sequences whose length is an earlier
//! field of the same structure. Everything is little-endian and byte-aligned.
//! Bit fields are known in event headers and contexts only. The rest of the language (variants, big-endian numbers, dotted
//! lengths) gives an error that says where and what.
//!
//! The text comes from a guest: nesting, sizes and counts are bounded.

mod blocks;
mod lexer;
mod parser;
mod types;

use std::collections::BTreeMap;
use std::fmt;

pub use types::{Enum, Field, Int, Len, Struct, Type};

/// The longest metadata text that is read, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// What the metadata says.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The boot's number, if the trace has one.
    pub uuid: Option<[u8; 16]>,
    /// `trace.packet.header`.
    pub packet_header: Option<Struct>,
    /// The block `env`.
    pub env: BTreeMap<String, EnvValue>,
    /// The clock.
    pub clock: Option<Clock>,
    /// Stream classes by their number.
    pub streams: BTreeMap<u64, StreamClass>,
}

/// A value in the block `env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// A number.
    Number(i128),
    /// A text.
    Text(String),
}

/// What the ticks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The clock's name.
    pub name: String,
    /// Ticks per second, not 0.
    pub frequency: u64,
    /// Time of tick 0 in seconds.
    pub offset_seconds: i64,
    /// What is added to it, in ticks.
    pub offset: u64,
}

/// A channel.
#[derive(Clone, Debug, Default)]
pub struct StreamClass {
    /// `packet.context`.
    pub packet_context: Option<Struct>,
    /// `event.header`.
    pub event_header: Option<Struct>,
    /// `event.context`.
    pub event_context: Option<Struct>,
    /// Event classes by their number.
    pub events: BTreeMap<u64, EventClass>,
}

/// A kind of record.
#[derive(Clone, Debug)]
pub struct EventClass {
    /// Its name.
    pub name: String,
    /// What follows header and context.
    pub fields: Struct,
}

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
