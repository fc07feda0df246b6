//! The types of fields.

use std::sync::Arc;

/// The most fields that one record may have, elements of arrays included.
pub(super) const MAX_WEIGHT: u64 = 1 << 16;

/// A field's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// An integer.
    Int(Int),
    /// An integer whose values have names.
    Enum(Arc<Enum>),
    /// A floating point number of so many bytes, 4 or 8.
    Float(u8),
    /// A text up to a zero byte.
    String,
    /// Several of one type.
    Array(Arc<Type>, Len),
    /// Fields.
    Struct(Struct),
}

/// An integer, little-endian. Bit fields, integers of other than whole bytes, are only known beside
/// each other in what the format fixes: the event header and context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    /// How many bits, 1 to 64.
    pub bits: u8,
    /// How many bytes these take, 1 to 8.
    pub bytes: u8,
    /// Whether it is signed.
    pub signed: bool,
    /// The base in which people want to see it.
    pub base: u8,
    /// Whether arrays of it are text.
    pub text: bool,
    /// Whether it counts the clock's ticks.
    pub clock: bool,
}

/// An enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// What it is stored as.
    pub container: Int,
    /// Names with the first and last of their values.
    pub labels: Vec<(String, i128, i128)>,
    /// What a value is.
    pub form: EnumForm,
}

/// What a value of an enumeration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnumForm {
    /// One of the names.
    Choice,
    /// No or yes: a byte, with the names `false` for 0 and `true` for 1, and no others.
    Bool,
    /// Bits, each with a name: an integer that people want to see in base 16.
    Flags,
}

impl Enum {
    /// Puts an enumeration together.
    pub(super) fn new(container: Int, labels: Vec<(String, i128, i128)>) -> Self {
        let is_bool = container.bits == 8
            && !container.signed
            && labels.len() == 2
            && ["false", "true"].iter().zip(0..).all(|(name, value)| {
                let mut labels = labels.iter();
                labels.any(|(label, from, to)| label == name && (*from, *to) == (value, value))
            });
        let form = match container.base {
            _ if is_bool => EnumForm::Bool,
            16 => EnumForm::Flags,
            _ => EnumForm::Choice,
        };
        Self {
            container,
            labels,
            form,
        }
    }

    /// The first name of a value.
    #[must_use]
    pub fn label(&self, value: i128) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(_, from, to)| (*from..=*to).contains(&value))
            .map(|(name, ..)| name.as_str())
    }
}

/// How many elements an array has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Len {
    /// Always so many.
    Fixed(u64),
    /// As the earlier field with this place in the same structure says.
    Field(usize),
    /// The same, of what is there or not: 0 or 1, in one byte.
    Option(usize),
}

impl Len {
    /// The place of the field that says it.
    #[must_use]
    pub fn field(self) -> Option<usize> {
        match self {
            Self::Fixed(_) => None,
            Self::Field(at) | Self::Option(at) => Some(at),
        }
    }
}

/// A structure: fields one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// The fields.
    pub fields: Arc<[Field]>,
    /// The fewest bytes that a value takes.
    min_size: u64,
    /// How many values it holds at least, itself included.
    weight: u64,
    /// How many structures lie within each other, itself included.
    depth: u32,
    /// Whether there is a bit field in it.
    has_bit_fields: bool,
    /// Whether all values take the same number of bytes.
    is_fixed: bool,
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, without the underscore that keeps it from being a keyword.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// Whether it only says the length of the field behind it: `__x_length` of `x`. Nobody has
    /// written it, so it is not shown.
    pub is_length: bool,
}

impl Type {
    /// The integer that it is, or is stored as.
    #[must_use]
    pub fn as_int(&self) -> Option<Int> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Enum(class) => Some(class.container),
            _ => None,
        }
    }

    /// Whether it is one byte of text or of plain data, so that arrays of it
    /// are slices.
    #[must_use]
    pub fn is_byte(&self) -> bool {
        matches!(
            self,
            Self::Int(Int {
                bytes: 1,
                signed: false,
                ..
            })
        )
    }

    /// Whether there is a bit field in it.
    #[must_use]
    pub fn has_bit_fields(&self) -> bool {
        match self {
            Self::Array(of, _) => of.has_bit_fields(),
            Self::Struct(of) => of.has_bit_fields(),
            kind => kind.as_int().is_some_and(|int| int.bits % 8 != 0),
        }
    }

    /// The fewest bytes that a value takes.
    #[must_use]
    pub fn min_size(&self) -> u64 {
        match self {
            Self::Int(int) => int.bytes.into(),
            Self::Enum(class) => class.container.bytes.into(),
            Self::Float(bytes) => (*bytes).into(),
            Self::String => 1,
            Self::Array(of, Len::Fixed(length)) => of.min_size().saturating_mul(*length),
            Self::Array(_, Len::Field(_) | Len::Option(_)) => 0,
            Self::Struct(of) => of.min_size(),
        }
    }

    /// Whether all values take the same number of bytes.
    fn is_fixed(&self) -> bool {
        match self {
            Self::Int(_) | Self::Enum(_) | Self::Float(_) => true,
            Self::String => false,
            Self::Array(of, length) => length.field().is_none() && of.is_fixed(),
            Self::Struct(of) => of.is_fixed,
        }
    }

    /// How many structures lie within each other.
    fn depth(&self) -> u32 {
        match self {
            Self::Array(of, _) => of.depth(),
            Self::Struct(of) => of.depth(),
            _ => 0,
        }
    }

    /// How many values it holds at least, itself included; slices count once.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Array(of, Len::Fixed(length)) if !of.is_byte() => {
                of.weight().saturating_mul(*length).saturating_add(1)
            }
            Self::Struct(of) => of.weight(),
            _ => 1,
        }
    }
}

impl Struct {
    /// Puts fields together. What is asked for later is counted here, once:
    /// named structures may hold each other many times over.
    pub(super) fn new(fields: Vec<Field>) -> Self {
        let sum = |of: fn(&Type) -> u64, begin| {
            let each = fields.iter().map(|field| of(&field.kind));
            each.fold(begin, u64::saturating_add)
        };
        let depths = fields.iter().map(|field| field.kind.depth());
        Self {
            min_size: sum(Type::min_size, 0),
            weight: sum(Type::weight, 1),
            depth: depths.fold(0, u32::max) + 1,
            has_bit_fields: fields.iter().any(|field| field.kind.has_bit_fields()),
            is_fixed: fields.iter().all(|field| field.kind.is_fixed()),
            fields: fields.into(),
        }
    }

    /// The fewest bytes that a value takes.
    #[must_use]
    pub fn min_size(&self) -> u64 {
        self.min_size
    }

    /// How many bytes every value takes, if that does not depend on what is in it.
    #[must_use]
    pub fn fixed_size(&self) -> Option<u64> {
        let is_known = self.is_fixed && !self.has_bit_fields;
        is_known.then_some(self.min_size)
    }

    /// Whether there is a bit field in it.
    #[must_use]
    pub fn has_bit_fields(&self) -> bool {
        self.has_bit_fields
    }

    /// How many values it holds at least, itself included.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// How many structures lie within each other, itself included.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }
}

impl Default for Struct {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}
