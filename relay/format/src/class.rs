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
    /// A number of 8 bits, each value with a name.
    Enum(&'static EnumClass),
    /// UTF-8 text; its length in bytes is the earlier field of this name.
    Text(&'static str),
    /// Bytes; their number is the earlier field of this name.
    Bytes(&'static str),
}

/// Names for the values of an 8-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumClass {
    /// The name of the type.
    pub name: &'static str,
    /// The values and their names.
    pub values: &'static [(&'static str, u8)],
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
    /// The kinds of its records.
    pub events: &'static [EventClass],
}

/// The names of [contexts](crate::Context).
pub const CONTEXT: EnumClass = EnumClass {
    name: "context_t",
    values: &{
        let mut values = [("", 0); crate::Context::ALL.len()];
        let mut i = 0;
        while i < values.len() {
            let context = crate::Context::ALL[i];
            values[i] = (context.name(), context as u8);
            i += 1;
        }
        values
    },
};

/// The names of [severities](crate::Severity).
pub const SEVERITY: EnumClass = EnumClass {
    name: "severity_t",
    values: &{
        let mut values = [("", 0); crate::Severity::ALL.len()];
        let mut i = 0;
        while i < values.len() {
            let severity = crate::Severity::ALL[i];
            values[i] = (severity.name(), severity as u8);
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
