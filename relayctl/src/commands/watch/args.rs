//! What `watch` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use relay_decode::query;

use super::limit::Rate;
use crate::commands::boots::Which;
use crate::commands::filter::FilterArgs;

/// The options of `watch`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchArgs {
    /// A capture, which may still grow; a packed one; a raw file; - for standard input; the one
    /// that is being made, or the next one, if not given
    pub(crate) capture: Option<PathBuf>,

    /// Which boots of a machine that was reset: a number from 1, all, or last
    #[arg(long, value_name = "BOOT", default_value_t)]
    pub(crate) boot: Which,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Run this for each match, with the record as one line of JSON on its standard input
    ///
    /// A shell gets it, 'sh -c CMD': pipes and redirections are possible, and nothing that a record
    /// says is ever part of it. Without this option the line is shown.
    #[arg(long, value_name = "CMD", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) exec: Option<String>,

    /// End with the first match, and its command: 0 if there was one, 1 if there was none
    #[arg(long)]
    pub(crate) once: bool,

    /// At most so many notifications, such as 10/s, 5/m or 1/h, or none for no limit; as many may
    /// come at once [default: 10/s with --exec, else none]
    ///
    /// Those that are too many are counted: the next one says how many they were so far.
    #[arg(long, value_name = "RATE")]
    pub(crate) limit: Option<Rate>,

    /// How many commands may run at once; a few more notifications wait
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,

    /// After how many seconds a command is ended, with what it started
    #[arg(long, value_name = "S", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub(crate) timeout: u32,

    /// Tell only of every N-th match, if these N came within the time of --within
    #[arg(long, value_name = "N", requires = "within")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) times: Option<u32>,

    /// The time for that, by the records' own clock, such as 500ms or 10s
    #[arg(long, value_name = "TIME", requires = "times", value_parser = parse_time)]
    pub(crate) within: Option<Duration>,
}

/// Reads a time with its unit.
fn parse_time(text: &str) -> Result<Duration, String> {
    query::duration(text).ok_or_else(|| {
        format!("'{text}' is no time with its unit, such as 500ms or 10s: ns, us, ms, s, m, h")
    })
}
