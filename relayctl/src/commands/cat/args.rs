//! What `cat` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{ArgPredicate, NonEmptyStringValueParser};
use relay_decode::merge::{CpuSet, Filter};
use relay_format::Severity;

use super::template::{self, Template};
use crate::commands::boots::Which;
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

    /// Only this channel, which the capture must have; may be given again
    #[arg(long = "channel", value_name = "NAME")]
    pub(crate) channels: Vec<String>,

    /// Only these CPUs, such as 0,2-4; each number or range must begin with one that there is
    #[arg(long, value_name = "LIST")]
    pub(crate) cpu: Option<CpuSet>,

    /// Only records at least so grave: emerg, alert, crit, error, warn, notice, info, debug or
    /// trace
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub(crate) level: Option<Severity>,

    /// Only records of this Rust module and those within it, such as kernel::sched; may be given
    /// again
    #[arg(long = "module", value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) modules: Vec<String>,

    /// Only records from this time on, in seconds after the machine's start
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) since: Option<Duration>,

    /// Only records up to this time, in seconds after the machine's start
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) until: Option<Duration>,

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
    /// channel and event of others; {msg} the
    /// message of the log, the sentence of others, or their fields if they have none; {fields} all
    /// fields as NAME=VALUE.
    ///
    /// {severity:<5} fills a column of five characters, > and ^ put the text to its
    /// right or middle. {{ and }} are braces.
    #[arg(long, value_name = "FORMAT", default_value = template::DEFAULT)]
    #[arg(default_value_if("verbose", ArgPredicate::Equals("true".into()), template::VERBOSE))]
    pub(crate) log_format: Template,

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
            channels: self.channels.clone(),
            cpus: self.cpu.clone(),
            level: self.level,
            modules: self.modules.clone(),
            since: self.since,
            until: self.until,
        }
    }
}

/// Reads a time in seconds after the machine's start, such as `1.25`.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a time in seconds, such as 1.25");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 9 {
        return Err(wrong());
    }
    let seconds = whole.parse().map_err(|_| wrong())?;
    let nanoseconds = format!("{part:0<9}").parse().map_err(|_| wrong())?;
    Ok(Duration::new(seconds, nanoseconds))
}

/// Reads a severity.
fn parse_level(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| {
        let names = Severity::ALL.map(|severity| severity.name().to_ascii_lowercase());
        format!("a level is one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        assert_eq!(parse_seconds("1.25"), Ok(Duration::from_millis(1250)));
        assert_eq!(parse_seconds("0.000000001"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse_seconds("7"), Ok(Duration::from_secs(7)));
        for wrong in [
            "",
            ".5",
            "1e3",
            "-1",
            "1.0000000001",
            "x",
            "99999999999999999999",
        ] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
