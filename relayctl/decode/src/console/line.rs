//! What one line of console text says.

use std::str::FromStr;

use relay_format::{Context, Loss, Severity};

use crate::balance::Lost;

/// One log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Time since the machine's start in microseconds, by the CPU's time stamp counter.
    pub time_us: u64,
    /// The CPU that logged it.
    pub cpu: u32,
    /// The record's number in its CPU's stream: 0, 1, 2, ...
    pub number: u64,
    /// The level at which the CPU was running.
    pub context: Context,
    /// How grave it is.
    pub severity: Severity,
    /// The Rust module that logged it.
    pub module: &'a str,
    /// The source file's name, without folders.
    pub file: &'a str,
    /// The line in the source file.
    pub line: u32,
    /// The message's first line.
    pub message: &'a str,
}

/// `-- cpu 3: 12 records lost before 3:567 (full 12)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostNotice {
    /// The stream.
    pub cpu: u32,
    /// How many records were lost.
    pub lost: u64,
    /// The number of the record that came after the loss.
    pub before: u64,
    /// Why they were lost.
    pub reasons: Lost,
}

/// Why the console skips records: it is too slow for them, or there was none until a panic.
const SKIPS: [&str; 2] = ["the console is too slow", "they left as packets"];

/// `-- cpu 3: 12 records skipped before 3:567: the console is too slow`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipNotice {
    /// The stream.
    pub cpu: u32,
    /// How many records were not printed.
    pub skipped: u64,
    /// The number of the record that came after them.
    pub before: u64,
}

/// `-- cpu 3: end of stream: attempted 78, delivered 66, lost 12 (full 12, ...)`; where records
/// were skipped, `skipped 3, ` stands before `lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndNotice {
    /// The stream.
    pub cpu: u32,
    /// Writes that the guest counted.
    pub attempted: u64,
    /// Records that the guest printed, by its own count.
    pub delivered: u64,
    /// Records that the console was too slow for: the capture has them.
    pub skipped: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Why they were lost.
    pub reasons: Lost,
}

/// One line of console text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A log record (its first line).
    Record(Record<'a>),
    /// A further line of the message of the record above.
    Continuation(&'a str),
    /// Records of a stream were lost.
    Lost(LostNotice),
    /// Records of a stream were not printed, because the console was too slow for them.
    Skipped(SkipNotice),
    /// A stream was closed and printed to its end.
    End(EndNotice),
    /// Panic only: records that were reserved but not committed.
    Uncommitted {
        /// The stream.
        cpu: u32,
        /// How many.
        count: u64,
    },
    /// Panic only: how many records of a stream were printed that has no end.
    NotClosed {
        /// The stream.
        cpu: u32,
        /// How many, by the guest's count.
        printed: u64,
    },
    /// Panic only: the console was stopped within the line above; if that is a
    /// record, it comes again, whole.
    Cut,
    /// `-- 12 records lost on CPUs without a ring`: of all CPUs together.
    NoRing(u64),
    /// Another notice of the console (`-- ` and the text).
    Notice(&'a str),
    /// The kernel's last resort: a panic inside relay itself (`!! ` and the text).
    Fallback(&'a str),
    /// Anything else: firmware, QEMU, a line cut by the end of the stream.
    Text(&'a str),
}

impl<'a> Line<'a> {
    /// Reads one line; `text` is without line end and [`printable`](crate::escape::printable).
    ///
    /// Never fails: what is not understood is [`Line::Text`], or
    /// [`Line::Notice`] when it has a notice's mark.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        if let Some(record) = text.strip_prefix('[').and_then(parse_record) {
            return Self::Record(record);
        }
        if let Some(more) = text.strip_prefix("            | ") {
            return Self::Continuation(more);
        }
        if text == "            |" {
            return Self::Continuation("");
        }
        if let Some(notice) = text.strip_prefix("-- ") {
            return parse_notice(notice).unwrap_or(Self::Notice(notice));
        }
        if let Some(cry) = text.strip_prefix("!! ") {
            return Self::Fallback(cry);
        }
        Self::Text(text)
    }
}

/// Reads a record after its `[`.
fn parse_record(rest: &str) -> Option<Record<'_>> {
    let (stamp, rest) = rest.split_once("] ")?;
    let (seconds, micros) = stamp.trim_start_matches(' ').split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let time_us = number::<u64>(seconds)?
        .checked_mul(1_000_000)?
        .checked_add(number(micros)?)?;
    let (id, rest) = rest.split_once(' ')?;
    let (cpu, record) = id.split_once(':')?;
    let (context, rest) = rest.split_once(' ')?;
    let (severity, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (module, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (place, message) = rest
        .split_once(": ")
        .or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let (file, line) = place.rsplit_once(':')?;
    if module.is_empty() || file.is_empty() || file.contains(' ') {
        return None;
    }
    Some(Record {
        time_us,
        cpu: number(cpu)?,
        number: number(record)?,
        context: Context::from_name(context)?,
        severity: Severity::from_name(severity)?,
        module,
        file,
        line: number(line)?,
        message,
    })
}

/// Reads a notice that is about the console or one CPU's stream, after its `-- `.
fn parse_notice(notice: &str) -> Option<Line<'_>> {
    if notice == "the line above was cut off" {
        return Some(Line::Cut);
    }
    if let Some(count) = notice.strip_suffix(" records lost on CPUs without a ring") {
        return Some(Line::NoRing(number(count)?));
    }
    let (cpu, rest) = notice.strip_prefix("cpu ")?.split_once(": ")?;
    let cpu = number(cpu)?;
    if let Some(claims) = rest.strip_prefix("end of stream: ") {
        let (claims, reasons) = claims.strip_suffix(')')?.split_once(" (")?;
        let mut claims = claims.split(", ").peekable();
        let skips = |claim: &&str| claim.starts_with("skipped ");
        let mut claim = |name: &str| number(claims.next()?.strip_prefix(name)?.strip_prefix(' ')?);
        let (attempted, delivered) = (claim("attempted")?, claim("delivered")?);
        let skipped = match claims.next_if(skips) {
            Some(claim) => number(claim.strip_prefix("skipped ")?)?,
            None => 0,
        };
        let lost = number(claims.next()?.strip_prefix("lost ")?)?;
        let reasons = parse_losses(reasons)?;
        return Some(Line::End(EndNotice {
            cpu,
            attempted,
            delivered,
            skipped,
            lost,
            reasons,
        }));
    }
    if let Some(rest) = rest.strip_prefix("stream is not closed, ") {
        let printed = number(rest.split_once(" record")?.0)?;
        return Some(Line::NotClosed { cpu, printed });
    }
    let (count, rest) = rest.split_once(' ')?;
    let count = number(count)?;
    let rest = rest
        .strip_prefix("records ")
        .or_else(|| rest.strip_prefix("record "))?;
    if rest == "uncommitted at panic" {
        return Some(Line::Uncommitted { cpu, count });
    }
    let before = |place: &str| {
        let (stream, before) = place.split_once(':')?;
        (number::<u32>(stream)? == cpu).then(|| number(before))?
    };
    if let Some(place) = rest.strip_prefix("skipped before ") {
        let (place, why) = place.split_once(": ")?;
        let before = before(place)?;
        if !SKIPS.contains(&why) {
            return None;
        }
        return Some(Line::Skipped(SkipNotice {
            cpu,
            skipped: count,
            before,
        }));
    }
    let (place, reasons) = rest
        .strip_prefix("lost before ")?
        .strip_suffix(')')?
        .split_once(" (")?;
    let (before, reasons) = (before(place)?, parse_losses(reasons)?);
    Some(Line::Lost(LostNotice {
        cpu,
        lost: count,
        before,
        reasons,
    }))
}

/// Reads `full 3, closed 1`. A reason that is not known makes the whole list unreadable: a count
/// that is silently dropped would spoil the ledger.
fn parse_losses(list: &str) -> Option<Lost> {
    let mut lost = Lost::default();
    for item in list.split(", ") {
        let (reason, count) = item.split_once(' ')?;
        let counted = Loss::ALL.into_iter().find(|loss| loss.name() == reason);
        let place = match (counted, reason) {
            (Some(loss), _) => &mut lost.counted.0[loss as usize],
            (None, "no_ring") => &mut lost.no_ring,
            _ => return None,
        };
        *place = place.checked_add(number(count)?)?;
    }
    Some(lost)
}

/// Reads a number that is digits only (`FromStr` alone would take a `+`).
fn number<T: FromStr>(digits: &str) -> Option<T> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// The frame's number and address in a line of a backtrace
/// (`  #0 0xffffffff80201234`), if the message is one.
#[must_use]
pub fn backtrace_frame(message: &str) -> Option<(u32, u64)> {
    let (frame, address) = message.trim().strip_prefix('#')?.split_once(' ')?;
    Some((number(frame)?, hexadecimal(address.trim_start())?))
}

/// The program, the frame's number and the address in a line of the backtrace of a program
/// (`  init #0 0x0000000000401234`), if the message is one.
#[must_use]
pub fn program_frame(message: &str) -> Option<(&str, u32, u64)> {
    let (program, frame) = message.strip_prefix("  ")?.split_once(" #")?;
    let is_name = !program.is_empty() && !program.contains([' ', '#']);
    let (frame, address) = frame.split_once(' ')?;
    is_name.then_some((program, number(frame)?, hexadecimal(address)?))
}

/// Where the CPU was when it failed, if the message is the first line of its
/// registers (`rip 0xffffffff80201234 rsp ...`).
#[must_use]
pub fn instruction_pointer(message: &str) -> Option<u64> {
    hexadecimal(message.strip_prefix("rip ")?.split(' ').next()?)
}

/// Reads a number that is `0x` and hexadecimal digits only.
fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests;
