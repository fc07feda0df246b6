//! What one line of console text says.

use std::str::FromStr;

use relay_format::{Context, Loss, Severity};

use crate::balance::Lost;

/// One log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Time since power-on in microseconds, by the CPU's time stamp counter.
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

/// `-- cpu 3: end of stream: attempted 78, delivered 66, lost 12 (full 12, ...)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndNotice {
    /// The stream.
    pub cpu: u32,
    /// Writes that the guest counted.
    pub attempted: u64,
    /// Records that the guest printed, by its own count.
    pub delivered: u64,
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
    let (cpu, rest) = notice.strip_prefix("cpu ")?.split_once(": ")?;
    let cpu = number(cpu)?;
    if let Some(claims) = rest.strip_prefix("end of stream: ") {
        let (claims, reasons) = claims.strip_suffix(')')?.split_once(" (")?;
        let mut claims = claims.split(", ");
        let mut claim = |name: &str| number(claims.next()?.strip_prefix(name)?.strip_prefix(' ')?);
        let (attempted, delivered, lost) =
            (claim("attempted")?, claim("delivered")?, claim("lost")?);
        let reasons = parse_losses(reasons)?;
        return Some(Line::End(EndNotice {
            cpu,
            attempted,
            delivered,
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
    let (place, reasons) = rest
        .strip_prefix("lost before ")?
        .strip_suffix(')')?
        .split_once(" (")?;
    let (stream, before) = place.split_once(':')?;
    if number::<u32>(stream)? != cpu {
        return None;
    }
    let (before, reasons) = (number(before)?, parse_losses(reasons)?);
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
mod tests {
    use proptest::prelude::*;
    use relay_format::Losses;

    use super::*;
    use crate::escape::printable;

    #[test]
    fn reads_a_record() {
        let text = "[    0.013514] 3:17 irq  INFO  kernel::scenario smoke.rs:41: timer says: hello";
        let expected = Record {
            time_us: 13_514,
            cpu: 3,
            number: 17,
            context: Context::Irq,
            severity: Severity::Info,
            module: "kernel::scenario",
            file: "smoke.rs",
            line: 41,
            message: "timer says: hello",
        };
        assert_eq!(Line::parse(text), Line::Record(expected));
    }

    #[test]
    fn a_message_may_be_empty() {
        for text in [
            "[1.000000] 0:0 task WARN  m f.rs:1: ",
            "[1.000000] 0:0 task WARN  m f.rs:1:",
        ] {
            assert!(
                matches!(Line::parse(text), Line::Record(r) if r.message.is_empty()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_almost_a_record_is_text() {
        for text in [
            "[    0.01351] 3:17 irq  INFO  m smoke.rs:41: five decimals",
            "[    0.013514] 3-17 irq  INFO  m smoke.rs:41: no colon",
            "[    0.013514] 3:17 soft INFO  m smoke.rs:41: no such context",
            "[    0.013514] 3:17 irq  LOUD  m smoke.rs:41: no such severity",
            "[    0.013514] 3:17 irq  INFO  m smoke.rs: no line",
            "[    0.013514] +3:17 irq  INFO  m smoke.rs:41: sign",
            "[    0.013514] 3:99999999999999999999 irq  INFO  m smoke.rs:41: overflow",
            "[99999999999999999999.000000] 3:1 irq  INFO  m smoke.rs:41: overflow",
            "[    0.013514] 3:17 irq  INFO",
            "[",
        ] {
            assert_eq!(Line::parse(text), Line::Text(text));
        }
    }

    #[test]
    fn reads_the_notices() {
        let lost = LostNotice {
            cpu: 3,
            lost: 1234,
            before: 567,
            reasons: Losses([1234, 0, 0, 0, 0, 0]).into(),
        };
        assert_eq!(
            Line::parse("-- cpu 3: 1234 records lost before 3:567 (full 1234)"),
            Line::Lost(lost)
        );
        let end = "-- cpu 3: end of stream: attempted 1300, delivered 66, lost 1234 \
                   (full 1230, too_big 4, wrapped 0, nested 0, closed 0, discarded 0)";
        let reasons = Losses([1230, 4, 0, 0, 0, 0]).into();
        assert_eq!(
            Line::parse(end),
            Line::End(EndNotice {
                cpu: 3,
                attempted: 1300,
                delivered: 66,
                lost: 1234,
                reasons
            })
        );
        assert_eq!(
            Line::parse("-- cpu 3: 2 records uncommitted at panic"),
            Line::Uncommitted { cpu: 3, count: 2 }
        );
        assert_eq!(
            Line::parse("-- cpu 3: stream is not closed, 66 records printed"),
            Line::NotClosed {
                cpu: 3,
                printed: 66
            }
        );
    }

    #[test]
    fn an_unknown_notice_is_still_a_notice() {
        for text in [
            "cpu 1: gone fishing",
            "cpu 1: 5 records lost before 2:7 (full 5)",
            "cpu 1: 5 records lost before 1:7 (bored 5)",
            "drain: something else",
        ] {
            assert_eq!(Line::parse(&format!("-- {text}")), Line::Notice(text));
        }
    }

    #[test]
    fn reads_the_other_lines() {
        assert_eq!(
            Line::parse("            | second line"),
            Line::Continuation("second line")
        );
        assert_eq!(
            Line::parse("!! relay: broken"),
            Line::Fallback("relay: broken")
        );
        assert_eq!(
            Line::parse("SeaBIOS (version 1)"),
            Line::Text("SeaBIOS (version 1)")
        );
    }

    #[test]
    fn finds_addresses() {
        let address = 0xffff_ffff_8020_1234;
        assert_eq!(
            backtrace_frame("  #0 0xffffffff80201234"),
            Some((0, address))
        );
        assert_eq!(backtrace_frame("#12 0x10"), Some((12, 0x10)));
        for text in [
            "#0",
            "#x 0x10",
            "#1 10",
            "#1 0x10 more",
            "#1 0x",
            "#1 0x1ffffffffffffffff",
        ] {
            assert_eq!(backtrace_frame(text), None, "{text}");
        }
        let registers = "rip 0xffffffff80201234 rsp 0xffffffff80300000 rflags 0x2";
        assert_eq!(instruction_pointer(registers), Some(address));
        for text in ["rip", "rip 7", "rip 0xno", "a rip 0x7", "trip 0x7"] {
            assert_eq!(instruction_pointer(text), None, "{text}");
        }
    }

    proptest! {
        /// No bytes make the reader panic, and a record it finds was really there.
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Line::parse(&printable(&bytes));
        }

        /// Damaged versions of real lines: never a panic.
        #[test]
        fn damaged_lines_are_read(
            which in 0usize..4, at in 0usize..120, cut in any::<bool>(), with in any::<char>()
        ) {
            let lines = [
                "[    0.013514] 3:17 irq  INFO  kernel::scenario smoke.rs:41: timer says hello",
                "-- cpu 3: 1234 records lost before 3:567 (full 1234)",
                "-- cpu 3: end of stream: attempted 1300, delivered 66, lost 1234 (full 1234)",
                "-- cpu 3: stream is not closed, 66 records printed",
            ];
            let mut text = lines[which].to_owned();
            let at = at.min(text.len());
            if cut { text.truncate(at); } else { text.insert(at, with); }
            let _ = Line::parse(&text);
            let _ = (backtrace_frame(&text), instruction_pointer(&text));
        }

        /// What the kernel prints is read back field by field.
        #[test]
        fn records_round_trip(
            time in 0u64..1 << 50, cpu in 0u32..4096, n in any::<u64>(), line in any::<u32>(),
            context in 0usize..3, severity in 0usize..Severity::ALL.len(), message in "[ -~]{0,60}"
        ) {
            let (context, severity) = (Context::ALL[context], Severity::ALL[severity]);
            let stamp = format!("{}.{:06}", time / 1_000_000, time % 1_000_000);
            let text = format!(
                "[{stamp:>12}] {cpu}:{n} {:<4} {:<5} a::b c.rs:{line}: {message}",
                context.name(), severity.name().to_uppercase()
            );
            let expected = Record {
                time_us: time, cpu, number: n, context, severity,
                module: "a::b", file: "c.rs", line, message: &message,
            };
            prop_assert_eq!(Line::parse(&text), Line::Record(expected));
        }
    }
}
