//! The values of fields.

use std::fmt;

use crate::tsdl::{Len, Struct, Type};

/// The most values in one record. What a record holds takes several times its
/// bytes here.
const MAX_VALUES: u64 = 1 << 20;

/// The value of a field. Texts and data are borrowed from the packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer without sign.
    Unsigned(u64),
    /// An integer with sign.
    Signed(i64),
    /// A floating point number.
    Float(f64),
    /// A text; UTF-8 if the sender keeps the rules.
    Text(&'a [u8]),
    /// Plain bytes.
    Bytes(&'a [u8]),
    /// The elements of an array, or the fields of a structure.
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// The integer that it is.
    #[must_use]
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Unsigned(value) => Some((*value).into()),
            Self::Signed(value) => Some((*value).into()),
            _ => None,
        }
    }

    /// The integer without sign that it is.
    #[must_use]
    pub fn as_unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            _ => None,
        }
    }
}

/// Why fields cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// The contents end within the value.
    Cut,
    /// More values than a record may have.
    TooMany,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the packet's contents end within it"),
            Self::TooMany => write!(f, "it has more than {MAX_VALUES} values"),
        }
    }
}

/// Reads values from bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// What is left.
    pub(super) rest: &'a [u8],
    /// How many values were read.
    count: u64,
}

impl<'a> Reader<'a> {
    /// Begins with `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            count: 0,
        }
    }

    /// Takes so many bytes.
    pub(super) fn bytes(&mut self, length: u64) -> Result<&'a [u8], ValueError> {
        let length = usize::try_from(length).map_err(|_| ValueError::Cut)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ValueError::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes an integer of up to eight bytes.
    pub(super) fn integer(&mut self, bytes: u8) -> Result<u64, ValueError> {
        let taken = self.bytes(bytes.into())?;
        let mut wide = [0; 8];
        wide[..taken.len()].copy_from_slice(taken);
        Ok(u64::from_le_bytes(wide))
    }

    /// Takes the fields of a structure.
    pub(super) fn fields(
        &mut self,
        of: &Struct,
        values: &mut Vec<Value<'a>>,
    ) -> Result<(), ValueError> {
        let first = values.len();
        for field in of.fields.iter() {
            let value = self.value(&field.kind, &values[first..])?;
            values.push(value);
        }
        Ok(())
    }

    /// Goes on behind the fields of a structure, as [`fields`](Self::fields) does, without making
    /// their values; false, and nowhere, if these are needed for it.
    pub(super) fn skip(&mut self, of: &Struct) -> Result<bool, ValueError> {
        /// How many fields may come before one that says a length.
        const MAX: usize = 32;
        let (begin, count) = (self.rest, self.count);
        let mut numbers = [0; MAX];
        for (at, field) in of.fields.iter().enumerate() {
            self.count += 1;
            if self.count > MAX_VALUES {
                return Err(ValueError::TooMany);
            }
            let length = match &field.kind {
                Type::Array(_, Len::Fixed(length)) => *length,
                Type::Array(_, Len::Field(place) | Len::Option(place)) => {
                    numbers.get(*place).copied().unwrap_or(u64::MAX)
                }
                _ => 0,
            };
            match &field.kind {
                Type::Float(bytes) => drop(self.bytes((*bytes).into())?),
                Type::String => {
                    let end = memchr::memchr(0, self.rest).ok_or(ValueError::Cut)?;
                    self.bytes(end as u64 + 1)?;
                }
                // What has elements with elements is not looked into here.
                Type::Array(of, _) if at < MAX && of.is_byte() => drop(self.bytes(length)?),
                Type::Array(of, _) if at < MAX && of.as_int().is_some() => {
                    self.count = self.count.saturating_add(length);
                    if self.count > MAX_VALUES && length <= self.rest.len() as u64 {
                        return Err(ValueError::TooMany);
                    }
                    self.bytes(length.saturating_mul(of.min_size()))?;
                }
                kind => match kind.as_int() {
                    Some(int) if at < MAX && !int.signed => {
                        numbers[at] = self.integer(int.bytes)?
                    }
                    Some(int) => drop(self.bytes(int.bytes.into())?),
                    None => {
                        (self.rest, self.count) = (begin, count);
                        return Ok(false);
                    }
                },
            }
        }
        Ok(true)
    }

    /// Takes a value; `before` are the fields before it.
    fn value(&mut self, kind: &Type, before: &[Value<'a>]) -> Result<Value<'a>, ValueError> {
        self.count += 1;
        if self.count > MAX_VALUES {
            return Err(ValueError::TooMany);
        }
        if let Some(int) = kind.as_int() {
            let raw = self.integer(int.bytes)?;
            if !int.signed {
                return Ok(Value::Unsigned(raw));
            }
            let unused = 64 - 8 * u32::from(int.bytes);
            return Ok(Value::Signed((raw << unused).cast_signed() >> unused));
        }
        match kind {
            Type::Int(_) | Type::Enum(_) => Err(ValueError::Cut),
            Type::Float(4) => {
                let bits = self.integer(4)?;
                let bits = u32::try_from(bits).unwrap_or_default();
                Ok(Value::Float(f32::from_bits(bits).into()))
            }
            Type::Float(_) => Ok(Value::Float(f64::from_bits(self.integer(8)?))),
            Type::String => {
                let end = self.rest.iter().position(|byte| *byte == 0);
                let end = end.ok_or(ValueError::Cut)?;
                let text = self.bytes(end as u64)?;
                self.bytes(1)?;
                Ok(Value::Text(text))
            }
            Type::Struct(of) => {
                let mut values = Vec::with_capacity(of.fields.len());
                self.fields(of, &mut values)?;
                Ok(Value::List(values))
            }
            Type::Array(of, length) => {
                let length = match length {
                    Len::Fixed(length) => *length,
                    // The metadata's reader has made sure that there is such a field.
                    Len::Field(at) | Len::Option(at) => {
                        before.get(*at).and_then(Value::as_unsigned).unwrap_or(0)
                    }
                };
                self.array(of, length, before)
            }
        }
    }

    /// Takes an array.
    fn array(
        &mut self,
        of: &Type,
        length: u64,
        before: &[Value<'a>],
    ) -> Result<Value<'a>, ValueError> {
        if of.is_byte() {
            let bytes = self.bytes(length)?;
            return Ok(match of.as_int().is_some_and(|int| int.text) {
                true => Value::Text(bytes),
                false => Value::Bytes(bytes),
            });
        }
        // Elements have a size, so that a length cannot promise more than is there.
        if length > self.rest.len() as u64 {
            return Err(ValueError::Cut);
        }
        if self.count.saturating_add(length) > MAX_VALUES {
            return Err(ValueError::TooMany);
        }
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(self.value(of, before)?);
        }
        Ok(Value::List(values))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::records::Schema;

    /// What stands before the class.
    const METADATA: &str = include_str!("../../../tests/data/metadata");

    /// A structure with these fields.
    fn fields(fields: &str) -> Struct {
        let class = format!(
            "event {{ name = \"x\"; id = 300; stream_id = 1; fields := struct {{ {fields} }}; }};"
        );
        let schema = Schema::read([METADATA, &class].concat().as_bytes()).expect("it is good");
        let event = schema.channel(1).and_then(|channel| channel.event(300));
        event.expect("it is there").fields.clone()
    }

    proptest! {
        /// What is skipped is what would have been read, and so is what is wrong.
        #[test]
        fn skipping_is_reading_without_values(
            bytes in vec(prop_oneof![0..4u8, any::<u8>()], 0..60),
        ) {
            for (text, can_skip) in [
                ("uint8_t a; int16_t b; uint8_t n; uint16_t l[n]; string s; uint8_t t[n];", true),
                ("uint8_t n; utf8_t t[n]; uint8_t m; int32_t l[m]; utf8_t c[4]; int8_t e[3];", true),
                ("int8_t n; uint8_t l[2]; floating_point { exp_dig = 8; mant_dig = 24; } f;", true),
                ("enum : uint8_t { \"A\" = 0 } e; uint8_t n; string l; uint8_t z;", true),
                ("uint8_t n; struct { uint8_t x; } align(8) s[n]; uint8_t z;", false),
                ("uint8_t a; struct { uint8_t x; } align(8) s;", false),
            ] {
                let of = fields(text);
                let (mut read, mut skipped) = (Reader::new(&bytes), Reader::new(&bytes));
                let wanted = read.fields(&of, &mut Vec::new());
                match skipped.skip(&of) {
                    Ok(false) => {
                        prop_assert!(!can_skip, "{}", text);
                        prop_assert_eq!(skipped.rest, &bytes[..]);
                    }
                    Ok(true) => {
                        prop_assert_eq!(wanted, Ok(()), "{}", text);
                        prop_assert_eq!((skipped.rest, skipped.count), (read.rest, read.count));
                    }
                    Err(error) => prop_assert_eq!(wanted, Err(error), "{}", text),
                }
            }
        }
    }
}
