//! Metadata, packets and streams that somebody made to do harm: a clear error,
//! and neither a panic, nor a hang, nor memory without bound.

mod synthetic;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use relay_decode::audit::Audit;
use relay_decode::capture::{OpenError, Scratch, Stored, read_raw};
use relay_decode::merge::{Filter, Merge, Next};
use relay_decode::records::{Event, Line, Records, Schema, Value, json_record, text_record};
use relay_decode::tsdl::{self, TsdlError};
use relay_decode::wire::Header;
use synthetic::typed::{KINDS, SCHED, event, kinds, statement, with_classes};
use synthetic::{METADATA, REFERENCE, Stream, folder, metadata, metadata_packets, relayctl, small};

/// A trace with something behind it.
fn with(text: &str) -> Result<(), TsdlError> {
    let begin = "trace { major = 1; minor = 8; byte_order = le; };
typealias integer { size = 8; align = 8; signed = false; } := u8;
";
    tsdl::parse(&format!("{begin}{text}")).map(|_| ())
}

#[test]
fn wrong_metadata_is_named_and_located() {
    assert_eq!(with(""), Ok(()));
    for (text, place, what) in [
        (
            "struct { nothing x; };",
            (3, 10),
            "there is no type 'nothing'",
        ),
        (
            "struct { variant x; };",
            (3, 10),
            "'variant' is not supported",
        ),
        ("struct { u8 x; u8 x; };", (3, 16), "a field 'x' already"),
        ("struct { u8 x[n]; };", (3, 15), "a length is a number"),
        (
            "struct { string n; u8 x[n]; };",
            (3, 25),
            "a length is a number",
        ),
        ("struct { u8 x[-1]; };", (3, 15), "a length is a number"),
        ("struct { u8 x };", (3, 15), "';' should be here, not '}'"),
        ("struct { struct {} x[5]; };", (3, 22), "may have no size"),
        ("struct { string x[70000]; };", (3, 19), "too large"),
        (
            "struct { u8 x[99999999999999999999]; };",
            (3, 15),
            "not a number of 64 bits",
        ),
        (
            "struct { integer { size = 0; } x; };",
            (3, 20),
            "0 bits is not supported",
        ),
        (
            "struct { integer { size = 128; } x; };",
            (3, 20),
            "128 bits is not supported",
        ),
        (
            "struct { integer { size = 16; align = 32; } x; };",
            (3, 31),
            "align = 8",
        ),
        (
            "struct { integer { size = 16; byte_order = be; } x; };",
            (3, 31),
            "byte_order = le",
        ),
        (
            "struct { integer { signed = true; } x; };",
            (3, 18),
            "needs a size",
        ),
        ("struct { enum { A } x; };", (3, 15), "':' and the type"),
        (
            "struct { enum : u8 { A = 3 ... 2 } x; };",
            (3, 34),
            "ends before it begins",
        ),
        (
            "struct { floating_point { exp_dig = 5; mant_dig = 11; } x; };",
            (3, 25),
            "exp_dig 8",
        ),
        (
            "struct a { u8 x; }; struct a { u8 x; };",
            (3, 21),
            "a type 'struct a' already",
        ),
        (
            "event { id = 1; stream_id = 5; };",
            (3, 1),
            "stream 5 is not described",
        ),
        (
            "stream { id = 1; }; stream { id = 1; };",
            (3, 21),
            "a stream 1 already",
        ),
        (
            "clock { name = a; freq = 0; };",
            (3, 19),
            "does not stand still",
        ),
        (
            "clock { name = a; }; clock { name = b; };",
            (3, 22),
            "a clock already",
        ),
        ("env { a = 1; a = 2; };", (3, 14), "'a' has a value already"),
        ("trace { };", (3, 1), "a trace already"),
        ("nonsense { };", (3, 1), "'nonsense' is no block"),
        ("/* and so on", (3, 1), "comment does not end"),
        ("env { a = \"x", (3, 11), "does not end on its line"),
        ("env { a = \"\\q\"; };", (3, 11), "are known in a text"),
        ("env { a = \u{1}1; };", (3, 11), "does not belong here"),
        ("env {", (3, 6), "a name should be here, not the end"),
    ] {
        let error = with(text).expect_err(text);
        assert!(error.what.contains(what), "{text}: {error}");
        assert_eq!((error.line, error.column), place, "{text}: {error}");
    }
    let error = tsdl::parse("env { };").expect_err("there is no trace");
    assert!(error.what.contains("no trace block"), "{error}");
}

#[test]
fn hostile_metadata_is_refused_in_time() {
    let begin = Instant::now();
    // Nested in the text.
    let nested = "struct { ".repeat(100_000);
    assert!(with(&nested).expect_err("too deep").what.contains("nested"));
    let dimensions = format!("struct {{ u8 x{}; }};", "[1]".repeat(100_000));
    assert!(with(&dimensions).is_err());
    // Nested by names: without bounds 2^1000 values, or 1000 calls deep.
    for field in [
        "struct s$ a; struct s$ b;",
        "struct s$ a;",
        "struct s$ a[200];",
    ] {
        let mut text = "struct s0 { u8 x; };".to_owned();
        for n in 0..1000 {
            text += &format!(
                "struct s{} {{ {} }};",
                n + 1,
                field.replace('$', &n.to_string())
            );
        }
        assert!(with(&text).is_err(), "{field}");
    }
    // Much of everything.
    let fields: String = (0..5000).map(|n| format!("u8 f{n};")).collect();
    assert!(with(&format!("struct {{ {fields} }};")).is_err());
    let labels: String = (0..5000).map(|n| format!("l{n},")).collect();
    assert!(with(&format!("struct {{ enum : u8 {{ {labels} }} x; }};")).is_err());
    let streams: String = (0..5000)
        .map(|n| format!("stream {{ id = {n}; }};"))
        .collect();
    assert!(with(&streams).is_err());
    assert!(tsdl::parse(&" ".repeat(tsdl::MAX_TEXT + 1)).is_err());
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn metadata_that_is_not_of_this_format_is_refused() {
    for (from, to, what) in [
        (
            "relay_format = 2;",
            "relay_format = 1;",
            "version 2 is read here",
        ),
        ("relay_format = 2;", "", "no relay_format"),
        ("cpus = 2;", "cpus = 0;", "env.cpus"),
        ("cpus = 2;", "cpus = 65536;", "more than"),
        ("channel_2 = \"claims\";", "", "stream 2 has no name"),
        (
            "channel_2 = \"claims\";",
            "channel_2 = \"claims\"; channel_9 = \"x\";",
            "has no stream 9",
        ),
        ("\"claims\"", "\"../etc/passwd\"", "a-z, 0-9 and -"),
        ("\"claims\"", "\"klog\"", "the same name"),
        (
            "uint64_t ordinal;",
            "uint32_t ordinal;",
            "should be ordinal with 64 bits",
        ),
        (
            "uint64_t stream_instance_id;",
            "",
            "should be stream_instance_id",
        ),
        (
            "size = 40; align = 8;",
            "size = 48; align = 8;",
            "should be timestamp with 40 bits",
        ),
        (
            "size = 14; align = 1;",
            "size = 16; align = 1;",
            "should be id with 14 bits",
        ),
        (" context;", " context; uint8_t more;", "should end"),
        ("    uuid = \"", "    uuid = \"x", "a uuid is"),
    ] {
        assert!(METADATA.contains(from), "{from}");
        let error = Schema::read(METADATA.replace(from, to).as_bytes())
            .expect_err(to)
            .to_string();
        assert!(error.contains(what), "{to}: {error}");
    }
    assert!(Schema::read(b"\xff").is_err());
    assert!(Schema::read(METADATA.as_bytes()).is_ok());
    assert!(Schema::read(REFERENCE.as_bytes()).is_ok());
}

#[test]
fn lengths_that_promise_too_much_are_errors() {
    let event = "event { name = \"big\"; id = 9; stream_id = 1; fields := struct {
        uint32_t n; uint16_t list[n]; }; };";
    let schema = Schema::read((metadata(1) + event).as_bytes()).expect("it is good");
    let channel = schema.channel(1).expect("there is one");
    let read = |payload: &[u8]| {
        let mut stream = Stream::new(1, 0, 0);
        stream.record(9, 1, 0, payload);
        let packet = stream.packet(2, 1);
        let header = Header::of(&packet).expect("whole").expect("sound");
        let mut records = Records::new(channel, &header, &packet);
        records
            .next_record()
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(read(&[1, 0, 0, 0, 5, 5]), Ok(()));
    let error = read(&[0xFF; 40]).expect_err("too long");
    assert!(
        error.contains("record 0, at byte 168 of it: the packet's contents end"),
        "{error}"
    );
    let mut payload = (3u32 << 20).to_le_bytes().to_vec();
    payload.resize(7 << 20, 0);
    let error = read(&payload).expect_err("too many");
    assert!(error.contains("more than 1048576 values"), "{error}");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let out = synthetic::capture("pipe", &{
        let mut packets = metadata_packets(&metadata(1), 1 << 16);
        let mut klog = Stream::new(1, 0, 0);
        (0..20_000).for_each(|n| klog.klog(n, 0, 3, 1, ["module", "file", "message"]));
        packets.push(klog.packet(20_000, 1));
        packets
    });
    for args in [&["cat"][..], &["cat", "--json"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
            .args(args)
            .arg(&out)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts");
        let mut some = [0; 100];
        child
            .stdout
            .take()
            .expect("a pipe")
            .read_exact(&mut some)
            .expect("it shows something");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0));
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn what_is_not_there_is_3_and_wrong_words_are_2() {
    let nothing = folder("nothing");
    let path = nothing.to_str().expect("it is text");
    for args in [
        &["cat", path][..],
        &["stat", path],
        &["verify", path],
        &["cat", "/dev/null"],
        &["record", "--from", "/nonexistent"],
        &["record", "--from", "unix:/nonexistent"],
        &["record", "--from", "tcp:127.0.0.1:1"],
    ] {
        assert_eq!(relayctl(args).code, Some(3), "{args:?}");
    }
    for args in [
        &["record"][..],
        &["record", "--from", "tcp:nowhere"],
        &["record", "--from", "unix:"],
        &["record", "--from", "-", "--max-size", "0"],
        &["record", "--from", "-", "--max-size", "1T"],
        &["cat", "--cpu", "x"],
        &["cat", "--level", "loud"],
        &["cat", "--since", "-1"],
    ] {
        assert_eq!(relayctl(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn sockets_are_recorded() {
    let folder = folder("sockets");
    let bytes = small().concat();
    let path = folder.join("socket");
    let (unix, tcp) = (
        UnixListener::bind(&path).expect("it can be bound"),
        TcpListener::bind("127.0.0.1:0").expect("it can be bound"),
    );
    let address = tcp.local_addr().expect("it has one");
    let servers = [bytes.clone(), bytes].map(Some);
    let [first, second] = servers;
    let server = thread::spawn(move || {
        unix.accept().unwrap().0.write_all(&first.unwrap()).unwrap();
        tcp.accept().unwrap().0.write_all(&second.unwrap()).unwrap();
    });
    for (n, from) in [format!("unix:{}", path.display()), format!("tcp:{address}")]
        .iter()
        .enumerate()
    {
        let out = folder.join(n.to_string());
        let left = relayctl(&["record", "--from", from, "--out", out.to_str().unwrap()]);
        assert_eq!(left.code, Some(0), "{left:?}");
        assert_eq!(
            relayctl(&["verify", out.to_str().unwrap(), "--json"]).code,
            Some(0)
        );
        let run = fs::read_to_string(out.join("run.json")).expect("it is there");
        assert!(run.contains(from.as_str()), "{run}");
    }
    server.join().expect("it served");
}

/// The largest counts that a header can have, in every place: tables, judgements and JSON of them.
#[test]
fn absurd_counts_are_shown() {
    const MOST: u64 = (1 << 60) - 1;
    let text = metadata(2);
    let mut stream = Stream::new(1, 1, 1000);
    stream.lost = [MOST, 0, 0, 0, 0, 0];
    // All but one of them: that one is missing.
    stream.overwritten = MOST - 1;
    stream.uncommitted = MOST;
    stream.number = MOST - 1;
    stream.ordinal = MOST;
    let packets = [stream.packet(2000, 0), stream.packet(u64::MAX, 1)];
    let raw = [metadata_packets(&text, 4096), packets.to_vec()].concat();
    let raw = raw.concat();
    let path = folder("absurd").join("raw");
    fs::create_dir_all(path.parent().expect("a folder")).expect("it is writable");
    fs::write(&path, raw).expect("it is writable");
    for (command, code) in [("stat", 0), ("verify", 1), ("cat", 0)] {
        for json in [&[][..], &["--json"]] {
            let args = [&[command, path.to_str().expect("UTF-8")][..], json].concat();
            let left = relayctl(&args);
            assert_eq!(left.code, Some(code), "{args:?}: {left:?}");
            assert!(!left.err.contains("panicked"), "{left:?}");
        }
    }
}

/// Reads bytes in every way there is.
fn read_all(bytes: &[u8]) {
    let scratch = Scratch::new().expect("there is room");
    read_raw(bytes, scratch.path()).expect("it is written");
    let Ok(stored) = Stored::open(scratch.path()) else {
        return;
    };
    let audit = Audit::of(&stored).expect("files are readable");
    let _ = (audit.balance(), audit.verdict());
    let filter = Filter {
        spans: true,
        ..Filter::default()
    };
    let mut merge = Merge::of(&stored, &filter).expect("files are readable");
    let all: Result<(), OpenError> = merge.each(|next| {
        if let Next::Record(shown, values) = next {
            show(shown.record.event, values);
        }
        Ok(())
    });
    all.expect("files are readable");
}

/// Shows a record in every way there is.
fn show(event: &Event, values: &[Value<'_>]) {
    let line = Line::new(event, values);
    let _ = (line.severity(), line.module(), line.file(), line.number());
    if event.template().is_some() {
        let message = line.message().expect("it has a template");
        assert!(message.len() <= (1 << 16) + 5, "{}", message.len());
    }
    let (mut text, mut json) = (String::new(), Vec::new());
    text_record(&mut text, event, values, true);
    let unsafe_to_show = |c: char| c.is_control() && c != '\t';
    let names = event.fields.fields.iter().map(|field| field.name.as_str());
    assert!(names.clone().all(|name| name.is_ascii()));
    assert!(!text.contains(unsafe_to_show), "{text:?}");
    json_record(&mut json, event, values);
    let json: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
    let shown = event.fields.fields.iter().filter(|field| !field.is_length);
    if event.unreadable.is_none() {
        assert_eq!(json.as_object().expect("an object").len(), shown.count());
    }
}

/// Classes with every kind of field.
fn classes() -> String {
    with_classes(
        &(statement(
            1000,
            "{u8} \\ {names:?} {{{list:#x?}}} {maybe_name:?} {str:>9}",
            KINDS,
        ) + &event(
            1000,
            "kinds",
            "&facility=f&text={flags} {char:?} {u64}",
            KINDS,
        )),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_may_be_metadata(words in prop::collection::vec(prop_oneof![
        Just("struct"), Just("integer"), Just("enum"), Just("event"), Just("stream"), Just("{"),
        Just("}"), Just(";"), Just("="), Just(":="), Just("["), Just("]"), Just("1"), Just("x"),
        Just("size"), Just(":"), Just(","), Just("..."), Just("trace"), Just("."), Just("-"),
        Just("\"t\""), Just("\u{e4}"), Just("8"), Just("fields"), Just("id"), Just("typealias"),
    ], 0..200)) {
        let _ = tsdl::parse(&words.join(" "));
    }

    #[test]
    fn any_change_of_the_metadata_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        remove in 0usize..30,
        insert in "[a-z0-9_{}\\[\\];:=\". ]{0,12}",
    ) {
        let mut text = METADATA.clone();
        let from = at.index(text.len());
        let to = (from + remove).min(text.len());
        text.replace_range(from..to, &insert);
        let mut bytes = metadata_packets(&text, 1 << 16).concat();
        bytes.extend(small().split_off(5).concat());
        read_all(&bytes);
    }

    #[test]
    fn any_change_of_classes_is_read_or_refused(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0usize..30, "[a-z0-9_{}\\[\\];:=\\\\\". ]{0,12}"), 1..4
        ),
        contents in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut text = classes();
        let begin = METADATA.len();
        for (at, remove, insert) in changes {
            let from = begin + at.index(text.len() - begin);
            let to = (from + remove).min(text.len());
            text.replace_range(from..to, &insert);
        }
        let mut bytes = metadata_packets(&text, 1 << 16).concat();
        for channel in [1, SCHED] {
            let mut stream = Stream::new(channel, 0, 0);
            stream.record(1000, 1, 0, &kinds("text", 0.1, 0.2, 3));
            stream.record(1000, 2, 0, &contents);
            bytes.extend(stream.packet(3, 1));
        }
        read_all(&bytes);
    }

    #[test]
    fn any_template_is_shown(
        template in "([a-z]{0,3}|\\{|\\}|\\{u8|\\{names|\\{u64|:|[#x?<^>+0-9.$*]|\\PC){0,40}",
        texts in "\\PC{0,20}",
        contents in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
    ) {
        let classes = statement(1000, &template, KINDS)
            + &event(1000, &template, &format!("&text={template}"), KINDS);
        let mut bytes = metadata_packets(&with_classes(&classes), 1 << 16).concat();
        for channel in [1, SCHED] {
            let mut stream = Stream::new(channel, 0, 0);
            let good = kinds(&texts, f32::NAN, f64::MAX, u32::MAX);
            stream.record(1000, 1, 0, contents.as_ref().unwrap_or(&good));
            bytes.extend(stream.packet(2, 1));
        }
        read_all(&bytes);
    }

    #[test]
    fn any_bytes_may_be_a_packets_contents(
        contents in prop::collection::vec(any::<u8>(), 0..300),
        id in prop_oneof![0u16..4, Just(1000)],
        channel in prop_oneof![1u32..4, Just(SCHED)],
    ) {
        let mut bytes = metadata_packets(&classes(), 1 << 16).concat();
        let mut stream = Stream::new(channel, 0, 0);
        stream.record(id, 1, 0, &contents);
        bytes.extend(stream.packet(u64::MAX, 1));
        read_all(&bytes);
    }

    #[test]
    fn any_damage_on_the_wire_is_survived(
        flips in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = small().concat();
        // The metadata is left alone, else there is nothing to read.
        let begin = metadata_packets(&METADATA, 1000).concat().len();
        for flip in flips {
            let bit = begin * 8 + flip.index((bytes.len() - begin) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes.truncate(begin + cut.index(bytes.len() - begin));
        read_all(&bytes);
    }

    #[test]
    fn garbage_is_a_fragment(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        read_all(&bytes);
    }
}
