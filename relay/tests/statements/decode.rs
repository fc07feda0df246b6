//! A record, by its class.

use relay::event::{Field, Kind, Registered, Site};
use relay::record::Fields;
use relay_text::{Argument, List};
use std::fmt;

/// A record and its class.
pub(crate) struct Record {
    pub(crate) site: &'static Site,
    pub(crate) class: Registered,
    pub(crate) values: Vec<(&'static str, Value)>,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64, u8),
    Signed(i64, u8),
    Hex(u64),
    Bool(bool),
    Char(char),
    F32(f32),
    F64(f64),
    /// The names, and the number.
    Named(String, u64),
    Text(String),
    Formatted(String),
    List(Vec<Value>),
    Option(Option<Box<Value>>),
}

impl Record {
    /// Reads the fields of a record, and not a byte more.
    pub(crate) fn read(class: &Registered, fields: &mut Fields<'_>) -> Self {
        let values = class.class.fields.iter();
        let values = values.map(|Field { name, kind }| (*name, Value::read(kind, fields)));
        Self {
            site: class.site,
            class: *class,
            values: values.collect(),
        }
    }

    /// The sentence: of a statement its template, of an event its text, filled in.
    pub(crate) fn sentence(&self) -> String {
        let template = self.site.text().unwrap_or(self.site.name());
        let mut text = String::new();
        relay_text::write(&mut text, template, self).expect("a text takes all");
        text
    }

    /// Names and kinds of the fields.
    pub(crate) fn kinds(&self) -> Vec<(&'static str, Kind)> {
        let fields = self.class.class.fields.iter();
        fields.map(|field| (field.name, field.kind)).collect()
    }
}

/// The next bytes as a number.
fn number(fields: &mut Fields<'_>, size: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(fields.bytes(size).expect("a number"));
    u64::from_le_bytes(bytes)
}

fn signed(fields: &mut Fields<'_>, size: usize) -> i64 {
    let unused = 64 - 8 * u32::try_from(size).expect("at most 8");
    (number(fields, size) << unused).cast_signed() >> unused
}

fn text(fields: &mut Fields<'_>, size: usize) -> String {
    let bytes = fields.bytes(size).expect("a text");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// So many of one kind.
fn several(kind: &Kind, count: usize, fields: &mut Fields<'_>) -> Vec<Value> {
    (0..count).map(|_| Value::read(kind, fields)).collect()
}

impl Value {
    fn read(kind: &Kind, fields: &mut Fields<'_>) -> Self {
        let size = kind.size().unwrap_or_default();
        let bits = u8::try_from(8 * size.min(8)).expect("at most 64");
        match *kind {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => {
                Self::Unsigned(number(fields, size), bits)
            }
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => {
                Self::Signed(signed(fields, size), bits)
            }
            Kind::Hex8 | Kind::Hex16 | Kind::Hex32 | Kind::Hex64 => Self::Hex(number(fields, size)),
            Kind::F32 => Self::F32(f32::from_bits(
                u32::try_from(number(fields, 4)).expect("32 bits"),
            )),
            Kind::F64 => Self::F64(f64::from_bits(number(fields, 8))),
            Kind::Bool => match number(fields, 1) {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                other => panic!("{other} is no bool"),
            },
            Kind::Char => {
                let text = text(fields, 4);
                let mut letters = text.trim_end_matches('\0').chars();
                let letter = letters.next().unwrap_or('\0');
                assert_eq!(letters.next(), None);
                Self::Char(letter)
            }
            Kind::Chars(bytes) => {
                let text = text(fields, bytes);
                Self::Text(text.trim_end_matches('\0').to_owned())
            }
            Kind::Enum(class) => {
                let value = Self::read(class.stored, fields).whole();
                let mut names = class.values.iter();
                let name = names.find(|(_, own)| *own == value).expect("a name");
                Self::Named(name.0.to_owned(), value as u64)
            }
            Kind::Flags(class) => {
                let value = number(fields, class.stored.size().expect("a number"));
                let set = class
                    .values
                    .iter()
                    .filter(|(_, own)| i128::from(value) & own != 0);
                let names: Vec<_> = set.map(|(name, _)| *name).collect();
                Self::Named(names.join("|"), value)
            }
            Kind::Str => {
                let size = number(fields, 2);
                Self::Text(text(fields, usize::try_from(size).expect("16 bits")))
            }
            Kind::String => {
                let mut bytes = Vec::new();
                loop {
                    match fields.u8().expect("a zero byte") {
                        0 => break,
                        byte => bytes.push(byte),
                    }
                }
                Self::Formatted(String::from_utf8(bytes).expect("UTF-8"))
            }
            Kind::Blob => {
                let count = usize::try_from(number(fields, 2)).expect("16 bits");
                Self::List(several(&Kind::U8, count, fields))
            }
            Kind::Sequence(kind) => {
                let count = usize::try_from(number(fields, 2)).expect("16 bits");
                Self::List(several(kind, count, fields))
            }
            Kind::Array(kind, count) => Self::List(several(kind, count, fields)),
            Kind::Optional(kind) => match number(fields, 1) {
                0 => Self::Option(None),
                1 => Self::Option(Some(Box::new(Self::read(kind, fields)))),
                other => panic!("{other} values in an option"),
            },
            Kind::Text(_) | Kind::Bytes(_) => panic!("{kind:?} is of events by hand"),
        }
    }

    /// A whole number.
    fn whole(&self) -> i128 {
        match self {
            Self::Unsigned(value, _) => i128::from(*value),
            Self::Signed(value, _) => i128::from(*value),
            other => panic!("{other:?} is no number"),
        }
    }

    fn with(&self, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        match self {
            Self::Unsigned(value, bits) => found(Argument::Unsigned {
                value: *value,
                bits: *bits,
            }),
            Self::Signed(value, bits) => found(Argument::Signed {
                value: *value,
                bits: *bits,
            }),
            Self::Hex(value) => found(Argument::Pointer(*value)),
            Self::Bool(value) => found(Argument::Bool(*value)),
            Self::Char(value) => found(Argument::Char(*value)),
            Self::F32(value) => found(Argument::F32(*value)),
            Self::F64(value) => found(Argument::F64(*value)),
            Self::Named(label, value) => found(Argument::Label {
                label,
                value: *value,
            }),
            Self::Text(text) => found(Argument::Text(text)),
            Self::Formatted(text) => found(Argument::Formatted(text)),
            Self::List(values) => found(Argument::List(&Listed(values))),
            Self::Option(None) => found(Argument::Option(None)),
            Self::Option(Some(value)) => {
                value.with(&mut |argument| found(Argument::Option(Some(&argument))))
            }
        }
    }
}

/// Values as a list.
struct Listed<'a>(&'a [Value]);

impl List for Listed<'_> {
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        self.0.iter().try_for_each(|value| value.with(element))
    }
}

impl relay_text::Fields for Record {
    fn find(&self, name: &str, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        match self.values.iter().find(|(own, _)| *own == name) {
            Some((_, value)) => value.with(found),
            None => Ok(()),
        }
    }
}
