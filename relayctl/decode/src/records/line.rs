//! What a line about a record says, whoever shows it.

use std::borrow::Cow;
use std::fmt;

use relay_format::Severity;

use super::event::Event;
use super::sentence;
use super::value::Value;
use crate::tsdl::Type;

/// The longest sentence that is made of one record, in bytes. The log has 64 KiB at most, too.
const MAX_SENTENCE: usize = 1 << 16;

/// What is behind a sentence that was longer.
const CUT: &str = "[...]";

/// What a line about a record says: how grave it is, where it comes from, and a sentence.
///
/// | of | origin | sentence |
/// |---|---|---|
/// | the log's own class | fields of the record | a field of the record |
/// | a statement of the log | the class | the class's name, with the fields put in |
/// | other events | the class | the class's text, with the fields put in, if it has one |
///
/// Nothing here is safe to print as it is: see [`escape`](crate::escape).
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The kind of record.
    event: &'a Event,
    /// The record's fields.
    values: &'a [Value<'a>],
}

impl<'a> Line<'a> {
    /// About a record with these fields.
    #[must_use]
    pub fn new(event: &'a Event, values: &'a [Value<'a>]) -> Self {
        Self { event, values }
    }

    /// How grave it is: as the field `severity` says, by its label, or else as the class says.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        let own = self.event.severity_field.and_then(|at| {
            let Type::Enum(class) = &self.event.fields.fields.get(at)?.kind else {
                return None;
            };
            let label = class.label(self.values.get(at)?.as_integer()?)?;
            Severity::from_name(label)
        });
        own.or(self.event.severity)
    }

    /// Whether it is a line of the log.
    #[must_use]
    pub fn is_log(&self) -> bool {
        self.event.is_log()
    }

    /// The Rust module.
    #[must_use]
    pub fn module(&self) -> Option<&'a [u8]> {
        match self.event.log {
            Some(log) => self.text(log.module?),
            None => Some(self.event.origin.as_ref()?.module.as_bytes()),
        }
    }

    /// The source file's name, without folders.
    #[must_use]
    pub fn file(&self) -> Option<&'a [u8]> {
        match self.event.log {
            Some(log) => self.text(log.file?),
            None => {
                let path = &self.event.origin.as_ref()?.file;
                Some(path.rsplit(['/', '\\']).next().unwrap_or(path).as_bytes())
            }
        }
    }

    /// The line in the source file.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.event.log {
            Some(log) => self.values.get(log.line?)?.as_unsigned(),
            None => Some(self.event.origin.as_ref()?.line.into()),
        }
    }

    /// The sentence, of at most 64 KiB where it is made here. What its template says wrongly, or
    /// the record does not have, is in it as the template has it: `{name}`.
    #[must_use]
    pub fn message(&self) -> Option<Cow<'a, [u8]>> {
        if let Some(log) = self.event.log {
            return self.text(log.message).map(Cow::Borrowed);
        }
        let template = self.event.template()?;
        let mut out = Bounded(String::with_capacity(template.len().saturating_mul(2)));
        if relay_text::write(&mut out, template, self).is_err() {
            out.0.push_str(CUT);
        }
        Some(Cow::Owned(out.0.into_bytes()))
    }

    /// The text in a field.
    fn text(&self, at: usize) -> Option<&'a [u8]> {
        match self.values.get(at)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl relay_text::Fields for Line<'_> {
    fn find(
        &self,
        name: &str,
        found: &mut dyn FnMut(relay_text::Argument<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let place = self.event.field(name);
        let field = place.and_then(|at| Some((self.event.fields.fields.get(at)?, at)));
        match field.and_then(|(field, at)| Some((field, self.values.get(at)?))) {
            Some((field, value)) if !field.is_length => {
                sentence::argument(&field.kind, value, found)
            }
            _ => Ok(()),
        }
    }
}

/// A text that has no room for more than a sentence: widths and lists may ask for more.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_SENTENCE.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at));
        self.0.push_str(&text[..end.unwrap_or(0)]);
        Err(fmt::Error)
    }
}
