//! `relayctl profile`: where CPUs spent their time, by samples.

mod args;
mod elf;
mod facts;
mod gather;
mod rows;
mod show;

use std::io;

pub(crate) use args::ProfileArgs;
pub(super) use facts::Facts;
pub(super) use gather::{Elves, Gathered, ProfileError, gather};

use super::boots::title;
use super::source::Source;
use crate::exit::Exit;
use crate::terminal::{Output, say};

/// Does `relayctl profile`.
pub(crate) fn profile(args: &ProfileArgs) -> Exit {
    try_profile(args).unwrap_or_else(|error| {
        say(error.to_string());
        error.exit()
    })
}

/// Shows the profile of each boot; failed if one has no samples, or is damaged.
fn try_profile(args: &ProfileArgs) -> Result<Exit, ProfileError> {
    let source = Source::open(args.report.capture.as_deref())?;
    let selection = source.boots(args.report.boot)?;
    selection.problems.iter().for_each(say);
    let filter = args.wanted.filter();
    let bars = args.color.for_stream(&io::stdout());
    let elves = Elves {
        kernel: args.elf.as_deref(),
        programs: args.programs.as_deref(),
    };
    let mut exit = Exit::check(selection.problems.is_empty());
    let mut text = String::new();
    for boot in &selection.boots {
        let gathered = match gather(&source, boot, &filter, elves) {
            Ok(gathered) => gathered,
            Err(error) if selection.of == 1 => return Err(error),
            // The others can be shown.
            Err(error) => {
                say(format!("boot {}: {error}", boot.number));
                exit = error.exit();
                continue;
            }
        };
        let rows = match rows::rows(args, &gathered.profile) {
            Ok(rows) => rows,
            Err(error) => {
                say(error.to_string());
                exit = Exit::Usage;
                continue;
            }
        };
        if rows.of == 0 {
            say("no sample is wanted of those that there are");
        }
        if exit == Exit::Good {
            exit = Exit::check(rows.of > 0 && !gathered.is_damaged);
        }
        if let Some(title) = title(selection.of, boot, Some(gathered.uuid))
            && !args.report.json
        {
            text += &(title + "\n");
        }
        text += &match args.report.json {
            true => show::json(args, &gathered, &rows),
            false => show::text(args, &gathered, &rows, bars),
        };
    }
    match Output::new(io::stdout()).put(&text) {
        Ok(()) => Ok(exit),
        Err(error) => {
            say(format!("cannot write the profile: {error}"));
            Ok(Exit::Infrastructure)
        }
    }
}
