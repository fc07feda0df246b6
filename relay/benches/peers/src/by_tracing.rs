//! An event of four integers, by tracing, for a subscriber that ignores it.

use crate::Peer;
use std::hint::black_box;
use tracing::span::{Attributes, Record};
use tracing::{Event, Id, Metadata, Subscriber};

pub(crate) fn peers() -> Vec<Peer> {
    vec![crate::peer(
        (
            "tracing",
            "four integers, no-op subscriber",
            "no clock, no buffer: the subscriber looks at nothing",
        ),
        || {
            // Fails only if there is one already, which can only be this one.
            let _ = tracing::subscriber::set_global_default(Ignoring);
        },
        |&[a, b, c, d]| tracing::info!(a, b, c, d),
    )]
}

/// A subscriber that wants everything and does nothing with it.
struct Ignoring;

impl Subscriber for Ignoring {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        black_box(event);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
