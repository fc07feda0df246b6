//! A profile as a table for people, and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::ProfileArgs;
use super::facts::{Cpu, Facts, Since};
use super::gather::Gathered;
use super::rows::{Row, Rows};
use crate::profile::margin::{margin, percent};
use crate::report;

/// How many characters a bar has that is the whole.
const BAR: f64 = 20.0;

/// A line, as JSON shows it.
#[derive(Debug, Serialize)]
struct JsonRow<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(rename = "self", skip_serializing_if = "Option::is_none")]
    own: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_margin: Option<f64>,
    total: u64,
    total_percent: f64,
    total_margin: f64,
}

/// What `profile --json` shows.
#[derive(Debug, Serialize)]
struct Json<'a> {
    boot: u32,
    uuid: String,
    elf: Option<String>,
    sources: Vec<Since<'a>>,
    cpus: &'a [Cpu],
    /// Samples that may lack callers.
    full_stacks: u64,
    by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    /// How many samples are the whole.
    samples: u64,
    rows: Vec<JsonRow<'a>>,
    /// How many rows there are beside these.
    more: usize,
}

/// To a thousandth of a percent point.
fn rounded(percent: f64) -> f64 {
    (percent * 1000.0).round() / 1000.0
}

/// The profile as one line of JSON.
pub(super) fn json(args: &ProfileArgs, gathered: &Gathered, rows: &Rows) -> String {
    let facts = Facts::of(gathered);
    let (shown, more) = split(args, rows);
    let percent = |part| rounded(percent(part, rows.of));
    let margin = |part| rounded(margin(part, rows.of));
    let lines = shown.iter().map(|row| JsonRow {
        name: &row.name,
        file: row.file.as_deref(),
        line: row.line,
        own: row.own,
        self_percent: row.own.map(percent),
        self_margin: row.own.map(margin),
        total: row.total,
        total_percent: percent(row.total),
        total_margin: margin(row.total),
    });
    report::line(&Json {
        boot: gathered.boot,
        uuid: gathered.uuid.to_string(),
        elf: gathered.elf.as_ref().map(|path| path.display().to_string()),
        sources: Facts::sources(gathered),
        cpus: &facts.cpus,
        full_stacks: gathered.profile.full,
        by: match (&args.callers, &args.callees) {
            (Some(_), _) => "callers",
            (_, Some(_)) => "callees",
            _ => args.by.name(),
        },
        function: rows.around.as_deref(),
        samples: rows.of,
        rows: lines.collect(),
        more,
    })
}

/// The lines that are shown, and how many are not.
fn split<'a>(args: &ProfileArgs, rows: &'a Rows) -> (&'a [Row], usize) {
    let (shown, more) = rows.all.split_at(rows.all.len().min(args.lines()));
    (shown, more.len())
}

/// The profile as a table below what is to be known about it; with bars if wanted.
pub(super) fn text(args: &ProfileArgs, gathered: &Gathered, rows: &Rows, bars: bool) -> String {
    let mut text = Facts::of(gathered).text(gathered);
    // Writing to a `String` cannot fail, here and below.
    match (&rows.around, &args.callers) {
        (Some(name), Some(_)) => {
            let _ = writeln!(text, "callers of {name}, which is in {} samples:", rows.of);
        }
        (Some(name), None) => {
            let _ = writeln!(text, "called by {name}, which is in {} samples:", rows.of);
        }
        (None, _) if !args.contexts.is_empty() => {
            let _ = writeln!(
                text,
                "{} of these samples interrupted what is wanted:",
                rows.of
            );
        }
        (None, _) => {}
    }
    let (shown, more) = split(args, rows);
    let has_own = rows.around.is_none() && args.by.has_total();
    let mut table = vec![heads(args, rows, has_own, bars)];
    for row in shown {
        let share = |part: u64| format!("{:.1}", percent(part, rows.of));
        let mut cells = Vec::new();
        let main = match row.own.filter(|_| has_own) {
            Some(own) => own,
            None => row.total,
        };
        cells.push(main.to_string());
        cells.push(share(main));
        cells.push(format!("{:.1}", margin(main, rows.of)));
        if has_own {
            cells.push(row.total.to_string());
            cells.push(share(row.total));
        }
        if bars {
            let length = (BAR * percent(main, rows.of) / 100.0).round() as usize;
            cells.push(format!("{:<1$}", "\u{2588}".repeat(length), BAR as usize));
        }
        cells.push(row.title());
        table.push(cells);
    }
    text += &report::align(&table);
    if more > 0 {
        let _ = writeln!(text, "and {more} more: --top 0 shows all");
    }
    text
}

/// The heads of the columns.
fn heads(args: &ProfileArgs, rows: &Rows, has_own: bool, bars: bool) -> Vec<String> {
    let mut heads = match has_own {
        true => vec!["self", "%", "+-", "total", "%"],
        false => vec!["samples", "%", "+-"],
    };
    if bars {
        heads.push("");
    }
    heads.push(match (&rows.around, &args.callers) {
        (Some(_), Some(_)) => "caller",
        (Some(_), None) => "callee",
        (None, _) => args.by.name(),
    });
    heads.into_iter().map(str::to_owned).collect()
}
