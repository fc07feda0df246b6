//! What Trace Compass needs of a trace to open it as that of a kernel, and to read all of it. Each
//! rule has the name by which a control breaks it.

use std::collections::BTreeMap;

use super::lttng;
use super::trace::{Class, Stream, Trace};

/// A rule: its name, and what a trace does against it.
pub(super) type Rule = (&'static str, fn(&Trace) -> Result<(), String>);

/// All of them.
pub(super) const RULES: [Rule; 27] = [
    ("readable", readable),
    ("domain", domain),
    ("layout", layout),
    ("env of a kernel", env_of_a_kernel),
    ("first line", first_line),
    ("one clock", one_clock),
    ("frequency before offset", frequency_before_offset),
    ("only streams", only_streams),
    ("whole packets", whole_packets),
    ("magic", magic),
    ("uuid", uuid),
    ("one class a file", one_class_a_file),
    ("packet header", packet_header),
    ("packet context", packet_context),
    ("event header", event_header),
    ("event ids", event_ids),
    ("cpu", cpu),
    ("packet times", packet_times),
    ("packets in order", packets_in_order),
    ("events in order", events_in_order),
    ("empty packets", empty_packets),
    ("losses are sums", losses_are_sums),
    ("losses are seen", losses_are_seen),
    ("index", index),
    ("field names", field_names),
    ("fields of LTTng", fields_of_lttng),
    ("no enumerations", no_enumerations),
];

/// The first of several things that are wrong.
fn first(mut wrong: impl Iterator<Item = String>) -> Result<(), String> {
    wrong.next().map_or(Ok(()), Err)
}

fn check(is_right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(what()) }
}

/// Checks each stream.
fn each(trace: &Trace, wrong: impl Fn(&Stream) -> Option<String>) -> Result<(), String> {
    let found = trace
        .streams
        .iter()
        .filter_map(|stream| wrong(stream).map(|wrong| format!("{}: {wrong}", stream.file)));
    first(found)
}

fn text<'t>(trace: &'t Trace, name: &str) -> &'t str {
    trace.env.get(name).map_or("", String::as_str)
}

/// The reference reader has no complaints.
fn readable(trace: &Trace) -> Result<(), String> {
    first(trace.complaints.iter().cloned())
}

/// Nothing else says that it is a kernel's.
fn domain(trace: &Trace) -> Result<(), String> {
    check(text(trace, "domain") == "kernel", || {
        format!("domain is {:?}", text(trace, "domain"))
    })
}

/// The names of events are those of today: the minor number is compared alone. From 11 on,
/// babeltrace2 leaves the ends of packets as they are.
fn layout(trace: &Trace) -> Result<(), String> {
    let number = |name| text(trace, name).parse::<u64>().unwrap_or(0);
    let is_right = text(trace, "tracer_name") == "lttng-modules"
        && number("tracer_major") >= 2
        && number("tracer_minor") >= 11;
    check(is_right, || format!("{:?}", trace.env))
}

/// What else LTTng says, but for what only a clock of the day or firmware could tell.
fn env_of_a_kernel(trace: &Trace) -> Result<(), String> {
    let names = [
        "hostname",
        "sysname",
        "kernel_release",
        "kernel_version",
        "tracer_patchlevel",
        "trace_buffering_scheme",
        "trace_name",
    ];
    let missing = names.iter().filter(|name| text(trace, name).is_empty());
    first(missing.map(|name| format!("no {name}")))
}

fn first_line(trace: &Trace) -> Result<(), String> {
    check(trace.metadata.starts_with("/* CTF"), || {
        trace.metadata.lines().next().unwrap_or_default().to_owned()
    })
}

/// With two clocks offsets are ignored.
fn one_clock(trace: &Trace) -> Result<(), String> {
    let clocks = trace.blocks("clock").len();
    check(clocks == 1, || format!("{clocks} clocks"))
}

/// The offset is scaled by the frequency that is known when it is read.
fn frequency_before_offset(trace: &Trace) -> Result<(), String> {
    let clock = trace.blocks("clock").concat();
    let (freq, offset) = (clock.find("freq ="), clock.find("offset_s ="));
    check(freq.is_some() && freq < offset, || clock.clone())
}

/// Every file that is not hidden is taken for a stream; other folders than that of index files mean
/// nothing to anybody.
fn only_streams(trace: &Trace) -> Result<(), String> {
    let others = trace.others.iter().filter(|name| *name != "index");
    first(others.cloned())?;
    each(trace, |stream| {
        let is_stream = !stream.packets.is_empty();
        (!is_stream).then(|| "it has no packet".to_owned())
    })
}

/// A packet that is cut off is an error.
fn whole_packets(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        (stream.rest > 0).then(|| format!("{} bytes behind the last packet", stream.rest))
    })
}

/// A file with another magic number is left out without a word.
fn magic(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let mut packets = stream.packets.iter();
        let other = packets.find(|packet| packet.magic != 0xC1FC_1FC1)?;
        Some(format!(
            "packet {} begins with {:#x}",
            other.number, other.magic
        ))
    })
}

fn uuid(trace: &Trace) -> Result<(), String> {
    let blocks = trace.blocks("trace").concat();
    let quoted = blocks.split_once("uuid = \"").map_or("", |(_, rest)| rest);
    let wanted: String = quoted.chars().take(36).filter(|c| *c != '-').collect();
    each(trace, |stream| {
        let mut packets = stream.packets.iter();
        let other = packets.find(|packet| {
            let uuid: String = packet
                .uuid
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            uuid != wanted
        })?;
        Some(format!("packet {} is of another trace", other.number))
    })
}

/// The class does not change within a file, and is described.
fn one_class_a_file(trace: &Trace) -> Result<(), String> {
    let described: Vec<_> = trace
        .blocks("stream")
        .into_iter()
        .filter_map(|block| {
            let id = block.split_once("id = ")?.1.split(';').next()?;
            id.trim().parse::<u64>().ok()
        })
        .collect();
    each(trace, |stream| {
        let id = stream.packets.first()?.stream_id;
        let mut packets = stream.packets.iter();
        let is_one = packets.all(|packet| packet.stream_id == id) && described.contains(&id);
        (!is_one).then(|| format!("class {id} of {described:?}, or several"))
    })
}

fn names(fields: &[(String, String)]) -> Vec<&str> {
    fields.iter().map(|(name, _)| name.as_str()).collect()
}

fn has_all(what: &str, fields: &[(String, String)], wanted: &[&str]) -> Result<(), String> {
    let names = names(fields);
    let missing = wanted.iter().filter(|name| !names.contains(name));
    first(missing.map(|name| format!("{what} has no {name}: {names:?}")))
}

fn packet_header(trace: &Trace) -> Result<(), String> {
    let fields = trace.fields("packet.header := struct");
    has_all(
        "the packet header",
        &fields,
        &["magic", "uuid[16]", "stream_id"],
    )
}

fn packet_context(trace: &Trace) -> Result<(), String> {
    let fields = trace.fields("struct packet_context");
    let wanted = [
        "timestamp_begin",
        "timestamp_end",
        "content_size",
        "packet_size",
        "packet_seq_num",
        "events_discarded",
        "cpu_id",
    ];
    has_all("the packet context", &fields, &wanted)?;
    // Of an enumeration, or with a device beside it, the CPU would be another.
    check(!names(&fields).contains(&"device"), || {
        "there is a device".to_owned()
    })?;
    let mut contexts = trace.blocks("stream").into_iter();
    check(
        contexts.all(|block| block.contains("packet.context := struct packet_context;")),
        || "a stream has another packet context".to_owned(),
    )
}

/// A structure that begins with a time and an id. Of any width: narrow times are read as if they had
/// come round where they fall.
fn event_header(trace: &Trace) -> Result<(), String> {
    let fields = trace.fields("struct event_header");
    has_all("the event header", &fields, &["timestamp", "id"])?;
    let enumerated = fields.iter().filter(|(_, kind)| kind.starts_with("enum"));
    first(enumerated.map(|(name, _)| format!("{name} is an enumeration")))
}

/// Larger ids are no list any more.
fn event_ids(trace: &Trace) -> Result<(), String> {
    let large = trace.classes.iter().filter(|class| class.id > 50_000);
    first(large.map(|class| format!("{} has id {}", class.name, class.id)))?;
    // What babeltrace2 does not show, since no record has it.
    let events = trace.blocks("event").into_iter().filter_map(|block| {
        let id = block.split_once("id = ")?.1.split(';').next()?;
        id.trim().parse::<u64>().ok()
    });
    first(
        events
            .filter(|id| *id > 50_000)
            .map(|id| format!("there is an id {id}")),
    )
}

/// The CPU of events is that of their packet: the same in a whole file, and one that there is.
fn cpu(trace: &Trace) -> Result<(), String> {
    let cpus = text(trace, "cpus").parse::<u64>().unwrap_or(0);
    each(trace, |stream| {
        let of_file = stream.file.rsplit_once('_')?.1.parse::<u64>().ok();
        let mut packets = stream.packets.iter();
        let other = packets.find(|packet| {
            Some(packet.cpu) != of_file || packet.cpu != packet.instance || packet.cpu >= cpus
        })?;
        Some(format!("packet {} is of CPU {}", other.number, other.cpu))
    })
}

/// Neither unknown nor before the beginning.
fn packet_times(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let mut packets = stream.packets.iter();
        let other = packets.find(|packet| {
            packet.end < packet.begin || packet.end == 0 || packet.end > i64::MAX as u64
        })?;
        Some(format!(
            "packet {}: {} to {}",
            other.number, other.begin, other.end
        ))
    })
}

/// A packet that begins before the one before it ends its file.
fn packets_in_order(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let mut pairs = stream.packets.windows(2);
        let other = pairs.find(|pair| pair[1].begin < pair[0].begin)?;
        Some(format!(
            "packet {} begins before the one before it",
            other[1].number
        ))
    })
}

/// A time that falls by one is taken for one that came round.
fn events_in_order(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let mut last = 0;
        for packet in &stream.packets {
            for time in &packet.times {
                if *time < last.max(packet.begin) || *time > packet.end {
                    return Some(format!(
                        "packet {}, {} to {}: an event at {time} behind one at {last}",
                        packet.number, packet.begin, packet.end
                    ));
                }
                last = *time;
            }
        }
        None
    })
}

/// Without an index an empty packet ends its file, unless it is the first.
fn empty_packets(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let mut later = stream.packets.iter().skip(1);
        let other = later.find(|packet| packet.is_empty() && stream.index.is_none())?;
        Some(format!(
            "packet {} is empty, and there is no index",
            other.number
        ))
    })
}

fn losses_are_sums(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let mut pairs = stream.packets.windows(2);
        let other = pairs.find(|pair| pair[1].discarded < pair[0].discarded)?;
        Some(format!(
            "packet {} has lost less than before",
            other[1].number
        ))
    })
}

/// What only an empty packet tells is not seen.
fn losses_are_seen(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let last = stream.packets.last()?.discarded;
        let mut seen = stream.packets.iter().enumerate();
        let seen = seen.rfind(|(at, packet)| *at == 0 || !packet.is_empty());
        let seen = seen.map_or(0, |(_, packet)| packet.discarded);
        (seen != last).then(|| format!("{} losses are seen of {last}", seen))
    })
}

/// The index files say what the packets say, in the version that is read, and of all of them.
fn index(trace: &Trace) -> Result<(), String> {
    each(trace, |stream| {
        let Some((head, entries)) = &stream.index else {
            return Some("it has no index".to_owned());
        };
        if head.as_slice() != [0xC1F1_DCC1, 1, 1, 72] {
            return Some(format!("its index begins with {head:x?}"));
        }
        let wanted: Vec<_> = stream
            .packets
            .iter()
            .map(|packet| {
                vec![
                    packet.offset,
                    packet.size,
                    packet.content,
                    packet.begin,
                    packet.end,
                    packet.discarded,
                    packet.stream_id,
                    packet.instance,
                    packet.number,
                ]
            })
            .collect();
        (*entries != wanted).then(|| "its index is of other packets".to_owned())
    })
}

/// Trace Compass takes one underscore from a name, as LTTng has them: it has the names then that
/// babeltrace2 tells.
fn field_names(trace: &Trace) -> Result<(), String> {
    let classes = known(trace);
    for (class, _) in &classes {
        let begin = format!("name = \"{}\";", class.name);
        let block = trace
            .metadata
            .split_once(&begin)
            .map_or("", |(_, rest)| rest);
        let block = block.split_once("\n\n").map_or(block, |(block, _)| block);
        for (name, _) in &class.fields {
            let declared = [format!(" _{name};"), format!(" _{name}[")];
            if !declared.iter().any(|declared| block.contains(declared)) {
                return Err(format!("{}: {name} has no underscore", class.name));
            }
        }
    }
    // Otherwise nothing was looked at.
    check(classes.len() >= 4, || {
        format!("{} classes of LTTng's", classes.len())
    })
}

/// The classes whose names LTTng has.
fn known(trace: &Trace) -> Vec<(&Class, &'static [lttng::Field])> {
    let known = trace.classes.iter();
    let known = known.filter_map(|class| Some((class, lttng::find(&class.name)?)));
    known.collect()
}

/// The fields of a class, without the lengths that are nobody's.
fn fields_of(class: &Class) -> impl Iterator<Item = &(String, String)> {
    let fields = class.fields.iter();
    fields.filter(|(name, _)| !(name.starts_with("__") && name.ends_with("_length")))
}

/// An event with a name of LTTng's has its fields: their names, types and order.
fn fields_of_lttng(trace: &Trace) -> Result<(), String> {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (class, wanted) in known(trace) {
        let fields: Vec<_> = fields_of(class).collect();
        let is_same = fields.len() == wanted.len()
            && fields
                .iter()
                .zip(wanted)
                .all(|((name, kind), wanted)| name == wanted.name && kind.starts_with(wanted.kind));
        if !is_same {
            let wanted: Vec<_> = wanted
                .iter()
                .map(|field| (field.name, field.kind))
                .collect();
            return Err(format!("{}: {fields:?} instead of {wanted:?}", class.name));
        }
        if let Some(other) = seen.insert(&class.name, class.stream) {
            return Err(format!(
                "{} is in streams {other} and {}",
                class.name, class.stream
            ));
        }
    }
    check(seen.len() >= 4, || format!("only {seen:?}"))
}

/// An enumeration where an analysis reads a number is no number to it, or ends it.
fn no_enumerations(trace: &Trace) -> Result<(), String> {
    for (class, wanted) in known(trace) {
        for (name, kind) in fields_of(class) {
            let is_read = wanted
                .iter()
                .any(|field| field.name == name && field.is_read);
            if is_read && kind.contains("enumeration") {
                return Err(format!("{}: {name} is an enumeration", class.name));
            }
        }
    }
    // Of system calls any name will do, and the value that they return is read.
    for class in trace
        .classes
        .iter()
        .filter(|class| class.name.starts_with("syscall_exit_"))
    {
        let ret = class.fields.first();
        if !ret.is_some_and(|(name, kind)| name == "ret" && kind.starts_with("Signed integer (64"))
        {
            return Err(format!("{}: {ret:?} is first", class.name));
        }
    }
    Ok(())
}
