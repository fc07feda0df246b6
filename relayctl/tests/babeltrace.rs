//! The reference reader and this one agree about every field of every record.

mod readers;
mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use readers::{ours, theirs};
use relay_machine::install::{self, BABELTRACE, Need, RealSystem};
use serde_json::{Value, json};
use synthetic::typed::{
    KINDS, SCHED, event as event_class, kinds, others, statement, with_classes,
};
use synthetic::{Left, Stream, capture, metadata, metadata_packets, relayctl, small};

/// Makes sure that babeltrace2 is there; false, and a notice, if it cannot be installed.
fn has_babeltrace() -> bool {
    let mut system = RealSystem {
        folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        say: |what| eprintln!("{what}"),
    };
    match install::ensure(&mut system, &[Need::Babeltrace]) {
        Ok(()) => true,
        Err(error) => {
            // Not captured by the test harness, unlike `eprintln!`.
            let notice = format!("SKIPPED, not tested against babeltrace2: {error}\n");
            let _ = fs::write("/dev/stderr", notice);
            false
        }
    }
}

/// Reads a trace with babeltrace2.
fn babeltrace(trace: &Path) -> Left {
    Command::new(BABELTRACE)
        .args(["--clock-cycles", "--no-delta"])
        .arg(trace)
        .output()
        .expect("it starts")
        .into()
}

/// Compares both readers on a capture, and returns how many records there are.
fn compare(out: &Path) -> usize {
    let left = babeltrace(&out.join("trace"));
    assert_eq!(left.code, Some(0), "{}", left.err);
    for line in left.err.lines() {
        assert!(
            line.contains("Tracer ") && line.contains("discarded"),
            "{line}"
        );
    }
    let cat = relayctl(&["cat".as_ref(), "--json".as_ref(), out.as_os_str()]);
    assert_eq!(cat.code, Some(0), "{}", cat.err);
    // Records of the same time may come in any order.
    let (mut theirs, mut ours) = (theirs(&left.out, &[]), ours(&cat.out));
    theirs.sort();
    ours.sort();
    for (their, our) in theirs.iter().zip(&ours) {
        assert_eq!(their, our);
    }
    assert_eq!(theirs.len(), ours.len());
    let stat = relayctl(&["stat".as_ref(), "--json".as_ref(), out.as_os_str()]);
    let stat: Value = serde_json::from_str(&stat.out).expect("it is JSON");
    assert_eq!(stat["total"]["delivered"], ours.len());
    ours.len()
}

#[test]
fn both_readers_agree_about_the_channels_of_the_format() {
    if has_babeltrace() {
        assert_eq!(compare(&capture("babeltrace", &small())), 33);
    }
}

#[test]
fn both_readers_agree_about_losses_and_many_packets() {
    if !has_babeltrace() {
        return;
    }
    let mut packets = metadata_packets(&metadata(4), 1 << 12);
    let mut random = 1u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    for cpu in 0..4 {
        let mut ticks = 1000;
        let mut sequence = [0; 3];
        let mut flood = Stream::new(3, cpu, ticks);
        for _ in 0..50 {
            for _ in 0..next(40) {
                ticks += next(1 << 40);
                let context = next(3) as u8;
                let n = &mut sequence[usize::from(context)];
                flood.flood(ticks, context, *n, next(300) as u16);
                *n += 1;
                if next(4) == 0 {
                    flood.raw(0x3FFE, ticks, context, b"\x02xx");
                }
            }
            if next(3) == 0 {
                let lost = 1 + next(10);
                flood.lost[next(6) as usize] += lost;
                sequence[0] += lost;
            }
            flood.padding = next(100) as usize;
            packets.push(flood.packet(ticks + 1, 0));
        }
        packets.push(flood.packet(ticks + 2, 1));
        packets.push(Stream::new(1, cpu, 0).packet(1, 1));
        let mut claims = Stream::new(2, cpu, 0);
        for (from, attempted) in sequence.into_iter().enumerate() {
            claims.claim(1, 3, from as u8, attempted);
        }
        packets.push(claims.packet(2, 1));
    }
    let out = capture("babeltrace", &packets);
    assert!(compare(&out) > 2000);
    let verify = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert!(verify.out.ends_with("complete\n"), "{}", verify.out);
}

#[test]
fn both_readers_agree_about_all_types() {
    if !has_babeltrace() {
        return;
    }
    let event = "
        typealias integer { size = 24; align = 8; signed = true; } := int24_t;
        event {
            name = \"types\";
            id = 7;
            stream_id = 1;
            fields := struct {
                integer { size = 8; signed = true; align = 8; } i8;
                int24_t i24;
                integer { size = 64; align = 8; signed = true; } i64;
                integer { size = 56; align = 8; signed = false; } u56;
                floating_point { exp_dig = 11; mant_dig = 53; align = 8; } f64;
                string text;
                uint16_t grid[2][3];
                uint8_t n;
                struct { uint8_t a; uint8_t m; uint16_t list[m]; } parts[n];
                enum : int24_t { low = -5, span = 0 ... 9 } label;
                utf8_t fixed[4];
                uint32_t _event;
            };
        };";
    let mut packets = metadata_packets(&(metadata(1) + event), 1 << 12);
    let mut payload = vec![0xFE];
    payload.extend([0xFF, 0xFF, 0x80]);
    payload.extend((-5i64).to_le_bytes());
    payload.extend([1, 2, 3, 4, 5, 6, 0xFF]);
    payload.extend(1.5f64.to_le_bytes());
    payload.extend(b"zero-terminated\0");
    payload.extend((0..6u16).flat_map(u16::to_le_bytes));
    payload.push(2);
    payload.extend([9, 1, 7, 0, 8, 0]);
    payload.extend([7, 0, 0]);
    payload.extend(b"fix!");
    payload.extend(77u32.to_le_bytes());
    let mut klog = Stream::new(1, 0, 0);
    klog.record(7, 1, 2, &payload);
    packets.push(klog.packet(2, 1));
    let out = capture("babeltrace", &packets);
    assert_eq!(compare(&out), 1);
    let cat = relayctl(&["cat".as_ref(), "--json".as_ref(), out.as_os_str()]);
    let record: Value = serde_json::from_str(&cat.out).expect("it is JSON");
    assert_eq!(
        record["fields"],
        json!({
            "i8": -2, "i24": -8_323_073, "i64": -5, "u56": 0xFF_0605_0403_0201u64, "f64": 1.5,
            "text": "zero-terminated", "grid": [[0, 1, 2], [3, 4, 5]], "n": 2,
            "parts": [{"a": 9, "m": 1, "list": [7]}, {"a": 8, "m": 0, "list": []}],
            "label": "span", "fixed": "fix!", "event": 77
        })
    );
}

#[test]
fn both_readers_agree_about_statements_and_events() {
    if !has_babeltrace() {
        return;
    }
    let sentence = "woke \"{u8}\" {{{u64:>4}}}\\ on cpu {hex64:#x} {missing}";
    let classes = statement(300, sentence, KINDS)
        + &statement(301, "nothing to say", "")
        + &event_class(
            300,
            "kinds",
            "&facility=sched&text=a \"{u8}\" and {u16}",
            KINDS,
        )
        + &event_class(301, "bare", "", "uint8_t _x;");
    let mut packets = metadata_packets(&with_classes(&classes), 1 << 12);
    packets.extend(others(40, 21));
    for (id, flags) in [(1, 1), (SCHED, 2)] {
        let mut stream = Stream::new(id, 0, 0);
        for (n, ticks) in (0..20u8).zip(1..) {
            let text = format!("strange {n}: \"q\" {{b}}\n\t\u{1f600}\u{202e}\\");
            let fields = kinds(&text, f32::from(n) / 10.0, f64::from(n) - 7.25, flags);
            stream.record(300, ticks, n % 3, &fields);
            if id == 1 {
                stream.record(301, ticks, n % 3, &[]);
            }
        }
        if id == SCHED {
            stream.record(301, 100, 0, &[1]);
        }
        packets.push(stream.packet(1000, 1));
    }
    let out = capture("babeltrace", &packets);
    // And the claims.
    assert_eq!(compare(&out), 40 + 21 + 2);
}
