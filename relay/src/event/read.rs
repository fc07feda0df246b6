//! Fields of records, read by their class: for whoever shows a record where it was written.

use crate::record::Fields;
use core::fmt;
use relay_format::class::{EnumClass, Field, Kind};
use relay_text::{Argument, Bytes, List};

/// The fields of one record of a class whose kinds lay themselves out: those that relay's macros
/// declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values<'a> {
    fields: &'static [Field],
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    /// Takes the values of these fields off the front of `from`; `None` if they are cut off, or one
    /// has a kind whose length another field tells. Any context.
    #[must_use]
    pub fn take(fields: &'static [Field], from: &mut Fields<'a>) -> Option<Self> {
        let mut rest = from.clone();
        for field in fields {
            skip(&field.kind, &mut rest)?;
        }
        let bytes = from.bytes(rest.offset() - from.offset())?;
        Some(Self { fields, bytes })
    }

    /// Writes the sentence of `template`, in which fields are named. Any context.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn fmt::Write, template: &str) -> fmt::Result {
        relay_text::write(out, template, self)
    }
}

impl relay_text::Fields for Values<'_> {
    fn find(&self, name: &str, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        let mut from = Fields::new(self.bytes);
        for field in self.fields {
            if field.name == name {
                return tell(&field.kind, &mut from, found).unwrap_or(Ok(()));
            }
            if skip(&field.kind, &mut from).is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Goes behind a value; `None` if it is cut off.
pub(super) fn skip(kind: &Kind, from: &mut Fields<'_>) -> Option<()> {
    if let Some(size) = kind.size() {
        return from.bytes(size).map(|_| ());
    }
    match kind {
        Kind::Str | Kind::Blob => {
            let length = from.u16()?;
            from.bytes(length.into())?;
        }
        Kind::String => while from.u8()? != 0 {},
        Kind::Array(of, count) => (0..*count).try_for_each(|_| skip(of, from))?,
        Kind::Sequence(of) => (0..from.u16()?).try_for_each(|_| skip(of, from))?,
        Kind::Optional(of) => (0..from.u8()?).try_for_each(|_| skip(of, from))?,
        _ => return None,
    }
    Some(())
}

/// Calls `found` with a value, and goes behind it; `None` if it is cut off.
fn tell(
    kind: &Kind,
    from: &mut Fields<'_>,
    found: &mut dyn FnMut(Argument<'_>) -> fmt::Result,
) -> Option<fmt::Result> {
    let unsigned = |value: u64, bits| Argument::Unsigned { value, bits };
    let signed = |value: i64, bits| Argument::Signed { value, bits };
    Some(match kind {
        Kind::U8 => found(unsigned(from.u8()?.into(), 8)),
        Kind::U16 => found(unsigned(from.u16()?.into(), 16)),
        Kind::U32 => found(unsigned(from.u32()?.into(), 32)),
        Kind::U64 => found(unsigned(from.u64()?, 64)),
        Kind::I8 => found(signed(from.u8()?.cast_signed().into(), 8)),
        Kind::I16 => found(signed(from.u16()?.cast_signed().into(), 16)),
        Kind::I32 => found(signed(from.u32()?.cast_signed().into(), 32)),
        Kind::I64 => found(signed(from.u64()?.cast_signed(), 64)),
        Kind::Hex8 => found(Argument::Pointer(from.u8()?.into())),
        Kind::Hex16 => found(Argument::Pointer(from.u16()?.into())),
        Kind::Hex32 => found(Argument::Pointer(from.u32()?.into())),
        Kind::Hex64 => found(Argument::Pointer(from.u64()?)),
        Kind::F32 => found(Argument::F32(f32::from_bits(from.u32()?))),
        Kind::F64 => found(Argument::F64(f64::from_bits(from.u64()?))),
        Kind::Bool => found(Argument::Bool(from.u8()? != 0)),
        Kind::Char => found(character(from.bytes(4)?)),
        Kind::Chars(bytes) => {
            let bytes = from.bytes(*bytes)?;
            let end = bytes.iter().position(|byte| *byte == 0);
            let text = core::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]);
            found(Argument::Text(text.unwrap_or("?")))
        }
        Kind::Enum(class) => number(class, from, |value, bits| {
            match class.values.iter().find(|(_, known)| *known == value) {
                Some((label, _)) => found(Argument::Label {
                    label: &label,
                    value: value as u64,
                }),
                None if value < 0 => found(signed(value as i64, bits)),
                None => found(unsigned(value as u64, bits)),
            }
        })?,
        Kind::Flags(class) => number(class, from, |value, _| {
            found(Argument::Label {
                label: &Flags { class, value },
                value: value as u64,
            })
        })?,
        Kind::Str => {
            let length = from.u16()?;
            let text = core::str::from_utf8(from.bytes(length.into())?);
            found(Argument::Text(text.unwrap_or("?")))
        }
        Kind::String => {
            let mut rest = from.clone();
            skip(kind, &mut rest)?;
            let bytes = from.bytes(rest.offset() - from.offset())?;
            let text = core::str::from_utf8(&bytes[..bytes.len() - 1]);
            found(Argument::Formatted(text.unwrap_or("?")))
        }
        Kind::Blob => {
            let length = from.u16()?;
            found(Argument::List(&Bytes(from.bytes(length.into())?)))
        }
        Kind::Array(of, count) => several(of, *count, from, found),
        Kind::Sequence(of) => {
            let count = from.u16()?;
            several(of, count.into(), from, found)
        }
        Kind::Optional(of) => match from.u8()? {
            0 => found(Argument::Option(None)),
            _ => tell(of, from, &mut |value| found(Argument::Option(Some(&value))))?,
        },
        Kind::Text(_) | Kind::Bytes(_) => return None,
    })
}

/// Reads the number that a class of names is stored as; `found` is given it and its bits.
fn number<R>(
    class: &EnumClass,
    from: &mut Fields<'_>,
    found: impl FnOnce(i128, u8) -> R,
) -> Option<R> {
    let value = match class.stored {
        Kind::I8 => from.u8()?.cast_signed().into(),
        Kind::I16 => from.u16()?.cast_signed().into(),
        Kind::I32 => from.u32()?.cast_signed().into(),
        Kind::I64 => from.u64()?.cast_signed().into(),
        Kind::U8 => from.u8()?.into(),
        Kind::U16 => from.u16()?.into(),
        Kind::U32 => from.u32()?.into(),
        Kind::U64 => from.u64()?.into(),
        _ => return None,
    };
    let bits = class.stored.size()? * 8;
    Some(found(value, bits as u8))
}

/// The character in four bytes of UTF-8.
fn character(bytes: &[u8]) -> Argument<'static> {
    let end = bytes.iter().skip(1).position(|byte| *byte == 0);
    let bytes = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
    let text = core::str::from_utf8(bytes).ok();
    let character = text.and_then(|text| text.chars().next());
    Argument::Char(character.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Calls `found` with a list of `count` values, and goes behind them.
fn several(
    of: &'static Kind,
    count: usize,
    from: &mut Fields<'_>,
    found: &mut dyn FnMut(Argument<'_>) -> fmt::Result,
) -> fmt::Result {
    let list = Several {
        of,
        count,
        from: from.clone(),
    };
    let told = found(Argument::List(&list));
    for _ in 0..count {
        if skip(of, from).is_none() {
            break;
        }
    }
    told
}

/// Values of one kind, side by side.
struct Several<'a> {
    of: &'static Kind,
    count: usize,
    from: Fields<'a>,
}

impl List for Several<'_> {
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        let mut from = self.from.clone();
        for _ in 0..self.count {
            match tell(self.of, &mut from, element) {
                Some(told) => told?,
                None => break,
            }
        }
        Ok(())
    }
}

/// The names of the bits that are set, and the rest of them.
struct Flags<'a> {
    class: &'a EnumClass,
    value: i128,
}

impl fmt::Display for Flags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.value;
        let mut separator = "";
        for (label, bits) in self.class.values {
            if *bits != 0 && rest & bits == *bits {
                write!(f, "{separator}{label}")?;
                rest &= !bits;
                separator = "|";
            }
        }
        match (rest, separator) {
            (0, "") => f.write_str("0"),
            (0, _) => Ok(()),
            (rest, _) => write!(f, "{separator}{rest:#x}"),
        }
    }
}
