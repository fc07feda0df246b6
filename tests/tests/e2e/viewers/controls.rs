//! Ways to break the rules: each changes a copy of a good trace.

use std::fs;
use std::path::Path;

/// The rule that is broken, and how.
pub(super) type Control = (&'static str, fn(&Path));

/// Each rule is broken once at least.
pub(super) const CONTROLS: [Control; 38] = [
    ("readable", |trace| metadata(trace, "trace {", "tracé {")),
    ("domain", |trace| {
        metadata(trace, "domain = \"kernel\"", "domain = \"ust\"")
    }),
    ("layout", |trace| {
        metadata(trace, "\"lttng-modules\"", "\"relay\"")
    }),
    ("layout", |trace| {
        metadata(trace, "tracer_major = 2", "tracer_major = 1")
    }),
    ("layout", |trace| {
        metadata(trace, "tracer_minor = 11", "tracer_minor = 9")
    }),
    ("env of a kernel", |trace| {
        metadata(trace, "    sysname = \"relay\";\n", "")
    }),
    ("first line", |trace| {
        metadata(trace, "/* CTF 1.8 */", "/* TSDL */")
    }),
    ("one clock", |trace| {
        metadata(
            trace,
            "\nclock {",
            "\nclock { name = other; freq = 1; };\n\nclock {",
        );
    }),
    ("frequency before offset", |trace| {
        metadata(trace, "    freq = ", "    offset_s = 0;\n    freq = ");
    }),
    ("only streams", |trace| {
        fs::write(trace.join("notes"), b"").expect("it is writable")
    }),
    ("only streams", |trace| {
        fs::create_dir(trace.join("more")).expect("it is writable")
    }),
    ("whole packets", |trace| {
        stream(trace, |bytes| bytes.truncate(bytes.len() - 8));
    }),
    ("magic", |trace| packet(trace, 1, 0, &[0])),
    ("uuid", |trace| packet(trace, 1, 4, &[0, 0])),
    ("one class a file", |trace| packet(trace, 1, 20, &[1])),
    ("packet header", |trace| {
        metadata(trace, "uint32_t stream_id;", "uint32_t strange;")
    }),
    ("packet context", |trace| {
        metadata(trace, "uint32_t cpu_id;", "uint32_t cpu;")
    }),
    ("packet context", |trace| {
        metadata(trace, "uint64_t events_discarded;", "uint64_t events_lost;");
    }),
    ("event header", |trace| {
        metadata(trace, "map = clock.ticks.value; } timestamp;", "} time;");
    }),
    ("event ids", |trace| {
        metadata(
            trace,
            "\nstruct packet_context {",
            "\nevent { name = \"far\"; id = 50001; stream_id = 5; };\nstruct packet_context {",
        );
    }),
    ("cpu", |trace| packet(trace, 1, 80, &[7])),
    ("cpu", |trace| {
        metadata(trace, "    cpus = 4;", "    cpus = 1;")
    }),
    ("packet times", |trace| packet(trace, 1, 40, &[0; 8])),
    ("packet times", |trace| packet(trace, 1, 40, &[0xFF; 8])),
    ("packets in order", |trace| packet(trace, 2, 32, &[0; 8])),
    ("events in order", |trace| {
        // A later time in the first record of a packet than in the one behind it.
        stream(trace, |bytes| {
            let at = at_of(bytes, 1) + 168;
            bytes[at + 1] = bytes[at + 1].wrapping_sub(1);
        });
    }),
    ("empty packets", |trace| {
        fs::remove_dir_all(trace.join("index")).expect("it is there");
    }),
    ("losses are sums", |trace| packet(trace, 1, 72, &[9])),
    ("losses are seen", |trace| {
        let path = trace.join("flood_1");
        let mut bytes = fs::read(&path).expect("it is there");
        let last = bytes.len() - 168;
        // A copy of the packet without records behind it, which has lost something.
        let mut again = bytes[last..].to_vec();
        again[72] = 5;
        again[104] = 5;
        bytes.extend(again);
        fs::write(&path, bytes).expect("it is writable");
    }),
    ("index", |trace| index(trace, |bytes| bytes[7] = 2)),
    ("index", |trace| index(trace, |bytes| bytes[11] = 0)),
    ("index", |trace| index(trace, |bytes| bytes[16 + 7] ^= 8)),
    ("index", |trace| {
        index(trace, |bytes| bytes.truncate(bytes.len() - 72))
    }),
    ("field names", |trace| {
        metadata(trace, " int32_t _vector;", "int32_t vector;")
    }),
    ("fields of LTTng", |trace| {
        metadata(trace, " int32_t _vector;", "uint32_t _vector;")
    }),
    ("fields of LTTng", |trace| {
        metadata(trace, " int32_t _vector;", "int32_t _vec;")
    }),
    ("fields of LTTng", |trace| {
        metadata(
            trace,
            " int32_t _vector;",
            "int16_t _vector; int16_t _more;",
        );
    }),
    ("no enumerations", |trace| {
        metadata(
            trace,
            " int32_t _vector;",
            " enum : int32_t { \"timer\" = 0 ... 255 } _vector;",
        );
    }),
];

/// Replaces a text in the metadata, everywhere.
fn metadata(trace: &Path, from: &str, to: &str) {
    let path = trace.join("metadata");
    let text = fs::read_to_string(&path).expect("it is text");
    assert!(text.contains(from), "no {from:?} in the metadata");
    fs::write(&path, text.replace(from, to)).expect("it is writable");
}

/// Changes the bytes of a file.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("it is there");
    change(&mut bytes);
    fs::write(path, bytes).expect("it is writable");
}

/// Changes a stream of the trace.
fn stream(trace: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    change(&trace.join("trace_1"), with);
}

/// Changes its index.
fn index(trace: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    change(&trace.join("index/trace_1.idx"), with);
}

/// Where a packet begins in a stream.
fn at_of(bytes: &[u8], number: usize) -> usize {
    (0..number).fold(0, |at, _| {
        let size = bytes[at + 56..at + 64].try_into().expect("eight bytes");
        at + usize::try_from(u64::from_le_bytes(size) / 8).expect("it is small")
    })
}

/// Changes bytes of a packet of a stream.
fn packet(trace: &Path, number: usize, at: usize, by: &[u8]) {
    stream(trace, |bytes| {
        let at = at_of(bytes, number) + at;
        bytes[at..at + by.len()].copy_from_slice(by);
    });
}
