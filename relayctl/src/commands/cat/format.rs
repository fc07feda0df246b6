//! Makes a line of text of a record.

use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use relay_decode::escape::printable;
use relay_decode::merge::Shown;
use relay_decode::records::{Value, text_fields};
use relay_format::Severity;

use super::template::{self, Align, Field, Piece, Template};
use crate::terminal;

/// The channel whose records are shown as the console shows them.
const KLOG: &str = "klog";

/// What continues a message on the next line, as on the console.
const CONTINUATION: &str = "\n            | ";

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
        Field::Origin if message(shown, values).is_some() => {
            push_field(Field::Module, out, shown, values, whole);
            out.push(' ');
            push_field(Field::File, out, shown, values, whole);
            out.push(':');
            push_field(Field::Line, out, shown, values, whole);
            Ok(())
        }
        Field::Origin => {
            push_field(Field::Channel, out, shown, values, whole);
            out.push(' ');
            push_field(Field::Event, out, shown, values, whole);
            Ok(())
        }
        Field::Module => push_text(out, log_text(shown, values, "module")),
        Field::File => push_text(out, log_text(shown, values, "file")),
        Field::Line => match event.field("line").and_then(|at| values.get(at)) {
            Some(Value::Unsigned(line)) if is_log(shown) => write!(out, "{line}"),
            _ => Ok(()),
        },
        Field::Msg => match message(shown, values) {
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
                push_field(Field::Fields, out, shown, values, whole);
                Ok(())
            }
        },
        Field::Fields => {
            text_fields(out, &event.fields, values, whole);
            Ok(())
        }
    };
}

/// Appends a text, if there is one.
fn push_text(out: &mut String, text: Option<&[u8]>) -> fmt::Result {
    out.write_str(&printable(text.unwrap_or_default()))
}

/// Whether a record is one of the log.
fn is_log(shown: &Shown<'_>) -> bool {
    shown.channel.name == KLOG
}

/// A text field of a record of the log.
fn log_text<'v>(shown: &Shown<'_>, values: &[Value<'v>], name: &str) -> Option<&'v [u8]> {
    match values.get(shown.record.event.field(name)?)? {
        Value::Text(text) if is_log(shown) => Some(text),
        _ => None,
    }
}

/// The message of a record of the log.
pub(super) fn message<'v>(shown: &Shown<'_>, values: &[Value<'v>]) -> Option<&'v [u8]> {
    log_text(shown, values, "message")
}

#[cfg(test)]
mod tests {
    use super::*;

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
