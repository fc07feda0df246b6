//! What values are that have no type of their own in TSDL: characters, options, flags, and elements
//! with dimensions.

use std::borrow::Cow;
use std::fmt;

use super::value::Value;
use crate::tsdl::{Enum, Struct, Type};

/// The character that a text of four bytes is: in UTF-8, filled with zeros.
pub(super) fn character(text: &[u8]) -> Option<char> {
    if text.len() != 4 {
        return None;
    }
    let text = match filled(text) {
        // The character of value 0 is nothing but zeros.
        [] => "\0",
        filled => str::from_utf8(filled).ok()?,
    };
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// A text of fixed length without the zeros that fill it.
pub(super) fn filled(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0);
    &text[..end.map_or(0, |at| at + 1)]
}

/// What is there, of what may be there; `None` if it is there more than once.
pub(crate) fn option<'v>(value: &'v Value<'v>) -> Option<Option<Cow<'v, Value<'v>>>> {
    match value {
        Value::Bytes([]) => Some(None),
        // A byte of an array has no value of its own.
        Value::Bytes([byte]) => Some(Some(Cow::Owned(Value::Unsigned((*byte).into())))),
        Value::List(values) => match values.as_slice() {
            [] => Some(None),
            [value] => Some(Some(Cow::Borrowed(value))),
            _ => None,
        },
        _ => None,
    }
}

/// The field `v` of a structure that has no other, but for its length: what has dimensions of its
/// own lies in arrays like that.
pub(crate) fn only<'v, 'a>(
    of: &'v Struct,
    values: &'v [Value<'a>],
) -> Option<(&'v Type, &'v Value<'a>)> {
    match (&*of.fields, values) {
        ([field], [value]) if field.name == "v" => Some((&field.kind, value)),
        ([length, field], [_, value]) if length.is_length => Some((&field.kind, value)),
        _ => None,
    }
}

/// Bits by their names, with `|` between; those without a name as one number.
pub(super) struct Flags<'c>(pub(super) &'c Enum, pub(super) u64);

impl<'c> Flags<'c> {
    /// Gives the names to `name`, in the order of the metadata, and returns the bits that have
    /// none. The kernel's console does the same.
    pub(super) fn each<E>(&self, mut name: impl FnMut(&'c str) -> Result<(), E>) -> Result<u64, E> {
        let mut rest = self.1;
        for (label, bits, to) in &self.0.labels {
            let one = u64::try_from(*bits).ok().filter(|_| bits == to);
            if let Some(bits) = one
                && bits != 0
                && rest & bits == bits
            {
                name(label)?;
                rest &= !bits;
            }
        }
        Ok(rest)
    }
}

impl fmt::Display for Flags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let rest = self.each(|label| {
            f.write_str(std::mem::replace(&mut between, "|"))?;
            f.write_str(label)
        })?;
        match (rest, between) {
            (0, "") => f.write_str("0"),
            (0, _) => Ok(()),
            (rest, between) => write!(f, "{between}{rest:#x}"),
        }
    }
}
