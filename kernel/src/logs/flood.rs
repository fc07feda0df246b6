//! flood: the load of scenarios, in streams of each CPU.

use crc::{CRC_32_ISCSI, Crc, Table};
use relay::ctf::Packets;
use relay::event::{Event, EventClass, Field, FieldsMut, Kind, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Context};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use crate::cpu::machine::Machine;
use crate::cpu::percpu;

/// The checksum of a record: CRC-32C, from a table.
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// A record of it. Its checksum is over what it says and the calling CPU's number; its data are the
/// lowest byte of its number, again and again.
pub(crate) struct Flood {
    /// Its number among those of its CPU and context.
    pub(crate) sequence: u64,
    /// Where it is written.
    pub(crate) context: Context,
    /// Bytes of data.
    pub(crate) length: u16,
}

impl Event for Flood {
    const CLASS: EventClass = EventClass {
        id: 1,
        name: "flood",
        fields: &[
            Field::new("sequence", Kind::U64),
            Field::new("checksum", Kind::U32),
            Field::new("length", Kind::U16),
            Field::new("data", Kind::Bytes("length")),
        ],
    };

    fn size(&self) -> usize {
        8 + 4 + 2 + usize::from(self.length)
    }

    #[inline]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u64(self.sequence);
        fields.u32(self.checksum());
        fields.u16(self.length);
        fields.next(self.length.into()).fill(self.sequence as u8);
    }
}

impl Flood {
    /// Bytes of a record without its data, and without its stamp.
    pub(crate) const HEAD: usize = 14;

    fn checksum(&self) -> u32 {
        checksum(self.sequence, percpu::cpu_index() as u32, self.context)
    }
}

/// The checksum of the record that `cpu` wrote as its `sequence`th in `context`.
pub(super) fn checksum(sequence: u64, cpu: u32, context: Context) -> u32 {
    let mut checksum = CRC.digest();
    checksum.update(&sequence.to_le_bytes());
    checksum.update(&cpu.to_le_bytes());
    checksum.update(&[context as u8]);
    checksum.finalize()
}

/// The channel `flood`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 3,
    name: "flood",
    is_global: false,
    events: &[Flood::CLASS],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/flood", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);
