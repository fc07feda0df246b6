//! Claims: what every CPU tried to write, counted apart from relay.
//!
//! The writers of this kernel count each [attempt](Attempts) before they make it, by channel and
//! context; at the end each CPU writes its counts to the channel `claims`. So that the host can
//! compare them with what it received: a ledger kept by relay alone could be right by construction
//! only.

use relay::ctf::Packets;
use relay::event::{CONTEXT, EventClass, Field, Kind, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Context, Geometry};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use crate::cpu::machine::Machine;

/// The event id of a claim.
const CLAIM: u16 = 1;

/// The channel `claims`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 2,
    name: "claims",
    events: &[EventClass {
        id: CLAIM,
        name: "claim",
        fields: &[
            Field::new("channel", Kind::U16),
            Field::new("from", Kind::Enum(&CONTEXT)),
            Field::new("attempted", Kind::U64),
        ],
    }],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/claims", &CHANNEL);

/// A few records at the end.
const RING: Geometry = channel::fixed(1024, 2);

/// Gives CPUs 0 to `cpus - 1` their streams. Task context, with a heap.
pub(super) fn start(cpus: usize) {
    for cpu in 0..cpus {
        channel::start(&CHANNEL, "claims", cpu, RING);
    }
}

/// Writes the claims of the calling CPU. Task context, when it writes to no other channel any more.
pub(super) fn report(all: &[&Attempts]) {
    for attempts in all {
        for context in Context::ALL {
            write(attempts.channel(), context, attempts.tried(context));
        }
    }
}

/// Writes one claim; what is lost is counted by the channel, and missed by the host.
fn write(channel: u16, from: Context, attempted: u64) {
    let [channel_0, channel_1] = channel.to_le_bytes();
    let [a, b, c, d, e, f, g, h] = attempted.to_le_bytes();
    let fields = [channel_0, channel_1, from as u8, a, b, c, d, e, f, g, h];
    let _ = CHANNEL.write_event_array(CLAIM, &fields);
}
