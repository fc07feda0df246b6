//! What a merge gives out.

use relay_format::Severity;

use super::note::Note;
use crate::pairs::Fit;
use crate::records::{Channel, Record, Value};

/// A record, with what belongs to it.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Its channel.
    pub channel: &'a Channel,
    /// Its CPU.
    pub cpu: u32,
    /// Its time in nanoseconds since the machine's start.
    pub ns: u64,
    /// Its severity, if it has one.
    pub severity: Option<Severity>,
    /// The record.
    pub record: Record<'a>,
    /// The number of its packet.
    pub packet: u64,
    /// Whether later records were shown already: it came too late for its place.
    pub is_late: bool,
    /// Its place among entries and exits, if these are paired and it is one.
    pub fit: Option<Fit>,
    /// Of an exit whose entry is known, the time of that in nanoseconds since the machine's start.
    pub begin_ns: Option<u64>,
}

/// What comes next.
#[derive(Debug)]
pub enum Next<'a, 'v> {
    /// A record with its fields.
    Record(Shown<'a>, &'v [Value<'v>]),
    /// Losses, or damage, where they were found.
    Note(Note),
}
