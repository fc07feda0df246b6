//! How many records of a capture match, by channel and CPU.

use std::io::{self, Write};

use relay_decode::capture::Uuid;
use relay_decode::escape::printable;
use relay_decode::merge::{Filter, StreamCount, What};
use serde::Serialize;

use crate::commands::boots::title;
use crate::commands::source::{ReportArgs, Source};
use crate::commands::walk::{self, WalkError, say_unknown_fields};
use crate::exit::Exit;
use crate::report;
use crate::terminal::{Output, say};

/// A stream, as JSON shows it.
#[derive(Debug, Serialize)]
struct Cpu {
    cpu: u32,
    matching: u64,
    of: u64,
}

/// A channel, as JSON shows it.
#[derive(Debug, Serialize)]
struct Channel<'a> {
    name: &'a str,
    cpus: Vec<Cpu>,
}

/// A boot, as JSON shows it.
#[derive(Debug, Serialize)]
struct Boot<'a> {
    boot: u32,
    uuid: String,
    matching: u64,
    of: u64,
    channels: Vec<Channel<'a>>,
}

/// Shows how many records of each boot match.
pub(super) fn stat(args: &ReportArgs, filter: Filter) -> Exit {
    walk::exit(try_stat(args, &filter))
}

/// The same; failed if something is not as it was written.
fn try_stat(args: &ReportArgs, filter: &Filter) -> Result<Exit, WalkError> {
    let source = Source::open(args.capture.as_deref()).map_err(WalkError::Source)?;
    let selection = source.boots(args.boot).map_err(WalkError::Source)?;
    selection.problems.iter().for_each(say);
    let mut is_damaged = !selection.problems.is_empty();
    let (mut fits, mut lacking) = (false, None);
    let mut text = String::new();
    for boot in &selection.boots {
        let stored = match source.boot(boot) {
            Ok(stored) => stored,
            Err(error) if selection.of == 1 => return Err(WalkError::Source(error)),
            // The others can be counted.
            Err(error) => {
                say(error.to_string());
                is_damaged = true;
                continue;
            }
        };
        if let Err(error) = filter.check(&stored.schema) {
            lacking.get_or_insert(error);
            continue;
        }
        if !fits {
            say_unknown_fields(filter, &stored.schema);
        }
        fits = true;
        let gone = stored.gone().map_err(WalkError::Open)?;
        is_damaged |= !stored.problems.is_empty() || !gone.is_empty();
        stored.problems.iter().chain(&gone).for_each(say);
        let counts = StreamCount::all(&stored, filter, |note| {
            is_damaged |= matches!(note.what, What::Damage(_));
            // There is nobody to tell about a stderr that cannot be written.
            let text = note.to_string();
            let _ = writeln!(io::stderr(), "{}", printable(text.as_bytes()));
        })?;
        let uuid = Uuid(stored.schema.uuid);
        if args.json {
            text += &json(boot.number, uuid, &counts);
            continue;
        }
        if let Some(title) = title(selection.of, boot, Some(uuid)) {
            text += &(title + "\n");
        }
        text += &table(&counts);
    }
    match lacking {
        Some(error) if !fits => return Err(error.into()),
        _ => {}
    }
    let written = Output::new(io::stdout()).put(&text);
    written.map_err(WalkError::Output)?;
    Ok(Exit::check(!is_damaged))
}

/// All of several streams.
fn sums(counts: &[StreamCount]) -> (u64, u64) {
    let add = |(wanted, of): (u64, u64), count: &StreamCount| {
        (
            wanted.saturating_add(count.wanted),
            of.saturating_add(count.of),
        )
    };
    counts.iter().fold((0, 0), add)
}

/// The counts as one line of JSON.
fn json(boot: u32, uuid: Uuid, counts: &[StreamCount]) -> String {
    let mut channels: Vec<Channel<'_>> = Vec::new();
    for count in counts {
        let is_same = |last: &Channel<'_>| last.name == count.channel;
        if !channels.last().is_some_and(is_same) {
            channels.push(Channel {
                name: &count.channel,
                cpus: Vec::new(),
            });
        }
        if let Some(channel) = channels.last_mut() {
            channel.cpus.push(Cpu {
                cpu: count.cpu,
                matching: count.wanted,
                of: count.of,
            });
        }
    }
    let (matching, of) = sums(counts);
    report::line(&Boot {
        boot,
        uuid: uuid.to_string(),
        matching,
        of,
        channels,
    })
}

/// The counts as a table.
fn table(counts: &[StreamCount]) -> String {
    let mut rows = vec![["channel", "cpu", "matching", "of"].map(str::to_owned)];
    let row = |channel: &str, cpu: String, (wanted, of): (u64, u64)| {
        [channel.to_owned(), cpu, wanted.to_string(), of.to_string()]
    };
    for count in counts {
        let cpu = count.cpu.to_string();
        rows.push(row(&count.channel, cpu, (count.wanted, count.of)));
    }
    rows.push(row("all", "all".to_owned(), sums(counts)));
    report::align(&rows)
}
