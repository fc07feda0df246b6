//! `relayctl cat`: the records of a capture, merged by time.

mod args;
mod fault;
mod format;
mod printer;
mod template;

use std::io::Write;

use relay_decode::merge::Filter;

pub(crate) use args::CatArgs;
pub(super) use format::console_text;
use printer::Printer;

use super::boots::Selection;
use super::source::Source;
use super::walk::{self, Walk, WalkError};
use crate::exit::Exit;

/// Does `relayctl cat`.
pub(crate) fn cat(args: &CatArgs) -> Exit {
    let walk = Walk {
        capture: args.capture.clone(),
        boot: args.boot,
        filter: args.filter(),
    };
    let shown = match args.follow {
        true => {
            let args = args.clone();
            walk::follow(walk, move |_| Printer::new(&args))
        }
        false => walk::stored(&walk, Printer::new(args)),
    };
    walk::exit(shown)
}

/// Writes the records of these boots to an output as JSON, a line each; failed if something is not
/// as it was written.
///
/// # Errors
///
/// When they cannot be read or written.
pub(super) fn json_lines(
    source: &Source,
    selection: &Selection,
    filter: &Filter,
    out: impl Write,
) -> Result<Exit, WalkError> {
    walk::boots((source, selection), filter, Printer::json(out))
}
