//! How `cat` shows a record: a line of text made by a template.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::merge::Shown;
use crate::console::{Severity, printable};
use crate::decode::{Value, text_fields};
use crate::render;

/// The channel whose records are shown as the console shows them.
const KLOG: &str = "klog";

/// What continues a message on the next line, as on the console.
const CONTINUATION: &str = "\n            | ";

/// How records are shown if nothing else is wanted: as the console shows them.
pub(super) const DEFAULT: &str =
    "[{time:>12}] {cpu}:{number} {context:<4} {severity:<5} {origin}: {msg}";

/// The same with packets and ticks.
pub(super) const VERBOSE: &str = "[{time:>12}] {cpu}:{number} {context:<4} {severity:<5} \
                           (packet {packet}, {ticks} ticks) {origin}: {msg}";

/// The widest column.
const MAX_WIDTH: usize = 1000;

/// What can stand in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Time,
    Ns,
    Ticks,
    Cpu,
    Number,
    Packet,
    Channel,
    Event,
    Context,
    Severity,
    Origin,
    Module,
    File,
    Line,
    Msg,
    Fields,
}

impl Field {
    /// All fields by their names.
    const ALL: [(&str, Self); 16] = [
        ("time", Self::Time),
        ("ns", Self::Ns),
        ("ticks", Self::Ticks),
        ("cpu", Self::Cpu),
        ("number", Self::Number),
        ("packet", Self::Packet),
        ("channel", Self::Channel),
        ("event", Self::Event),
        ("context", Self::Context),
        ("severity", Self::Severity),
        ("origin", Self::Origin),
        ("module", Self::Module),
        ("file", Self::File),
        ("line", Self::Line),
        ("msg", Self::Msg),
        ("fields", Self::Fields),
    ];
}

/// Where the text of a column stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
    Centre,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Text that is shown as it is.
    Text(String),
    /// A field, in a column of so many characters at least.
    Field(Field, Align, usize),
}

/// A template for records, such as `{time} {cpu} {severity:<5} {msg}`.
///
/// In braces stand the names of fields, each with `:WIDTH`, `:<WIDTH`, `:>WIDTH` or
/// `:^WIDTH` behind it if it is to fill a column; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its parts.
    pieces: Vec<Piece>,
}

/// What is wrong with a template; places are characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// A `{` without its `}`.
    Open(usize),
    /// A `}` without its `{`.
    Close(usize),
    /// No such field.
    Field(usize, String),
    /// What follows the colon is no width.
    Width(usize, String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(at) => write!(
                f,
                "the '{{' at character {at} has no '}}'; '{{{{' would be a brace"
            ),
            Self::Close(at) => write!(
                f,
                "the '}}' at character {at} has no '{{'; '}}}}' would be a brace"
            ),
            Self::Field(at, name) => {
                let names = Field::ALL.map(|(name, _)| name).join(", ");
                write!(
                    f,
                    "there is no field '{name}' (at character {at}); the fields are {names}"
                )
            }
            Self::Width(at, width) => write!(
                f,
                "'{width}' (at character {at}) is no width; one to {MAX_WIDTH}, with <, > or ^ \
                 before it if wanted, would be"
            ),
        }
    }
}

impl std::error::Error for FormatError {}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let place = text[..text.len() - from.len()].chars().count() + 1;
            if let Some(behind) = ["{{", "}}"].iter().find_map(|two| from.strip_prefix(*two)) {
                plain.push_str(&from[..1]);
                rest = behind;
                continue;
            }
            let inside = from.strip_prefix('{').ok_or(FormatError::Close(place))?;
            let closed = inside
                .split_once('}')
                .filter(|(field, _)| !field.contains('{'));
            let (field, behind) = closed.ok_or(FormatError::Open(place))?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(field_of(field, place + 1)?);
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }
}

/// Reads what stands in braces.
fn field_of(text: &str, place: usize) -> Result<Piece, FormatError> {
    let (name, spec) = match text.split_once(':') {
        Some((name, spec)) => (name, Some(spec)),
        None => (text, None),
    };
    let mut all = Field::ALL.into_iter();
    let found = all.find(|(known, _)| *known == name);
    let (_, field) = found.ok_or_else(|| FormatError::Field(place, name.to_owned()))?;
    let Some(spec) = spec else {
        return Ok(Piece::Field(field, Align::Left, 0));
    };
    let mark = |mark, align| spec.strip_prefix(mark).map(|width| (align, width));
    let (align, width) = mark('<', Align::Left)
        .or(mark('>', Align::Right))
        .or(mark('^', Align::Centre))
        .unwrap_or((Align::Left, spec));
    let digits = width.bytes().all(|byte| byte.is_ascii_digit());
    let number = width.parse().ok().filter(|_| digits);
    match number.filter(|width| (1..=MAX_WIDTH).contains(width)) {
        Some(width) => Ok(Piece::Field(field, align, width)),
        None => {
            let place = place + name.chars().count() + 1;
            Err(FormatError::Width(place, spec.to_owned()))
        }
    }
}

impl Format {
    /// Appends a record and a line end; in colour if wanted, and with data in
    /// full.
    pub fn push(
        &self,
        out: &mut String,
        shown: &Shown<'_>,
        values: &[Value<'_>],
        colour: bool,
        whole: bool,
    ) {
        let mut style = anstyle::Style::new();
        for piece in &self.pieces {
            if colour {
                let wanted = piece.style(shown);
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
                    field.push(out, shown, values, whole);
                    if *width > 0 {
                        pad(out, start, *align, *width);
                    }
                }
            }
        }
        let _ = writeln!(out, "{style:#}");
    }
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

impl Piece {
    /// Its colour.
    fn style(&self, shown: &Shown<'_>) -> anstyle::Style {
        match self {
            Self::Field(Field::Cpu | Field::Number, ..) => render::cpu_style(shown.cpu),
            Self::Field(Field::Severity | Field::Msg | Field::Fields, ..) => shown
                .severity
                .map(render::severity_style)
                .unwrap_or_default(),
            _ => render::META,
        }
    }
}

impl Field {
    /// Appends its value; nothing if the record has none.
    fn push(self, out: &mut String, shown: &Shown<'_>, values: &[Value<'_>], whole: bool) {
        let (record, event) = (&shown.record, shown.record.event);
        // Writing to a `String` cannot fail, here and below.
        let _ = match self {
            Self::Time => write!(
                out,
                "{}.{:06}",
                shown.ns / 1_000_000_000,
                shown.ns % 1_000_000_000 / 1000
            ),
            Self::Ns => write!(out, "{}", shown.ns),
            Self::Ticks => write!(out, "{}", record.stamp.ticks),
            Self::Cpu => write!(out, "{}", shown.cpu),
            Self::Number => write!(out, "{}", record.number),
            Self::Packet => write!(out, "{}", shown.packet),
            Self::Channel => out.write_str(&shown.channel.name),
            Self::Event => out.write_str(&printable(event.name.as_bytes())),
            Self::Context => out.write_str(record.stamp.context.name()),
            Self::Severity => out.write_str(shown.severity.map_or("", Severity::name)),
            Self::Origin if message(shown, values).is_some() => {
                Self::Module.push(out, shown, values, whole);
                out.push(' ');
                Self::File.push(out, shown, values, whole);
                out.push(':');
                Self::Line.push(out, shown, values, whole);
                Ok(())
            }
            Self::Origin => {
                Self::Channel.push(out, shown, values, whole);
                out.push(' ');
                Self::Event.push(out, shown, values, whole);
                Ok(())
            }
            Self::Module => push_text(out, log_text(shown, values, "module")),
            Self::File => push_text(out, log_text(shown, values, "file")),
            Self::Line => match event.field("line").and_then(|at| values.get(at)) {
                Some(Value::Unsigned(line)) if is_log(shown) => write!(out, "{line}"),
                _ => Ok(()),
            },
            Self::Msg => match message(shown, values) {
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
                    Self::Fields.push(out, shown, values, whole);
                    Ok(())
                }
            },
            Self::Fields => {
                text_fields(out, &event.fields, values, whole);
                Ok(())
            }
        };
    }
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

    fn wrong(text: &str) -> String {
        let error = text.parse::<Format>().expect_err(text);
        error.to_string()
    }

    #[test]
    fn templates_are_text_and_fields() {
        let format: Format = "a{{{cpu:>3}}}{msg}".parse().expect("it is one");
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            format.pieces,
            [
                text("a{"),
                Piece::Field(Field::Cpu, Align::Right, 3),
                text("}"),
                Piece::Field(Field::Msg, Align::Left, 0),
            ]
        );
        for (name, field) in Field::ALL {
            let format: Format = format!("{{{name}:^7}}").parse().expect("it is one");
            assert_eq!(format.pieces, [Piece::Field(field, Align::Centre, 7)]);
        }
        assert!(
            "".parse::<Format>()
                .is_ok_and(|format| format.pieces.is_empty())
        );
        assert!(DEFAULT.parse::<Format>().is_ok() && VERBOSE.parse::<Format>().is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(
            wrong("gr\u{fc}n {tme}")
                .contains("no field 'tme' (at character 7); the fields are time, ns, ")
        );
        assert!(wrong("{}").contains("no field '' (at character 2)"));
        assert!(wrong("{cpu").starts_with("the '{' at character 1 has no '}'"));
        assert!(wrong("{cpu {msg}").starts_with("the '{' at character 1 "));
        assert!(wrong("{cpu} }").starts_with("the '}' at character 7 has no '{'"));
        for width in [
            "",
            "<",
            "0",
            "1001",
            "+5",
            "5x",
            "-5",
            "<>5",
            "99999999999999999999999",
        ] {
            let error = wrong(&format!("{{cpu:{width}}}"));
            assert!(
                error.starts_with(&format!("'{width}' (at character 6) is no width")),
                "{error}"
            );
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
