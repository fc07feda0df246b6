//! Writing a klog record.

use super::class::{EVENT_ID, Place};
use super::line::Line;
use crate::channel::Channel;
use crate::event::Severity;
use crate::platform::Platform;
use crate::ring::WriteError;
use crate::sync::{Scratch, Usage};
use core::fmt::{self, Write as _};

/// Writes a record: `message` was said at `place`.
///
/// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates; about 1.8 KiB
/// of stack. `message` is formatted once.
///
/// # Errors
/// The record was not written, for the reason given; the loss is counted.
pub fn write<P: Platform, const CPUS: usize, U: Usage>(
    channel: &Channel<P, CPUS, U>,
    severity: Severity,
    place: Place<'_>,
    message: fmt::Arguments<'_>,
) -> Result<(), WriteError> {
    let mut scratch = Scratch::new();
    let mut line = Line::new(scratch.bytes());
    line.begin(severity, place);
    if line.write_fmt(message).is_err() {
        line.note_a_failure();
    }
    channel.write_event_that_fits(EVENT_ID, |room| line.finish(room))
}
