//! The metadata: TSDL text (CTF 1.8, section 7) that describes packets and records.
//!
//! It is written by the kernel itself, from the [event classes](mod@crate::event) that its channels
//! list and those that the linker has [collected](crate::event::registered) for them, so that a
//! capture explains itself. [`Trace`] is shown (`Display`) as that text, without
//! an allocation.
//!
//! ```
//! use relay::clients::klog;
//! use relay::ctf::metadata::Trace;
//! use relay::event::{EventClass, Field, Kind, StreamClass};
//!
//! const SCHED: StreamClass = StreamClass {
//!     id: 2,
//!     name: "sched",
//!     is_global: false,
//!     overwrites: false,
//!     is_taken: false,
//!     events: &[EventClass {
//!         id: 1,
//!         name: "switch",
//!         fields: &[Field::new("task", Kind::U32)],
//!     }],
//! };
//! let trace = Trace {
//!     uuid: [7; 16],
//!     clock_hz: 1_000_000_000,
//!     cpus: 2,
//!     streams: &[klog::STREAM, SCHED],
//!     env: &[],
//! };
//! let text = trace.to_string();
//! assert!(text.starts_with("/* CTF 1.8 */"));
//! assert!(text.contains("uint32_t _task;"));
//! ```

mod env;
mod quoted;
mod types;

pub use env::{Env, EnvValue, Kernel};

use crate::event::{Codes, Registered, Site, Source, registered};
use core::fmt::{self, Write};
use quoted::Quoted;
use relay_format::VERSION;
use relay_format::class::{CONTEXT, EventClass, FILLERS, Field, StreamClass, WHO};
use relay_format::packet::{FIELDS, FieldType, HeaderField, TRACE_FIELDS};
use relay_format::stamp::{CONTEXT_BITS, ID_BITS, TIME_BITS};

/// What the metadata describes. Any context; to show it takes as long as a text of some pages does.
///
/// Names go into the text as they are: they must be those of TSDL, ids below
/// [`record::EVENTS`](crate::record::EVENTS),
/// and names and ids unique in their class.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The UUID of all packets.
    pub uuid: [u8; 16],
    /// Ticks per second.
    pub clock_hz: u64,
    /// Every channel has streams of CPUs 0 to `cpus - 1`, unless it has one that all of them write.
    pub cpus: usize,
    /// The channels.
    pub streams: &'a [StreamClass],
    /// What else the block `env` says: of a kernel that [viewers](Kernel) shall know, for example.
    pub env: &'a [Env<'a>],
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TYPES)?;
        let uuid = Hyphenated(self.uuid);
        write!(
            f,
            "\ntrace {{\n    major = 1;\n    minor = 8;\n    uuid = \"{uuid}\";\n    byte_order = le;\n    \
             packet.header := struct {{\n"
        )?;
        write_header_fields(f, "        ", &FIELDS[..TRACE_FIELDS])?;
        f.write_str("    };\n};\n")?;
        self.write_env(f)?;
        write!(f, "{CLOCK_HEAD}    freq = {};\n{CLOCK_TAIL}", self.clock_hz)?;
        f.write_str("\nstruct packet_context {\n")?;
        write_header_fields(f, "    ", &FIELDS[TRACE_FIELDS..])?;
        f.write_str("};\n")?;
        write_stamp(f)?;
        self.streams
            .iter()
            .try_for_each(|stream| write_stream(f, stream))?;
        // Last, since they are many: who has only the beginning of the text knows the rest.
        self.streams
            .iter()
            .try_for_each(|stream| write_collected(f, stream))
    }
}

impl Trace<'_> {
    fn write_env(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\nenv {{\n    relay_format = {VERSION};\n    cpus = {};\n",
            self.cpus
        )?;
        for stream in self.streams {
            writeln!(f, "    channel_{} = \"{}\";", stream.id, stream.name)?;
            if stream.is_global {
                writeln!(f, "    usage_{} = \"global\";", stream.id)?;
            }
            if stream.overwrites {
                writeln!(f, "    mode_{} = \"overwrite\";", stream.id)?;
            }
            if stream.is_taken {
                writeln!(f, "    taken_{} = \"programs\";", stream.id)?;
            }
        }
        self.env.iter().try_for_each(|entry| write!(f, "{entry}"))?;
        f.write_str("};\n")
    }
}

/// Fields of the packet header.
fn write_header_fields(
    f: &mut fmt::Formatter<'_>,
    indent: &str,
    fields: &[HeaderField],
) -> fmt::Result {
    fields
        .iter()
        .try_for_each(|HeaderField { name, kind, .. }| {
            f.write_str(indent)?;
            match kind {
                FieldType::U32 => writeln!(f, "uint32_t {name};"),
                FieldType::U64 => writeln!(f, "uint64_t {name};"),
                FieldType::Ticks => writeln!(f, "ticks_t {name};"),
                FieldType::Uuid => writeln!(f, "uint8_t {name}[16];"),
            }
        })
}

/// What every record begins with: bits side by side.
fn write_stamp(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "
struct event_header {{
    integer {{ size = {TIME_BITS}; align = 8; signed = false; map = clock.ticks.value; }} timestamp;
    integer {{ size = {ID_BITS}; align = 1; signed = false; }} id;
}};

struct event_context {{
    enum : integer {{ size = {CONTEXT_BITS}; align = 1; signed = false; }} "
    )?;
    types::write_labels(f, &CONTEXT)?;
    f.write_str(" context;\n};\n")
}

fn write_stream(f: &mut fmt::Formatter<'_>, stream: &StreamClass) -> fmt::Result {
    let id = stream.id;
    write!(f, "\nstream {{\n    id = {id};\n{STREAM_TAIL}")?;
    let mut events = stream.events.iter().chain(&FILLERS);
    events.try_for_each(|event| write_event(f, event, id, None))
}

/// The classes of a channel that the linker has collected.
fn write_collected(f: &mut fmt::Formatter<'_>, stream: &StreamClass) -> fmt::Result {
    let id = stream.id;
    let mut collected = registered().filter(|class| class.site.channel() == stream.name);
    collected.try_for_each(|Registered { site, class }| write_event(f, &class, id, Some(site)))
}

fn write_event(
    f: &mut fmt::Formatter<'_>,
    event: &EventClass,
    stream: u32,
    site: Option<&Site>,
) -> fmt::Result {
    let EventClass { id, name, fields } = event;
    let name = Quoted(name);
    // There may be hundreds of these.
    if let Some(site) = site {
        if !site.doc().is_empty() {
            write!(f, "\n/* {} */", Comment(site.doc()))?;
        }
        write!(
            f,
            "\nevent {{ name = \"{name}\"; id = {id}; stream_id = {stream}; "
        )?;
        write_site(f, site)?;
        if site.codes().is_some() {
            f.write_str(" context := struct {")?;
            for Field { name, kind } in WHO {
                f.write_char(' ')?;
                types::write_field(f, name, &kind)?;
            }
            f.write_str(" };")?;
        }
        f.write_str(" fields := struct {")?;
        for Field { name, kind } in *fields {
            f.write_char(' ')?;
            types::write_field(f, name, kind)?;
        }
        return f.write_str(" }; };\n");
    }
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
        types::write_field(f, name, kind)?;
        f.write_char('\n')?;
    }
    f.write_str("    };\n};\n")
}

/// What is known of a collected class beside its fields. CTF has an attribute for the severity;
/// the rest is a URI, since that is the one that takes any text.
fn write_site(f: &mut fmt::Formatter<'_>, site: &Site) -> fmt::Result {
    let what = match site.is_statement() {
        true => "statement",
        false => "event",
    };
    let Source { module, file, line } = site.source();
    let (module, file) = (Quoted(module), Quoted(file));
    let severity = site.severity() as u8;
    write!(
        f,
        "loglevel = {severity}; model.emf.uri = \"relay:{what}?module={module}&file={file}&line={line}"
    )?;
    if let Some(facility) = site.facility() {
        write!(f, "&facility={}", Quoted(facility))?;
    }
    if let Some(Codes { facility, kind }) = site.codes() {
        write!(f, "&code={facility}&type={kind}")?;
    }
    if let Some(text) = site.text() {
        write!(f, "&text={}", Quoted(text))?;
    }
    f.write_str("\";")
}

/// A text that does not end the comment it is in.
struct Comment<'a>(&'a str);

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.0.split("*/").enumerate() {
            f.write_str(if number == 0 { "" } else { "* /" })?;
            f.write_str(part)?;
        }
        Ok(())
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

const TYPES: &str = "\
/* CTF 1.8 */

typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 8; align = 8; signed = true; } := int8_t;
typealias integer { size = 16; align = 8; signed = true; } := int16_t;
typealias integer { size = 32; align = 8; signed = true; } := int32_t;
typealias integer { size = 64; align = 8; signed = true; } := int64_t;
typealias integer { size = 8; align = 8; signed = false; encoding = UTF8; } := utf8_t;
";

const CLOCK_HEAD: &str = "
clock {
    name = ticks;
    description = \"time stamp counter since the machine's start\";
";

const CLOCK_TAIL: &str = "    precision = 0;
    offset_s = 0;
    offset = 0;
    absolute = FALSE;
};

typealias integer { size = 64; align = 8; signed = false; map = clock.ticks.value; } := ticks_t;
";

const STREAM_TAIL: &str = "    packet.context := struct packet_context;
    event.header := struct event_header;
    event.context := struct event_context;
};
";
