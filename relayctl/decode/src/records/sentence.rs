//! The values of fields as the text crate takes them.

use std::borrow::Cow;
use std::fmt;

use relay_text::{Argument, List};

use super::show::text_value;
use super::value::Value;
use crate::tsdl::{Enum, EnumForm, Len, Struct, Type};

/// Who takes an argument.
type Found<'f> = dyn FnMut(Argument<'_>) -> fmt::Result + 'f;

/// Gives a value to `found`, as the kind of its field has it.
pub(super) fn argument(kind: &Type, value: &Value<'_>, found: &mut Found<'_>) -> fmt::Result {
    match (kind, value) {
        (Type::Enum(class), value) => match value.as_integer() {
            Some(number) => enumeration(class, number, found),
            None => Ok(()),
        },
        (Type::Int(int), Value::Unsigned(value)) if int.base == 16 => {
            found(Argument::Pointer(*value))
        }
        (kind, Value::Unsigned(value)) => found(Argument::Unsigned {
            value: *value,
            bits: bits(kind),
        }),
        (kind, Value::Signed(value)) => found(Argument::Signed {
            value: *value,
            bits: bits(kind),
        }),
        // Made of one: nothing is lost.
        (Type::Float(4), Value::Float(value)) => found(Argument::F32(*value as f32)),
        (_, Value::Float(value)) => found(Argument::F64(*value)),
        (Type::String, Value::Text(text)) => {
            found(Argument::Formatted(&String::from_utf8_lossy(text)))
        }
        (Type::Array(_, Len::Fixed(4)), Value::Text(text)) => match character(text) {
            Some(character) => found(Argument::Char(character)),
            None => found(Argument::Text(&String::from_utf8_lossy(filled(text)))),
        },
        (Type::Array(_, Len::Fixed(_)), Value::Text(text)) => {
            found(Argument::Text(&String::from_utf8_lossy(filled(text))))
        }
        (_, Value::Text(text)) => found(Argument::Text(&String::from_utf8_lossy(text))),
        (Type::Array(of, Len::Option(_)), value) => match option(value) {
            Some(None) => found(Argument::Option(None)),
            Some(Some(value)) => argument(of, &value, &mut |argument| {
                found(Argument::Option(Some(&argument)))
            }),
            None => found(Argument::List(&Elements(of, value))),
        },
        (Type::Array(of, _), value) => found(Argument::List(&Elements(of, value))),
        (Type::Struct(of), Value::List(values)) => match only(of, values) {
            Some((kind, value)) => argument(kind, value, found),
            None => {
                let mut text = String::new();
                text_value(&mut text, kind, value, true);
                found(Argument::Formatted(&text))
            }
        },
        // No value is of another type than its field.
        (_, Value::Bytes(_) | Value::List(_)) => Ok(()),
    }
}

/// Gives a value of an enumeration.
fn enumeration(class: &Enum, number: i128, found: &mut Found<'_>) -> fmt::Result {
    // It was read from at most 64 bits.
    let value = number as u64;
    match (class.form, class.label(number)) {
        (EnumForm::Bool, Some(_)) => found(Argument::Bool(number == 1)),
        (EnumForm::Flags, _) => found(Argument::Label {
            label: &Flags(class, value),
            value,
        }),
        (_, Some(label)) => found(Argument::Label {
            label: &label,
            value,
        }),
        (_, None) if class.container.signed => found(Argument::Signed {
            value: number as i64,
            bits: class.container.bits,
        }),
        (_, None) => found(Argument::Unsigned {
            value,
            bits: class.container.bits,
        }),
    }
}

/// How many bits an integer has.
fn bits(kind: &Type) -> u8 {
    kind.as_int().map_or(64, |int| int.bits)
}

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
pub(super) fn option<'v>(value: &'v Value<'v>) -> Option<Option<Cow<'v, Value<'v>>>> {
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
pub(super) fn only<'v, 'a>(
    of: &'v Struct,
    values: &'v [Value<'a>],
) -> Option<(&'v Type, &'v Value<'a>)> {
    match (&*of.fields, values) {
        ([field], [value]) if field.name == "v" => Some((&field.kind, value)),
        ([length, field], [_, value]) if length.is_length => Some((&field.kind, value)),
        _ => None,
    }
}

/// The elements of an array.
struct Elements<'v>(&'v Type, &'v Value<'v>);

impl List for Elements<'_> {
    fn each(&self, element: &mut Found<'_>) -> fmt::Result {
        let Self(of, values) = self;
        match values {
            Value::List(values) => values
                .iter()
                .try_for_each(|value| argument(of, value, element)),
            Value::Bytes(bytes) => bytes
                .iter()
                .try_for_each(|byte| argument(of, &Value::Unsigned((*byte).into()), element)),
            _ => Ok(()),
        }
    }
}

/// Bits by their names, with `|` between; those without a name as one number.
pub(super) struct Flags<'c>(pub(super) &'c Enum, pub(super) u64);

impl<'c> Flags<'c> {
    /// Gives the names to `name`, in the order of the metadata, and returns the bits that have
    /// none.
    pub(super) fn each<E>(&self, mut name: impl FnMut(&'c str) -> Result<(), E>) -> Result<u64, E> {
        let mut rest = self.1;
        let mut is_named = false;
        for (label, from, to) in &self.0.labels {
            let Ok(bits) = u64::try_from(*from) else {
                continue;
            };
            // None, or all of its bits, some of which have no name yet.
            let is_in = match bits {
                0 => self.1 == 0 && !is_named,
                bits => self.1 & bits == bits && rest & bits != 0,
            };
            if from == to && is_in {
                name(label)?;
                is_named = true;
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
            (0, "|") => Ok(()),
            (rest, between) => write!(f, "{between}{rest:#x}"),
        }
    }
}
