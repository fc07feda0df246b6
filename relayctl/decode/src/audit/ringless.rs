//! Streams that cannot be: their CPU has no ring in the channel, and says so among its claims.
//!
//! No packet tells of what such a CPU lost there. Its own word does: the record `no_ring` of the
//! channel `claims`, which it writes at its end.

use std::collections::BTreeMap;

use super::claims::CHANNEL;
use super::stream::StreamAudit;
use crate::records::{Channel, Record, Schema, Value};

/// The kind of record.
const EVENT: &str = "no_ring";

/// The most streams that are kept.
const MAX_STREAMS: usize = 1 << 16;
/// The most problems that are told.
const MAX_PROBLEMS: usize = 16;

/// Where the record's fields are.
#[derive(Clone, Copy, Debug)]
struct Fields {
    /// The number of the channel of claims.
    channel_number: u32,
    /// The event.
    id: u16,
    /// The channel that has no ring.
    channel: usize,
    /// A count.
    lost: usize,
}

/// What CPUs lost for want of a ring, as they say.
#[derive(Debug)]
pub(super) struct Ringless {
    /// Where the fields are, if the metadata has such records.
    fields: Option<Fields>,
    /// By CPU and channel; nothing for what makes no sense.
    lost: BTreeMap<(u32, Option<u32>), u64>,
}

impl Ringless {
    /// Prepares for the records that the metadata describes.
    pub(super) fn new(schema: &Schema) -> Self {
        let mut channels = schema.channels.iter();
        let channel = channels.find(|channel| channel.name == CHANNEL);
        let fields = channel.and_then(|channel| {
            let event = channel.events().find(|event| event.name == EVENT)?;
            Some(Fields {
                channel_number: channel.number,
                id: event.id,
                channel: event.field("channel")?,
                lost: event.field("lost")?,
            })
        });
        Self {
            fields,
            lost: BTreeMap::new(),
        }
    }

    /// Takes a record, if it is such a one.
    pub(super) fn record(
        &mut self,
        channel: &Channel,
        cpu: u32,
        record: &Record<'_>,
        values: &[Value<'_>],
    ) {
        let Some(fields) = self.fields else { return };
        if channel.number != fields.channel_number || record.stamp.id != fields.id {
            return;
        }
        let value = |at: usize| values.get(at).and_then(Value::as_unsigned);
        let of = value(fields.channel).and_then(|channel| u32::try_from(channel).ok());
        let of = of.filter(|_| value(fields.lost).is_some());
        if self.lost.len() < MAX_STREAMS {
            let lost = self.lost.entry((cpu, of)).or_default();
            *lost = lost.saturating_add(value(fields.lost).unwrap_or(0));
        }
    }

    /// Gives each stream what its CPU says, or all of them; returns what makes no sense. Before the
    /// claims are compared with the streams.
    pub(super) fn settle(self, schema: &Schema, streams: &mut [StreamAudit]) -> Vec<String> {
        let own = self.fields.map(|fields| fields.channel_number);
        let others = streams.iter().enumerate();
        let others = others.filter(|(_, stream)| Some(stream.channel_number) != own);
        let places: BTreeMap<_, _> = others
            .map(|(at, stream)| ((stream.cpu, Some(stream.channel_number)), at))
            .collect();
        let mut problems = Vec::new();
        for ((cpu, channel), lost) in self.lost {
            let stream_of = channel.map_or(cpu, |channel| schema.stream_of(channel, cpu));
            let stream = places.get(&(stream_of, channel));
            let stream = stream.map(|at| &mut streams[*at]);
            match (stream, channel) {
                (Some(stream), _) if stream.packets != 0 => stream.problem(
                    0,
                    "its CPU says that it has no ring here, and there are packets",
                ),
                (Some(stream), _) => stream.add_ringless(lost),
                (None, Some(channel)) => problems.push(format!(
                    "cpu {cpu} says that it has no ring in channel {channel}, which there is not"
                )),
                (None, None) => problems.push(format!(
                    "cpu {cpu} says that it has no ring, and not in which channel, or how many \
                     records it lost"
                )),
            }
        }
        problems.truncate(MAX_PROBLEMS);
        problems
    }
}
