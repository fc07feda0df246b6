//! Checks the records that scenarios write as a load, which carry their own checksum and number:
//! those of the channel `flood`, and those of `shared`, which also say which CPU has written them.

use std::collections::BTreeMap;

use crate::records::{Channel, Record, Value};
use crate::wire::crc32c;

/// The channels.
const CHANNELS: [&str; 2] = ["flood", "shared"];
/// Their kind of record.
const EVENT: &str = "flood";

/// The most CPUs that numbers are kept of.
const MAX_CPUS: u64 = 1 << 16;

/// Checks the flood in one stream.
#[derive(Debug)]
pub(super) struct Flood {
    /// The event.
    id: u16,
    /// The places of `sequence`, `checksum` and `data`.
    fields: [usize; 3],
    /// The place of `cpu`, if it has one.
    cpu: Option<usize>,
    /// The stream's CPU, of records that have none.
    stream: u32,
    /// The next sequence number of each CPU and context, and how many were skipped.
    next: BTreeMap<(u32, u8), (u64, u64)>,
}

impl Flood {
    /// Prepares to check a stream, if it is one of the flood.
    pub(super) fn new(channel: &Channel, stream: u32) -> Option<Self> {
        if !CHANNELS.contains(&channel.name.as_str()) {
            return None;
        }
        let event = channel.events().find(|event| event.name == EVENT)?;
        Some(Self {
            id: event.id,
            fields: [
                event.field("sequence")?,
                event.field("checksum")?,
                event.field("data")?,
            ],
            cpu: event.field("cpu"),
            stream,
            next: BTreeMap::new(),
        })
    }

    /// Checks a record.
    pub(super) fn record(
        &mut self,
        record: &Record<'_>,
        values: &[Value<'_>],
    ) -> Result<(), String> {
        if record.stamp.id != self.id {
            return Ok(());
        }
        let [sequence, checksum, data] = self.fields;
        let number = |at: usize| values.get(at).and_then(Value::as_unsigned);
        let (Some(sequence), Some(checksum), Some(Value::Bytes(data))) =
            (number(sequence), number(checksum), values.get(data))
        else {
            return Err("flood: sequence, checksum or data is of a wrong type".to_owned());
        };
        let cpu = match self.cpu {
            Some(at) => number(at).filter(|cpu| *cpu < MAX_CPUS),
            None => Some(self.stream.into()),
        };
        let cpu = cpu.and_then(|cpu| u32::try_from(cpu).ok());
        let Some(cpu) = cpu else {
            return Err(format!("flood {sequence}: there is no such CPU"));
        };
        let context = record.stamp.context as u8;
        let mut sealed = [0; 13];
        sealed[..8].copy_from_slice(&sequence.to_le_bytes());
        sealed[8..12].copy_from_slice(&cpu.to_le_bytes());
        sealed[12] = context;
        let should = crc32c(&sealed);
        if u64::from(should) != checksum {
            return Err(format!(
                "flood {sequence}: checksum {checksum:#010x}, {should:#010x} would be right"
            ));
        }
        let byte = (sequence & 0xFF) as u8;
        if data.iter().any(|is| *is != byte) {
            return Err(format!(
                "flood {sequence}: its data are not all {byte:#04x}"
            ));
        }
        let (next, skipped) = self.next.entry((cpu, context)).or_default();
        let gap = sequence.checked_sub(*next).ok_or_else(|| {
            format!(
                "flood {sequence} where at least {next} should be, of cpu {cpu} in this context"
            )
        })?;
        *skipped = skipped.saturating_add(gap);
        *next = sequence.saturating_add(1);
        Ok(())
    }

    /// Checks at the end that the numbers which did not come are no more than
    /// the records which are known to have been lost on the way.
    pub(super) fn conclude(&self, lost: u64) -> Result<(), String> {
        let skipped = self.next.values().map(|(_, skipped)| *skipped);
        let skipped = skipped.fold(0, u64::saturating_add);
        match skipped > lost {
            true => Err(format!(
                "{skipped} of the flood's numbers are skipped, but only {lost} records are lost"
            )),
            false => Ok(()),
        }
    }
}
