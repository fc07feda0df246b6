//! What `cat` is asked for.

use std::path::PathBuf;

use clap::Args;
use clap::builder::ArgPredicate;
use relay_decode::merge::Filter;

use super::template::{self, Template};
use crate::commands::boots::Which;
use crate::commands::filter::FilterArgs;
use crate::terminal::ColorChoice;

/// The options of `cat`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatArgs {
    /// A capture or its trace, also as .tar or .tar.gz; a raw file; - for standard input; the
    /// newest capture if not given
    pub(crate) capture: Option<PathBuf>,

    /// Which boots of a machine that was reset: a number from 1, all, or last
    #[arg(long, value_name = "BOOT", default_value_t)]
    pub(crate) boot: Which,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Show with each exit how long it took, and how deep it lay in others
    ///
    /// NAME_exit is paired with the NAME_entry that it belongs to on its CPU, but never across a
    /// loss: an exit whose entry may be lost says so, and a line tells of an entry without an
    /// exit.
    #[arg(long)]
    pub(crate) spans: bool,

    /// Go on with what comes, until the capture is finished or Ctrl-C
    ///
    /// It may be started first: then it waits for the capture that is named, or for the next run if
    /// the newest capture is over. Filters must name channels and CPUs that the capture's
    /// metadata has: no more come later.
    ///
    /// What comes is held back for 0.2 seconds, so that streams that arrive at
    /// different times are in order. A raw file may grow; a pipe is shown as it comes.
    /// When the machine's next boot begins, that is shown; what still comes of the one before is
    /// counted in the end. It also ends when all streams of a boot are closed and no other has
    /// begun.
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// One JSON object a line; losses go to stderr
    #[arg(long, conflicts_with = "log_format")]
    pub(crate) json: bool,

    /// How a record is shown: text with fields in braces
    ///
    /// {time} seconds since the machine's start, {ns} the same in nanoseconds, {ticks} in the
    /// clock's ticks; {cpu}, {number} of the record in its stream, {packet} that it
    /// came in; {channel}, {event}; {context} task, irq or nmi; {severity}, {facility}; {type},
    /// {process} and {thread} of events for operators; {origin} {module} and {file}:{line} of the log,
    /// channel and event of others, with {facility}/{type} {process}:{thread} between of events for
    /// operators; {msg} the message of the log, the sentence of others, or their fields if they have
    /// none; {fields} all fields as NAME=VALUE; {span} a blank and, in brackets, what --spans shows.
    ///
    /// {severity:<5} fills a column of five characters, > and ^ put the text to its
    /// right or middle. {{ and }} are braces.
    #[arg(long, value_name = "FORMAT", default_value = template::DEFAULT)]
    #[arg(default_value_if("verbose", ArgPredicate::Equals("true".into()), template::VERBOSE))]
    pub(crate) log_format: Template,

    /// The folder with the programs' ELF files, called as the programs are: where a record tells
    /// of a program's fault, its functions are shown
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,

    /// When to use colour
    #[arg(long, value_enum, default_value_t)]
    pub(crate) color: ColorChoice,

    /// Show packets, ticks, and data in full
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

impl CatArgs {
    /// Which records are wanted.
    pub(super) fn filter(&self) -> Filter {
        Filter {
            spans: self.spans || self.log_format.has_span(),
            ..self.filter.filter()
        }
    }
}
