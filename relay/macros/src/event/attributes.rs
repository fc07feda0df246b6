//! What `#[event(..)]` says.

use super::field::Field;
use crate::names;
use proc_macro2::{Ident, Span};
use relay_text::parse::{Count, Piece, Position, pieces};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Error, ItemStruct, LitBool, LitInt, LitStr};

/// The severities, as `relay::event::Severity` has them.
const SEVERITIES: [&str; 9] = [
    "Emerg", "Alert", "Crit", "Error", "Warn", "Notice", "Info", "Debug", "Trace",
];

/// What may be said, with an example each.
const KNOWN: &str = "an event has `channel = \"sched\"`, and may have `name = \"task_woken\"`, \
                     `severity = Info`, `facility = \"sched\"`, `text = \"woke {task}\"`, \
                     `enabled = false` and `id = 7`; one of evlog also `type = 7`";

/// What is said of an event.
pub(super) struct Attributes {
    pub(super) channel: LitStr,
    pub(super) name: Option<LitStr>,
    pub(super) severity: Option<Ident>,
    pub(super) facility: Option<LitStr>,
    pub(super) text: Option<LitStr>,
    pub(super) enabled: Option<LitBool>,
    pub(super) id: Option<Id>,
    pub(super) kind: Option<Type>,
}

/// An id that is given by hand.
pub(super) struct Id {
    pub(super) number: u16,
    pub(super) place: Span,
}

/// A type that is given by hand.
pub(super) struct Type {
    pub(super) number: u32,
    pub(super) place: Span,
}

/// What was read so far.
#[derive(Default)]
struct Read {
    channel: Option<LitStr>,
    name: Option<LitStr>,
    severity: Option<Ident>,
    facility: Option<LitStr>,
    text: Option<LitStr>,
    enabled: Option<LitBool>,
    id: Option<Id>,
    kind: Option<Type>,
}

impl Attributes {
    /// Takes `#[event(..)]` away from the struct.
    pub(super) fn take(item: &mut ItemStruct) -> syn::Result<Self> {
        let is_own = |attribute: &syn::Attribute| attribute.path().is_ident("event");
        let (own, others) = std::mem::take(&mut item.attrs)
            .into_iter()
            .partition::<Vec<_>, _>(is_own);
        item.attrs = others;
        if own.is_empty() {
            let message = format!("`#[event(..)]` is missing: {KNOWN}");
            return Err(Error::new(item.ident.span(), message));
        }
        let mut read = Read::default();
        for attribute in &own {
            attribute.parse_nested_meta(|meta| read.take(&meta))?;
        }
        let missing = || {
            let message = "`channel = \"..\"` is missing: the name of the channel that it is for";
            Error::new(own[0].path().span(), message)
        };
        Ok(Self {
            channel: read.channel.ok_or_else(missing)?,
            name: read.name,
            severity: read.severity,
            facility: read.facility,
            text: read.text,
            enabled: read.enabled,
            id: read.id,
            kind: read.kind,
        })
    }
}

impl Read {
    /// Takes one of the list.
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let Some(key) = meta.path.get_ident().map(Ident::to_string) else {
            return Err(meta.error(KNOWN));
        };
        match key.as_str() {
            "channel" => once(&mut self.channel, meta, || {
                word(meta, "-", "a channel: ASCII letters, digits and `-`")
            }),
            "name" => once(&mut self.name, meta, || {
                word(meta, "_", "an event: ASCII letters, digits and `_`")
            }),
            "facility" => once(&mut self.facility, meta, || {
                word(meta, "-_", "a facility: ASCII letters, digits, `-` and `_`")
            }),
            "severity" => once(&mut self.severity, meta, || severity(meta)),
            "text" => once(&mut self.text, meta, || meta.value()?.parse()),
            "enabled" => once(&mut self.enabled, meta, || meta.value()?.parse()),
            "id" => once(&mut self.id, meta, || id(meta)),
            "type" => once(&mut self.kind, meta, || kind(meta)),
            _ => Err(meta.error(format!("unknown attribute `{key}`: {KNOWN}"))),
        }
    }
}

/// Takes what is not there yet.
fn once<T>(
    place: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    take: impl FnOnce() -> syn::Result<T>,
) -> syn::Result<()> {
    if place.is_some() {
        return Err(meta.error("it is said twice"));
    }
    *place = Some(take()?);
    Ok(())
}

fn word(meta: &ParseNestedMeta<'_>, others: &str, what: &str) -> syn::Result<LitStr> {
    let text: LitStr = meta.value()?.parse()?;
    match names::is_word(&text.value(), others) {
        true => Ok(text),
        false => Err(Error::new(text.span(), format!("no name of {what}"))),
    }
}

fn severity(meta: &ParseNestedMeta<'_>) -> syn::Result<Ident> {
    let value = meta.value()?;
    let expected = format!("a severity is one of {}", SEVERITIES.join(", "));
    let severity: Ident = value
        .parse()
        .map_err(|error| Error::new(error.span(), &expected))?;
    match SEVERITIES.iter().any(|own| severity == own) {
        true => Ok(severity),
        false => Err(Error::new(severity.span(), expected)),
    }
}

fn id(meta: &ParseNestedMeta<'_>) -> syn::Result<Id> {
    let literal: LitInt = meta.value()?.parse()?;
    let place = literal.span();
    match literal.base10_parse() {
        Ok(number @ 1..=15) => Ok(Id { number, place }),
        _ => Err(Error::new(
            place,
            "ids that are given by hand are 1 to 15; without `id` the linker gives one",
        )),
    }
}

fn kind(meta: &ParseNestedMeta<'_>) -> syn::Result<Type> {
    let literal: LitInt = meta.value()?.parse()?;
    let place = literal.span();
    match literal.base10_parse() {
        Ok(number @ 1..) => Ok(Type { number, place }),
        _ => Err(Error::new(
            place,
            "types are 1 to 4294967295, each once in a facility; without `type` it is a checksum \
             of name, text and file",
        )),
    }
}

/// Refuses a text whose placeholders are wrong or name no field.
pub(super) fn check_text(text: &LitStr, fields: &[Field]) -> syn::Result<()> {
    let wrong = |message: String| Err(Error::new(text.span(), message));
    let value = text.value();
    let is_field = |name: &str| fields.iter().any(|field| field.name == name);
    for piece in pieces(&value) {
        let placeholder = match piece {
            Ok(Piece::Text(_)) => continue,
            Ok(Piece::Placeholder(placeholder)) => placeholder,
            Err(error) => return wrong(error.to_string()),
        };
        let source = placeholder.source;
        let spec = placeholder.spec;
        let Position::Name(name) = placeholder.position else {
            return wrong(format!("`{source}` does not say which field: `{{name}}`"));
        };
        if !is_field(name) {
            return wrong(format!("`{source}`: there is no field `{name}`"));
        }
        for count in [spec.width, spec.precision] {
            match count {
                Count::None | Count::Given(_) => {}
                Count::Name(name) if is_field(name) => {}
                Count::Name(name) => {
                    return wrong(format!("`{source}`: there is no field `{name}`"));
                }
                Count::Index(_) | Count::Star => {
                    return wrong(format!(
                        "`{source}`: a width or precision is a number or `name$`, a field"
                    ));
                }
            }
        }
    }
    Ok(())
}
