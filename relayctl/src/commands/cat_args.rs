//! What `cat` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::ArgPredicate;

use super::filter::{CpuSet, parse_level, parse_seconds};
use super::format::{self, Format};
use crate::console::Severity;
use crate::term::ColorChoice;

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
