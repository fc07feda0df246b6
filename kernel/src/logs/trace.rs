//! trace: what the machine does, event by event. Off until it is [switched](super::switches) on.
//!
//! Names and fields are those of LTTng's kernel tracer where it has them.

use relay::Channel;
use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::Mount;

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::client::Client;
use crate::base::settings::{TRACE_MODE, TRACE_SIZE};
use crate::cpu::machine::Machine;

relay::event! {
    /// The timer of this CPU has interrupted it.
    #[event(
        channel = "trace",
        name = "x86_irq_vectors_local_timer_entry",
        facility = "irq",
        enabled = false
    )]
    pub(crate) struct TimerEntry {
        /// The interrupt vector.
        pub(crate) vector: i32,
    }

    /// The timer's interrupt is over.
    #[event(
        channel = "trace",
        name = "x86_irq_vectors_local_timer_exit",
        facility = "irq",
        enabled = false
    )]
    pub(crate) struct TimerExit {
        /// The interrupt vector.
        pub(crate) vector: i32,
    }

    /// Another CPU has woken this one.
    #[event(
        channel = "trace",
        name = "x86_irq_vectors_reschedule_entry",
        facility = "irq",
        enabled = false
    )]
    pub(crate) struct WakeEntry {
        /// The interrupt vector.
        pub(crate) vector: i32,
    }

    /// The wake-up's interrupt is over.
    #[event(
        channel = "trace",
        name = "x86_irq_vectors_reschedule_exit",
        facility = "irq",
        enabled = false
    )]
    pub(crate) struct WakeExit {
        /// The interrupt vector.
        pub(crate) vector: i32,
    }
}

/// The channel, described.
const STREAM: StreamClass = StreamClass {
    id: 5,
    name: "trace",
    is_global: false,
    overwrites: false,
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
