//! What an event for operators has beside others: the codes of its facility and its type.

use super::attributes::Attributes;
use proc_macro2::Span;
use relay_format::facility;
use syn::Error;

/// The channel of events for operators, as `relay::clients::evlog::STREAM` has it.
const CHANNEL: &str = "evlog";

/// What an event of that channel has.
pub(super) struct Operator {
    /// The code of its facility.
    pub(super) facility: u32,
    /// Its type in that facility.
    pub(super) kind: u32,
    /// Where that is given, or else where the event is.
    pub(super) place: Span,
}

impl Operator {
    /// What an event with this name, at this place of this file, has; `None` if its channel is
    /// another.
    pub(super) fn of(
        attributes: &Attributes,
        name: &str,
        file: &str,
        place: Span,
    ) -> syn::Result<Option<Self>> {
        if attributes.channel.value() != CHANNEL {
            return match &attributes.kind {
                Some(kind) => Err(Error::new(
                    kind.place,
                    "only events of the channel evlog have a type",
                )),
                None => Ok(None),
            };
        }
        if let Some(id) = &attributes.id {
            let message = "events of the channel evlog have no id of their own: the linker gives \
                           one; a number that stays is `type = 7`";
            return Err(Error::new(id.place, message));
        }
        let Some(named) = &attributes.facility else {
            let message = "events of the channel evlog have a facility: `facility = \"disk\"`, the \
                           part of the system that they are about";
            return Err(Error::new(attributes.channel.span(), message));
        };
        let Some(code) = facility::code(&named.value()) else {
            let message = format!(
                "this facility has no code: it has more than {} letters, or its checksum is one of \
                 syslog's codes; another name is needed",
                facility::MAX_NAME
            );
            return Err(Error::new(named.span(), message));
        };
        let text = attributes.text.as_ref().map(syn::LitStr::value);
        let own = || facility::type_of(name, text.as_deref().unwrap_or_default(), file);
        let given = attributes.kind.as_ref();
        Ok(Some(Self {
            facility: code,
            kind: given.map_or_else(own, |kind| kind.number),
            place: given.map_or(place, |kind| kind.place),
        }))
    }

    /// The name of a symbol that two events have only if both codes are the same: these do not
    /// link.
    pub(super) fn symbol(&self) -> String {
        format!("evlog facility {:#x} type {}", self.facility, self.kind)
    }
}
