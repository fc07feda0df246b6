//! flood: the load of scenarios.

use alloc::vec::Vec;

use crc::{CRC_32_ISCSI, Crc, Table};
use relay::ctf::Packets;
use relay::event::{Event, EventClass, Field, FieldsMut, Kind, StreamClass};
use relay::fs::Mount;
use relay::line::MAX_PACKET;
use relay::record::Fields;
use relay::{Channel, Context, Mode};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use crate::base::cmdline::Options;
use crate::base::settings::{COUNT, MODE, SUBBUF};
use crate::base::shortfall;
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

    /// The same as [`store`](Event::store), into as many bytes as its [size](Event::size) says: for
    /// who writes them himself.
    pub(crate) fn write_to(&self, bytes: &mut [u8]) {
        self.write_as(percpu::cpu_index(), bytes);
    }

    /// The same, as CPU `cpu` writes it.
    pub(crate) fn write_as(&self, cpu: usize, bytes: &mut [u8]) {
        let sequence = self.sequence.to_le_bytes();
        let checksum = self.checksum(cpu);
        let (checksum, length) = (checksum.to_le_bytes(), self.length.to_le_bytes());
        let head = sequence.into_iter().chain(checksum).chain(length);
        let data = core::iter::repeat(self.sequence as u8);
        for (byte, value) in bytes.iter_mut().zip(head.chain(data)) {
            *byte = value;
        }
    }

    /// Reads the next record of `fields`, which CPU `cpu` has written; `None` at the end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(fields: &mut Fields<'_>, cpu: usize) -> Result<Option<Self>, &'static str> {
        let stamp = fields.next_stamp().map_err(|malformed| malformed.reason)?;
        let Some(stamp) = stamp else {
            return Ok(None);
        };
        if stamp.id() != Self::CLASS.id {
            return Err("it is none of flood's");
        }
        let context = stamp.context().ok_or("it has no context")?;
        let fields = Self::read_fields(fields, context);
        let (record, checksum, data) = fields.ok_or("it is cut off")?;
        if checksum != record.checksum(cpu) {
            return Err("its checksum is another");
        }
        if data.iter().any(|byte| *byte != record.sequence as u8) {
            return Err("its data are not its own");
        }
        Ok(Some(record))
    }

    /// Reads what comes behind the stamp: the record, its checksum, its data.
    fn read_fields<'a>(fields: &mut Fields<'a>, context: Context) -> Option<(Self, u32, &'a [u8])> {
        let sequence = u64::from_le_bytes(*fields.bytes(8)?.first_chunk()?);
        let (checksum, length) = (fields.u32()?, fields.u16()?);
        let data = fields.bytes(length.into())?;
        let record = Self {
            sequence,
            context,
            length,
        };
        Some((record, checksum, data))
    }
}

/// The channel `flood`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 3,
    name: "flood",
    events: &[Flood::CLASS],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/flood", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// Blocks that observers of an overwritten ring have at hand.
const SPARES: usize = 2;

/// Bytes of the heap that the rings leave to others, in all and for each CPU.
const LEFT: usize = 512 * 1024;
const LEFT_PER_CPU: usize = 48 * 1024;

/// The size of sub-buffers that go over a slow line, unless somebody sets another.
const SLOW: u64 = 1024;

/// Gives CPUs 0 to `cpus - 1` their streams. Task context, with a heap.
pub(super) fn start(cpus: usize, options: &Options<'_>, is_slow: bool) {
    let size = match options.given(&SUBBUF) {
        None if is_slow => Some(SLOW),
        _ => options.value(&SUBBUF),
    };
    let size = size.unwrap_or_default() as usize;
    if is_slow && size > MAX_PACKET {
        shortfall::note();
        return log::error!(
            "subbuf={size} is too much for a serial port, whose frames have {MAX_PACKET} bytes at \
             most: there is no flood"
        );
    }
    let count = options.value(&COUNT).unwrap_or_default() as usize;
    // What comes later (devices, ports, stacks) needs memory more than the load of scenarios does:
    // this much is left to it.
    let mut left = Vec::<u8>::new();
    let _ = left.try_reserve_exact(LEFT + cpus * LEFT_PER_CPU);
    // Used by nobody, and there nevertheless.
    core::hint::black_box(&mut left);
    let geometry = channel::geometry(size, count).and_then(|geometry| match options.value(&MODE) {
        Some(1) => geometry.with_mode(Mode::Continuous)?.with_spares(SPARES),
        _ => Ok(geometry),
    });
    match geometry {
        Ok(geometry) => (0..cpus).for_each(|cpu| {
            channel::start(&CHANNEL, "flood", cpu, geometry);
        }),
        // What the settings take makes a ring.
        Err(error) => log::error!("there is no flood: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::{Range, Takes};

    #[test]
    fn what_the_settings_take_makes_a_ring_that_holds_a_record() {
        let (Takes::PowerOfTwo(size), Takes::PowerOfTwo(count)) = (SUBBUF.takes, COUNT.takes)
        else {
            panic!("they are powers of two");
        };
        let ends = |range: Range| [range.least as usize, range.most as usize];
        let record = Flood {
            sequence: 0,
            context: Context::Task,
            length: 16,
        };
        for size in ends(size) {
            for count in ends(count) {
                let geometry = channel::geometry(size, count).expect("there is such a ring");
                assert!(geometry.max_record() >= relay::record::STAMP + record.size());
            }
        }
    }
}
