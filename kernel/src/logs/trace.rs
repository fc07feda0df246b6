//! trace: what the machine does, event by event. Off until it is [switched](super::switches) on.
//!
//! Who does something declares the events of it, and [emits](emit) them. Names and fields are those
//! of LTTng's kernel tracer where it has them.

use relay::Channel;
use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::Mount;

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::client::Client;
use crate::base::settings::{TRACE_MODE, TRACE_SIZE};
use crate::cpu::machine::Machine;

/// The channel's number in the metadata.
pub(crate) const NUMBER: u32 = 5;

/// The channel, described.
const STREAM: StreamClass = StreamClass {
    id: NUMBER,
    name: "trace",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[],
};

static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
static MOUNT: Mount = channel::mount("/trace", &CHANNEL);
static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The client.
pub(crate) static CLIENT: Client = Client::new(
    STREAM,
    &CHANNEL,
    &PACKETS,
    &MOUNT,
    &ATTEMPTS,
    [&TRACE_MODE, &TRACE_SIZE],
);

/// Writes an event, if it is on. Any context.
#[inline(always)]
pub(crate) fn emit<E: Event>(event: impl FnOnce() -> E) {
    CLIENT.emit(event);
}

/// Whether any event may be on that is off at first. Any context.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    CLIENT.is_on()
}

/// How many events `cpu` has tried to write. Any context, any CPU; exact when that CPU is quiet.
pub(crate) fn tried_by(cpu: usize) -> u64 {
    ATTEMPTS.tried_by(cpu)
}

/// Whether it is a flight recorder: it is read for [snapshots](super::snapshot) only. Any context.
pub(crate) fn is_recorder() -> bool {
    CLIENT.is_continuous()
}
