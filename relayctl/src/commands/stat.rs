//! `relayctl stat`: the ledger of a capture.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::source::Source;
use crate::audit::{self, Audit};
use crate::exit::Exit;
use crate::term::{Output, say};

/// The options of `stat`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct StatArgs {
    /// A capture, a raw file, or - for standard input; the newest capture if not given
    pub capture: Option<PathBuf>,

    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Does `relayctl stat`.
pub fn stat(args: &StatArgs) -> Exit {
    let source = match Source::open(args.capture.as_deref()) {
        Ok(source) => source,
        Err(error) => {
            say(error.to_string());
            return Exit::Infrastructure;
        }
    };
    let audit = match Audit::of(&source.stored) {
        Ok(audit) => audit,
        Err(error) => {
            say(error.to_string());
            return Exit::Infrastructure;
        }
    };
    let text = match args.json {
        true => audit::stat_json(&audit),
        false => audit::stat_table(&audit, &source.stored.schema),
    };
    match Output::new(io::stdout()).put(&text) {
        Ok(()) => Exit::Good,
        Err(error) => {
            say(format!("cannot write the table: {error}"));
            Exit::Infrastructure
        }
    }
}
