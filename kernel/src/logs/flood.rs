//! flood: the load of scenarios.

use relay::ctf::Packets;
use relay::event::{EventClass, Field, Kind, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Geometry};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use crate::base::cmdline::Options;
use crate::cpu::machine::Machine;

/// The event id of a record of it.
pub(crate) const FLOOD: u16 = 1;

/// The channel `flood`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 3,
    name: "flood",
    events: &[EventClass {
        id: FLOOD,
        name: "flood",
        fields: &[
            Field::new("sequence", Kind::U64),
            Field::new("checksum", Kind::U32),
            Field::new("length", Kind::U16),
            Field::new("data", Kind::Bytes("length")),
        ],
    }],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/flood", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The rings where the command line does not say otherwise.
const RING: Geometry = channel::fixed(16 * 1024, 16);

/// Gives CPUs 0 to `cpus - 1` their streams. Task context, with a heap.
pub(super) fn start(cpus: usize, options: &Options<'_>) {
    let geometry = asked_for(options);
    for cpu in 0..cpus {
        channel::start(&CHANNEL, "flood", cpu, geometry);
    }
}

/// The geometry that the command line asks for, if it is one.
fn asked_for(options: &Options<'_>) -> Geometry {
    let size = options.subbuf.unwrap_or(RING.subbuf_size());
    let count = options.count.unwrap_or(RING.subbuf_count());
    channel::geometry(size, count).unwrap_or_else(|error| {
        log::warn!("command line: subbuf={size} count={count} is ignored: {error}");
        RING
    })
}
