//! How kinds of records and their fields are described: what a client declares, and the metadata
//! tells.

/// The type of a field. All are little-endian and aligned to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned number of 8 bits.
    U8,
    /// An unsigned number of 16 bits.
    U16,
    /// An unsigned number of 32 bits.
    U32,
    /// An unsigned number of 64 bits.
    U64,
    /// A signed number of 8 bits.
    I8,
    /// A signed number of 16 bits.
    I16,
    /// A signed number of 32 bits.
    I32,
    /// A signed number of 64 bits.
    I64,
    /// A number of 8 bits that people want to see in base 16.
    Hex8,
    /// The same of 16 bits.
    Hex16,
    /// The same of 32 bits.
    Hex32,
    /// The same of 64 bits; an address.
    Hex64,
    /// A floating point number of 32 bits (IEEE 754).
    F32,
    /// The same of 64 bits.
    F64,
    /// 0 or 1, in a byte.
    Bool,
    /// A character: its UTF-8 in four bytes, the rest of them zero.
    Char,
    /// UTF-8 text in so many bytes, the rest of them zero.
    Chars(usize),
    /// A number, some values of which have names.
    Enum(&'static EnumClass),
    /// A number, the bits of which have names.
    Flags(&'static EnumClass),
    /// UTF-8 text; its length in bytes is the earlier field of this name.
    Text(&'static str),
    /// Bytes; their number is the earlier field of this name.
    Bytes(&'static str),
    /// UTF-8 text up to a zero byte: what was formatted when it was written.
    String,
    /// The number of bytes in 16 bits, then so many of UTF-8 text.
    Str,
    /// The number of bytes in 16 bits, then so many.
    Blob,
    /// So many of one kind.
    Array(&'static Kind, usize),
    /// A number in 16 bits, then so many of one kind.
    Sequence(&'static Kind),
    /// 0 or 1 in a byte, then so many of one kind.
    Optional(&'static Kind),
}

impl Kind {
    /// Bytes of a value, if all have the same.
    #[must_use]
    pub const fn size(&self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Hex8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 | Self::Hex16 => Some(2),
            Self::U32 | Self::I32 | Self::Hex32 | Self::F32 | Self::Char => Some(4),
            Self::U64 | Self::I64 | Self::Hex64 | Self::F64 => Some(8),
            Self::Chars(bytes) => Some(*bytes),
            Self::Enum(class) | Self::Flags(class) => class.stored.size(),
            Self::Array(of, count) => match of.size() {
                Some(size) => size.checked_mul(*count),
                None => None,
            },
            Self::Text(_)
            | Self::Bytes(_)
            | Self::String
            | Self::Str
            | Self::Blob
            | Self::Sequence(_)
            | Self::Optional(_) => None,
        }
    }
}

/// Names for the values of a number, or for its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumClass {
    /// What it is stored as: a number.
    pub stored: &'static Kind,
    /// The names and their values.
    pub values: &'static [(&'static str, i128)],
}

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
}

impl Field {
    /// A field with this name and type.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventClass {
    /// The id in the stamp of its records, below [`EVENTS`](crate::stamp::EVENTS).
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// Its fields, in order, after the stamp.
    pub fields: &'static [Field],
}

/// A channel, as the metadata describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamClass {
    /// The channel's number, from 1.
    pub id: u32,
    /// Its name: lower-case letters, digits, hyphens.
    pub name: &'static str,
    /// Whether it has one stream, which all CPUs write, instead of one for each.
    pub is_global: bool,
    /// Whether its rings overwrite what nobody has read: packets may be absent then.
    pub overwrites: bool,
    /// Whether somebody in the machine takes its packets, so that they are not in the capture; what
    /// its writers claim is.
    pub is_taken: bool,
    /// The kinds of its records.
    pub events: &'static [EventClass],
}

/// What records of some classes have between their stamp and their fields, as the `context` of
/// their class: who wrote them. The names are those of LTTng's contexts.
pub const WHO: [Field; 2] = [Field::new("pid", Kind::I32), Field::new("tid", Kind::I32)];

/// The names of [contexts](crate::Context).
pub const CONTEXT: EnumClass = EnumClass {
    stored: &Kind::U8,
    values: &{
        let mut values = [("", 0); crate::Context::ALL.len()];
        let mut i = 0;
        while i < values.len() {
            let context = crate::Context::ALL[i];
            values[i] = (context.name(), context as i128);
            i += 1;
        }
        values
    },
};

/// The names of [severities](crate::Severity).
pub const SEVERITY: EnumClass = EnumClass {
    stored: &Kind::U8,
    values: &{
        let mut values = [("", 0); crate::Severity::ALL.len()];
        let mut i = 0;
        while i < values.len() {
            let severity = crate::Severity::ALL[i];
            values[i] = (severity.name(), severity as i128);
            i += 1;
        }
        values
    },
};

/// What records that are given up leave, as event classes: see [`filler`](crate::filler).
pub const FILLERS: [EventClass; 3] = [
    EventClass {
        id: crate::filler::EMPTY,
        name: "filler_empty",
        fields: &[],
    },
    EventClass {
        id: crate::filler::SHORT,
        name: "filler_short",
        fields: &[
            Field::new("n", Kind::U8),
            Field::new("bytes", Kind::Bytes("n")),
        ],
    },
    EventClass {
        id: crate::filler::LONG,
        name: "filler_long",
        fields: &[
            Field::new("n", Kind::U32),
            Field::new("bytes", Kind::Bytes("n")),
        ],
    },
];
