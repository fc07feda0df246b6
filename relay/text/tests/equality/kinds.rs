//! Values of every kind, for both sides.

use crate::spellings as say;
use proptest::prelude::*;
use relay_text::{Argument, Bytes};

/// A value that both `format!` and this crate are given.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Usize(usize),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    Isize(isize),
    F32(f32),
    F64(f64),
    Bool(bool),
    Char(char),
    Text(String),
    Address(u64),
    Bytes(Vec<u8>),
    Numbers([i16; 3]),
    Texts(Vec<String>),
    Nested(Vec<Vec<u8>>),
    Option(Option<i32>),
    Deep(Option<Option<char>>),
}

/// Calls what follows with the number, of any type.
macro_rules! for_number {
    ($value:expr, $number:ident => $body:expr, else $other:expr) => {
        match $value {
            Value::U8($number) => $body,
            Value::U16($number) => $body,
            Value::U32($number) => $body,
            Value::U64($number) => $body,
            Value::Usize($number) => $body,
            Value::I8($number) => $body,
            Value::I16($number) => $body,
            Value::I32($number) => $body,
            Value::I64($number) => $body,
            Value::Isize($number) => $body,
            _ => $other,
        }
    };
}

fn unsigned(value: impl TryInto<u64>, bits: u32) -> Argument<'static> {
    let value = value.try_into().ok().expect("at most 64 bits");
    let bits = u8::try_from(bits).expect("at most 64");
    Argument::Unsigned { value, bits }
}

fn signed(value: impl TryInto<i64>, bits: u32) -> Argument<'static> {
    let value = value.try_into().ok().expect("at most 64 bits");
    let bits = u8::try_from(bits).expect("at most 64");
    Argument::Signed { value, bits }
}

/// A character out of the air, as a pointer to it: `core::fmt` prints the address alone.
fn pointer(address: u64) -> *const u8 {
    std::ptr::without_provenance(usize::try_from(address).expect("64 bits"))
}

impl Value {
    pub(crate) fn with_argument(&self, take: &mut dyn FnMut(Argument<'_>)) {
        match self {
            Self::U8(value) => take(unsigned(*value, u8::BITS)),
            Self::U16(value) => take(unsigned(*value, u16::BITS)),
            Self::U32(value) => take(unsigned(*value, u32::BITS)),
            Self::U64(value) => take(unsigned(*value, u64::BITS)),
            Self::Usize(value) => take(unsigned(*value, usize::BITS)),
            Self::I8(value) => take(signed(*value, i8::BITS)),
            Self::I16(value) => take(signed(*value, i16::BITS)),
            Self::I32(value) => take(signed(*value, i32::BITS)),
            Self::I64(value) => take(signed(*value, i64::BITS)),
            Self::Isize(value) => take(signed(i64::try_from(*value).unwrap(), isize::BITS)),
            Self::F32(value) => take(Argument::F32(*value)),
            Self::F64(value) => take(Argument::F64(*value)),
            Self::Bool(value) => take(Argument::Bool(*value)),
            Self::Char(value) => take(Argument::Char(*value)),
            Self::Text(value) => take(Argument::Text(value)),
            Self::Address(value) => take(Argument::Pointer(*value)),
            Self::Bytes(bytes) => take(Argument::List(&Bytes(bytes))),
            Self::Numbers(numbers) => take(Argument::List(
                &numbers.map(|number| signed(number, i16::BITS)),
            )),
            Self::Texts(texts) => {
                let list: Vec<_> = texts.iter().map(|text| Argument::Text(text)).collect();
                take(Argument::List(&Listed(&list)));
            }
            Self::Nested(lists) => {
                let inner: Vec<_> = lists.iter().map(|bytes| Bytes(bytes)).collect();
                let list: Vec<_> = inner.iter().map(|bytes| Argument::List(bytes)).collect();
                take(Argument::List(&Listed(&list)));
            }
            Self::Option(None) | Self::Deep(None) => take(Argument::Option(None)),
            Self::Option(Some(value)) => {
                take(Argument::Option(Some(&signed(*value, i32::BITS))));
            }
            Self::Deep(Some(inner)) => {
                let inner = inner.map(Argument::Char);
                take(Argument::Option(Some(&Argument::Option(inner.as_ref()))));
            }
        }
    }

    /// The styles that Rust's type has, but `p` of numbers.
    pub(crate) fn styles(&self) -> &'static [&'static str] {
        for_number!(self, _number => &["", "?", "x?", "X?", "x", "X", "o", "b", "e", "E"], else match self {
            Self::F32(_) | Self::F64(_) => &["", "?", "x?", "X?", "e", "E"],
            Self::Address(_) => &["p", "?", "x?", "x", "b"],
            Self::Bool(_) | Self::Char(_) | Self::Text(_) => &["", "?", "x?", "X?"],
            _ => &["?", "x?", "X?"],
        })
    }

    /// What `format!` says; `None` if there is no such literal.
    pub(crate) fn say(&self, style: &str, spec: &str, w: usize, p: usize) -> Option<String> {
        if let (Self::Address(number), "x" | "b") = (self, style) {
            return Self::U64(*number).say(style, spec, w, p);
        }
        match style {
            "x" => for_number!(self, x => say::lower_hex(x, spec, w, p), else None),
            "X" => for_number!(self, x => say::upper_hex(x, spec, w, p), else None),
            "o" => for_number!(self, x => say::octal(x, spec, w, p), else None),
            "b" => for_number!(self, x => say::binary(x, spec, w, p), else None),
            "e" => for_number!(self, x => say::lower_exp(x, spec, w, p), else match self {
                Self::F32(x) => say::lower_exp(x, spec, w, p),
                Self::F64(x) => say::lower_exp(x, spec, w, p),
                _ => None,
            }),
            "E" => for_number!(self, x => say::upper_exp(x, spec, w, p), else match self {
                Self::F32(x) => say::upper_exp(x, spec, w, p),
                Self::F64(x) => say::upper_exp(x, spec, w, p),
                _ => None,
            }),
            "p" => match self {
                Self::Address(x) => say::pointer(pointer(*x), spec, w, p),
                _ => None,
            },
            "" => for_number!(self, x => say::display(x, spec, w, p), else match self {
                Self::F32(x) => say::display(x, spec, w, p),
                Self::F64(x) => say::display(x, spec, w, p),
                Self::Bool(x) => say::display(x, spec, w, p),
                Self::Char(x) => say::display(x, spec, w, p),
                Self::Text(x) => say::display(x, spec, w, p),
                _ => None,
            }),
            "?" => self.debug(say::debug, spec, w, p),
            "x?" => self.debug(say::debug_lower_hex, spec, w, p),
            "X?" => self.debug(say::debug_upper_hex, spec, w, p),
            _ => None,
        }
    }

    fn debug(
        &self,
        debug: fn(&dyn std::fmt::Debug, &str, usize, usize) -> Option<String>,
        spec: &str,
        w: usize,
        p: usize,
    ) -> Option<String> {
        for_number!(self, x => debug(x, spec, w, p), else match self {
            Self::F32(x) => debug(x, spec, w, p),
            Self::F64(x) => debug(x, spec, w, p),
            Self::Bool(x) => debug(x, spec, w, p),
            Self::Char(x) => debug(x, spec, w, p),
            Self::Text(x) => debug(x, spec, w, p),
            Self::Address(x) => debug(&pointer(*x), spec, w, p),
            Self::Bytes(x) => debug(x, spec, w, p),
            Self::Numbers(x) => debug(x, spec, w, p),
            Self::Texts(x) => debug(x, spec, w, p),
            Self::Nested(x) => debug(x, spec, w, p),
            Self::Option(x) => debug(x, spec, w, p),
            Self::Deep(x) => debug(x, spec, w, p),
            _ => None,
        })
    }
}

/// A slice as a list.
struct Listed<'a>(&'a [Argument<'a>]);

impl relay_text::List for Listed<'_> {
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> std::fmt::Result) -> std::fmt::Result {
        self.0.each(element)
    }
}

/// Any number, extreme ones more often.
fn bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0u32..64).prop_map(|shift| u64::MAX >> shift),
        (0u32..64).prop_map(|shift| 1 << shift),
        0u64..20,
    ]
}

/// Whole numbers.
#[expect(clippy::cast_possible_truncation, reason = "all parts are wanted")]
pub(crate) fn number() -> impl Strategy<Value = Value> {
    (bits(), 0..10).prop_map(|(bits, kind)| match kind {
        0 => Value::U8(bits as u8),
        1 => Value::U16(bits as u16),
        2 => Value::U32(bits as u32),
        3 => Value::U64(bits),
        4 => Value::Usize(bits as usize),
        5 => Value::I8(bits as i8),
        6 => Value::I16(bits as i16),
        7 => Value::I32(bits as i32),
        8 => Value::I64(bits as i64),
        _ => Value::Isize(bits as isize),
    })
}

/// Floating-point numbers: any bits, and those that programs have.
pub(crate) fn float() -> impl Strategy<Value = Value> {
    let double = || {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (-1000i32..1000).prop_map(|number| f64::from(number) / 8.0),
            proptest::sample::select(vec![
                0.0,
                -0.0,
                f64::NAN,
                -f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN_POSITIVE,
                1e16,
                1e-5,
                0.1,
            ]),
        ]
    };
    prop_oneof![
        double().prop_map(Value::F64),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        #[expect(clippy::cast_possible_truncation, reason = "it is rounded")]
        double().prop_map(|number| Value::F32(number as f32)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z \\n\"'{}\\\\\\x00é日👍\u{301}]{0,12}",]
}

/// Texts, characters and truths.
pub(crate) fn word() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => any::<bool>().prop_map(Value::Bool),
        2 => any::<char>().prop_map(Value::Char),
        3 => text().prop_map(Value::Text),
    ]
}

/// Addresses.
pub(crate) fn address() -> impl Strategy<Value = Value> {
    bits().prop_map(Value::Address)
}

/// Lists and options.
pub(crate) fn several() -> impl Strategy<Value = Value> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..5);
    prop_oneof![
        bytes().prop_map(Value::Bytes),
        any::<[i16; 3]>().prop_map(Value::Numbers),
        proptest::collection::vec(text(), 0..4).prop_map(Value::Texts),
        proptest::collection::vec(bytes(), 0..3).prop_map(Value::Nested),
        any::<Option<i32>>().prop_map(Value::Option),
        any::<Option<Option<char>>>().prop_map(Value::Deep),
    ]
}
