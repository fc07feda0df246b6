//! The ledger of one stream.

use super::flood::Flood;
use crate::balance::{Balance, Lost, Verdict};
use crate::capture::{Item, OpenError, PacketSource, Runs, Stored, Stream};
use crate::records::{Record, Records, Schema, Value};
use crate::wire::Header;

/// The most problems of one stream that are told.
const MAX_PROBLEMS: usize = 16;

/// The word for streams that programs take.
pub const TAKEN: &str = "taken";

/// What was found in one stream.
#[derive(Clone, Debug, Default)]
pub struct StreamAudit {
    /// The channel's number.
    pub channel_number: u32,
    /// The channel's name.
    pub channel: String,
    /// The CPU.
    pub cpu: u32,
    /// The name of its file.
    pub file: String,
    /// Packets that are there, as they arrived.
    pub packets: u64,
    /// Bytes of these packets.
    pub bytes: u64,
    /// Records that were decoded, by context: task, IRQ, NMI.
    pub contexts: [u64; 3],
    /// What the writers of its CPU say they attempted here, by context; 0 where no claim came.
    pub claimed: [u64; 3],
    /// Times of the first packet's opening and the last one's closing, in ticks.
    pub times: Option<(u64, u64)>,
    /// The header of the last packet.
    pub last: Option<Header>,
    /// Whether programs take its packets in the machine: what was tried is what its writers say, and
    /// the rest is theirs to prove.
    pub is_taken: bool,
    /// Records that ordinals jump over between packets with consecutive numbers.
    skipped: u64,
    /// Records that ordinals jump over where packets are missing.
    absent: u64,
    /// Where numbers of packets are jumped over: missing, or overwritten before they were read.
    gaps: Vec<(u64, String)>,
    /// How many more there are.
    more_gaps: u64,
    /// The packets that came and are left out.
    runs: Runs,
    /// Records that ordinals jump over where packets are left out, and what was attempted in
    /// packets that are left out of the end.
    left_out: u64,
    /// Of these, what was attempted in packets that are left out of the end.
    left_out_end: u64,
    /// Records that were left out of salvaged packets, because they are in doubt.
    in_doubt: u64,
    /// Packets that such records were left out of.
    cut: u64,
    /// Records that are there but cannot be decoded, or are there twice.
    undecoded: u64,
    /// What the CPU lost here, if it says that it has no ring here.
    ringless: Option<u64>,
    /// What its CPU counted, and no packet tells of, because the last ones are not there.
    missing_end: u64,
    /// Whether packets are not in the list of packets, so that nobody knows whether
    /// they are as they arrived.
    is_unlisted: bool,
    /// What is wrong.
    problems: Vec<String>,
    /// How many more problems there are.
    more_problems: u64,
}

impl StreamAudit {
    /// Reads all packets of a stream, and shows each record to `witness`.
    pub(super) fn of(
        stored: &Stored,
        stream: &Stream,
        mut witness: impl FnMut(&Record<'_>, &[Value<'_>]),
    ) -> Result<Self, OpenError> {
        let channel = stored.channel(stream);
        let mut audit = Self {
            channel_number: channel.number,
            channel: channel.name.clone(),
            cpu: stream.cpu,
            file: stream.file.clone(),
            is_taken: channel.is_taken,
            runs: stored.left_out(stream),
            ..Self::default()
        };
        let Some(mut reader) = stored.packets(stream)? else {
            if stored.listed(stream) > 0 {
                audit.problem(0, "the file is not there");
            }
            audit.leave_out_end();
            return Ok(audit);
        };
        let mut flood = Flood::new(channel, stream.cpu);
        let mut buffer = Vec::new();
        loop {
            let item = reader.next(&mut buffer);
            let item = item.map_err(|error| OpenError::Io(stored.path(stream), error))?;
            match item {
                Some(Item::Packet { offset, header }) => {
                    if !audit.belongs(&stored.schema, offset, &header) {
                        continue;
                    }
                    audit.follow(offset, &header);
                    audit.packets += 1;
                    audit.bytes += header.packet_size;
                    let mut records = Records::new(channel, &header, &buffer);
                    let fault = loop {
                        match records.next_record() {
                            Ok(Some((record, values))) => {
                                audit.contexts[record.stamp.context as usize] += 1;
                                witness(&record, values);
                                if let Some(flood) = &mut flood
                                    && let Err(what) = flood.record(&record, values)
                                {
                                    let number = header.number;
                                    audit.problem(
                                        offset,
                                        format!(
                                            "packet {number}, record {}: {what}",
                                            record.number
                                        ),
                                    );
                                }
                            }
                            Ok(None) => break None,
                            Err(fault) => break Some(fault),
                        }
                    };
                    let read = records.read();
                    let rest = header.records.saturating_sub(read);
                    match header.is_cut && fault.is_none() {
                        true => {
                            audit.in_doubt = audit.in_doubt.saturating_add(rest);
                            audit.cut += 1;
                        }
                        false => audit.undecoded = audit.undecoded.saturating_add(rest),
                    }
                    if let Some(fault) = fault {
                        audit.problem(offset, format!("packet {}: {fault}", header.number));
                    }
                }
                Some(Item::Problem { offset, what }) => audit.problem(offset, what),
                // A capture whose making was cut off may have written a packet and
                // not its line.
                Some(Item::Unlisted { offset }) if stored.is_finished => {
                    audit.problem(
                        offset,
                        "packets from here on are not in the list of packets",
                    );
                }
                Some(Item::Unlisted { .. }) => audit.is_unlisted = true,
                None => break,
            }
        }
        if audit.is_taken && audit.packets > 0 {
            audit.problem(
                0,
                "programs are said to take its packets, and there are some",
            );
        }
        audit.conclude(channel.overwrites);
        if let Some(flood) = flood {
            let balance = audit.balance();
            let explained = balance
                .attempted
                .saturating_sub(balance.delivered)
                .saturating_add(balance.unaccounted);
            if let Err(what) = flood.conclude(explained) {
                audit.problem(reader.length(), what);
            }
        }
        Ok(audit)
    }

    /// Remembers a problem, if there are not too many.
    pub(super) fn problem(&mut self, offset: u64, what: impl AsRef<str>) {
        if self.problems.len() == MAX_PROBLEMS {
            self.more_problems += 1;
            return;
        }
        let what = what.as_ref();
        self.problems
            .push(format!("{} at {offset}: {what}", self.file));
    }

    /// A CPU says that it has no ring here, and that it lost so many records.
    pub(super) fn add_ringless(&mut self, lost: u64) {
        let others = self.ringless.unwrap_or(0);
        self.ringless = Some(others.saturating_add(lost));
    }

    /// The CPU counted so many attempts more than the packets know of: the stream is not as open as
    /// it seems, since its last packets are missing.
    pub(super) fn set_missing_end(&mut self, attempts: u64) {
        self.missing_end = attempts;
        if attempts > 0 {
            let what = format!(
                "{attempts} records that its CPU counted are not there: its last packets are missing"
            );
            self.problem(0, what);
        }
    }

    /// How many records the CPU lost here, where it has no ring; nothing where it has one.
    #[must_use]
    pub fn ringless(&self) -> Option<u64> {
        self.ringless
    }

    /// Whether a packet belongs into this stream.
    fn belongs(&mut self, schema: &Schema, offset: u64, header: &Header) -> bool {
        let belongs = header.uuid == schema.uuid
            && header.stream_id == self.channel_number
            && header.cpu == self.cpu;
        if !belongs {
            let is = (header.stream_id, header.cpu);
            self.problem(
                offset,
                format!(
                    "a packet of another stream or boot (channel {}, cpu {})",
                    is.0, is.1
                ),
            );
        }
        belongs
    }

    /// Compares a packet with the one before it.
    fn follow(&mut self, offset: u64, header: &Header) {
        let (number, ordinal, end) = match &self.last {
            Some(last) => (last.number + 1, last.ordinal + last.records, last.end),
            None => (0, 0, 0),
        };
        let is = header.number;
        let lack = (is > number)
            .then(|| self.runs.lack(number, is - 1))
            .flatten();
        let is_left_out = is > number && lack.is_none();
        if is < number {
            self.problem(offset, format!("packet {is}, where {number} should be"));
            self.undecoded = self.undecoded.saturating_add(header.records);
        } else if let Some((from, to)) = lack {
            let what = format!("packets {from} to {to} are missing before it");
            match self.gaps.len() < MAX_PROBLEMS {
                true => self.gaps.push((offset, what)),
                false => self.more_gaps += 1,
            }
        }
        match header.ordinal.checked_sub(ordinal) {
            Some(gap) if is_left_out => self.left_out = self.left_out.saturating_add(gap),
            Some(gap) if is > number => self.absent = self.absent.saturating_add(gap),
            Some(gap) => self.skipped = self.skipped.saturating_add(gap),
            None if is >= number => self.problem(
                offset,
                format!(
                    "packet {is} begins with record {}, where {ordinal} should be",
                    header.ordinal
                ),
            ),
            None => {}
        }
        if header.begin < end {
            self.problem(
                offset,
                format!(
                    "packet {is} begins at {} ticks, the one before ends at {end}",
                    header.begin
                ),
            );
        }
        if let Some(last) = self.last {
            if last.is_final {
                self.problem(
                    offset,
                    format!("packet {is} comes after the stream was closed"),
                );
            }
            for ((name, before), (_, now)) in last.counters().zip(header.counters()) {
                if now < before {
                    self.problem(
                        offset,
                        format!("packet {is}: {name} falls from {before} to {now}"),
                    );
                }
            }
        }
        let begin = self.times.map_or(header.begin, |(begin, _)| begin);
        self.times = Some((begin, header.end));
        self.last = Some(*header);
    }

    /// Counts what was attempted in packets that are left out of the end.
    fn leave_out_end(&mut self) {
        let known = self.balance().attempted;
        let next = self.last.map_or(0, |last| last.number.saturating_add(1));
        let lack = self.runs.last().and_then(|last| self.runs.lack(next, last));
        if let Some((from, to)) = lack {
            self.problem(
                0,
                format!("packets {from} to {to} are missing among those that are left out"),
            );
        }
        self.left_out_end = self.runs.attempted().saturating_sub(known);
        self.left_out = self.left_out.saturating_add(self.left_out_end);
    }

    /// Checks the sums at the end of the stream.
    fn conclude(&mut self, overwrites: bool) {
        self.leave_out_end();
        let Some(last) = self.last else {
            return;
        };
        let (skipped, overwritten) = (self.skipped, last.overwritten);
        let all = skipped.saturating_add(self.absent);
        let is_too_few = last.is_final && self.runs.is_empty() && all < overwritten;
        if skipped > overwritten || is_too_few {
            self.problem(
                0,
                format!("{all} record numbers are skipped, {overwritten} records are said to be overwritten"),
            );
        }
        // A packet that was overwritten had its number, but perhaps no record: it told of losses. If
        // these are all that is not there, none is missing.
        let may_overwrite = overwrites || overwritten > 0;
        if !may_overwrite || all > overwritten {
            for (offset, what) in std::mem::take(&mut self.gaps) {
                self.problem(offset, what);
            }
            self.more_problems += self.more_gaps;
        }
        let unaccounted = self.balance().unaccounted;
        if unaccounted > 0 && self.problems.is_empty() {
            self.problem(0, format!("{unaccounted} records are unaccounted for"));
        }
    }

    /// Records that were decoded.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.contexts.iter().sum()
    }

    /// The sums of the stream, up to its last packet, and what its CPU counted after that. Of one
    /// that programs take, only what was tried is known.
    #[must_use]
    pub fn balance(&self) -> Balance {
        if self.is_taken {
            return Balance {
                attempted: self
                    .claimed
                    .iter()
                    .fold(0, |sum, count| sum.saturating_add(*count)),
                ..Balance::default()
            };
        }
        let Some(last) = &self.last else {
            let lost = Lost {
                no_ring: self.ringless.unwrap_or(0),
                missing: self.missing_end,
                left_out: self.left_out,
                ..Lost::default()
            };
            return Balance {
                attempted: lost.total(),
                lost,
                ..Balance::default()
            };
        };
        let gaps = self.skipped.saturating_add(self.absent);
        let overwritten = last.overwritten.clamp(self.skipped.min(gaps), gaps);
        let lost = Lost {
            missing: (gaps - overwritten)
                .saturating_add(self.in_doubt)
                .saturating_add(self.missing_end),
            left_out: self.left_out,
            ..last.lost.into()
        };
        let attempted = last
            .attempted()
            .saturating_add(self.missing_end)
            .saturating_add(self.left_out_end);
        let delivered = self.records();
        let explained = delivered
            .saturating_add(lost.total())
            .saturating_add(overwritten)
            .saturating_add(last.uncommitted);
        Balance {
            attempted,
            delivered,
            lost,
            overwritten,
            uncommitted: last.uncommitted,
            unaccounted: attempted.abs_diff(explained).max(self.undecoded),
        }
    }

    /// Whether packets that came are left out.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Packets that were cut, because records in them are in doubt.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Whether the stream was closed, and no packet of it is missing; or its CPU says that there
    /// can be none.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.last {
            Some(last) => last.is_final,
            None => self.ringless.is_some(),
        }
    }

    /// The judgement in a word: `taken` where there is nothing to judge, since programs take it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.verdict(), self.is_taken) {
            (Verdict::Complete, true) => TAKEN,
            (verdict, _) => verdict.name(),
        }
    }

    /// The judgement. What programs take keeps nothing else from being complete.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is_whole = self.last.is_none_or(|last| last.uncommitted == 0) && self.cut == 0;
        let is_open = !(self.is_closed() && is_whole) || self.is_unlisted || !self.runs.is_empty();
        let is_open = is_open && !self.is_taken;
        let mut problems = self.problems.clone();
        if self.more_problems > 0 {
            let (file, more) = (&self.file, self.more_problems);
            problems.push(format!("{file}: {more} more problems"));
        }
        Verdict::of(problems, is_open)
    }
}
