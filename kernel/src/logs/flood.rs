//! flood: the load of scenarios, in streams of each CPU.

use crc::{CRC_32_ISCSI, Crc, Table};
use relay::ctf::Packets;
use relay::event::{Event, EventClass, Field, FieldsMut, Kind, StreamClass};
use relay::fs::Mount;
use relay::record::{Fields, Stamp};
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
        fields.u32(self.checksum(percpu::cpu_index()));
        fields.u16(self.length);
        fields.next(self.length.into()).fill(self.sequence as u8);
    }
}

impl Flood {
    /// Bytes of a record without its data, and without its stamp.
    pub(crate) const HEAD: usize = 14;

    /// The checksum of what CPU `cpu` has written.
    fn checksum(&self, cpu: usize) -> u32 {
        let mut checksum = CRC.digest();
        checksum.update(&self.sequence.to_le_bytes());
        checksum.update(&(cpu as u32).to_le_bytes());
        checksum.update(&[self.context as u8]);
        checksum.finalize()
    }

    /// Reads the rest of the record with this stamp, which CPU `cpu` has written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(
        stamp: &Stamp,
        fields: &mut Fields<'_>,
        cpu: usize,
    ) -> Result<Self, &'static str> {
        if stamp.id() != Self::CLASS.id {
            return Err("it is none of flood's");
        }
        let context = stamp.context().ok_or("it has no context")?;
        let fields = Self::read_fields(fields, context);
        let (record, checksum, data) = fields.ok_or("it is cut off")?;
        if checksum != record.checksum(cpu) {
            return Err("its checksum is wrong");
        }
        if data.iter().any(|byte| *byte != record.sequence as u8) {
            return Err("its data are wrong");
        }
        Ok(record)
    }

    /// Reads what comes behind the stamp: the record, its checksum, its data.
    fn read_fields<'a>(fields: &mut Fields<'a>, context: Context) -> Option<(Self, u32, &'a [u8])> {
        let (sequence, checksum, length) = (fields.u64()?, fields.u32()?, fields.u16()?);
        let data = fields.bytes(length.into())?;
        let record = Self {
            sequence,
            context,
            length,
        };
        Some((record, checksum, data))
    }

    /// The bytes that the calling CPU would write, without the stamp, if it were CPU `cpu`.
    #[cfg(test)]
    pub(crate) fn bytes(&self, cpu: usize) -> Vec<u8> {
        let head = self.sequence.to_le_bytes().into_iter();
        let checksum = self.checksum(cpu).to_le_bytes();
        let head = head.chain(checksum).chain(self.length.to_le_bytes());
        let data = core::iter::repeat_n(self.sequence as u8, self.length.into());
        head.chain(data).collect()
    }
}

/// The channel `flood`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 3,
    name: "flood",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[Flood::CLASS],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/flood", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);
