//! `relayctl verify`: proves that a capture misses nothing, or says what it misses.

use std::fmt::{self, Write as _};
use std::io;

use relay_decode::audit::{Audit, StreamAudit};
use relay_decode::balance::{Balance, Verdict};
use relay_decode::capture::OpenError;
use relay_decode::wire::Header;
use serde::Serialize;
use serde_json::json;

use super::source::{ReportArgs, Source, SourceError};
use crate::exit::Exit;
use crate::report::{self, Sums};
use crate::terminal::{Output, say};

/// What `verify --json` shows.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    verdict: &'static str,
    problems: Vec<String>,
    /// Why the whole is not complete, beside its streams.
    unproven: &'a [String],
    claims: u64,
    fragments: u64,
    left_out: u64,
    total: Sums<u64>,
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

/// Does `relayctl verify`.
pub(crate) fn verify(args: &ReportArgs) -> Exit {
    let audit = match Source::audited(args.capture.as_deref()) {
        Ok((_, audit)) => audit,
        Err(error) => return unreadable(args, &error),
    };
    let text = match args.json {
        true => json(&audit),
        false => text(&audit),
    };
    let verdict = audit.verdict();
    if verdict == Verdict::Open && audit.unproven.is_empty() {
        say("open: streams without a closing packet are proven up to their last packet only");
    }
    answer(&text, &verdict)
}

/// Judges what cannot be read: a capture without metadata to which nothing came
/// proves nothing, one whose metadata is damaged is broken.
fn unreadable(args: &ReportArgs, error: &SourceError) -> Exit {
    let what = error.to_string();
    let verdict = match error {
        SourceError::Open(OpenError::NoMetadata { had_packets, .. }) => match had_packets {
            true => Verdict::Broken(vec![what.clone()]),
            false => Verdict::Open,
        },
        SourceError::NoMetadata(..) | SourceError::Open(OpenError::Schema(..)) => {
            Verdict::Broken(vec![what.clone()])
        }
        _ => {
            say(what);
            return Exit::Infrastructure;
        }
    };
    let name = verdict.name();
    let text = match (args.json, &verdict) {
        (true, Verdict::Broken(problems)) => {
            report::line(&json!({ "verdict": name, "problems": problems }))
        }
        (true, _) => report::line(&json!({ "verdict": name, "problems": [] })),
        (false, _) => format!("{name}: {what}\n{name}\n"),
    };
    if verdict == Verdict::Open {
        say(format!("open: {what}"));
    }
    answer(&text, &verdict)
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
fn json(audit: &Audit) -> String {
    let verdict = audit.verdict();
    let streams = audit.streams.iter().map(|stream| {
        let verdict = stream.verdict();
        VerifiedStream {
            channel: &stream.channel,
            cpu: stream.cpu,
            verdict: verdict.name(),
            packets: stream.packets,
            last_packet: stream.last.map(|last| last.number),
            problems: verdict.problems(),
        }
    });
    report::line(&Verified {
        verdict: verdict.name(),
        claims: audit.claims,
        unproven: &audit.unproven,
        fragments: audit.fragments,
        left_out: audit.left_out,
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
