//! Shows values: as JSON, and as text for people.

use std::fmt::Write as _;
use std::io::Write as _;

use super::value::Value;
use crate::escape::{json, printable};
use crate::tsdl::{Struct, Type};

/// Appends a value as JSON: numbers as numbers, labels and texts as texts, bytes
/// as a list of numbers.
fn json_value(out: &mut Vec<u8>, kind: &Type, value: &Value<'_>) {
    // Writing to a `Vec` cannot fail.
    let _ = match (kind, value) {
        (Type::Enum(class), value) => match value.as_integer() {
            Some(number) => match class.label(number) {
                Some(label) => json(&mut *out, label).map_err(Into::into),
                None => write!(out, "{number}"),
            },
            None => write!(out, "null"),
        },
        (_, Value::Unsigned(number)) => write!(out, "{number}"),
        (_, Value::Signed(number)) => write!(out, "{number}"),
        (_, Value::Float(number)) => {
            // A number that JSON does not have becomes null.
            serde_json::to_writer(&mut *out, number).map_err(Into::into)
        }
        (_, Value::Text(text)) => {
            let text = String::from_utf8_lossy(text);
            json(&mut *out, text.as_ref()).map_err(Into::into)
        }
        (_, Value::Bytes(bytes)) => serde_json::to_writer(&mut *out, bytes).map_err(Into::into),
        (Type::Struct(of), Value::List(values)) => {
            json_fields(out, of, values);
            Ok(())
        }
        (kind, Value::List(values)) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json_value(out, element(kind), value);
            }
            out.push(b']');
            Ok(())
        }
    };
}

/// Appends fields as a JSON object.
pub fn json_fields(out: &mut Vec<u8>, of: &Struct, values: &[Value<'_>]) {
    out.push(b'{');
    for (at, (field, value)) in of.fields.iter().zip(values).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        // Writing to a `Vec` cannot fail.
        let _ = json(&mut *out, &field.name);
        out.push(b':');
        json_value(out, &field.kind, value);
    }
    out.push(b'}');
}

/// The type of an array's elements; the type itself if it is no array.
fn element(kind: &Type) -> &Type {
    match kind {
        Type::Array(of, _) => of,
        other => other,
    }
}

/// Appends a value as text. Plain bytes are shown by their number, unless
/// `whole` is wanted.
fn text_value(out: &mut String, kind: &Type, value: &Value<'_>, whole: bool) {
    // Writing to a `String` cannot fail.
    let _ = match (kind, value) {
        (Type::Enum(class), value) => match value.as_integer() {
            Some(number) => match class.label(number) {
                Some(label) => write!(out, "{}", printable(label.as_bytes())),
                None => write!(out, "{number}"),
            },
            None => write!(out, "?"),
        },
        (Type::Int(int), Value::Unsigned(number)) => match int.base {
            16 => write!(out, "{number:#x}"),
            8 => write!(out, "{number:#o}"),
            2 => write!(out, "{number:#b}"),
            _ => write!(out, "{number}"),
        },
        (_, Value::Unsigned(number)) => write!(out, "{number}"),
        (_, Value::Signed(number)) => write!(out, "{number}"),
        (_, Value::Float(number)) => write!(out, "{number}"),
        (_, Value::Text(text)) => write!(out, "\"{}\"", printable(text)),
        (_, Value::Bytes(bytes)) if whole => {
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        (_, Value::Bytes(bytes)) => write!(out, "<{} bytes>", bytes.len()),
        (Type::Struct(of), Value::List(values)) => {
            out.push_str("{ ");
            text_fields(out, of, values, whole);
            write!(out, " }}")
        }
        (kind, Value::List(values)) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                text_value(out, element(kind), value, whole);
            }
            write!(out, "]")
        }
    };
}

/// Appends `name=value` for every field, with blanks between.
pub fn text_fields(out: &mut String, of: &Struct, values: &[Value<'_>], whole: bool) {
    for (at, (field, value)) in of.fields.iter().zip(values).enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(&field.name);
        out.push('=');
        text_value(out, &field.kind, value, whole);
    }
}
