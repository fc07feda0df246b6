//! What the channel is.

use crate::event::StreamClass;

/// The name of the channel.
pub const CHANNEL: &str = "evlog";

/// The channel with this number, from 1, as the metadata describes it. Its events are collected by
/// the linker.
#[must_use]
pub const fn stream(id: u32) -> StreamClass {
    StreamClass {
        id,
        name: CHANNEL,
        is_global: false,
        overwrites: false,
        is_taken: false,
        events: &[],
    }
}
