//! `relayctl verify`: proves that a capture misses nothing, or says what it misses.

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::source::{Source, SourceError};
use crate::audit::{self, Audit};
use crate::capture::OpenError;
use crate::exit::Exit;
use crate::ledger::Verdict;
use crate::term::{Output, say};

/// The options of `verify`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct VerifyArgs {
    /// A capture, a raw file, or - for standard input; the newest capture if not given
    pub capture: Option<PathBuf>,

    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Does `relayctl verify`.
pub fn verify(args: &VerifyArgs) -> Exit {
    let source = match Source::open(args.capture.as_deref()) {
        Ok(source) => source,
        Err(error) => return unreadable(args, &error),
    };
    let audit = match Audit::of(&source.stored) {
        Ok(audit) => audit,
        Err(error) => {
            say(error.to_string());
            return Exit::Infrastructure;
        }
    };
    let text = match args.json {
        true => audit::verify_json(&audit),
        false => audit::verify_text(&audit),
    };
    let verdict = audit.verdict();
    if verdict == Verdict::Open {
        say("open: streams without a closing packet are proven up to their last packet only");
    }
    answer(&text, &verdict)
}

/// Judges what cannot be read: a capture without metadata to which nothing came
/// proves nothing, one whose metadata is damaged is broken.
fn unreadable(args: &VerifyArgs, error: &SourceError) -> Exit {
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
            json!({ "verdict": name, "problems": problems }).to_string() + "\n"
        }
        (true, _) => json!({ "verdict": name, "problems": [] }).to_string() + "\n",
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
