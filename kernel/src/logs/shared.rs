//! shared: the load of scenarios, in one stream that all CPUs write.

use relay::ctf::Packets;
use relay::event::{Event, EventClass, Field, FieldsMut, Kind, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Global};

use super::attempts::Attempts;
use super::channel::{self, UUID};
use super::flood::Flood;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::machine::Machine;
use crate::cpu::percpu;

/// A record of it: one of flood, and the CPU that has written it, which the packet does not know.
pub(crate) struct Shared(pub(crate) Flood);

/// Bytes of a record without its data, and without its stamp: more than one of flood has.
pub(crate) const HEAD: usize = 4 + Flood::HEAD;

impl Event for Shared {
    const CLASS: EventClass = EventClass {
        id: 1,
        name: "flood",
        fields: &[
            Field::new("cpu", Kind::U32),
            Field::new("sequence", Kind::U64),
            Field::new("checksum", Kind::U32),
            Field::new("length", Kind::U16),
            Field::new("data", Kind::Bytes("length")),
        ],
    };

    fn size(&self) -> usize {
        4 + self.0.size()
    }

    #[inline]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u32(percpu::cpu_index() as u32);
        self.0.store(fields);
    }
}

/// The channel `shared`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 4,
    name: "shared",
    is_global: true,
    overwrites: false,
    is_taken: false,
    events: &[Shared::CLASS],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: Channel<Machine, MAX_CPUS, Global> = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/shared", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);
