//! Structs that are events.
//!
//! Each becomes itself and, beside it, its site (a `static` with its switch), its entry in the
//! section of classes, and `impl relay::event::Event`.

mod attributes;
mod expand;
mod field;
mod operator;

use crate::names;
use crate::statement::relay_path;
use attributes::Attributes;
use field::Field;
use operator::Operator;
use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Fields, GenericParam, Item, ItemStruct};

/// What the macro was given.
pub(crate) struct Events {
    /// The path of relay.
    relay: TokenStream,
    events: Vec<Event>,
}

/// An event.
struct Event {
    /// The struct as it stays: without what is relay's.
    item: ItemStruct,
    attributes: Attributes,
    name: String,
    fields: Vec<Field>,
    operator: Option<Operator>,
}

impl Parse for Events {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let relay = relay_path(input)?;
        let mut events: Vec<Event> = Vec::new();
        let mut errors = Errors::default();
        while !input.is_empty() {
            // What is no item ends the reading: nobody knows where the next one begins.
            let event = match input.parse()? {
                Item::Struct(item) => Event::new(item),
                other => Err(Error::new(
                    first_token(&other),
                    "only structs are events: `#[event(channel = \"..\")] struct Name { .. }`",
                )),
            };
            if let Some(event) = errors.keep(event) {
                errors.keep(event.check_against(&events));
                events.push(event);
            }
        }
        errors.into_result()?;
        Ok(Self { relay, events })
    }
}

/// Where an item begins, its attributes aside.
fn first_token(item: &Item) -> proc_macro2::Span {
    match item {
        Item::Enum(item) => item.enum_token.span(),
        Item::Union(item) => item.union_token.span(),
        other => other.span(),
    }
}

/// Errors, so that all are told at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    /// What was found; an error is kept.
    fn keep<T>(&mut self, found: syn::Result<T>) -> Option<T> {
        found.map_err(|error| self.add(error)).ok()
    }

    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn into_result(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

impl Event {
    fn new(mut item: ItemStruct) -> syn::Result<Self> {
        let mut errors = Errors::default();
        for parameter in &item.generics.params {
            if !matches!(parameter, GenericParam::Lifetime(_)) {
                errors.add(Error::new_spanned(
                    parameter,
                    "events have lifetimes, but no types or numbers, as parameters: each is one class",
                ));
            }
        }
        let attributes = errors.keep(Attributes::take(&mut item));
        let mut fields = Vec::new();
        match &mut item.fields {
            Fields::Named(named) => {
                for field in &mut named.named {
                    let Some(field) = errors.keep(Field::take(field)) else {
                        continue;
                    };
                    if fields.iter().any(|own: &Field| own.name == field.name) {
                        let message = format!("there is a field `{}` already", field.name);
                        errors.add(Error::new(field.identifier.span(), message));
                    }
                    fields.push(field);
                }
            }
            Fields::Unnamed(unnamed) => errors.add(Error::new_spanned(
                unnamed,
                "fields of events have names: `{ name: type, .. }`",
            )),
            Fields::Unit => {}
        }
        if let Some(text) = attributes.as_ref().and_then(|it| it.text.as_ref()) {
            errors.keep(attributes::check_text(text, &fields));
        }
        errors.into_result()?;
        let attributes = attributes.ok_or_else(|| Error::new_spanned(&item, "no attributes"))?;
        let own_name = || names::snake_case(&item.ident.to_string());
        let name = attributes
            .name
            .as_ref()
            .map_or_else(own_name, syn::LitStr::value);
        if !names::is_name(&name) {
            let message = format!(
                "`{name}` is no name of an event: say one of ASCII letters, digits and `_` with \
                 `name = \"..\"`"
            );
            return Err(Error::new(item.ident.span(), message));
        }
        let place = item.ident.span();
        let operator = Operator::of(&attributes, &name, &place.unwrap().file(), place)?;
        Ok(Self {
            item,
            attributes,
            name,
            fields,
            operator,
        })
    }

    /// Refuses an event whose name, id or type is taken.
    fn check_against(&self, others: &[Self]) -> syn::Result<()> {
        let of_channel =
            |other: &&Self| other.attributes.channel.value() == self.attributes.channel.value();
        for other in others.iter().filter(of_channel) {
            let channel = self.attributes.channel.value();
            if other.name == self.name {
                let place = self.attributes.name.as_ref();
                let place = place.map_or_else(|| self.item.ident.span(), syn::LitStr::span);
                let message = format!("channel {channel} has an event `{}` already", self.name);
                return Err(Error::new(place, message));
            }
            if let (Some(own), Some(other)) = (&self.attributes.id, &other.attributes.id)
                && own.number == other.number
            {
                let message = format!(
                    "channel {channel} has an event of id {} already",
                    own.number
                );
                return Err(Error::new(own.place, message));
            }
            if let (Some(own), Some(other)) = (&self.operator, &other.operator)
                && own.symbol() == other.symbol()
            {
                let facility = self.attributes.facility.as_ref().map(syn::LitStr::value);
                let message = format!(
                    "facility {} has an event of type {} already",
                    facility.unwrap_or_default(),
                    own.kind
                );
                return Err(Error::new(own.place, message));
            }
        }
        Ok(())
    }
}

impl Events {
    /// The structs and what makes them events.
    pub(crate) fn expand(&self) -> TokenStream {
        self.events
            .iter()
            .flat_map(|event| event.expand(&self.relay))
            .collect()
    }
}

/// The text of a doc comment's first line with something in it.
fn first_line(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let pair = attribute.meta.require_name_value().ok()?;
        let is_doc = pair.path.is_ident("doc");
        let text = syn::parse2::<syn::LitStr>(pair.value.to_token_stream()).ok()?;
        is_doc.then(|| text.value())
    });
    let mut lines = lines.flat_map(|text| {
        let lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines
    });
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}
