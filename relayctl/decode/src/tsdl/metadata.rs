//! What a metadata text says.

use std::collections::BTreeMap;

use super::error::TsdlError;
use super::types::Struct;

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
#[derive(Clone, Debug, Default)]
pub struct EventClass {
    /// Its name.
    pub name: String,
    /// What follows the stream's header and context; mostly empty.
    pub context: Struct,
    /// What follows that; empty if that cannot be read.
    pub fields: Struct,
    /// Its `loglevel`, if it is a number.
    pub loglevel: Option<i128>,
    /// Its `model.emf.uri`, if it is a text.
    pub uri: Option<String>,
    /// Why its fields cannot be read.
    pub unreadable: Option<Unreadable>,
}

/// Why the context and fields of a kind of record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with their description.
    pub error: TsdlError,
    /// How many bytes they take, if that is known.
    pub size: Option<u64>,
}
