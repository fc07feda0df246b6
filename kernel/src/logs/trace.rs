//! trace: what the machine does, event by event. Off until it is [switched](super::switches) on.
//!
//! Names and fields are those of LTTng's kernel tracer where it has them.

use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Geometry};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
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
pub(super) const STREAM: StreamClass = StreamClass {
    id: 5,
    name: "trace",
    is_global: false,
    overwrites: false,
    events: &[],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/trace", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

const RING: Geometry = channel::fixed(4096, 8);
/// The same in small packets, for a slow line.
const SLOW: Geometry = channel::fixed(1024, 32);

/// Gives CPUs 0 to `cpus - 1` their streams. Task context, with a heap.
pub(super) fn start(cpus: usize, is_slow: bool) {
    let geometry = if is_slow { SLOW } else { RING };
    for cpu in 0..cpus {
        channel::start(&CHANNEL, "trace", cpu, None, geometry);
    }
}

/// Writes an event, if it is on. Any context.
#[inline(always)]
pub(crate) fn emit<E: Event>(event: impl FnOnce() -> E) {
    if E::is_enabled() {
        ATTEMPTS.count();
        // It was counted: it is written although another CPU switches it off meanwhile. What is
        // lost is counted by the channel.
        let _ = CHANNEL.emit_always(&event());
    }
}
