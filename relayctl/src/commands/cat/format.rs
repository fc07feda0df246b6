//! Makes a line of text of a record.

use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use relay_decode::escape::printable;
use relay_decode::merge::Shown;
use relay_decode::pairs::{Fit, Link, Since};
use relay_decode::records::{Line, Value, text_record};
use relay_format::Severity;

use super::template::{self, Align, Field, Piece, Template};
use crate::terminal;

/// What continues a message on the next line, as on the console.
const CONTINUATION: &str = "\n            | ";

/// Where a line of the log comes from: marks, and what follows them.
const LOG_ORIGIN: &[(&str, Field)] = &[("", Field::Module), (" ", Field::File), (":", Field::Line)];

/// Where an event comes from.
const ORIGIN: &[(&str, Field)] = &[("", Field::Channel), (" ", Field::Event)];

/// Where an event for operators comes from, `evlog disk/3 0:5 timed_out`: of type 3 of its facility,
/// by thread 5 of process 0.
const OPERATOR_ORIGIN: &[(&str, Field)] = &[
    ("", Field::Channel),
    (" ", Field::Facility),
    ("/", Field::Type),
    (" ", Field::Process),
    (":", Field::Thread),
    (" ", Field::Event),
];

/// A record as the console shows it, with line ends.
pub(crate) fn console_text(shown: &Shown<'_>, values: &[Value<'_>]) -> String {
    static TEMPLATE: LazyLock<Template> =
        LazyLock::new(|| template::DEFAULT.parse().unwrap_or_default());
    let mut text = String::new();
    push(&TEMPLATE, &mut text, shown, values, false, false);
    text
}

/// Appends a record and a line end, as a template has it; in colour if wanted, and with data in
/// full.
pub(super) fn push(
    template: &Template,
    out: &mut String,
    shown: &Shown<'_>,
    values: &[Value<'_>],
    colour: bool,
    whole: bool,
) {
    let mut style = anstyle::Style::new();
    for piece in &template.pieces {
        if colour {
            let wanted = style_of(piece, shown);
            if wanted != style {
                // Writing to a `String` cannot fail, here and below.
                let _ = write!(out, "{style:#}{wanted}");
                style = wanted;
            }
        }
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Field(field, align, width) => {
                let start = out.len();
                push_field(*field, out, shown, values, whole);
                if *width > 0 {
                    pad(out, start, *align, *width);
                }
            }
        }
    }
    let _ = writeln!(out, "{style:#}");
}

/// Fills a column that begins at `start`.
fn pad(out: &mut String, start: usize, align: Align, width: usize) {
    let missing = width.saturating_sub(out[start..].chars().count());
    let before = match align {
        Align::Left => 0,
        Align::Right => missing,
        Align::Centre => missing / 2,
    };
    out.extend(std::iter::repeat_n(' ', missing - before));
    if before > 0 {
        out.insert_str(start, &" ".repeat(before));
    }
}

/// The colour of a part.
fn style_of(piece: &Piece, shown: &Shown<'_>) -> anstyle::Style {
    match piece {
        Piece::Field(Field::Cpu | Field::Number, ..) => terminal::cpu_style(shown.cpu),
        Piece::Field(Field::Severity | Field::Msg | Field::Fields, ..) => shown
            .severity
            .map(terminal::severity_style)
            .unwrap_or_default(),
        _ => terminal::META,
    }
}

/// Appends a field's value; nothing if the record has none.
fn push_field(
    field: Field,
    out: &mut String,
    shown: &Shown<'_>,
    values: &[Value<'_>],
    whole: bool,
) {
    let (record, event) = (&shown.record, shown.record.event);
    let line = Line::new(event, values);
    // Writing to a `String` cannot fail, here and below.
    let _ = match field {
        Field::Time => write!(
            out,
            "{}.{:06}",
            shown.ns / 1_000_000_000,
            shown.ns % 1_000_000_000 / 1000
        ),
        Field::Ns => write!(out, "{}", shown.ns),
        Field::Ticks => write!(out, "{}", record.stamp.ticks),
        Field::Cpu => write!(out, "{}", shown.cpu),
        Field::Number => write!(out, "{}", record.number),
        Field::Packet => write!(out, "{}", shown.packet),
        Field::Channel => out.write_str(&shown.channel.name),
        Field::Event => out.write_str(&printable(event.name.as_bytes())),
        Field::Context => out.write_str(record.stamp.context.name()),
        Field::Severity => out.write_str(shown.severity.map_or("", Severity::name)),
        Field::Facility => {
            let facility = event.facility.as_deref().unwrap_or_default();
            out.write_str(&printable(facility.as_bytes()))
        }
        Field::Type => push_number(out, event.kind),
        Field::Process => push_number(out, record.who.process),
        Field::Thread => push_number(out, record.who.thread),
        Field::Origin => {
            let parts = match (line.is_log(), event.kind) {
                (true, _) => LOG_ORIGIN,
                (false, None) => ORIGIN,
                (false, Some(_)) => OPERATOR_ORIGIN,
            };
            for (mark, field) in parts {
                out.push_str(mark);
                push_field(*field, out, shown, values, whole);
            }
            Ok(())
        }
        Field::Module => push_text(out, line.module()),
        Field::File => push_text(out, line.file()),
        Field::Line => match line.number() {
            Some(number) => write!(out, "{number}"),
            None => Ok(()),
        },
        Field::Msg => match line.message() {
            Some(message) => {
                for (at, line) in message.split(|byte| *byte == b'\n').enumerate() {
                    if at > 0 {
                        out.push_str(CONTINUATION);
                    }
                    out.push_str(&printable(line));
                }
                Ok(())
            }
            None => {
                text_record(out, event, values, whole);
                Ok(())
            }
        },
        Field::Fields => {
            text_record(out, event, values, whole);
            Ok(())
        }
        Field::Span => match shown.fit {
            None => Ok(()),
            Some(Fit::Exit(pair)) => {
                let begin = shown.begin_ns.unwrap_or(shown.ns);
                out.push_str(" (");
                push_duration(out, shown.ns.saturating_sub(begin));
                write!(out, ", depth {})", pair.depth)
            }
            Some(Fit::Since(link, since)) => {
                let what = match link {
                    Link::Call => "took",
                    Link::Waking => "waking took",
                    Link::Sent => "waited",
                    Link::Asked => "answered after",
                };
                let _ = write!(out, " ({what} ");
                push_since(out, shown, since, "");
                out.write_char(')')
            }
            Some(Fit::Switch { ran, woken }) => {
                out.push_str(" (");
                if let Some(since) = ran {
                    out.push_str("ran ");
                    push_since(out, shown, since, "");
                }
                if let Some(since) = woken {
                    out.push_str(if ran.is_some() { "; " } else { "" });
                    out.push_str("next was woken ");
                    push_since(out, shown, since, " before");
                }
                out.write_char(')')
            }
            Some(fit) => write!(out, " ({fit})"),
        },
    };
}

/// Appends how long something has lasted, and since which CPU if that is another.
fn push_since(out: &mut String, shown: &Shown<'_>, since: Since, behind: &str) {
    push_duration(out, shown.ns.saturating_sub(since.ns));
    out.push_str(behind);
    if since.cpu != shown.cpu {
        // Writing to a `String` cannot fail.
        let _ = write!(out, ", from cpu {}", since.cpu);
    }
}

/// Appends how long something took: three digits behind the point of the unit that fits.
fn push_duration(out: &mut String, ns: u64) {
    let (unit, name) = match ns {
        0..1_000 => return out.push_str(&format!("{ns} ns")),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let thousandths = ns % unit / (unit / 1000);
    // Writing to a `String` cannot fail.
    let _ = write!(out, "{}.{thousandths:03} {name}", ns / unit);
}

/// Appends a number, if there is one.
fn push_number<N: fmt::Display>(out: &mut String, number: Option<N>) -> fmt::Result {
    number.map_or(Ok(()), |number| write!(out, "{number}"))
}

/// Appends a text, if there is one.
fn push_text(out: &mut String, text: Option<&[u8]>) -> fmt::Result {
    out.write_str(&printable(text.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (12_345, "12.345 us"),
            (1_000_999, "1.000 ms"),
            (61_002_003_004, "61.002 s"),
        ] {
            let mut out = String::new();
            push_duration(&mut out, ns);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn columns_are_filled() {
        let padded = |align, text: &str| {
            let mut out = "|".to_owned() + text;
            pad(&mut out, 1, align, 5);
            out
        };
        assert_eq!(padded(Align::Left, "ab"), "|ab   ");
        assert_eq!(padded(Align::Right, "\u{fc}b"), "|   \u{fc}b");
        assert_eq!(padded(Align::Centre, "ab"), "| ab  ");
        assert_eq!(padded(Align::Right, "abcdef"), "|abcdef");
    }
}
