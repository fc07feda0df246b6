//! What a write says of a record that was not written.

use super::ledger::Loss;
use core::fmt;

/// What happened to a record that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The record is lost, for this reason; the stream's ledger has counted it.
    Lost(Loss),
    /// This CPU has no ring: its number is out of the channel's range, or its stream was not
    /// started. The channel has counted it.
    NoRing,
    /// A record of no bytes is no record. Nothing was counted.
    Empty,
    /// The event id is one of the fillers', which readers skip: those of events are below
    /// [`record::EVENTS`](crate::record::EVENTS). Nothing was counted.
    FillerId,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost(Loss::Full) => "the buffer is full of unread records",
            Self::Lost(Loss::TooBig) => "the record does not fit into a sub-buffer",
            Self::Lost(Loss::Wrapped) => {
                "the next sub-buffer still has an uncommitted record of the previous lap"
            }
            Self::Lost(Loss::Nested) => "too many records of this CPU are under way",
            Self::Lost(Loss::Closed) => "the channel is closed",
            Self::Lost(Loss::Discarded) => "the record was given up by its writer",
            Self::NoRing => "this CPU has no ring in the channel",
            Self::Empty => "a record must have at least one byte",
            Self::FillerId => "event ids from 0x3FFD on are those of fillers; use a smaller one",
        })
    }
}

impl core::error::Error for WriteError {}
