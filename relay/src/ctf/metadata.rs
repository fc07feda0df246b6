//! The metadata: TSDL text (CTF 1.8, section 7) that describes packets and records.
//!
//! It is written by the kernel itself, from the [event classes](EventClass) that its channels
//! declare, so that a capture explains itself. [`Trace`] is shown (`Display`) as that text, without
//! an allocation.
//!
//! ```
//! use relay::clients::klog;
//! use relay::ctf::metadata::{EventClass, Field, Kind, StreamClass, Trace};
//!
//! const SCHED: StreamClass = StreamClass {
//!     id: 2,
//!     name: "sched",
//!     events: &[EventClass {
//!         id: 1,
//!         name: "switch",
//!         fields: &[Field { name: "task", kind: Kind::U32 }],
//!     }],
//! };
//! let trace = Trace {
//!     uuid: [7; 16],
//!     clock_hz: 1_000_000_000,
//!     cpus: 2,
//!     streams: &[klog::STREAM, SCHED],
//! };
//! let text = trace.to_string();
//! assert!(text.starts_with("/* CTF 1.8 */"));
//! assert!(text.contains("uint32_t task;"));
//! ```

use crate::record;
use core::fmt::{self, Write};

/// The version of the format, `relay_format` in the metadata's `env`.
pub const FORMAT: u32 = 1;

/// A field of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// The type of a field. All are little-endian and aligned to bytes.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
pub struct EnumClass {
    /// The name of the type.
    pub name: &'static str,
    /// The values and their names.
    pub values: &'static [(&'static str, u8)],
}

/// A kind of record.
#[derive(Clone, Copy, Debug)]
pub struct EventClass {
    /// The id in the header of its records.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// Its fields, in order, after header and context.
    pub fields: &'static [Field],
}

/// A channel, as the metadata describes it.
#[derive(Clone, Copy, Debug)]
pub struct StreamClass {
    /// The channel's number, from 1.
    pub id: u32,
    /// Its name: lower-case letters, digits, hyphens.
    pub name: &'static str,
    /// The kinds of its records.
    pub events: &'static [EventClass],
}

/// What the metadata describes. Any context; to show it takes as long as a text of some pages does.
///
/// Names go into the text as they are: they must be those of TSDL, ids below [`record::EVENTS`],
/// and names and ids unique in their class.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The UUID of all packets.
    pub uuid: [u8; 16],
    /// Ticks per second.
    pub clock_hz: u64,
    /// Every channel has streams of CPUs 0 to `cpus - 1`.
    pub cpus: usize,
    /// The channels.
    pub streams: &'a [StreamClass],
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TYPES)?;
        self.write_enums(f)?;
        let uuid = Hyphenated(self.uuid);
        write!(
            f,
            "\ntrace {{\n    major = 1;\n    minor = 8;\n    uuid = \"{uuid}\";\n{TRACE_TAIL}"
        )?;
        self.write_env(f)?;
        write!(f, "{CLOCK_HEAD}    freq = {};\n{CLOCK_TAIL}", self.clock_hz)?;
        self.streams.iter().try_for_each(|stream| stream.write(f))
    }
}

impl Trace<'_> {
    /// The names for the numbers of enumerations, each type once.
    fn write_enums(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = || self.streams.iter().flat_map(|stream| stream.events);
        let fields = || events().flat_map(|event| event.fields);
        let enums = || {
            let of_fields = fields().filter_map(|field| match field.kind {
                Kind::Enum(class) => Some(class),
                _ => None,
            });
            core::iter::once(&CONTEXT).chain(of_fields)
        };
        for (number, class) in enums().enumerate() {
            if enums()
                .take(number)
                .all(|earlier| earlier.name != class.name)
            {
                class.write(f)?;
            }
        }
        Ok(())
    }

    fn write_env(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\nenv {{\n    relay_format = {FORMAT};\n    cpus = {};\n",
            self.cpus
        )?;
        for stream in self.streams {
            writeln!(f, "    channel_{} = \"{}\";", stream.id, stream.name)?;
        }
        f.write_str("};\n")
    }
}

impl EnumClass {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("typealias enum : uint8_t { ")?;
        for (number, (name, value)) in self.values.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{name} = {value}")?;
        }
        writeln!(f, " }} := {};", self.name)
    }
}

impl StreamClass {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        write!(f, "\nstream {{\n    id = {id};\n{STREAM_TAIL}")?;
        self.events
            .iter()
            .chain(&FILLERS)
            .try_for_each(|event| event.write(f, id))
    }
}

impl EventClass {
    fn write(&self, f: &mut fmt::Formatter<'_>, stream: u32) -> fmt::Result {
        let Self { id, name, fields } = self;
        write!(
            f,
            "\nevent {{\n    name = \"{name}\";\n    id = {id};\n    stream_id = {stream};\n"
        )?;
        if fields.is_empty() {
            return f.write_str("    fields := struct {};\n};\n");
        }
        f.write_str("    fields := struct {\n")?;
        for Field { name, kind } in *fields {
            f.write_str("        ")?;
            match kind {
                Kind::U8 => writeln!(f, "uint8_t {name};"),
                Kind::U16 => writeln!(f, "uint16_t {name};"),
                Kind::U32 => writeln!(f, "uint32_t {name};"),
                Kind::U64 => writeln!(f, "uint64_t {name};"),
                Kind::Enum(class) => writeln!(f, "{} {name};", class.name),
                Kind::Text(length) => writeln!(f, "utf8_t {name}[{length}];"),
                Kind::Bytes(length) => writeln!(f, "uint8_t {name}[{length}];"),
            }?;
        }
        f.write_str("    };\n};\n")
    }
}

/// A UUID as it is written.
struct Hyphenated([u8; 16]);

impl fmt::Display for Hyphenated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, byte) in self.0.iter().enumerate() {
            if matches!(number, 4 | 6 | 8 | 10) {
                f.write_char('-')?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The level at which a record was written; the context of every record.
const CONTEXT: EnumClass = EnumClass {
    name: "context_t",
    values: &[("task", 0), ("irq", 1), ("nmi", 2)],
};

/// [`CONTEXT`] as the type of a field.
pub const CONTEXT_KIND: Kind = Kind::Enum(&CONTEXT);

/// What records that are given up leave; see [`record`](crate::record).
const FILLERS: [EventClass; 3] = [
    EventClass {
        id: record::FILLER,
        name: "filler_empty",
        fields: &[],
    },
    EventClass {
        id: record::FILLER_U8,
        name: "filler_short",
        fields: &[
            Field {
                name: "n",
                kind: Kind::U8,
            },
            Field {
                name: "bytes",
                kind: Kind::Bytes("n"),
            },
        ],
    },
    EventClass {
        id: record::FILLER_U32,
        name: "filler_long",
        fields: &[
            Field {
                name: "n",
                kind: Kind::U32,
            },
            Field {
                name: "bytes",
                kind: Kind::Bytes("n"),
            },
        ],
    },
];

const TYPES: &str = "\
/* CTF 1.8 */

typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 8; align = 8; signed = false; encoding = UTF8; } := utf8_t;
";

const TRACE_TAIL: &str = "    byte_order = le;
    packet.header := struct {
        uint32_t magic;
        uint8_t uuid[16];
        uint32_t stream_id;
        uint64_t stream_instance_id;
    };
};
";

const CLOCK_HEAD: &str = "
clock {
    name = ticks;
    description = \"time stamp counter since power-on\";
";

const CLOCK_TAIL: &str = "    precision = 0;
    offset_s = 0;
    offset = 0;
    absolute = FALSE;
};

typealias integer { size = 64; align = 8; signed = false; map = clock.ticks.value; } := ticks_t;
typealias integer { size = 48; align = 8; signed = false; map = clock.ticks.value; } := ticks48_t;

struct packet_context {
    ticks_t timestamp_begin;
    ticks_t timestamp_end;
    uint64_t content_size;
    uint64_t packet_size;
    uint64_t packet_seq_num;
    uint64_t events_discarded;
    uint32_t cpu_id;
    uint32_t flags;
    uint64_t ordinal;
    uint64_t records;
    uint64_t lost_full;
    uint64_t lost_too_big;
    uint64_t lost_wrapped;
    uint64_t lost_nested;
    uint64_t lost_closed;
    uint64_t lost_discarded;
    uint64_t overwritten;
    uint64_t uncommitted;
};

struct event_header {
    uint16_t id;
    ticks48_t timestamp;
};

struct event_context {
    context_t context;
};
";

const STREAM_TAIL: &str = "    packet.context := struct packet_context;
    event.header := struct event_header;
    event.context := struct event_context;
};
";
