//! `relayctl cat`: the records of a capture, merged by time.

mod args;
mod error;
mod follow;
mod follow_boots;
mod format;
mod json;
mod printer;
mod template;
mod wait;

use std::io::{self, Write};

use relay_decode::capture::Uuid;
use relay_decode::merge::{Filter, Merge, Next};

pub(crate) use args::CatArgs;
pub(super) use error::CatError;
use follow::follow;
pub(super) use format::console_text;
use printer::Printer;

use super::boots::{Selection, title};
use super::source::Source;
use crate::exit::Exit;
use crate::terminal::say;

/// Does `relayctl cat`.
pub(crate) fn cat(args: &CatArgs) -> Exit {
    let filter = args.wanted.filter();
    let shown = match args.follow {
        true => follow(args, &filter),
        false => show(args, &filter),
    };
    match shown {
        Ok(exit) => exit,
        Err(CatError::Stopped) => Exit::Good,
        // Whoever has read enough has read enough.
        Err(CatError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
        Err(error) => {
            say(error.to_string());
            error.exit()
        }
    }
}

/// Shows the records that are there; failed if something is not as it was written.
fn show(args: &CatArgs, filter: &Filter) -> Result<Exit, CatError> {
    let source = Source::open(args.capture.as_deref()).map_err(CatError::Source)?;
    let selection = source.boots(args.boot).map_err(CatError::Source)?;
    selection.problems.iter().for_each(say);
    print(&source, &selection, filter, Printer::new(args))
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
) -> Result<Exit, CatError> {
    print(source, selection, filter, Printer::json(out))
}

/// Lets a printer have the records of these boots, one boot after the other.
fn print<W: Write>(
    source: &Source,
    selection: &Selection,
    filter: &Filter,
    mut printer: Printer<'_, W>,
) -> Result<Exit, CatError> {
    let mut is_damaged = !selection.problems.is_empty();
    // What is wanted must be in one of them.
    let (mut fits, mut lacking) = (false, None);
    let mut is_empty = true;
    for boot in &selection.boots {
        let stored = match source.boot(boot) {
            Ok(stored) => stored,
            Err(error) if selection.of == 1 => return Err(CatError::Source(error)),
            // The others can be shown.
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
        fits = true;
        let uuid = Some(Uuid(stored.schema.uuid));
        printer.begin(boot.number, title(selection.of, boot, uuid))?;
        let gone = stored.gone().map_err(CatError::Open)?;
        is_damaged |= !stored.problems.is_empty() || !gone.is_empty();
        let all = stored.problems.iter().chain(&gone).chain(&stored.unproven);
        all.for_each(say);
        if let Some(line) = stored.line.as_ref().filter(|line| line.is_mixed()) {
            say(line.to_string());
        }
        Merge::of(&stored, filter)?.each(|next| {
            is_empty &= !matches!(next, Next::Record(..));
            printer.show(next)
        })?;
    }
    printer.flush()?;
    if fits && is_empty && !filter.modules.is_empty() {
        // Which modules there are, records say: a wrong one is not refused.
        say(format!(
            "no record that is wanted is of {}: whole paths are right, such as kernel::sched",
            filter.modules.join(" or ")
        ));
    }
    match lacking {
        Some(error) if !fits => Err(error.into()),
        _ => Ok(Exit::check(!is_damaged && !printer.is_damaged)),
    }
}
