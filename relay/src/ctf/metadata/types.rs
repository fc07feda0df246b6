//! How fields are described: the types of TSDL.

use super::quoted::Quoted;
use core::fmt::{self, Write};
use relay_format::class::{EnumClass, Kind};

/// Writes the declaration of a field. Its name gets an underscore, which readers take off again:
/// without it, some names are words of the language. What tells its length has two more: with one,
/// babeltrace2 takes the length of `x` and a field `x_length` for fields of one name.
pub(super) fn write_field(f: &mut fmt::Formatter<'_>, name: &str, kind: &Kind) -> fmt::Result {
    match kind {
        Kind::Str | Kind::Blob | Kind::Sequence(_) => write!(f, "uint16_t ___{name}_length; ")?,
        Kind::Optional(_) => write!(f, "uint8_t ___{name}_length; ")?,
        _ => {}
    }
    write_type(f, kind)?;
    write!(f, " _{name}")?;
    write_dimensions(f, name, kind)?;
    f.write_char(';')
}

/// Writes the type of a field, or of its elements.
fn write_type(f: &mut fmt::Formatter<'_>, kind: &Kind) -> fmt::Result {
    match kind {
        Kind::U8 | Kind::Bytes(_) | Kind::Blob => f.write_str("uint8_t"),
        Kind::U16 => f.write_str("uint16_t"),
        Kind::U32 => f.write_str("uint32_t"),
        Kind::U64 => f.write_str("uint64_t"),
        Kind::I8 => f.write_str("int8_t"),
        Kind::I16 => f.write_str("int16_t"),
        Kind::I32 => f.write_str("int32_t"),
        Kind::I64 => f.write_str("int64_t"),
        Kind::Hex8 | Kind::Hex16 | Kind::Hex32 | Kind::Hex64 => write_number(f, kind, true),
        Kind::F32 => f.write_str("floating_point { exp_dig = 8; mant_dig = 24; align = 8; }"),
        Kind::F64 => f.write_str("floating_point { exp_dig = 11; mant_dig = 53; align = 8; }"),
        Kind::Bool => f.write_str("enum : uint8_t { \"false\" = 0, \"true\" = 1 }"),
        Kind::Enum(class) => write_enum(f, class, false),
        Kind::Flags(class) => write_enum(f, class, true),
        Kind::Char | Kind::Chars(_) | Kind::Text(_) | Kind::Str => f.write_str("utf8_t"),
        Kind::String => f.write_str("string"),
        Kind::Array(of, _) | Kind::Sequence(of) | Kind::Optional(of) => write_element(f, of),
    }
}

/// Writes how many elements there are, if it has some.
fn write_dimensions(f: &mut fmt::Formatter<'_>, name: &str, kind: &Kind) -> fmt::Result {
    match kind {
        Kind::Char => f.write_str("[4]"),
        Kind::Chars(bytes) => write!(f, "[{bytes}]"),
        Kind::Array(_, count) => write!(f, "[{count}]"),
        Kind::Text(length) | Kind::Bytes(length) => write!(f, "[_{length}]"),
        Kind::Str | Kind::Blob | Kind::Sequence(_) | Kind::Optional(_) => {
            write!(f, "[___{name}_length]")
        }
        _ => Ok(()),
    }
}

/// Writes the type of the elements of a list. What has dimensions of its own is a structure, whose
/// only value is `v`.
fn write_element(f: &mut fmt::Formatter<'_>, kind: &Kind) -> fmt::Result {
    let is_plain = !matches!(
        kind,
        Kind::Char
            | Kind::Chars(_)
            | Kind::Text(_)
            | Kind::Bytes(_)
            | Kind::Str
            | Kind::Blob
            | Kind::Array(..)
            | Kind::Sequence(_)
            | Kind::Optional(_)
    );
    if is_plain {
        return write_type(f, kind);
    }
    f.write_str("struct { ")?;
    write_field(f, "v", kind)?;
    f.write_str(" } align(8)")
}

/// Writes a number.
fn write_number(f: &mut fmt::Formatter<'_>, kind: &Kind, in_base_16: bool) -> fmt::Result {
    let bits = kind.size().unwrap_or_default() * 8;
    let is_signed = matches!(kind, Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64);
    let base = if in_base_16 { " base = 16;" } else { "" };
    write!(
        f,
        "integer {{ size = {bits}; align = 8; signed = {is_signed};{base} }}"
    )
}

/// Writes a number with names; those of bits are in base 16.
fn write_enum(f: &mut fmt::Formatter<'_>, class: &EnumClass, is_flags: bool) -> fmt::Result {
    f.write_str("enum : ")?;
    write_number(f, class.stored, is_flags)?;
    f.write_char(' ')?;
    write_labels(f, class)
}

/// Writes the names of values, in braces.
pub(super) fn write_labels(f: &mut fmt::Formatter<'_>, class: &EnumClass) -> fmt::Result {
    f.write_str("{ ")?;
    for (number, (name, value)) in class.values.iter().enumerate() {
        let separator = if number == 0 { "" } else { ", " };
        write!(f, "{separator}\"{}\" = {value}", Quoted(name))?;
    }
    f.write_str(" }")
}
