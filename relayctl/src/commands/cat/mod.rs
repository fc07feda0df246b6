//! `relayctl cat`: the records of a capture, merged by time.

mod args;
mod error;
mod follow;
mod format;
mod printer;
mod template;
mod wait;

use std::io;

use relay_decode::merge::{Filter, Merge};

pub(crate) use args::CatArgs;
use error::CatError;
use follow::follow;
pub(super) use format::console_text;
use printer::Printer;

use super::source::Source;
use crate::exit::Exit;
use crate::terminal::say;

/// Does `relayctl cat`.
pub(crate) fn cat(args: &CatArgs) -> Exit {
    let filter = args.filter();
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
            match error {
                CatError::Filter(_) | CatError::Packed(_) => Exit::Usage,
                _ => Exit::Infrastructure,
            }
        }
    }
}

/// Shows the records that are there.
fn show(args: &CatArgs, filter: &Filter) -> Result<(), CatError> {
    let source = Source::open(args.capture.as_deref()).map_err(CatError::Source)?;
    let stored = &source.stored;
    filter.check(&stored.schema)?;
    for problem in stored.problems.iter().chain(&stored.unproven) {
        say(problem);
    }
    let mut printer = Printer::new(args);
    Merge::of(stored, filter)?.each(|next| printer.show(next))?;
    printer.flush()
}
