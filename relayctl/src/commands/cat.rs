//! `relayctl cat`: the records of a capture, merged by time.

use std::io;

use super::cat_args::CatArgs;
use super::cat_error::CatError;
use super::filter::{Filter, warn_of_unknown};
use super::follow::follow;
use super::merge::Merge;
use super::printer::Printer;
use super::source::Source;
use crate::exit::Exit;
use crate::term::say;

/// Does `relayctl cat`.
pub fn cat(args: &CatArgs) -> Exit {
    let filter = Filter {
        channels: args.channels.clone(),
        cpus: args.cpu.clone(),
        level: args.level,
        since: args.since,
        until: args.until,
    };
    let shown = match args.follow {
        true => follow(args, &filter),
        false => show(args, &filter),
    };
    match shown {
        Ok(()) | Err(CatError::Stopped) => Exit::Good,
        // Whoever has read enough has read enough.
        Err(CatError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
        Err(error) => {
            say(error.to_string());
            Exit::Infrastructure
        }
    }
}

/// Shows the records that are there.
fn show(args: &CatArgs, filter: &Filter) -> Result<(), CatError> {
    let source = Source::open(args.capture.as_deref()).map_err(CatError::Source)?;
    let stored = &source.stored;
    warn_of_unknown(&args.channels, &stored.schema);
    for problem in &stored.problems {
        say(problem);
    }
    let mut printer = Printer::new(args);
    Merge::of(stored, filter)?.each(|next| printer.show(next))?;
    printer.flush()
}
