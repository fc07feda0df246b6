//! `relayctl cat`: the records of a capture, merged by time.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::ArgPredicate;

use super::filter::{CpuSet, Filter, parse_level, parse_seconds};
use super::follow::follow;
use super::format::{self, Format};
use super::merge::Merge;
use super::printer::Printer;
use super::source::{Source, SourceError};
use crate::capture::{FollowError, OpenError};
use crate::console::Severity;
use crate::decode::Schema;
use crate::exit::Exit;
use crate::term::{ColorChoice, say};

/// The options of `cat`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CatArgs {
    /// A capture, a raw file, or - for standard input; the newest capture if not given
    pub capture: Option<PathBuf>,

    /// Only this channel; may be given again
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,

    /// Only these CPUs, such as 0,2-4
    #[arg(long, value_name = "LIST")]
    pub cpu: Option<CpuSet>,

    /// Only records at least so grave: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub level: Option<Severity>,

    /// Only records from this time on, in seconds after power-on
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub since: Option<Duration>,

    /// Only records up to this time, in seconds after power-on
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub until: Option<Duration>,

    /// Go on with what comes, until the capture is finished or Ctrl-C
    ///
    /// What comes is held back for 0.2 seconds, so that streams that arrive at
    /// different times are in order. A raw file may grow; a pipe is shown as it comes.
    #[arg(short, long)]
    pub follow: bool,

    /// One JSON object a line; losses go to stderr
    #[arg(long, conflicts_with = "log_format")]
    pub json: bool,

    /// How a record is shown: text with fields in braces
    ///
    /// {time} seconds since power-on, {ns} the same in nanoseconds, {ticks} in the
    /// clock's ticks; {cpu}, {number} of the record in its stream, {packet} that it
    /// came in; {channel}, {event}; {context} task, irq or nmi; {severity}; {origin}
    /// {module} and {file}:{line} of the log, channel and event of others; {msg} the
    /// message of the log, the fields of others; {fields} all fields as NAME=VALUE.
    ///
    /// {severity:<5} fills a column of five characters, > and ^ put the text to its
    /// right or middle. {{ and }} are braces.
    #[arg(long, value_name = "FORMAT", default_value = format::DEFAULT)]
    #[arg(default_value_if("verbose", ArgPredicate::Equals("true".into()), format::VERBOSE))]
    pub log_format: Format,

    /// When to use colour
    #[arg(long, value_enum, default_value_t)]
    pub color: ColorChoice,

    /// Show packets, ticks, and data in full
    #[arg(short, long)]
    pub verbose: bool,
}

/// Why the records could not be shown to the end.
#[derive(Debug)]
pub(super) enum CatError {
    /// There is nothing to read.
    Source(SourceError),
    /// A file of the capture cannot be read.
    Open(OpenError),
    /// What is followed has gone, or is another.
    Follow(FollowError),
    /// Signals cannot be listened for.
    Signals(io::Error),
    /// The output cannot be written.
    Output(io::Error),
    /// The user has seen enough.
    Stopped,
}

impl fmt::Display for CatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
            Self::Follow(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "cannot listen for signals: {error}"),
            Self::Output(error) => write!(f, "cannot write the records: {error}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl From<OpenError> for CatError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<FollowError> for CatError {
    fn from(error: FollowError) -> Self {
        Self::Follow(error)
    }
}

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

/// Warns of channels that there are not.
pub(super) fn warn_of_unknown(names: &[String], schema: &Schema) {
    for name in names {
        let mut channels = schema.channels.iter();
        if !channels.any(|channel| channel.name == *name) {
            say(format!("there is no channel '{name}' in this capture"));
        }
    }
}
