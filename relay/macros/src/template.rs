//! Format strings with all placeholders named: what stands in the metadata.
//!
//! A placeholder may say where its value comes from in many ways: `{}`, `{1}`, `{x}`, and its
//! width and precision too: `{:>1$}`, `{:.*}`. In a template there is one: the name of a field.

use crate::names;
use proc_macro2::Span;
use relay_text::parse::{Count, Error, Piece, Position, Spec, Style, pieces};
use std::fmt::Write as _;

/// What stands behind a format string.
#[derive(Debug)]
pub(crate) struct Given {
    /// `name =`, if it stands there.
    pub(crate) name: Option<String>,
    /// What it would be called.
    pub(crate) hint: Option<String>,
}

/// A format string as a template, and the fields of its record.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// It.
    pub(crate) text: String,
    /// The fields, in order.
    pub(crate) fields: Vec<Shown>,
    /// Variables that the placeholders name, and that are not given: their numbers follow those of
    /// what is given.
    pub(crate) captured: Vec<String>,
}

/// A field of the record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its name.
    pub(crate) name: String,
    /// The number of its value.
    pub(crate) value: usize,
    /// How it is shown; `None` of a width or precision, which is a `usize`.
    pub(crate) format: Option<Format>,
}

/// How a value is formatted where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The format string; its first value is the one shown, others are `counts`.
    pub(crate) literal: String,
    /// The numbers of the values that are width and precision.
    pub(crate) counts: Vec<usize>,
    /// The trait that it asks for.
    pub(crate) style: Style,
}

/// Why a format string is no template: a mistake that the compiler tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl From<Error<'_>> for Refused {
    fn from(_: Error<'_>) -> Self {
        Self
    }
}

/// A placeholder, and where its values come from.
#[derive(Debug)]
struct Resolved<'a> {
    value: usize,
    width: Option<usize>,
    precision: Option<usize>,
    spec: Spec<'a>,
}

/// A piece of a format string.
enum Part<'a> {
    Text(&'a str),
    Placeholder(Resolved<'a>),
}

impl Template {
    /// The template of a format string with what is given behind it.
    ///
    /// # Errors
    /// The compiler will refuse the format string.
    pub(crate) fn new(format: &str, given: &[Given]) -> Result<Self, Refused> {
        let mut template = Self::default();
        let parts = template.resolve(format, given)?;
        let placeholders = || {
            parts.iter().filter_map(|part| match part {
                Part::Text(_) => None,
                Part::Placeholder(placeholder) => Some(placeholder),
            })
        };
        // What is a count somewhere is a number everywhere, and stored once.
        let counts: Vec<usize> = placeholders()
            .flat_map(|it| [it.width, it.precision])
            .flatten()
            .collect();
        for part in &parts {
            match part {
                Part::Text(text) => template.push_text(text),
                Part::Placeholder(placeholder) => template.push(placeholder, given, &counts),
            }
        }
        Ok(template)
    }

    /// Says of every placeholder where its values come from; notes what is captured.
    fn resolve<'a>(&mut self, format: &'a str, given: &[Given]) -> Result<Vec<Part<'a>>, Refused> {
        let mut next = 0..given.len();
        let mut parts = Vec::new();
        for piece in pieces(format) {
            let placeholder = match piece? {
                Piece::Text(text) => {
                    parts.push(Part::Text(text));
                    continue;
                }
                Piece::Placeholder(placeholder) => placeholder,
            };
            let spec = placeholder.spec;
            let width = self.count(spec.width, given, &mut next)?;
            // `.*` comes before the value itself.
            let precision = self.count(spec.precision, given, &mut next)?;
            let value = match placeholder.position {
                Position::Next => next.next().ok_or(Refused)?,
                Position::Index(index) => index_of(index, given)?,
                Position::Name(name) => self.named(name, given)?,
            };
            parts.push(Part::Placeholder(Resolved {
                value,
                width,
                precision,
                spec,
            }));
        }
        Ok(parts)
    }

    /// The number of the value that is this count, if it is one.
    fn count(
        &mut self,
        count: Count<'_>,
        given: &[Given],
        next: &mut std::ops::Range<usize>,
    ) -> Result<Option<usize>, Refused> {
        match count {
            Count::None | Count::Given(_) => Ok(None),
            Count::Index(index) => index_of(index, given).map(Some),
            Count::Name(name) => self.named(name, given).map(Some),
            Count::Star => next.next().ok_or(Refused).map(Some),
        }
    }

    /// The number of the value with this name: given, or a variable.
    fn named(&mut self, name: &str, given: &[Given]) -> Result<usize, Refused> {
        let is_it = |own: &Given| own.name.as_deref() == Some(name);
        if let Some(place) = given.iter().position(is_it) {
            return Ok(place);
        }
        names::variable(name, Span::call_site()).ok_or(Refused)?;
        let captured = self.captured.iter().position(|own| own == name);
        let place = captured.unwrap_or_else(|| {
            self.captured.push(name.to_owned());
            self.captured.len() - 1
        });
        Ok(given.len() + place)
    }

    /// Appends a text, with its braces doubled.
    fn push_text(&mut self, text: &str) {
        for letter in text.chars() {
            self.text.push(letter);
            if matches!(letter, '{' | '}') {
                self.text.push(letter);
            }
        }
    }

    /// Appends a placeholder.
    fn push(&mut self, placeholder: &Resolved<'_>, given: &[Given], counts: &[usize]) {
        let Resolved {
            value,
            width,
            precision,
            spec,
        } = *placeholder;
        let field = match counts.contains(&value) {
            true => self.number(value, given),
            false => {
                let mut values = vec![];
                let mut place_of = |count| {
                    values.push(count);
                    Count::Index(u16::try_from(values.len()).unwrap_or(u16::MAX))
                };
                let spec = Spec {
                    width: width.map_or(spec.width, &mut place_of),
                    precision: precision.map_or(spec.precision, &mut place_of),
                    ..spec
                };
                let format = Format {
                    literal: written("0", &spec),
                    counts: values,
                    style: spec.style,
                };
                self.field(value, Some(format), given)
            }
        };
        let width = width.map(|width| self.number(width, given));
        let precision = precision.map(|precision| self.number(precision, given));
        let name_of = |field: Option<usize>, count| {
            field.map_or(count, |field| Count::Name(&self.fields[field].name))
        };
        let spec = Spec {
            width: name_of(width, spec.width),
            precision: name_of(precision, spec.precision),
            ..spec
        };
        let text = written(&self.fields[field].name, &spec);
        self.text.push_str(&text);
    }

    /// The place of the field of a value that is a count.
    fn number(&mut self, value: usize, given: &[Given]) -> usize {
        self.field(value, None, given)
    }

    /// The place of the field of this value in this format, which is stored once.
    fn field(&mut self, value: usize, format: Option<Format>, given: &[Given]) -> usize {
        let is_it = |own: &Shown| own.value == value && own.format == format;
        if let Some(place) = self.fields.iter().position(is_it) {
            return place;
        }
        let name = self.unique_name(value, given);
        self.fields.push(Shown {
            name,
            value,
            format,
        });
        self.fields.len() - 1
    }

    /// A name for a field of this value that no other field has.
    fn unique_name(&self, value: usize, given: &[Given]) -> String {
        let hint = match given.get(value) {
            Some(given) => given.hint.clone(),
            None => names::field_of(&self.captured[value - given.len()]),
        };
        let name = hint.unwrap_or_else(|| format!("arg{value}"));
        let is_free = |name: &String| self.fields.iter().all(|own| own.name != *name);
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(is_free).unwrap_or(name)
    }
}

/// The number of the given value with this number.
fn index_of(index: u16, given: &[Given]) -> Result<usize, Refused> {
    let index = usize::from(index);
    (index < given.len()).then_some(index).ok_or(Refused)
}

/// A placeholder.
fn written(position: &str, spec: &Spec<'_>) -> String {
    let mut text = format!("{{{position}");
    if *spec != Spec::default() {
        let _ = write!(text, ":{spec}");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests;
