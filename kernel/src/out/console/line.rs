//! How the log looks as text. `relayctl` reads this, so it is a format:
//!
//! ```text
//! [    0.013514] 3:17 irq  INFO  kernel::smoke smoke.rs:41: the message
//!             | its second line
//! -- cpu 3: a notice of the console's own
//! !! a line of the fallback
//! ```
//!
//! Seconds since the machine's start, CPU and number of the record in its stream, context,
//! severity, module, file and line. Nothing that a message says can look like another line, or
//! reach the terminal as a control sequence.

use core::fmt::{self, Write};

use relay::Losses;
use relay::clients::klog::Record;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::out::drain::Item;

/// Writes `item` as a line or more; `micros` turns ticks into microseconds since the machine's
/// start.
pub(super) fn write(
    out: &mut impl Write,
    item: &Item<'_>,
    micros: impl Fn(u64) -> u64,
) -> fmt::Result {
    match item {
        Item::Record {
            cpu,
            number,
            record,
        } => write_record(out, *cpu, *number, record, micros(record.ticks)),
        Item::Lost { cpu, before, lost } => {
            let total = lost.total();
            let records = if total == 1 { "record" } else { "records" };
            writeln!(
                out,
                "-- cpu {cpu}: {total} {records} lost before {cpu}:{before} ({lost})"
            )
        }
        Item::Skipped {
            cpu,
            before,
            records,
        } => write_skipped(out, *cpu, *before, *records, Skip::TooSlow),
        Item::End {
            cpu,
            delivered,
            skipped,
            lost,
        } => write_end(out, *cpu, *delivered, *skipped, lost),
        Item::Damaged {
            cpu,
            number,
            malformed,
        } => {
            writeln!(
                out,
                "-- cpu {cpu}: record {cpu}:{number} cannot be read: {malformed}"
            )
        }
    }
}

/// Why records are not printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// They came faster than they could be.
    TooSlow,
    /// There was no console: a line of packets has its port.
    NoConsole,
}

/// Says that records were not printed, before the one with the number `before`.
pub(super) fn write_skipped(
    out: &mut impl Write,
    cpu: usize,
    before: u64,
    records: u64,
    why: Skip,
) -> fmt::Result {
    let noun = if records == 1 { "record" } else { "records" };
    let why = match why {
        Skip::TooSlow => "the console is too slow",
        Skip::NoConsole => "they left as packets",
    };
    writeln!(
        out,
        "-- cpu {cpu}: {records} {noun} skipped before {cpu}:{before}: {why}"
    )
}

/// `delivered` is what was printed.
fn write_end(
    out: &mut impl Write,
    cpu: usize,
    delivered: u64,
    skipped: u64,
    lost: &Losses,
) -> fmt::Result {
    let total = lost.total();
    let attempted = delivered.wrapping_add(skipped).wrapping_add(total);
    write!(
        out,
        "-- cpu {cpu}: end of stream: attempted {attempted}, delivered {delivered}, "
    )?;
    if skipped != 0 {
        write!(out, "skipped {skipped}, ")?;
    }
    writeln!(out, "lost {total} ({lost:#})")
}

/// Writes a record as a line, the further lines of its message below it.
pub(super) fn write_record(
    out: &mut impl Write,
    cpu: usize,
    number: u64,
    record: &Record<'_>,
    micros: u64,
) -> fmt::Result {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (context, severity) = (record.context.name(), record.severity.name());
    write!(
        out,
        "[{seconds:>5}.{fraction:06}] {cpu}:{number} {context:<4} {severity:<5} "
    )?;
    let place = record.place;
    write!(Word(out), "{}", place.module)?;
    out.write_char(' ')?;
    write!(Word(out), "{}", place.file)?;
    write!(out, ":{}: ", place.line)?;
    write!(Message(out), "{}", record.message)?;
    out.write_char('\n')
}

/// Whether a character does something else on a terminal than show itself: relayctl's
/// `escape::printable` has the same rule.
fn is_hidden(character: char) -> bool {
    match character {
        ' '..='~' => false,
        // Not shown by rule, though their categories are those of marks and letters.
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => {
            true
        }
        '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => true,
        other => matches!(
            other.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::Unassigned
        ),
    }
}

/// Writes a message: line breaks become continuation lines, other characters that show nothing are
/// escaped.
struct Message<'a, W>(&'a mut W);

impl<W: Write> Write for Message<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (number, line) in text.split('\n').enumerate() {
            if number != 0 {
                self.0.write_str("\n            | ")?;
            }
            for piece in line.split_inclusive(is_hidden) {
                let plain = piece.trim_end_matches(is_hidden);
                self.0.write_str(plain)?;
                write!(self.0, "{}", piece[plain.len()..].escape_default())?;
            }
        }
        Ok(())
    }
}

/// Writes a word of the line's head: nothing in it may end the word.
struct Word<'a, W>(&'a mut W);

impl<W: Write> Write for Word<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            let ends = character.is_whitespace() || is_hidden(character);
            self.0.write_char(if ends { '_' } else { character })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::Context;
    use relay::clients::klog::{self, Place, Severity};

    fn line(message: &str, module: &str) -> String {
        let record = Record {
            ticks: 0,
            context: Context::Irq,
            severity: Severity::Info,
            place: Place {
                module,
                file: "smoke.rs",
                line: 41,
            },
            message: klog::Message::Text(message),
        };
        let mut out = String::new();
        write_record(&mut out, 3, 17, &record, 13_514).unwrap();
        out
    }

    #[test]
    fn a_record_is_a_line() {
        assert_eq!(
            line("timer says hello", "kernel::scenario"),
            "[    0.013514] 3:17 irq  INFO  kernel::scenario smoke.rs:41: timer says hello\n"
        );
        assert!(line("", "k").ends_with("smoke.rs:41: \n"));
    }

    #[test]
    fn a_message_cannot_pretend_to_be_another_line() {
        let text = line("a\n-- cpu 0: end\r\u{1b}[31mred\0\u{85}é", "k k\n");
        let mut lines = text.lines();
        assert!(lines.next().unwrap().ends_with("k_k_ smoke.rs:41: a"));
        assert_eq!(
            lines.next().unwrap(),
            "            | -- cpu 0: end\\r\\u{1b}[31mred\\u{0}\\u{85}é"
        );
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn what_shows_nothing_is_shown() {
        let text = line(
            "a\u{200b}\u{feff}\u{7f}\u{202e}\u{fe0f}\u{e0001}b\tc",
            "k\u{200b}k",
        );
        let shown =
            "k_k smoke.rs:41: a\\u{200b}\\u{feff}\\u{7f}\\u{202e}\\u{fe0f}\\u{e0001}b\\tc\n";
        assert!(text.ends_with(shown), "{text}");
    }

    #[test]
    fn the_end_of_a_stream_names_every_reason() {
        let mut out = String::new();
        let item = Item::End {
            cpu: 3,
            delivered: 66,
            skipped: 0,
            lost: Losses::default(),
        };
        write(&mut out, &item, |ticks| ticks).unwrap();
        assert_eq!(
            out,
            "-- cpu 3: end of stream: attempted 66, delivered 66, lost 0 (full 0, too_big 0, \
             wrapped 0, nested 0, closed 0, discarded 0)\n"
        );
    }

    #[test]
    fn what_was_skipped_is_said_where_it_was_and_at_the_end() {
        let mut out = String::new();
        let skipped = Item::Skipped {
            cpu: 3,
            before: 17,
            records: 1,
        };
        write(&mut out, &skipped, |ticks| ticks).unwrap();
        let end = Item::End {
            cpu: 3,
            delivered: 66,
            skipped: 1,
            lost: Losses([2, 0, 0, 0, 0, 0]),
        };
        write(&mut out, &end, |ticks| ticks).unwrap();
        assert_eq!(
            out,
            "-- cpu 3: 1 record skipped before 3:17: the console is too slow\n\
             -- cpu 3: end of stream: attempted 69, delivered 66, skipped 1, lost 2 (full 2, \
             too_big 0, wrapped 0, nested 0, closed 0, discarded 0)\n"
        );
    }
}
