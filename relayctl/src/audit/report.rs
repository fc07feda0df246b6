//! Shows what was found: tables and lines for people, JSON for programs.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{Audit, StreamAudit, Sums};
use crate::console::Losses;
use crate::decode::Schema;
use crate::ledger::Verdict;
use crate::summary::align;
use crate::wire::Header;

/// All streams together, as JSON shows them.
#[derive(Debug, Serialize)]
struct Total {
    attempted: u64,
    delivered: u64,
    lost: u64,
    overwritten: u64,
    uncommitted: u64,
    unaccounted: u64,
}

/// A stream, as JSON shows it.
#[derive(Debug, Serialize)]
struct Cpu {
    cpu: u32,
    packets: u64,
    records: u64,
    bytes: u64,
    attempted: u64,
    delivered: u64,
    lost: Losses,
    overwritten: u64,
    uncommitted: u64,
    unaccounted: u64,
    verdict: &'static str,
}

/// A channel, as JSON shows it.
#[derive(Debug, Serialize)]
struct Channel<'a> {
    name: &'a str,
    cpus: Vec<Cpu>,
}

/// What `stat --json` shows.
#[derive(Debug, Serialize)]
struct Stat<'a> {
    total: Total,
    channels: Vec<Channel<'a>>,
}

/// What `verify --json` shows.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    verdict: &'static str,
    problems: Vec<String>,
    claims: u64,
    fragments: u64,
    total: Total,
    streams: Vec<VerifiedStream<'a>>,
}

/// A stream as `verify --json` shows it.
#[derive(Debug, Serialize)]
struct VerifiedStream<'a> {
    channel: &'a str,
    cpu: u32,
    verdict: &'static str,
    packets: u64,
    /// The number of the last packet that is there.
    last_packet: Option<u64>,
    problems: Vec<String>,
}

impl From<Sums> for Total {
    fn from(sums: Sums) -> Self {
        Self {
            attempted: sums.attempted,
            delivered: sums.delivered,
            lost: sums.lost.total(),
            overwritten: sums.overwritten,
            uncommitted: sums.uncommitted,
            unaccounted: sums.unaccounted,
        }
    }
}

/// Serialises to one line. What is serialised here has plain numbers and texts
/// only, and cannot fail.
fn line(value: &impl Serialize) -> String {
    let line = serde_json::to_string(value);
    line.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")) + "\n"
}

/// The ledger as one line of JSON.
#[must_use]
pub fn stat_json(audit: &Audit) -> String {
    let mut channels: Vec<Channel<'_>> = Vec::new();
    for stream in &audit.streams {
        let sums = stream.sums();
        if channels
            .last()
            .is_none_or(|channel| channel.name != stream.channel)
        {
            channels.push(Channel {
                name: &stream.channel,
                cpus: Vec::new(),
            });
        }
        let cpu = Cpu {
            cpu: stream.cpu,
            packets: stream.packets,
            records: stream.records(),
            bytes: stream.bytes,
            attempted: sums.attempted,
            delivered: sums.delivered,
            lost: sums.lost,
            overwritten: sums.overwritten,
            uncommitted: sums.uncommitted,
            unaccounted: sums.unaccounted,
            verdict: stream.verdict().name(),
        };
        if let Some(channel) = channels.last_mut() {
            channel.cpus.push(cpu);
        }
    }
    line(&Stat {
        total: audit.sums().into(),
        channels,
    })
}

/// The ledger as a table.
#[must_use]
pub fn stat_table(audit: &Audit, schema: &Schema) -> String {
    let heads = [
        "channel",
        "cpu",
        "packets",
        "records",
        "bytes",
        "records/s",
        "attempted",
        "full",
        "too_big",
        "wrapped",
        "nested",
        "closed",
        "discarded",
        "missing",
        "overwritten",
        "uncommitted",
        "unaccounted",
        "stream",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    let row =
        |channel: &str, cpu: String, counts: [u64; 3], rate: String, sums: &Sums, end: &str| {
            let [packets, records, bytes] = counts.map(|count| count.to_string());
            let lost = &sums.lost;
            let numbers = [
                sums.attempted,
                lost.full,
                lost.too_big,
                lost.wrapped,
                lost.nested,
                lost.closed,
                lost.discarded,
                lost.missing,
                sums.overwritten,
                sums.uncommitted,
                sums.unaccounted,
            ];
            let [
                attempted,
                full,
                too_big,
                wrapped,
                nested,
                closed,
                discarded,
                missing,
                overwritten,
                uncommitted,
                unaccounted,
            ] = numbers.map(|number| number.to_string());
            [
                channel.to_owned(),
                cpu,
                packets,
                records,
                bytes,
                rate,
                attempted,
                full,
                too_big,
                wrapped,
                nested,
                closed,
                discarded,
                missing,
                overwritten,
                uncommitted,
                unaccounted,
                end.to_owned(),
            ]
        };
    let mut all = [0; 3];
    let mut times: Option<(u64, u64)> = None;
    for stream in &audit.streams {
        let counts = [stream.packets, stream.records(), stream.bytes];
        for (sum, count) in all.iter_mut().zip(counts) {
            *sum += count;
        }
        if let Some((begin, end)) = stream.times {
            let (first, last) = times.unwrap_or((begin, end));
            times = Some((first.min(begin), last.max(end)));
        }
        rows.push(row(
            &stream.channel,
            stream.cpu.to_string(),
            counts,
            rate(stream.records(), stream.times, schema),
            &stream.sums(),
            stream.verdict().name(),
        ));
    }
    let [_, records, _] = all;
    rows.push(row(
        "all",
        "all".to_owned(),
        all,
        rate(records, times, schema),
        &audit.sums(),
        audit.verdict().name(),
    ));
    align(&rows)
}

/// What a judgement says of a stream that was salvaged; nothing of others.
struct Salvaged<'a>(&'a StreamAudit, &'a Header);

impl fmt::Display for Salvaged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(stream, last) = self;
        if last.is_salvaged {
            let uncommitted = last.uncommitted;
            write!(
                f,
                ", where its CPU was stopped: {uncommitted} records uncommitted"
            )?;
        }
        match stream.cut() {
            0 => Ok(()),
            cut => write!(f, ", {cut} packets cut where they are in doubt"),
        }
    }
}

/// Records per second between two times.
fn rate(records: u64, times: Option<(u64, u64)>, schema: &Schema) -> String {
    let ticks = times.map_or(0, |(begin, end)| end.saturating_sub(begin));
    match schema.nanoseconds(ticks) {
        0 => "-".to_owned(),
        ns => (u128::from(records) * 1_000_000_000 / u128::from(ns)).to_string(),
    }
}

/// The judgement as one line of JSON.
#[must_use]
pub fn verify_json(audit: &Audit) -> String {
    let verdict = audit.verdict();
    let streams = audit.streams.iter().map(|stream| {
        let verdict = stream.verdict();
        VerifiedStream {
            channel: &stream.channel,
            cpu: stream.cpu,
            verdict: verdict.name(),
            packets: stream.packets,
            last_packet: stream.last.map(|last| last.number),
            problems: problems(verdict),
        }
    });
    line(&Verified {
        verdict: verdict.name(),
        claims: audit.claims,
        fragments: audit.fragments,
        total: audit.sums().into(),
        streams: streams.collect(),
        problems: problems(verdict),
    })
}

/// What a judgement has found wrong.
fn problems(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Broken(problems) => problems,
        Verdict::Complete | Verdict::Open => Vec::new(),
    }
}

/// The judgement in lines: what is wrong, what is open, and the word itself.
#[must_use]
pub fn verify_text(audit: &Audit) -> String {
    let mut text = String::new();
    let verdict = audit.verdict();
    for problem in problems(verdict.clone()) {
        // Writing to a `String` cannot fail, here and below.
        let _ = writeln!(text, "broken: {problem}");
    }
    for stream in &audit.streams {
        if stream.verdict() == Verdict::Open {
            let _ = match &stream.last {
                Some(last) => writeln!(
                    text,
                    "open: {}: {}; proven up to packet {}, record {}{}",
                    stream.file,
                    match (last.is_final, last.uncommitted) {
                        (true, 0) => "packets that are not in the list of packets",
                        (true, _) => "its CPU was stopped in the middle of a record",
                        (false, _) => "no closing packet",
                    },
                    last.number,
                    last.ordinal + last.records,
                    Salvaged(stream, last)
                ),
                None => writeln!(text, "open: {}: no packet", stream.file),
            };
        }
    }
    if audit.fragments > 0 {
        let _ = writeln!(
            text,
            "{} bytes came that were no whole packet of a known stream (fragments/)",
            audit.fragments
        );
    }
    let Sums {
        attempted,
        delivered,
        lost,
        overwritten,
        uncommitted,
        unaccounted,
    } = audit.sums();
    let _ = writeln!(
        text,
        "attempted {attempted} = delivered {delivered} + lost {} (missing {}) + overwritten \
         {overwritten} + uncommitted {uncommitted}; unaccounted {unaccounted}; {} claims compared",
        lost.total(),
        lost.missing,
        audit.claims
    );
    let _ = writeln!(text, "{}", verdict.name());
    text
}
