//! Shows values: as JSON, and as text for people.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use super::event::Event;
use super::shape::{Flags, character, filled, only, option};
use super::value::Value;
use crate::escape::{json, printable};
use crate::tsdl::{Enum, EnumForm, Field, Len, Struct, Type};

/// Appends a value as JSON: numbers as numbers, labels and texts as texts, bytes as a list of
/// numbers, flags as a list of their names, what is not there as null.
fn json_value(out: &mut Vec<u8>, kind: &Type, value: &Value<'_>) {
    // Writing to a `Vec` cannot fail.
    let _ = match (kind, value) {
        (Type::Enum(class), value) => json_enum(out, class, value),
        (_, Value::Unsigned(number)) => write!(out, "{number}"),
        (_, Value::Signed(number)) => write!(out, "{number}"),
        // A number that JSON does not have becomes null.
        (Type::Float(4), Value::Float(number)) => {
            serde_json::to_writer(&mut *out, &(*number as f32)).map_err(Into::into)
        }
        (_, Value::Float(number)) => serde_json::to_writer(&mut *out, number).map_err(Into::into),
        (kind, Value::Text(text)) => {
            let text = String::from_utf8_lossy(unpadded(kind, text));
            json(&mut *out, text.as_ref()).map_err(Into::into)
        }
        (Type::Array(of, Len::Option(_)), value) => {
            match option(value) {
                Some(Some(value)) => json_value(out, of, &value),
                Some(None) => out.extend_from_slice(b"null"),
                None => json_list(out, of, value),
            }
            Ok(())
        }
        (Type::Struct(of), Value::List(values)) => {
            match only(of, values) {
                Some((kind, value)) => json_value(out, kind, value),
                None => json_fields(out, of, values),
            }
            Ok(())
        }
        (kind, value) => {
            json_list(out, element(kind), value);
            Ok(())
        }
    };
}

/// Appends the elements of an array as a JSON list.
fn json_list(out: &mut Vec<u8>, of: &Type, value: &Value<'_>) {
    match value {
        Value::Bytes(bytes) => {
            // Writing to a `Vec` cannot fail.
            let _ = serde_json::to_writer(out, bytes);
        }
        Value::List(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json_value(out, of, value);
            }
            out.push(b']');
        }
        // No value is of another type than its field.
        _ => out.extend_from_slice(b"null"),
    }
}

/// Appends a value of an enumeration as JSON.
fn json_enum(out: &mut Vec<u8>, class: &Enum, value: &Value<'_>) -> io::Result<()> {
    let Some(number) = value.as_integer() else {
        return write!(out, "null");
    };
    match (class.form, class.label(number)) {
        (EnumForm::Bool, Some(label)) => write!(out, "{label}"),
        (EnumForm::Flags, _) => {
            out.push(b'[');
            let mut between = "";
            // It was read from at most 64 bits.
            let rest = Flags(class, number as u64).each(|label| {
                out.extend_from_slice(std::mem::replace(&mut between, ",").as_bytes());
                json(&mut *out, label).map_err(io::Error::from)
            })?;
            match rest {
                0 => write!(out, "]"),
                rest => write!(out, "{between}{rest}]"),
            }
        }
        (_, Some(label)) => json(out, label).map_err(Into::into),
        (_, None) => write!(out, "{number}"),
    }
}

/// Appends the fields that somebody has written as a JSON object.
fn json_fields(out: &mut Vec<u8>, of: &Struct, values: &[Value<'_>]) {
    let mut between = b'{';
    for (field, value) in written(of, values) {
        out.push(std::mem::replace(&mut between, b','));
        // Writing to a `Vec` cannot fail.
        let _ = json(&mut *out, &field.name);
        out.push(b':');
        json_value(out, &field.kind, value);
    }
    if between == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// Appends the fields of a record as a JSON object; null if they cannot be read.
pub fn json_record(out: &mut Vec<u8>, event: &Event, values: &[Value<'_>]) {
    match event.unreadable {
        Some(_) => out.extend_from_slice(b"null"),
        None => json_fields(out, &event.fields, values),
    }
}

/// The fields but for those that only say a length.
fn written<'v, 'a>(
    of: &'v Struct,
    values: &'v [Value<'a>],
) -> impl Iterator<Item = (&'v Field, &'v Value<'a>)> {
    let fields = of.fields.iter().zip(values);
    fields.filter(|(field, _)| !field.is_length)
}

/// The type of an array's elements; the type itself if it is no array.
fn element(kind: &Type) -> &Type {
    match kind {
        Type::Array(of, _) => of,
        other => other,
    }
}

/// A text without the zeros that fill it, if its length is fixed; the character of value 0 is one.
pub(crate) fn unpadded<'t>(kind: &Type, text: &'t [u8]) -> &'t [u8] {
    match kind {
        Type::Array(_, Len::Fixed(4)) if text == [0; 4] => &text[..1],
        Type::Array(_, Len::Fixed(_)) => filled(text),
        _ => text,
    }
}

/// A text as it stands between quotes: what would end it, and what looks like an escape, is escaped.
fn quoted(text: &[u8]) -> Cow<'_, [u8]> {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        _ => None,
    };
    if !text.iter().any(|byte| escaped(*byte).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len() + 16);
    for &byte in text {
        match escaped(byte) {
            Some(letter) => shown.extend_from_slice(&[b'\\', letter]),
            None => shown.push(byte),
        }
    }
    Cow::Owned(shown)
}

/// Appends a value as text. Plain bytes are shown by their number, unless `whole` is wanted.
pub(super) fn text_value(out: &mut String, kind: &Type, value: &Value<'_>, whole: bool) {
    // Writing to a `String` cannot fail.
    let _ = match (kind, value) {
        (Type::Enum(class), value) => match value.as_integer() {
            Some(number) if class.form == EnumForm::Flags => {
                // It was read from at most 64 bits.
                let flags = Flags(class, number as u64).to_string();
                write!(out, "{}", printable(flags.as_bytes()))
            }
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
        (Type::Float(4), Value::Float(number)) => write!(out, "{:?}", *number as f32),
        (_, Value::Float(number)) => write!(out, "{number:?}"),
        (Type::Array(_, Len::Fixed(_)), Value::Text(text)) if character(text).is_some() => {
            write!(out, "'{}'", printable(unpadded(kind, text)))
        }
        (kind, Value::Text(text)) => {
            write!(out, "\"{}\"", printable(&quoted(unpadded(kind, text))))
        }
        (Type::Array(of, Len::Option(_)), value) => match option(value) {
            Some(Some(value)) => {
                text_value(out, of, &value, whole);
                Ok(())
            }
            Some(None) => write!(out, "none"),
            None => text_list(out, of, value, whole),
        },
        (Type::Struct(of), Value::List(values)) => match only(of, values) {
            Some((kind, value)) => {
                text_value(out, kind, value, whole);
                Ok(())
            }
            None => {
                out.push_str("{ ");
                text_fields(out, of, values, whole);
                write!(out, " }}")
            }
        },
        (kind, value) => text_list(out, element(kind), value, whole),
    };
}

/// Appends the elements of an array.
fn text_list(out: &mut String, of: &Type, value: &Value<'_>, whole: bool) -> fmt::Result {
    match value {
        Value::Bytes(bytes) if whole => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        Value::Bytes(bytes) => write!(out, "<{} bytes>", bytes.len()),
        Value::List(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                text_value(out, of, value, whole);
            }
            write!(out, "]")
        }
        // No value is of another type than its field.
        _ => write!(out, "?"),
    }
}

/// Appends `name=value` for every field that somebody has written, with blanks between.
fn text_fields(out: &mut String, of: &Struct, values: &[Value<'_>], whole: bool) {
    for (at, (field, value)) in written(of, values).enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(&field.name);
        out.push('=');
        text_value(out, &field.kind, value, whole);
    }
}

/// Appends the fields of a record as `name=value`, with blanks between; how many bytes they are if
/// they cannot be read. Plain bytes are shown by their number, unless `whole` is wanted.
pub fn text_record(out: &mut String, event: &Event, values: &[Value<'_>], whole: bool) {
    match &event.unreadable {
        None => text_fields(out, &event.fields, values, whole),
        Some(unreadable) => {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "<{} unreadable bytes>", unreadable.size.unwrap_or(0));
        }
    }
}
