//! The values of fields as the text crate takes them.

use std::fmt;

use relay_text::{Argument, List};

use super::shape::{Flags, character, filled, only, option};
use super::show::text_value;
use super::value::Value;
use crate::tsdl::{Enum, EnumForm, Len, Type};

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
