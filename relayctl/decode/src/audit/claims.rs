//! Compares what the writers say they attempted with what is there.

use std::collections::BTreeMap;

use relay_format::Context;

use super::stream::StreamAudit;
use crate::records::{Channel, Record, Schema, Value};

/// The channel of claims.
pub(super) const CHANNEL: &str = "claims";
/// Its kind of record.
const EVENT: &str = "claim";

/// The most different streams that claims are kept for.
const MAX_CLAIMS: usize = 1 << 16;

/// Where a claim's fields are.
#[derive(Clone, Copy, Debug)]
struct Fields {
    /// The channels' number.
    channel_number: u32,
    /// The event.
    id: u16,
    /// Its fields.
    channel: usize,
    /// A context.
    from: usize,
    /// A count.
    attempted: usize,
}

/// All claims of a capture.
#[derive(Debug)]
pub(super) struct Claims {
    /// Where their fields are, if the metadata has such records.
    fields: Option<Fields>,
    /// What was claimed by CPU and channel, in each context.
    claims: BTreeMap<(u32, u32), [u64; 3]>,
    /// How many claims there were.
    count: u64,
    /// Claims that make no sense.
    foreign: Vec<(u32, String)>,
}

impl Claims {
    /// Prepares for the claims that the metadata describes.
    pub(super) fn new(schema: &Schema) -> Self {
        let channel = schema
            .channels
            .iter()
            .find(|channel| channel.name == CHANNEL);
        let fields = channel.and_then(|channel| {
            let event = channel.events().find(|event| event.name == EVENT)?;
            Some(Fields {
                channel_number: channel.number,
                id: event.id,
                channel: event.field("channel")?,
                from: event.field("from")?,
                attempted: event.field("attempted")?,
            })
        });
        Self {
            fields,
            claims: BTreeMap::new(),
            count: 0,
            foreign: Vec::new(),
        }
    }

    /// Takes a record, if it is a claim.
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
        let from = value(fields.from).and_then(|from| usize::try_from(from).ok());
        let from = from.filter(|from| *from < Context::ALL.len());
        let (Some(of), Some(from), Some(attempted)) = (of, from, value(fields.attempted)) else {
            return self.wrong(cpu, "a claim without channel, context or count".to_owned());
        };
        if self.claims.len() == MAX_CLAIMS {
            return;
        }
        let claim = self.claims.entry((cpu, of)).or_default();
        claim[from] = claim[from].saturating_add(attempted);
        self.count += 1;
    }

    /// Remembers a claim that makes no sense.
    fn wrong(&mut self, cpu: u32, what: String) {
        if self.foreign.len() < 16 {
            self.foreign.push((cpu, what));
        }
    }

    /// Compares the claims with the streams, and says how many there were. Of a stream that all
    /// CPUs write, the claims of all are taken together.
    pub(super) fn compare(mut self, schema: &Schema, streams: &mut [StreamAudit]) -> u64 {
        let places: BTreeMap<(u32, u32), usize> = streams
            .iter()
            .enumerate()
            .map(|(at, stream)| ((stream.cpu, stream.channel_number), at))
            .collect();
        let own = self.fields.map(|fields| fields.channel_number);
        let is_whole = |streams: &[StreamAudit], cpu: u32| {
            let place = own.and_then(|own| places.get(&(cpu, own)));
            place.is_some_and(|place| {
                let stream = &streams[*place];
                stream.is_closed() && stream.balance().attempted == stream.records()
            })
        };
        let is_whole = |streams: &[StreamAudit], cpu: u32, channel: u32| {
            let is_global = schema.channel(channel).is_some_and(|it| it.is_global);
            match is_global {
                true => (0..schema.cpus).all(|cpu| is_whole(streams, cpu)),
                false => is_whole(streams, cpu),
            }
        };
        let mut claims = BTreeMap::<(u32, u32), [u64; 3]>::new();
        for ((cpu, channel), claim) in std::mem::take(&mut self.claims) {
            let stream = schema.stream_of(channel, cpu);
            let all = claims.entry((stream, channel)).or_default();
            for (sum, count) in all.iter_mut().zip(claim) {
                *sum = sum.saturating_add(count);
            }
        }
        // Where all claims of a CPU are there, what it does not claim it claims not to have tried.
        for stream in streams
            .iter()
            .filter(|stream| Some(stream.channel_number) != own)
        {
            let at = (stream.cpu, stream.channel_number);
            if stream.balance().attempted != 0 && is_whole(streams, at.0, at.1) {
                claims.entry(at).or_default();
            }
        }
        for ((cpu, channel), claim) in claims {
            let Some(&place) = places.get(&(cpu, channel)) else {
                self.wrong(
                    cpu,
                    format!("a claim about channel {channel}, which there is not"),
                );
                continue;
            };
            let whole = is_whole(streams, cpu, channel);
            let stream = &mut streams[place];
            stream.claimed = claim;
            if stream.is_taken {
                continue;
            }
            if !stream.is_closed() {
                // Its last packets did not come: what they held or counted is missing.
                let claimed = sum(claim);
                stream.set_missing_end(claimed.saturating_sub(stream.balance().attempted));
            }
            if let Some(what) = contradiction(stream, claim, whole) {
                stream.problem(0, what);
            }
        }
        for (cpu, what) in self.foreign {
            let place = own.and_then(|own| places.get(&(cpu, own)));
            if let Some(place) = place {
                streams[*place].problem(0, what);
            }
        }
        self.count
    }
}

/// All contexts together.
fn sum(claim: [u64; 3]) -> u64 {
    claim.into_iter().fold(0, u64::saturating_add)
}

/// How a claim contradicts a stream. `whole` says that no claim of the CPU is lost.
fn contradiction(stream: &StreamAudit, claim: [u64; 3], whole: bool) -> Option<String> {
    let balance = stream.balance();
    let claimed = sum(claim);
    let attempted = balance.attempted;
    // Claims are made when the streams are closed; a part of them may be lost.
    let wrong = match (stream.is_closed(), whole) {
        (true, true) => claimed != attempted,
        (true, false) => claimed > attempted,
        (false, true) => claimed < attempted,
        (false, false) => false,
    };
    if wrong {
        return Some(format!(
            "the writers claim {claimed} attempts, the ledger has {attempted}"
        ));
    }
    if !(stream.is_closed() && whole) || attempted != balance.delivered {
        return None;
    }
    let contexts = Context::ALL.map(Context::name).into_iter();
    let mut counts = contexts.zip(claim.into_iter().zip(stream.contexts));
    counts
        .find(|(_, (claimed, there))| claimed != there)
        .map(|(name, (claimed, there))| {
            format!("the writers claim {claimed} attempts from {name}, {there} records are there")
        })
}
