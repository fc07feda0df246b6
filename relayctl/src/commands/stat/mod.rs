//! `relayctl stat`: the ledger of a capture, or how many of its records match.

mod matching;

use std::io;

use clap::Args;
use relay_decode::audit::Audit;
use relay_decode::balance::{Balance, Lost};
use relay_decode::capture::Uuid;
use relay_decode::records::Schema;
use serde::Serialize;

use super::boots::title;
use super::filter::FilterArgs;
use super::source::{ReportArgs, Source, SourceError};
use crate::exit::Exit;
use crate::report::{self, Reasons, Sums};
use crate::terminal::{Output, say};

/// A stream, as JSON shows it.
#[derive(Debug, Serialize)]
struct Cpu {
    cpu: u32,
    packets: u64,
    records: u64,
    bytes: u64,
    #[serde(flatten)]
    sums: Sums<Reasons>,
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
    boot: u32,
    uuid: String,
    total: Sums<u64>,
    channels: Vec<Channel<'a>>,
}

/// The options of `stat`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatArgs {
    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Does `relayctl stat`.
pub(crate) fn stat(args: &StatArgs) -> Exit {
    if !args.filter.is_empty() {
        return matching::stat(&args.report, args.filter.filter());
    }
    try_stat(&args.report).unwrap_or_else(|error| {
        say(error.to_string());
        error.exit()
    })
}

/// Shows the ledger of each boot.
fn try_stat(args: &ReportArgs) -> Result<Exit, SourceError> {
    let source = Source::open(args.capture.as_deref())?;
    let selection = source.boots(args.boot)?;
    selection.problems.iter().for_each(say);
    let (mut exit, mut text) = (Exit::Good, String::new());
    for boot in &selection.boots {
        let found = match source.audited(boot) {
            Ok((stored, audit)) => Some((stored, audit)),
            Err(error) if selection.of == 1 => return Err(error),
            // The others can be shown.
            Err(error) => {
                say(error.to_string());
                exit = error.exit();
                None
            }
        };
        let uuid = found.as_ref().map(|(stored, _)| Uuid(stored.schema.uuid));
        if let Some(title) = title(selection.of, boot, uuid).filter(|_| !args.json) {
            text += &(title + "\n");
        }
        if let Some((stored, audit)) = found {
            audit.unproven.iter().for_each(say);
            if let Some(line) = audit.line.as_ref().filter(|line| line.is_mixed()) {
                say(line.to_string());
            }
            text += &match args.json {
                true => json(&audit, boot.number, &stored.schema),
                false => table(&audit, &stored.schema),
            };
        }
    }
    match Output::new(io::stdout()).put(&text) {
        Ok(()) => Ok(exit),
        Err(error) => {
            say(format!("cannot write the table: {error}"));
            Ok(Exit::Infrastructure)
        }
    }
}

/// The ledger as one line of JSON.
fn json(audit: &Audit, boot: u32, schema: &Schema) -> String {
    let mut channels: Vec<Channel<'_>> = Vec::new();
    for stream in &audit.streams {
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
            sums: stream.balance().into(),
            verdict: stream.word(),
        };
        if let Some(channel) = channels.last_mut() {
            channel.cpus.push(cpu);
        }
    }
    report::line(&Stat {
        boot,
        uuid: Uuid(schema.uuid).to_string(),
        total: audit.balance().into(),
        channels,
    })
}

/// The ledger as a table.
fn table(audit: &Audit, schema: &Schema) -> String {
    let reasons = Lost::default().named().map(|(reason, _)| reason);
    let heads = [
        "channel",
        "cpu",
        "packets",
        "records",
        "bytes",
        "records/s",
        "attempted",
    ];
    let ends = ["overwritten", "uncommitted", "unaccounted", "stream"];
    let heads = heads.iter().chain(&reasons).chain(&ends);
    let mut rows = vec![heads.map(|head| (*head).to_owned()).collect::<Vec<_>>()];
    let row = |channel: &str, cpu: String, counts: [u64; 3], rate: String, balance: &Balance| {
        let lost = balance.lost.named().into_iter();
        let sums = [
            balance.overwritten,
            balance.uncommitted,
            balance.unaccounted,
        ];
        let number = |number: u64| number.to_string();
        let mut cells = vec![channel.to_owned(), cpu];
        cells.extend(counts.map(number));
        cells.push(rate);
        cells.push(number(balance.attempted));
        cells.extend(lost.map(|(_, count)| number(count)));
        cells.extend(sums.map(number));
        cells
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
        let rate = rate(stream.records(), stream.times, schema);
        let cpu = stream.cpu.to_string();
        let mut cells = row(&stream.channel, cpu, counts, rate, &stream.balance());
        cells.push(stream.word().to_owned());
        rows.push(cells);
    }
    let [_, records, _] = all;
    let rate = rate(records, times, schema);
    let mut cells = row("all", "all".to_owned(), all, rate, &audit.balance());
    cells.push(audit.verdict().name().to_owned());
    rows.push(cells);
    report::align(&rows)
}

/// Records per second between two times.
fn rate(records: u64, times: Option<(u64, u64)>, schema: &Schema) -> String {
    let ticks = times.map_or(0, |(begin, end)| end.saturating_sub(begin));
    match schema.nanoseconds(ticks) {
        0 => "-".to_owned(),
        ns => (u128::from(records) * 1_000_000_000 / u128::from(ns)).to_string(),
    }
}
