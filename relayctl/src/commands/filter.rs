//! Which records are wanted: the options that all commands have that show or count them.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use relay_decode::merge::{CpuSet, Filter};
use relay_decode::query::Query;
use relay_format::Severity;

/// The options that say which records are wanted; all of them must be true of a record.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterArgs {
    /// Only this channel, which the capture must have; may be given again
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,

    /// Only these CPUs, such as 0,2-4; each number or range must begin with one that there is
    #[arg(long, value_name = "LIST")]
    cpu: Option<CpuSet>,

    /// Only records at least so grave: emerg, alert, crit, error, warn, notice, info, debug or
    /// trace
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    level: Option<Severity>,

    /// Only records of this Rust module and those within it, such as kernel::sched; may be given
    /// again
    #[arg(long = "module", value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    modules: Vec<String>,

    /// Only records from this time on, in seconds after the machine's start
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    since: Option<Duration>,

    /// Only records up to this time, in seconds after the machine's start
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    until: Option<Duration>,

    /// Only records of which this is true, such as 'severity >= warning && lba > 100'
    ///
    /// Compared are attributes and fields: severity (the graver one is the greater), facility,
    /// type, process, thread, channel, event, cpu, time, context, number, packet, module, file,
    /// line, msg; a field by its name, also a.b and `a[0]`, and field.cpu where it is called as an
    /// attribute is.
    ///
    /// By == != < <= > >=, =~ and !~ with a regular expression, & for bits, contains for parts of
    /// texts, elements and flags; with numbers (0x too), "texts", names of severities, contexts and
    /// values, times (1.5s, 2ms). ! binds closest, then &&, then ||; parentheses.
    ///
    /// What a record lacks makes a comparison false, also one with != or !~; ! turns the result
    /// round. docs/QUERY.md has all of it.
    #[arg(long = "where", value_name = "EXPR")]
    query: Option<Query>,
}

impl FilterArgs {
    /// Which records are wanted.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            spans: false,
            channels: self.channels.clone(),
            cpus: self.cpu.clone(),
            level: self.level,
            modules: self.modules.clone(),
            since: self.since,
            until: self.until,
            query: self.query.clone(),
        }
    }

    /// Whether all records are wanted.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
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
