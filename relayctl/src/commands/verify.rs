//! `relayctl verify`: proves that a capture misses nothing, or says what it misses.

use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;

use relay_decode::audit::{Audit, StreamAudit};
use relay_decode::balance::{Balance, Verdict};
use relay_decode::capture::{LineTotals, OpenError, Stored, Uuid};
use relay_decode::wire::Header;
use serde::Serialize;
use serde_json::{Value, json};

use super::boots::title;
use super::source::{ReportArgs, Source, SourceError};
use crate::exit::Exit;
use crate::report::{self, Sums};
use crate::terminal::{Output, say};

/// What `verify --json` shows.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    boot: u32,
    uuid: String,
    verdict: &'static str,
    problems: Vec<String>,
    /// Why the whole is not complete, beside its streams.
    unproven: &'a [String],
    claims: u64,
    fragments: u64,
    left_out: u64,
    /// What came over a serial line, if any did.
    line: Option<Value>,
    total: Sums<u64>,
    streams: Vec<VerifiedStream<'a>>,
}

/// A stream as `verify --json` shows it.
#[derive(Debug, Serialize)]
struct VerifiedStream<'a> {
    channel: &'a str,
    cpu: u32,
    verdict: &'static str,
    attempted: u64,
    packets: u64,
    /// The number of the last packet that is there.
    last_packet: Option<u64>,
    problems: Vec<String>,
}

/// What was found out about a boot.
struct Judged {
    /// Which one, if it can be read.
    uuid: Option<Uuid>,
    /// The judgement, as it is shown.
    text: String,
    /// The same in a word.
    verdict: Verdict,
    /// Whether it is open for its streams only.
    is_unclosed: bool,
}

/// Does `relayctl verify`.
pub(crate) fn verify(args: &ReportArgs) -> Exit {
    try_verify(args).unwrap_or_else(|error| {
        say(error.to_string());
        error.exit()
    })
}

/// Judges each boot by itself, then the whole.
fn try_verify(args: &ReportArgs) -> Result<Exit, SourceError> {
    let source = Source::open(args.capture.as_deref())?;
    let mut selection = source.boots(args.boot)?;
    let of = selection.of;
    let mut text = String::new();
    let mut whole = Vec::new();
    for boot in &selection.boots {
        // What is wrong with the whole is wrong with its only boot.
        let beside = match of {
            1 => std::mem::take(&mut selection.problems),
            _ => Vec::new(),
        };
        let judged = match source.audited(boot) {
            Ok((stored, audit)) => judge(args, boot.number, &stored, audit, beside),
            Err(error) => unreadable(args, boot.number, error, beside)?,
        };
        if judged.is_unclosed {
            say("open: streams without a closing packet are proven up to their last packet only");
        }
        if let Some(title) = title(of, boot, judged.uuid).filter(|_| !args.json) {
            text += &(title + "\n");
        }
        text += &judged.text;
        whole.push(judged.verdict);
    }
    let is_several = whole.len() > 1;
    let verdict = Verdict::of_all(selection.problems.clone(), whole);
    if is_several {
        text += &conclusion(args, of, &selection.problems, &verdict);
    }
    Ok(answer(&text, &verdict))
}

/// What is said of several boots together.
fn conclusion(args: &ReportArgs, of: usize, problems: &[String], verdict: &Verdict) -> String {
    let name = verdict.name();
    if args.json {
        let whole = json!({ "boot": "all", "verdict": name, "problems": problems });
        return report::line(&whole);
    }
    let problems = problems
        .iter()
        .map(|problem| format!("broken: {problem}\n"));
    problems.collect::<String>() + &format!("{of} boots: {name}\n")
}

/// Judges a boot that can be read.
fn judge(
    args: &ReportArgs,
    number: u32,
    stored: &Stored,
    mut audit: Audit,
    beside: Vec<String>,
) -> Judged {
    audit.problems.extend(beside);
    let uuid = Uuid(stored.schema.uuid);
    let text = match args.json {
        true => json(&audit, number, uuid),
        false => text(&audit),
    };
    let verdict = audit.verdict();
    Judged {
        uuid: Some(uuid),
        text,
        is_unclosed: verdict == Verdict::Open && audit.unproven.is_empty(),
        verdict,
    }
}

/// Judges what cannot be read: a capture without packets that has a console's text proves nothing
/// and contradicts nothing; one that should have metadata is broken, and one to which nothing came
/// is no better.
fn unreadable(
    args: &ReportArgs,
    number: u32,
    error: SourceError,
    beside: Vec<String>,
) -> Result<Judged, SourceError> {
    let what = error.to_string();
    let is_open = match &error {
        SourceError::Open(OpenError::NoMetadata {
            folder,
            had_packets,
            fragments,
        }) => !had_packets && *fragments == 0 && has_console(folder),
        SourceError::NoMetadata(..) | SourceError::Open(OpenError::Schema(..)) => false,
        _ => return Err(error),
    };
    let mut problems = beside;
    if !is_open {
        problems.insert(0, what.clone());
    }
    let verdict = Verdict::of(problems, is_open);
    let (name, problems) = (verdict.name(), verdict.clone().problems());
    let text = match args.json {
        true => report::line(&json!({ "boot": number, "verdict": name, "problems": problems })),
        false if is_open => format!("{name}: {what}\n{name}\n"),
        false => {
            let lines = problems
                .iter()
                .map(|problem| format!("{name}: {problem}\n"));
            lines.collect::<String>() + name + "\n"
        }
    };
    if verdict == Verdict::Open {
        say(format!("open: {what}"));
    }
    Ok(Judged {
        uuid: None,
        text,
        verdict,
        is_unclosed: false,
    })
}

/// Whether a capture has a console's text.
fn has_console(folder: &Path) -> bool {
    let console = folder.join("console.log").metadata();
    console.is_ok_and(|console| console.len() > 0)
}

/// Prints the judgement; its exit code.
fn answer(text: &str, verdict: &Verdict) -> Exit {
    match (Output::new(io::stdout()).put(text), verdict) {
        (Err(error), _) => {
            say(format!("cannot write the judgement: {error}"));
            Exit::Infrastructure
        }
        (Ok(()), Verdict::Broken(_)) => Exit::Failed,
        (Ok(()), Verdict::Complete | Verdict::Open) => Exit::Good,
    }
}

/// The judgement as one line of JSON.
fn json(audit: &Audit, number: u32, uuid: Uuid) -> String {
    let verdict = audit.verdict();
    let streams = audit.streams.iter().map(|stream| {
        let verdict = stream.verdict();
        VerifiedStream {
            channel: &stream.channel,
            cpu: stream.cpu,
            verdict: stream.word(),
            attempted: stream.balance().attempted,
            packets: stream.packets,
            last_packet: stream.last.map(|last| last.number),
            problems: verdict.problems(),
        }
    });
    report::line(&Verified {
        boot: number,
        uuid: uuid.to_string(),
        verdict: verdict.name(),
        claims: audit.claims,
        unproven: &audit.unproven,
        fragments: audit.fragments,
        left_out: audit.left_out,
        line: audit.line.as_ref().map(LineTotals::json),
        total: audit.balance().into(),
        streams: streams.collect(),
        problems: verdict.problems(),
    })
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

/// The judgement in lines: what is wrong, what is open, and the word itself.
fn text(audit: &Audit) -> String {
    let mut text = String::new();
    let verdict = audit.verdict();
    for problem in verdict.clone().problems() {
        // Writing to a `String` cannot fail, here and below.
        let _ = writeln!(text, "broken: {problem}");
    }
    for what in &audit.unproven {
        let _ = writeln!(text, "open: {what}");
    }
    for stream in &audit.streams {
        if stream.verdict() == Verdict::Open {
            let _ = match &stream.last {
                Some(last) => writeln!(
                    text,
                    "open: {}: {}; proven up to packet {}, record {}{}",
                    stream.file,
                    match (last.is_final, last.uncommitted) {
                        _ if stream.is_left_out() => "packets that came are left out",
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
    for stream in audit.streams.iter().filter(|stream| stream.is_taken) {
        let (file, attempted) = (&stream.file, stream.balance().attempted);
        let _ = writeln!(text, "{file}: taken by programs; {attempted} claimed");
    }
    for stream in &audit.streams {
        if let Some(lost) = stream.ringless() {
            let file = &stream.file;
            let _ = writeln!(
                text,
                "{file}: its CPU has no ring for it, and lost {lost} records"
            );
        }
    }
    if audit.fragments > 0 {
        let _ = writeln!(
            text,
            "{} bytes came that were no whole packet of a known stream (fragments/)",
            audit.fragments
        );
    }
    if let Some(line) = &audit.line {
        let _ = writeln!(text, "{line}");
    }
    let Balance {
        attempted,
        delivered,
        lost,
        overwritten,
        uncommitted,
        unaccounted,
    } = audit.balance();
    let _ = writeln!(
        text,
        "attempted {attempted} = delivered {delivered} + lost {} (missing {}{}) + overwritten \
         {overwritten} + uncommitted {uncommitted}; unaccounted {unaccounted}; {} claims compared",
        lost.total(),
        lost.missing,
        match lost.left_out {
            0 => String::new(),
            left_out => format!(", left out {left_out}"),
        },
        audit.claims
    );
    let _ = writeln!(text, "{}", verdict.name());
    text
}
