//! Statements and events: what `cat` says about them, whatever their classes and records are.

mod synthetic;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use relay_decode::records::{Line, Records, Schema};
use relay_decode::wire::Header;
use serde_json::{Value, json};
use synthetic::typed::{KINDS, Payload, SCHED, event, kinds, others, statement, with_classes};
use synthetic::{Left, Stream, capture, judged, metadata_packets, relayctl};

/// A capture with these classes, and records of the log and of `sched`: number and fields.
fn made(name: &str, classes: &str, klog: &[(u16, &[u8])], sched: &[(u16, &[u8])]) -> PathBuf {
    let mut packets = metadata_packets(&with_classes(classes), 1 << 12);
    packets.extend(others(klog.len() as u64, sched.len() as u64));
    for (id, records) in [(1, klog), (SCHED, sched)] {
        let mut stream = Stream::new(id, 0, 0);
        for ((class, fields), ticks) in records.iter().zip(1..) {
            stream.record(*class, ticks, synthetic::TASK, fields);
        }
        packets.push(stream.packet(1000, 1));
    }
    capture(name, &packets)
}

/// Runs `cat` on a capture.
fn cat(out: &Path, args: &[&str]) -> Left {
    let path = out.to_str().expect("it is text");
    relayctl(&[&["cat"], args, &[path]].concat())
}

/// What `cat` shows of a sound capture as JSON.
fn json_of(out: &Path) -> Vec<Value> {
    let left = cat(out, &["--json"]);
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
    let lines = left.out.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("it is JSON"));
    lines.collect()
}

/// What `cat` shows of a sound capture with this template.
fn lines_of(out: &Path, template: &str) -> Vec<String> {
    let left = cat(out, &["--log-format", template]);
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
    left.out.lines().map(str::to_owned).collect()
}

/// The sentence of one record of a statement.
fn sentence(template: &str, fields: &str, payload: &[u8]) -> String {
    let text = with_classes(&statement(300, template, fields));
    let schema = Schema::read(text.as_bytes()).expect("it is good");
    let channel = schema.channel(1).expect("the log is there");
    let mut stream = Stream::new(1, 0, 0);
    stream.record(300, 1, 0, payload);
    let packet = stream.packet(2, 1);
    let header = Header::of(&packet).expect("whole").expect("sound");
    let mut records = Records::new(channel, &header, &packet);
    let (record, values) = records
        .next_record()
        .expect("it is sound")
        .expect("it is there");
    let message = Line::new(record.event, values).message();
    String::from_utf8(message.expect("it has one").into_owned()).expect("it is UTF-8")
}

#[test]
fn every_kind_of_field_is_shown() {
    let strange = "\"q\" {b}\0\u{1f600}\n";
    let fields = kinds(strange, 0.1, f64::MIN_POSITIVE, 0b1011);
    let classes = event(300, "kinds", "", KINDS);
    let out = made("kinds", &classes, &[], &[(300, &fields)]);
    let records = json_of(&out);
    assert_eq!(
        records
            .iter()
            .find(|record| record["event"] == "kinds")
            .expect("it is there")["fields"],
        json!({
            "u8": u8::MAX, "u16": u16::MAX, "u32": u32::MAX, "u64": u64::MAX,
            "i8": i8::MIN, "i16": i16::MIN, "i32": i32::MIN, "i64": i64::MIN,
            "hex8": 0xA5, "hex64": 0xFFFF_8000_0000_1234u64, "bool_no": false, "bool_yes": true,
            "char": "\u{1f600}", "f32": 0.1, "f64": f64::MIN_POSITIVE, "state": "Run",
            "signed": "Under", "flags": ["READ", "WRITE", 8], "str": strange,
            "string": strange.replace('\0', "0"), "blob": [0, 1, 255], "array": [-1, 0, 1],
            "bytes": [7, 8], "list": [1, u32::MAX], "maybe_none": null, "maybe_u16": 0x1234,
            "maybe_u8": 9, "maybe_char": "x", "names": ["one", ""], "maybe_name": "name",
        })
    );
    let shown = lines_of(&out, "{fields}");
    let shown = shown
        .iter()
        .find(|line| line.starts_with("u8="))
        .expect("it is there");
    assert_eq!(
        shown,
        "u8=255 u16=65535 u32=4294967295 u64=18446744073709551615 i8=-128 i16=-32768 \
         i32=-2147483648 i64=-9223372036854775808 hex8=0xa5 hex64=0xffff800000001234 \
         bool_no=false bool_yes=true char='\u{1f600}' f32=0.1 \
         f64=2.2250738585072014e-308 state=Run signed=Under \
         flags=READ|WRITE|0x8 str=\"\\\"q\\\" {b}\\x00\u{1f600}\\n\" \
         string=\"\\\"q\\\" {b}0\u{1f600}\\n\" blob=<3 bytes> array=[-1, 0, 1] bytes=<2 bytes> list=[1, 4294967295] maybe_none=none \
         maybe_u16=4660 maybe_u8=9 maybe_char='x' names=[\"one\", \"\"] maybe_name=\"name\""
    );
}

#[test]
fn values_that_no_kernel_writes_are_shown_as_they_are() {
    let fields = r#"enum : uint8_t { "false" = 0, "true" = 1 } _bool; utf8_t _char[4];
        enum : integer { size = 8; align = 8; signed = false; } { "Idle" = 0 } _state;
        enum : integer { size = 8; align = 8; signed = false; base = 16; } { "A" = 1 } _flags;
        uint8_t ___maybe_length; uint8_t _maybe[___maybe_length];
        uint16_t ___text_length; utf8_t _text[___text_length];
        floating_point { exp_dig = 8; mant_dig = 24; align = 8; } _nan;"#;
    let classes = statement(
        300,
        "{bool} {char} {state} {flags} {maybe:?} {text} {nan}",
        fields,
    );
    let record = |character: &[u8], flags| {
        let strange = Payload::default()
            .bytes([2])
            .bytes(character)
            .bytes([9, flags]);
        let strange = strange
            .bytes([2, 7, 8])
            .text(b"a\xff")
            .bytes(f32::NAN.to_le_bytes());
        strange.0
    };
    let (wide, zero) = (record(b"ab\0\0", 0x80), record(&[0; 4], 0));
    let out = made("odd", &classes, &[(300, &wide), (300, &zero)], &[]);
    let records = json_of(&out);
    let records: Vec<_> = records
        .iter()
        .filter(|record| record["channel"] == "klog")
        .collect();
    assert_eq!(
        records[0]["fields"],
        json!({"bool": 2, "char": "ab", "state": 9, "flags": [128], "maybe": [7, 8],
            "text": "a\u{fffd}", "nan": null})
    );
    assert_eq!(records[0]["msg"], "2 ab 9 0x80 [7, 8] a\u{fffd} NaN");
    assert_eq!(
        (
            &records[1]["fields"]["char"],
            &records[1]["fields"]["flags"]
        ),
        (&json!("\0"), &json!([]))
    );
    assert_eq!(records[1]["msg"], "2 \0 9 0 [7, 8] a\u{fffd} NaN");
}

#[test]
fn a_statement_is_a_line_of_the_log() {
    let fields =
        "uint64_t _id; uint32_t _cpu; uint16_t ___name_length; utf8_t _name[___name_length];";
    let template = "woke \"{name}\" {{{id:>4}}} on cpu {cpu:#x}\nand {missing}";
    let classes = statement(300, template, fields);
    let payload = Payload::default()
        .bytes(7u64.to_le_bytes())
        .bytes(12u32.to_le_bytes());
    let payload = payload.text("\x1b[31midle\u{202e}").0;
    let out = made("statement", &classes, &[(300, &payload)], &[]);
    let shown = cat(&out, &["--channel", "klog"]);
    assert_eq!(
        shown.out,
        "[    0.000000] 0:0 task INFO  kernel::sched sched.rs:42: \
         woke \"\\x1b[31midle\\u{202e}\" {   7} on cpu 0xc\n            | and {missing}\n"
    );
    let records = json_of(&out);
    let record = records
        .iter()
        .find(|record| record["channel"] == "klog")
        .expect("it is there");
    assert_eq!(record["event"], template);
    assert_eq!(record["severity"], "INFO");
    assert_eq!(
        record["msg"],
        "woke \"\x1b[31midle\u{202e}\" {   7} on cpu 0xc\nand {missing}"
    );
    assert_eq!(
        (&record["module"], &record["file"], &record["line"]),
        (
            &json!("kernel::sched"),
            &json!("kernel/src/sched.rs"),
            &json!(42)
        )
    );
    assert_eq!(
        record["fields"],
        json!({"id": 7, "cpu": 12, "name": "\x1b[31midle\u{202e}"})
    );
    let (code, boots) = judged(&out);
    assert_eq!(
        (code, &boots[0]["verdict"]),
        (Some(0), &json!("complete")),
        "{boots:?}"
    );
}

#[test]
fn an_event_is_its_name_and_its_sentence() {
    let fields = "uint32_t _from; uint32_t _to;";
    let classes = event(
        300,
        "sched_switch",
        "&facility=sched&text=from {from} to {to:>3}",
        fields,
    ) + &event(301, "sched_wake", "", fields);
    let fields = [1u32, 2].map(u32::to_le_bytes).concat();
    let out = made("event", &classes, &[], &[(300, &fields), (301, &fields)]);
    let shown = cat(&out, &["--channel", "sched"]);
    assert_eq!(
        shown.out,
        "[    0.000000] 0:0 task DEBUG sched sched_switch: from 1 to   2\n\
         [    0.000000] 0:1 task DEBUG sched sched_wake: from=1 to=2\n"
    );
    let places = lines_of(&out, "{channel}/{facility}/{module} {file}:{line}/{fields}");
    let places: Vec<_> = places
        .iter()
        .filter(|line| line.starts_with("sched"))
        .collect();
    assert_eq!(
        places,
        [
            "sched/sched/kernel::sched::switch switch.rs:57/from=1 to=2",
            "sched//kernel::sched::switch switch.rs:57/from=1 to=2"
        ]
    );
    let records = json_of(&out);
    let records: Vec<_> = records
        .iter()
        .filter(|record| record["channel"] == "sched")
        .collect();
    assert_eq!(records[0]["msg"], "from 1 to   2");
    assert_eq!(
        (&records[0]["facility"], &records[0]["file"]),
        (&json!("sched"), &json!("kernel/src/switch.rs"))
    );
    assert_eq!(
        (records[1].get("msg"), records[1].get("facility")),
        (None, None)
    );
}

#[test]
fn filters_know_what_classes_say() {
    let classes = statement(300, "a statement", "")
        + &statement(301, "grave", "").replace("loglevel = 6", "loglevel = 2")
        + &statement(302, "no level", "").replace("loglevel = 6", "loglevel = 9")
        + &event(300, "switch", "", "");
    let mut packets = metadata_packets(&with_classes(&classes), 1 << 12);
    packets.extend(others(5, 1));
    let mut klog = Stream::new(1, 0, 0);
    for (id, ticks) in (300..303).zip(1..) {
        klog.record(id, ticks, 0, &[]);
    }
    klog.klog(10, 0, 3, 7, ["kernel::sched::x", "x.rs", "classic"]);
    klog.klog(11, 0, 5, 7, ["kernel::schedule", "x.rs", "step"]);
    packets.push(klog.packet(100, 1));
    let mut sched = Stream::new(SCHED, 0, 0);
    sched.record(300, 20, 0, &[]);
    packets.push(sched.packet(100, 1));
    let out = capture("filters", &packets);
    let shown = |args: &[&str]| -> Vec<String> {
        let mut all = vec!["--log-format", "{event}/{msg}"];
        all.extend(args);
        let left = cat(&out, &all);
        assert_eq!(left.code, Some(0), "{}", left.err);
        left.out.lines().map(str::to_owned).collect()
    };
    assert_eq!(
        shown(&["--level", "info"]),
        ["a statement/a statement", "grave/grave", "klog/classic"]
    );
    assert_eq!(shown(&["--level", "crit"]), ["grave/grave"]);
    assert_eq!(
        shown(&["--level", "debug", "--channel", "sched"]),
        ["switch/"]
    );
    assert_eq!(
        shown(&["--module", "kernel::sched"]),
        [
            "a statement/a statement",
            "grave/grave",
            "no level/no level",
            "klog/classic",
            "switch/"
        ]
    );
    assert_eq!(
        shown(&[
            "--module",
            "kernel::sched::switch",
            "--module",
            "kernel::schedule"
        ]),
        ["klog/step", "switch/"]
    );
    assert_eq!(shown(&["--module", "kernel::sched::sw"]), [""; 0]);
    // A wrong one is told of; one that has records is not.
    let told = |module| cat(&out, &["--module", module]).err;
    assert!(
        told("kernel::sched::sw").contains("no record that is wanted is of kernel::sched::sw:")
    );
    assert_eq!(told("kernel::sched"), "");
    let left = cat(&out, &["--module", ""]);
    assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
}

#[test]
fn a_class_that_is_not_understood_harms_no_other() {
    let unknown = |fields: &str| statement(301, "a \"later\" one", fields);
    let good = statement(300, "good {n}", "uint8_t _n;");
    for fields in [
        "variant <tag> { uint8_t a; } _x;",
        "nothing _x;",
        "integer { size = 32; align = 32; } _x;",
        "integer { size = 4; align = 8; } _x;",
        "uint8_t _x[9999999999999999999999];",
        "uint8_t _x @ 5; string { encoding = \"\\q } ; id = 7; \"; } _y;",
        "string _x[70000];",
    ] {
        let out = made(
            "unknown",
            &(unknown(fields) + &good),
            &[(300, &[1]), (301, &[0, 0, 0, 0]), (300, &[2])],
            &[],
        );
        let shown = cat(&out, &["--channel", "klog", "--log-format", "{msg}"]);
        assert_eq!(shown.code, Some(1), "{fields}: {shown:?}");
        let (first, note) = shown.out.split_once('\n').expect("there are two lines");
        assert_eq!(first, "good 1", "{fields}");
        let named = "record 1, at byte 176 of it: the fields of event 301, 'a \"later\" one' \
                     cannot be read: metadata ";
        assert!(note.contains(named), "{fields}: {note}");
        let (code, boots) = judged(&out);
        assert_eq!(
            (code, &boots[0]["verdict"]),
            (Some(1), &json!("broken")),
            "{fields}"
        );
    }
    // Nobody writes it: nothing is wrong.
    let out = made(
        "unknown",
        &(unknown("nothing _x;") + &good),
        &[(300, &[1])],
        &[],
    );
    assert_eq!(judged(&out).0, Some(0));
    // How long it is is known.
    let classes = unknown("uint16_t _x[70000];") + &good;
    let large = vec![0; 140_000];
    let out = made(
        "unknown",
        &classes,
        &[(300, &[1]), (301, &large), (300, &[2])],
        &[],
    );
    assert_eq!(
        cat(
            &out,
            &[
                "--channel",
                "klog",
                "--log-format",
                "{severity} {msg}/{fields}"
            ]
        )
        .out,
        "INFO good 1/n=1\nINFO a \"later\" one/<140000 unreadable bytes>\nINFO good 2/n=2\n"
    );
    let records = json_of(&out);
    let record = records
        .iter()
        .find(|record| record["event"] == "a \"later\" one");
    assert_eq!(record.expect("it is there")["fields"], Value::Null);
    assert_eq!(judged(&out).0, Some(0));
}

#[test]
fn what_is_said_beside_the_fields_is_no_reason_to_refuse_a_class() {
    let class = "event { name = \"odd\"; id = 300; stream_id = 1; loglevel = \"loud\"; \
                 model.emf.uri = 7; later.on = word; \
                 fields := struct { uint8_t _n; }; };";
    let out = made("odd", class, &[(300, &[5])], &[]);
    let shown = lines_of(&out, "{severity}/{event}/{module}/{msg}");
    assert!(shown.contains(&"/odd//n=5".to_owned()), "{shown:?}");
    // What would lie before the fields is.
    let class = class.replace("later.on = word", "context := struct { uint8_t a; }");
    let out = made("odd", &class, &[(300, &[5])], &[]);
    assert_eq!(cat(&out, &[]).code, Some(1));
    // An event that has no number is nobody's.
    let class = class.replace("id = 300", "id = three hundred");
    let out = made("odd", &class, &[(300, &[5])], &[]);
    assert!(
        cat(&out, &[])
            .out
            .contains("the metadata knows no event 300 here")
    );
}

#[test]
fn hostile_templates_are_bounded() {
    let begin = Instant::now();
    let limit = (1 << 16) + 5;
    let fields = "uint64_t _n; uint16_t ___t_length; utf8_t _t[___t_length];";
    let payload = Payload::default().bytes(u64::MAX.to_le_bytes()).text("").0;
    for template in [
        "{n:4000000000}",
        "{n:99999999999999999999999999}",
        "{n:n$}",
        "{n:.n$}{n:1$}{n:*}{n:.*}",
        "{n",
        "n}",
        "}{",
        "{{{{{n}}}}",
        "{n:{n}}",
        "{:}{0}{}",
        "{\u{202e}}{n:\u{1f600}>5}",
    ] {
        let said = sentence(template, fields, &payload);
        assert!(said.len() < 200, "{template}: {}", said.len());
    }
    let wide = sentence(&"{n:65535}".repeat(1000), fields, &payload);
    assert!(
        wide.len() <= limit && wide.ends_with("[...]"),
        "{}",
        wide.len()
    );
    let wide = sentence(&"{n:\u{1f600}>65535}".repeat(1000), fields, &payload);
    assert!(
        wide.len() <= limit && wide.ends_with("\u{1f600}[...]"),
        "{}",
        wide.len()
    );
    // Placeholders that say nothing, and fields that have to be looked for.
    let many: String = (0..4000).map(|n| format!("uint8_t _f{n};")).collect();
    let template = "{t}".repeat(5400);
    let said = |template: &str| {
        let fields = many.clone() + fields;
        let payload = [vec![0; 4000], payload.clone()].concat();
        (0..10).for_each(|_| drop(sentence(template, &fields, &payload)));
        sentence(template, &fields, &payload)
    };
    assert_eq!(said(&template), "");
    assert_eq!(said(&"{x}".repeat(5400)).len(), 16200);
    // Lists of lists.
    let list = "uint16_t ___l_length; struct { uint16_t ___v_length; uint8_t _v[___v_length]; } _l[___l_length];";
    let mut payload = 30_000u16.to_le_bytes().to_vec();
    payload.extend([[1, 0, 7]; 30_000].concat());
    let long = sentence("{l:#?}", list, &payload);
    assert!(
        long.len() <= limit && long.ends_with("[...]"),
        "{}",
        long.len()
    );
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_template_that_is_too_long_is_no_template() {
    let long = "x".repeat((1 << 14) + 1);
    let out = made(
        "long",
        &statement(300, &long, "uint8_t _n;"),
        &[(300, &[5])],
        &[],
    );
    let shown = lines_of(&out, "{event}/{msg}");
    assert!(shown.contains(&format!("{long}/n=5")));
}

/// Of the metadata, packets may be missing for good: on a line with noise. What came is used.
#[test]
fn metadata_that_lacks_packets_is_used_as_far_as_it_came() {
    let ids: Vec<u16> = (300..360).collect();
    let classes = ids.iter().map(|id| {
        let class = statement(*id, &format!("statement {id} says {{n}}"), "uint64_t _n;");
        format!("\n{class}")
    });
    let text = with_classes(&classes.collect::<String>());
    let packets = metadata_packets(&text, 700);
    let class_at = |id: u16| text.find(&format!("id = {id};")).expect("it is there");
    // The packet with the middle of a class, and those that lie wholly in it or around it.
    let lost = class_at(330) / 700;
    for missing in [vec![lost], vec![lost, lost + 1], vec![packets.len() - 1]] {
        let is_known = |id: u16| {
            let end = class_at(id) + 200;
            let begin = class_at(id) - 100;
            missing
                .iter()
                .all(|at| end < at * 700 || begin > (at + 1) * 700)
        };
        let known: Vec<_> = ids.iter().copied().filter(|id| is_known(*id)).collect();
        assert!(known.len() > 50 && known.len() < ids.len());
        let mut came: Vec<_> = packets.clone();
        for at in missing.iter().rev() {
            came.remove(*at);
        }
        came.extend(others(known.len() as u64, 0));
        let mut stream = Stream::new(1, 0, 0);
        for (id, ticks) in known.iter().zip(1..) {
            stream.record(*id, ticks, synthetic::TASK, &u64::from(*id).to_le_bytes());
        }
        came.push(stream.packet(1000, 1));
        came.push(Stream::new(SCHED, 0, 0).packet(1000, 1));
        let (out, left) = synthetic::recorded("partial", &came);
        assert!(left.err.contains("is not whole: "), "{}", left.err);
        let shown = json_of(&out);
        let said: Vec<_> = shown
            .iter()
            .filter(|record| record["channel"] == "klog")
            .map(|record| record["msg"].as_str().expect("it is text").to_owned())
            .collect();
        let wanted: Vec<_> = known
            .iter()
            .map(|id| format!("statement {id} says {id}"))
            .collect();
        assert_eq!(said, wanted);
    }
    // Without what describes all of it, nothing can be read.
    let (_, left) = synthetic::recorded("partial-head", &packets[1..]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("packets came"), "{}", left.err);
}
