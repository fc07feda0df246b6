//! The template that makes a line of text of a record.

use std::fmt;
use std::str::FromStr;

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
pub(super) enum Field {
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
    Facility,
    Type,
    Process,
    Thread,
    Origin,
    Module,
    File,
    Line,
    Msg,
    Fields,
    Span,
}

impl Field {
    /// All fields by their names.
    const ALL: [(&str, Self); 21] = [
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
        ("facility", Self::Facility),
        ("type", Self::Type),
        ("process", Self::Process),
        ("thread", Self::Thread),
        ("origin", Self::Origin),
        ("module", Self::Module),
        ("file", Self::File),
        ("line", Self::Line),
        ("msg", Self::Msg),
        ("fields", Self::Fields),
        ("span", Self::Span),
    ];
}

/// Where the text of a column stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Centre,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that is shown as it is.
    Text(String),
    /// A field, in a column of so many characters at least.
    Field(Field, Align, usize),
}

/// A template for records, such as `{time} {cpu} {severity:<5} {msg}`.
///
/// In braces stand the names of fields, each with `:WIDTH`, `:<WIDTH`, `:>WIDTH` or
/// `:^WIDTH` behind it if it is to fill a column; `{{` and `}}` are braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    /// Its parts.
    pub(super) pieces: Vec<Piece>,
}

impl Template {
    /// Whether it shows how long something took.
    pub(super) fn has_span(&self) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.any(|piece| matches!(piece, Piece::Field(Field::Span, ..)))
    }

    /// The same, with how long something took behind it, if it does not show that.
    pub(super) fn with_span(mut self) -> Self {
        if !self.has_span() {
            self.pieces.push(Piece::Field(Field::Span, Align::Left, 0));
        }
        self
    }
}

/// What is wrong with a template; places are characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// A `{` without its `}`.
    Open(usize),
    /// A `}` without its `{`.
    Close(usize),
    /// No such field.
    Field(usize, String),
    /// What follows the colon is no width.
    Width(usize, String),
}

impl fmt::Display for TemplateError {
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

impl std::error::Error for TemplateError {}

impl FromStr for Template {
    type Err = TemplateError;

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
            let inside = from.strip_prefix('{').ok_or(TemplateError::Close(place))?;
            let closed = inside
                .split_once('}')
                .filter(|(field, _)| !field.contains('{'));
            let (field, behind) = closed.ok_or(TemplateError::Open(place))?;
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
fn field_of(text: &str, place: usize) -> Result<Piece, TemplateError> {
    let (name, spec) = match text.split_once(':') {
        Some((name, spec)) => (name, Some(spec)),
        None => (text, None),
    };
    let mut all = Field::ALL.into_iter();
    let found = all.find(|(known, _)| *known == name);
    let (_, field) = found.ok_or_else(|| TemplateError::Field(place, name.to_owned()))?;
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
            Err(TemplateError::Width(place, spec.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let error = text.parse::<Template>().expect_err(text);
        error.to_string()
    }

    #[test]
    fn templates_are_text_and_fields() {
        let template: Template = "a{{{cpu:>3}}}{msg}".parse().expect("it is one");
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            template.pieces,
            [
                text("a{"),
                Piece::Field(Field::Cpu, Align::Right, 3),
                text("}"),
                Piece::Field(Field::Msg, Align::Left, 0),
            ]
        );
        for (name, field) in Field::ALL {
            let template: Template = format!("{{{name}:^7}}").parse().expect("it is one");
            assert_eq!(template.pieces, [Piece::Field(field, Align::Centre, 7)]);
        }
        assert!(
            "".parse::<Template>()
                .is_ok_and(|template| template.pieces.is_empty())
        );
        assert!(DEFAULT.parse::<Template>().is_ok() && VERBOSE.parse::<Template>().is_ok());
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
}
