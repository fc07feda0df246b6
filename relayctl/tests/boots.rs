//! Captures of machines that were reset, and of recorders that attached late or again: each boot is
//! a trace of its own, and metadata that comes again is no error.

mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use relay_decode::audit::Audit;
use relay_decode::capture::{Boots, Capture, MAX_BOOTS, Options, Stored, Totals};
use relay_decode::wire::Kind;
use serde_json::{Value, json};
use synthetic::{
    Left, Stream, TASK, boot_uuid, folder, metadata, metadata_packets, other_boot, recorded,
    relayctl, salvaged, small, text_of,
};

/// The metadata packets among others, and the others.
fn parts(packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let all = packets.iter().cloned();
    all.partition(|packet| packet[20..24] == [0; 4])
}

/// A small machine's second boot, with one CPU and other counts.
fn other() -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(1), 700);
    let mut klog = Stream::new(1, 0, 50);
    for n in 0..5 {
        klog.klog(100 + n, TASK, 3, 1, ["m", "f", "after the reset"]);
    }
    klog.lost[0] = 2;
    packets.push(klog.packet(200, 0));
    klog.klog(210, TASK, 2, 1, ["m", "f", "last"]);
    packets.push(klog.packet(220, 1));
    let mut claims = Stream::new(2, 0, 50);
    claims.claim(300, 1, TASK, 8);
    packets.push(claims.packet(310, 1));
    packets.push(Stream::new(3, 0, 50).packet(310, 1));
    packets
}

/// Runs a command on a capture.
fn on(command: &[&str], capture: &Path) -> Left {
    let mut args: Vec<_> = command.iter().map(std::ffi::OsStr::new).collect();
    args.push(capture.as_os_str());
    relayctl(&args)
}

/// The lines of JSON that a command prints.
fn lines(left: &Left) -> Vec<Value> {
    let lines = left.out.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("it prints JSON"))
        .collect()
}

/// Sums as `verify` and `stat` show them.
fn sums(total: &Value) -> [u64; 6] {
    let names = [
        "attempted",
        "delivered",
        "lost",
        "overwritten",
        "uncommitted",
        "unaccounted",
    ];
    names.map(|name| total[name].as_u64().expect("a number"))
}

/// What was written about the making of a capture.
fn made(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("run.json")).expect("it is there");
    let run: Value = serde_json::from_str(&text).expect("it is JSON");
    run["capture"].clone()
}

/// How many records babeltrace2, where there is one, finds in a trace. It complains of nothing but
/// what was lost. End to end tests install it.
fn babeltrace_reads(trace: &Path, records: usize) {
    let Ok(output) = Command::new("babeltrace2").arg(trace).output() else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    let others = errors.lines().filter(|line| !line.contains("discarded"));
    assert_eq!(
        (output.status.code(), others.count()),
        (Some(0), 0),
        "{errors}"
    );
    let events = output.stdout.split_inclusive(|byte| *byte == b'\n').count();
    assert_eq!(events, records);
}

/// The sums of `small` and of `other`.
const SMALL: [u64; 6] = [47, 33, 14, 0, 0, 0];
const OTHER: [u64; 6] = [9, 7, 2, 0, 0, 0];

#[test]
fn boots_that_follow_each_other_are_traces_of_their_own() {
    let (first, second) = (other_boot(1, &small()), other_boot(2, &other()));
    let (out, left) = recorded("two", &[first, second.clone()].concat());
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("2 boots, "), "{left:?}");
    // Each is judged by itself.
    let left = on(&["verify", "--json"], &out);
    assert_eq!(left.code, Some(0), "{left:?}");
    let judged = lines(&left);
    assert_eq!(judged.len(), 3);
    for (number, claims, total) in [(1, 10, SMALL), (2, 1, OTHER)] {
        let boot = &judged[number - 1];
        assert_eq!(boot["boot"], number);
        assert_eq!(boot["uuid"], text_of(boot_uuid(number as u16)));
        assert_eq!(
            (&boot["verdict"], &boot["claims"]),
            (&"complete".into(), &claims.into())
        );
        assert_eq!(sums(&boot["total"]), total);
    }
    assert_eq!(
        judged[2],
        json!({ "boot": "all", "verdict": "complete", "problems": [] })
    );
    let text = on(&["verify"], &out).out;
    let titles: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("boot"))
        .collect();
    assert_eq!(
        titles,
        [1, 2].map(|n| format!("boot {n} of 2: {}", text_of(boot_uuid(n))))
    );
    assert!(text.ends_with("\ncomplete\n2 boots: complete\n"), "{text}");
    // And counted.
    let left = on(&["stat", "--json"], &out);
    let counted = lines(&left);
    assert_eq!((left.code, counted.len()), (Some(0), 2));
    assert_eq!(sums(&counted[0]["total"]), SMALL);
    assert_eq!(sums(&counted[1]["total"]), OTHER);
    assert_eq!(counted[1]["boot"], 2);
    let klog = &counted[1]["channels"][0]["cpus"][0];
    for (key, count) in [
        ("packets", 2),
        ("records", 6),
        ("attempted", 8),
        ("overwritten", 0),
    ] {
        assert_eq!(klog[key], count, "{key}");
    }
    assert_eq!(
        (&klog["lost"]["full"], &klog["lost"]["missing"]),
        (&2.into(), &0.into())
    );
    assert_eq!(klog["verdict"], "complete");
    assert_eq!(on(&["stat"], &out).out.matches("boot 2 of 2: ").count(), 1);
    // And shown, one after the other.
    let shown = on(&["cat"], &out);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let title = format!("-- boot 2 of 2: {}\n", text_of(boot_uuid(2)));
    let (before, after) = shown.out.split_once(&title).expect("its title");
    assert!(before.starts_with("-- boot 1 of 2: "), "{before}");
    let records = |text: &str| text.lines().filter(|line| line.starts_with('[')).count();
    assert_eq!((records(before), records(after)), (33, 7));
    let boots: Vec<_> = lines(&on(&["cat", "--json"], &out))
        .iter()
        .map(|record| record["boot"].as_u64().expect("a number"))
        .collect();
    assert_eq!(boots, [vec![1; 33], vec![2; 7]].concat());
    // As other readers see it.
    // It shows fillers, too.
    babeltrace_reads(&out.join("trace"), 33 + 6);
    babeltrace_reads(&out.join("boot.2/trace"), 7);
    // Packed, it is one capture.
    let archive = out.with_file_name("packed.tar.gz");
    let tar = Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .arg("-C")
        .arg(out.parent().expect("a folder"))
        .arg("capture")
        .status();
    assert!(tar.is_ok_and(|status| status.success()));
    for command in [
        &["cat"][..],
        &["verify", "--json"],
        &["stat", "--boot", "2"],
    ] {
        let packed = on(command, &archive);
        let left = on(command, &out);
        assert_eq!(
            (packed.code, packed.out),
            (left.code, left.out),
            "{command:?}"
        );
    }
    // A boot's folder is a capture itself.
    let (alone, _) = recorded("alone", &second);
    for command in [&["cat"][..], &["cat", "--json"], &["verify"], &["stat"]] {
        let within = on(command, &out.join("boot.2"));
        assert_eq!(within.out, on(command, &alone).out, "{command:?}");
        assert_eq!(within.code, Some(0));
    }
}

#[test]
fn boots_are_picked_by_their_numbers() {
    let all = [
        other_boot(1, &small()),
        other_boot(2, &other()),
        other_boot(3, &small()),
    ]
    .concat();
    let (out, _) = recorded("pick", &all);
    for (boot, records) in [("1", 33), ("2", 7), ("3", 33), ("last", 33), ("all", 73)] {
        let left = on(&["cat", "--json", "--boot", boot], &out);
        assert_eq!(
            (left.code, left.out.lines().count()),
            (Some(0), records),
            "{boot}"
        );
    }
    let judged = lines(&on(&["verify", "--json", "--boot", "last"], &out));
    assert_eq!((judged.len(), &judged[0]["boot"]), (1, &3.into()));
    let counted = lines(&on(&["stat", "--json", "--boot", "2"], &out));
    assert_eq!((counted.len(), sums(&counted[0]["total"])), (1, OTHER));
    for command in ["cat", "stat", "verify"] {
        let left = on(&[command, "--boot", "4"], &out);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""), "{command}");
        assert!(
            left.err
                .contains("there is no boot 4: the capture has boots 1 to 3"),
            "{left:?}"
        );
        assert_eq!(on(&[command, "--boot", "0"], &out).code, Some(2));
    }
    // It goes as a whole.
    let forced = relayctl(&[
        "record",
        "--force",
        "--from",
        out.with_file_name("raw").to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    fs::write(out.join("boot.3/precious"), "x").expect("it is writable");
    let kept = relayctl(&[
        "record",
        "--force",
        "--from",
        out.with_file_name("raw").to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    assert_eq!(kept.code, Some(2), "{kept:?}");
    assert!(out.join("boot.3/precious").exists());
}

#[test]
fn the_worst_boot_decides() {
    let all = [other_boot(1, &small()), other_boot(2, &other())].concat();
    let (out, _) = recorded("worst", &all);
    let verdicts = |out: &Path| -> (Option<i32>, Vec<String>) {
        let left = on(&["verify", "--json"], out);
        let verdict = |line: &Value| line["verdict"].as_str().expect("a word").to_owned();
        (left.code, lines(&left).iter().map(verdict).collect())
    };
    let expect = |code, verdicts: [&str; 3]| (Some(code), verdicts.map(str::to_owned).to_vec());
    let stream = out.join("boot.2/trace/klog_0");
    let bytes = fs::read(&stream).expect("it is there");
    let mut changed = bytes.clone();
    changed[200] ^= 1;
    fs::write(&stream, &changed).expect("it is writable");
    assert_eq!(verdicts(&out), expect(1, ["complete", "broken", "broken"]));
    assert_eq!(on(&["verify", "--boot", "1"], &out).code, Some(0));
    let shown = on(&["cat"], &out);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.out.contains("was changed"), "{shown:?}");
    assert_eq!(on(&["cat", "--boot", "1"], &out).code, Some(0));
    fs::write(&stream, &bytes).expect("it is writable");
    // Without its metadata the other is still shown.
    for (path, one, two) in [
        ("boot.2/trace/metadata", "complete", "broken"),
        ("trace/metadata", "broken", "complete"),
    ] {
        let text = fs::read(out.join(path)).expect("it is there");
        fs::remove_file(out.join(path)).expect("it is writable");
        assert_eq!(verdicts(&out), expect(1, [one, two, "broken"]));
        let shown = on(&["cat", "--json"], &out);
        let records = if one == "complete" { 33 } else { 7 };
        assert_eq!(
            (shown.code, shown.out.lines().count()),
            (Some(1), records),
            "{shown:?}"
        );
        let counted = on(&["stat", "--json"], &out);
        assert_eq!((counted.code, counted.out.lines().count()), (Some(3), 1));
        fs::write(out.join(path), text).expect("it is writable");
    }
    // The making of the second was not brought to its end.
    let run = fs::read(out.join("boot.2/run.json")).expect("it is there");
    fs::remove_file(out.join("boot.2/run.json")).expect("it is writable");
    assert_eq!(verdicts(&out), expect(1, ["complete", "broken", "broken"]));
    fs::write(out.join("boot.2/run.json"), run).expect("it is writable");
    assert_eq!(verdicts(&out), expect(0, ["complete"; 3]));
    // A boot that is gone is missed.
    fs::rename(out.join("boot.2"), out.with_file_name("gone")).expect("it is writable");
    let left = on(&["verify"], &out);
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(
        left.out.contains("broken: boot 2: its folder is gone"),
        "{left:?}"
    );
    assert!(left.out.ends_with("\nbroken\n"), "{left:?}");
}

#[test]
fn metadata_that_comes_again_is_known() {
    let (described, log) = parts(&small());
    assert!(described.len() > 2);
    let reversed: Vec<_> = described.iter().rev().cloned().collect();
    let copies: Vec<_> = described.iter().map(|packet| salvaged(packet)).collect();
    let half = described.len() / 2;
    let mut spread = Vec::new();
    for packet in &log {
        spread.extend(described.clone());
        spread.push(packet.clone());
    }
    let count = described.len();
    // Packets, and how many of them repeat metadata, as they came or salvaged.
    let orders = [
        ([&described[..], &described, &log].concat(), count, 0),
        ([&described[..], &log, &described].concat(), count, 0),
        ([&reversed[..], &log].concat(), 0, 0),
        ([&log[..], &reversed, &described].concat(), count, 0),
        // Cut off, and begun anew.
        ([&described[..half], &described, &log].concat(), half, 0),
        (
            [&described[half..], &log, &described].concat(),
            count - half,
            0,
        ),
        (spread, (log.len() - 1) * count, 0),
        ([&described[..], &copies, &log].concat(), 0, count),
        ([&copies[..], &described[..half], &log].concat(), 0, half),
    ];
    for (at, (packets, repeated, doubles)) in orders.iter().enumerate() {
        let (out, left) = recorded("again", packets);
        assert_eq!(left.code, Some(0), "order {at}: {left:?}");
        let left = on(&["verify", "--json"], &out);
        let judged = &lines(&left)[0];
        assert_eq!(judged["verdict"], "complete", "order {at}: {left:?}");
        assert_eq!(sums(&judged["total"]), SMALL);
        assert_eq!(judged["fragments"], 0);
        let made = made(&out);
        let counts = (&made["repeated"], &made["doubles"]);
        assert_eq!(
            counts,
            (&(*repeated).into(), &(*doubles).into()),
            "order {at}"
        );
        assert_eq!(made["packets"], log.len());
        assert_eq!(
            fs::read_to_string(out.join("trace/metadata")).expect("kept"),
            metadata(2)
        );
    }
}

#[test]
fn metadata_that_comes_again_and_differs_is_a_contradiction() {
    let (described, log) = parts(&small());
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = described[1].clone();
        change(&mut packet);
        packet
    };
    let mut behind = Stream::new(0, 0, 0);
    behind.number = described.len() as u64;
    let differing = [
        changed(&|packet| packet[170] ^= 1),
        // It is said to be the last, and to be shorter.
        changed(&|packet| packet[84] |= 1),
        changed(&|packet| packet[48..56].copy_from_slice(&(168u64 * 8).to_le_bytes())),
        salvaged(&changed(&|packet| packet[170] ^= 1)),
        behind.packet(0, 0),
    ];
    for (at, packet) in differing.iter().enumerate() {
        for order in [
            [&described[..], &log, std::slice::from_ref(packet)].concat(),
            [
                &described[..3],
                std::slice::from_ref(packet),
                &described[3..],
                &log,
            ]
            .concat(),
        ] {
            let (out, left) = recorded("differs", &order);
            assert_eq!(left.code, Some(1), "{at}: {left:?}");
            assert!(left.err.contains("metadata: packet "), "{at}: {left:?}");
            // What came first is used, this is kept apart.
            assert_eq!(fs::read(out.join("fragments/0")).expect("kept"), *packet);
            assert_eq!(on(&["cat", "--json"], &out).out.lines().count(), 33);
            let left = on(&["verify", "--json"], &out);
            let judged = &lines(&left)[0];
            assert_eq!(
                (left.code, &judged["verdict"]),
                (Some(1), &"broken".into()),
                "{at}"
            );
            assert_eq!(sums(&judged["total"]), SMALL);
        }
    }
}

#[test]
fn a_recorder_that_attaches_late_misses_what_came_before() {
    let (described, log) = parts(&other_boot(1, &other()));
    // The first packet of the log went to whoever was attached before, or to nobody.
    let (out, left) = recorded("late", &[&described[..], &log[1..]].concat());
    // That is no fault of the recorder.
    assert_eq!(left.code, Some(0), "{left:?}");
    let left = on(&["verify", "--json"], &out);
    let judged = &lines(&left)[0];
    assert_eq!((left.code, &judged["verdict"]), (Some(1), &"broken".into()));
    let problems = judged["problems"].to_string();
    assert!(
        problems.contains("packets 0 to 0 are missing before it"),
        "{problems}"
    );
    // Five records were in it, or before it. That two were lost the packets behind it tell.
    assert_eq!(sums(&judged["total"]), [9, 2, 7, 0, 0, 0]);
    let counted = &lines(&on(&["stat", "--json"], &out))[0];
    let klog = &counted["channels"][0]["cpus"][0];
    for (key, count) in [
        ("packets", 1),
        ("records", 1),
        ("attempted", 8),
        ("delivered", 1),
    ] {
        assert_eq!(klog[key], count, "{key}");
    }
    assert_eq!(
        (&klog["lost"]["full"], &klog["lost"]["missing"]),
        (&2.into(), &5.into())
    );
    assert_eq!(
        (&klog["overwritten"], &klog["unaccounted"]),
        (&0.into(), &0.into())
    );
    let shown = on(&["cat"], &out);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.out.contains("packets 0 to 0 are missing: 5 records"),
        "{shown:?}"
    );
    babeltrace_reads(&out.join("trace"), 2);
}

#[test]
fn two_recordings_of_one_boot_are_whole_together() {
    let (described, log) = parts(&other());
    // The second begins with metadata and what was sent since.
    let both = [&described[..], &log[..1], &described, &log[1..]].concat();
    let (out, left) = recorded("joined", &both);
    assert_eq!(left.code, Some(0), "{left:?}");
    let judged = &lines(&on(&["verify", "--json"], &out))[0];
    assert_eq!(
        (&judged["verdict"], sums(&judged["total"])),
        (&"complete".into(), OTHER)
    );
    assert!(!out.join("boot.2").exists());
}

#[test]
fn a_boot_without_metadata_is_kept_and_named() {
    let (described, log) = parts(&other_boot(2, &other()));
    let bytes = log.concat().len();
    let named = format!(
        "boot {}: {} packets of {bytes} bytes cannot be read without its metadata (none came)",
        text_of(boot_uuid(2)),
        log.len()
    );
    for (first, boots) in [(other_boot(1, &small()), 1), (Vec::new(), 0)] {
        for packets in [[&first[..], &log].concat(), [&log[..], &first].concat()] {
            let (out, left) = recorded("stray", &packets);
            assert_eq!(left.code, Some(1), "{left:?}");
            assert!(left.err.contains(&named), "{left:?}");
            let left = on(&["verify"], &out);
            assert_eq!(left.code, Some(1), "{left:?}");
            assert!(left.out.contains(&format!("broken: {named}")), "{left:?}");
            assert!(left.out.ends_with("\nbroken\n"), "{left:?}");
            assert_eq!(
                fs::read(out.join("fragments/0")).expect("kept"),
                log.concat()
            );
            let made = made(&out);
            assert_eq!(
                (&made["boots"], &made["fragments"]),
                (&boots.into(), &bytes.into())
            );
            assert_eq!(made["strays"][0]["uuid"], text_of(boot_uuid(2)));
            if boots == 1 {
                // The other is as good as ever, by itself.
                assert_eq!(on(&["verify", "--boot", "1"], &out).code, Some(0));
                let shown = on(&["cat", "--json"], &out);
                assert_eq!((shown.code, shown.out.lines().count()), (Some(1), 33));
                assert!(shown.err.contains(&named), "{shown:?}");
            }
        }
    }
    // It did not come to its end.
    let part = [&other_boot(1, &small())[..], &described[1..], &log].concat();
    let (_, left) = recorded("part", &part);
    let came = format!(
        "({} of its {} packets came)",
        described.len() - 1,
        described.len()
    );
    assert!(left.err.contains(&came), "{left:?}");
    // It cannot be read.
    let mut damaged = described.clone();
    damaged[0][200] = 0;
    let part = [&other_boot(1, &small())[..], &damaged, &log].concat();
    let (out, left) = recorded("damaged", &part);
    assert_eq!(left.code, Some(1));
    assert!(
        left.err
            .contains("cannot be used, so that its packets become fragments"),
        "{left:?}"
    );
    let all = [&damaged[..], &log].concat().concat();
    assert_eq!(fs::read(out.join("fragments/0")).expect("kept"), all);
}

#[test]
fn what_stopped_cpus_left_goes_to_its_boot() {
    let (first, second) = (other_boot(1, &other()), other_boot(2, &other()));
    let (described, log) = parts(&first);
    let copies: Vec<_> = log.iter().map(|packet| salvaged(packet)).collect();
    // The first boot panics; what it left comes on another port, while the second boots.
    let orders = [
        [&described[..], &log[..1], &copies, &second].concat(),
        [&described[..], &log[..1], &second, &copies].concat(),
        [&second[..], &copies, &described, &log[..1]].concat(),
    ];
    for packets in orders {
        let (out, left) = recorded("panic", &packets);
        assert_eq!(left.code, Some(0), "{left:?}");
        let judged = lines(&on(&["verify", "--json"], &out));
        assert_eq!(judged.len(), 3);
        for boot in &judged[..2] {
            assert_eq!(
                (&boot["verdict"], sums(&boot["total"])),
                (&"complete".into(), OTHER)
            );
            assert_eq!(boot["fragments"], 0);
        }
        let panicked = judged
            .iter()
            .position(|boot| boot["uuid"] == text_of(boot_uuid(1)));
        let place = ["", "boot.2"][panicked.expect("it is there")];
        let made = made(&out.join(place));
        assert_eq!(
            (&made["salvaged"], &made["doubles"]),
            (&3.into(), &1.into())
        );
        assert!(!out.join("salvaged").exists());
    }
}

#[test]
fn a_packet_that_a_reset_cut_off_costs_no_other() {
    let (first, second) = (other_boot(1, &other()), other_boot(2, &small()));
    let whole = first[..first.len() - 1].concat();
    let last = first.last().expect("there is one");
    for cut in (1..last.len()).step_by(7).chain([last.len() - 1]) {
        let bytes = [&whole, &last[..cut], &second.concat()].concat();
        for kind in [Kind::Live, Kind::Stored] {
            let out = folder("cut").join("capture");
            let capture = Capture::create(&Options::new(&out, kind)).expect("it is writable");
            let mut port = capture.port(0);
            port.push(&bytes);
            port.finish();
            let totals = capture.finish(json!({})).expect("it is writable");
            // Of less than a magic number nobody can tell that it is missing.
            if last.len() - cut > 3 {
                assert_eq!(
                    (totals.boots, totals.fragments),
                    (2, cut as u64),
                    "{kind:?} {cut}"
                );
                let second = Stored::open(&out.join("boot.2")).expect("it can be read");
                let audit = Audit::of(&second).expect("it can be read");
                assert_eq!(audit.verdict().name(), "complete", "{kind:?} {cut}");
            }
        }
    }
}

#[test]
fn packets_that_somebody_has_logged_are_contents() {
    // The log of one machine carries what another has sent.
    let carried = other_boot(9, &other()).concat();
    let mut packets = metadata_packets(&metadata(1), 1 << 16);
    let mut log = Stream::new(1, 0, 0);
    let mut payload = vec![6, 1, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(
        u16::try_from(carried.len())
            .expect("it is short")
            .to_le_bytes(),
    );
    payload.extend(&carried);
    for n in 0..3 {
        log.record(1, n * 10 + 1, TASK, &payload);
        packets.push(log.packet(n * 10 + 5, u32::from(n == 2)));
    }
    // One of them, and noise on the line behind it.
    let one = other_boot(9, &other()).remove(0);
    payload.truncate(9);
    payload.extend(u16::try_from(one.len()).expect("it is short").to_le_bytes());
    payload.extend(&one);
    let noise = vec![0x5a; 400];
    let mut before = Stream::new(3, 0, 0);
    before.record(1, 1, TASK, &payload);
    packets.insert(1, noise.clone());
    packets.insert(1, before.packet(2, 1));
    for kind in [Kind::Live, Kind::Stored] {
        for chunk in [1, 100, 1 << 20] {
            let out = folder("carried").join("capture");
            let capture = Capture::create(&Options::new(&out, kind)).expect("it is writable");
            let mut port = capture.port(0);
            packets
                .concat()
                .chunks(chunk)
                .for_each(|chunk| port.push(chunk));
            port.finish();
            let totals = capture.finish(json!({})).expect("it is writable");
            let counts = (totals.packets, totals.fragments, totals.boots);
            assert_eq!(counts, (4, 400, 1), "{kind:?} {chunk}");
        }
    }
}

/// The metadata of a boot with nothing in it.
fn tiny(boot: u16) -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(1), 1 << 16);
    packets.push(Stream::new(1, 0, 0).packet(1, 1));
    other_boot(boot, &packets)
}

#[test]
fn there_is_a_bound_to_boots() {
    let most = u16::try_from(MAX_BOOTS).expect("it is small");
    let packets: Vec<_> = (0..most + 2).flat_map(tiny).collect();
    let (out, left) = recorded("many", &packets);
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(
        left.err.contains("a capture holds at most 1000 boots"),
        "{left:?}"
    );
    assert_eq!(made(&out)["boots"], MAX_BOOTS);
    assert!(out.join("boot.1000/run.json").is_file());
    assert!(!out.join("boot.1001").exists());
    let left = on(&["verify"], &out);
    assert_eq!(left.code, Some(1));
    let uuid = text_of(boot_uuid(most + 1));
    assert!(
        left.out
            .contains(&format!("broken: boot {uuid}: 2 packets of ")),
        "{left:?}"
    );
    assert!(left.out.ends_with("\n1000 boots: broken\n"));
    // Numbers that nobody has given are not told apart without end.
    let strays: Vec<_> = (0..5000)
        .map(|boot| other_boot(boot, &[Stream::new(1, 0, 0).packet(1, 1)]).remove(0))
        .collect();
    let (out, left) = recorded("strays", &strays);
    assert_eq!(left.code, Some(1));
    assert!(
        left.err
            .contains("other boots: 4984 packets of 837312 bytes"),
        "{left:?}"
    );
    assert_eq!(
        fs::read(out.join("fragments/0")).expect("kept").len(),
        5000 * 168
    );
}

/// A machine whose log has so many packets of one record each.
fn talkative(packets: u64) -> Vec<Vec<u8>> {
    let mut all = metadata_packets(&metadata(1), 1 << 16);
    let mut klog = Stream::new(1, 0, 0);
    for n in 0..packets {
        klog.klog(n * 10 + 1, TASK, 3, 1, ["m", "f", "what there is to say"]);
        all.push(klog.packet(n * 10 + 5, u32::from(n + 1 == packets)));
    }
    all.push(Stream::new(3, 0, 0).packet(1, 1));
    let mut claims = Stream::new(2, 0, 0);
    claims.claim(packets * 10, 1, TASK, packets);
    all.push(claims.packet(packets * 10 + 1, 1));
    all
}

#[test]
fn the_largest_size_holds_for_all_boots_together() {
    let folder = folder("sizes");
    let raw = folder.join("raw");
    let packets = [1, 2, 3].map(|boot| other_boot(boot, &talkative(300)));
    fs::write(&raw, packets.concat().concat()).expect("it is writable");
    // Each boot has some 65 KB of packets, and 10 KB of lines.
    let recorded = |size: &str, keep: &str| {
        let out = folder.join(format!("{keep}-{size}"));
        let left = relayctl(&[
            "record",
            "--max-size",
            size,
            "--keep",
            keep,
            "--from",
            raw.to_str().expect("UTF-8"),
            "--out",
            out.to_str().expect("UTF-8"),
        ]);
        (out, left)
    };
    for (size, keep, full, empty) in [
        ("120K", "oldest", 0, 2),
        ("120K", "newest", 2, 0),
        ("30K", "oldest", 9, 2),
        ("30K", "newest", 9, 0),
        ("1G", "newest", 9, 9),
    ] {
        let (out, left) = recorded(size, keep);
        let is_whole = size == "1G";
        assert_eq!(left.code, Some(i32::from(!is_whole)), "{left:?}");
        assert_eq!(left.err.contains("--max-size"), !is_whole, "{left:?}");
        let left = on(&["verify", "--json"], &out);
        assert_eq!(left.code, Some(0), "{keep} {size}: {left:?}");
        let judged = lines(&left);
        assert_eq!(judged.len(), 4);
        for (at, boot) in judged[..3].iter().enumerate() {
            let is_complete = is_whole || at == full;
            let verdict = if is_complete { "complete" } else { "open" };
            assert_eq!(boot["verdict"], verdict, "{keep} {size}: {boot}");
            let total = &boot["total"];
            // Of the log and the claims, whatever is kept.
            let sums = sums(total);
            assert_eq!(
                (sums[1] + sums[2], sums[5]),
                (sums[0], 0),
                "{keep} {size}: {boot}"
            );
            assert_eq!(boot["left_out"] == 0, is_complete, "{keep} {size}: {boot}");
            if is_complete {
                assert_eq!(sums[..3], [301, 301, 0]);
            } else if at == empty {
                assert_eq!(sums[1], 0, "{keep} {size}: {boot}");
            }
            let trace = match at {
                0 => out.join("trace"),
                _ => out.join(format!("boot.{}/trace", at + 1)),
            };
            babeltrace_reads(&trace, usize::try_from(sums[1]).expect("few"));
        }
        let stored: u64 = judged[..3]
            .iter()
            .map(|boot| boot["total"]["delivered"].as_u64().expect("a number"))
            .sum();
        assert_eq!(
            on(&["cat", "--json"], &out).out.lines().count() as u64,
            stored
        );
        assert!(stored > 20, "{keep} {size}: {stored}");
    }
}

/// What is known of a capture, whatever the order of its boots: by UUID its sums, its streams'
/// bytes, its verdict.
fn known(out: &Path) -> BTreeMap<String, (String, BTreeMap<String, Vec<u8>>)> {
    let boots = Boots::of(out).expect("it can be read");
    assert_eq!(boots.problems, Vec::<String>::new());
    let known = boots.all.iter().map(|boot| {
        let stored = Stored::open(&boot.folder).expect("it can be read");
        let audit = Audit::of(&stored).expect("it can be read");
        let judged = format!("{:?} {:?}", audit.balance(), audit.verdict());
        let files = fs::read_dir(boot.folder.join("trace")).expect("it is there");
        let files = files.map(|file| file.expect("it can be read"));
        // The index says what the packets say.
        let files = files.filter(|file| file.path().is_file()).map(|file| {
            let name = file.file_name().into_string().expect("UTF-8");
            (name, fs::read(file.path()).expect("it can be read"))
        });
        (text_of(stored.schema.uuid), (judged, files.collect()))
    });
    known.collect()
}

/// Makes a capture of what came over several ports, chunk by chunk.
fn made_of(ports: &[Vec<Vec<u8>>], turns: &[(usize, usize)]) -> (PathBuf, Totals) {
    let out = folder("mixed").join("capture");
    let capture = Capture::create(&Options::new(&out, Kind::Live)).expect("it is writable");
    let mut bytes: Vec<_> = ports.iter().map(|packets| packets.concat()).collect();
    let mut open: Vec<_> = (0..ports.len() as u32).map(|n| capture.port(n)).collect();
    let mut turns = turns.iter().cycle();
    while bytes.iter().any(|rest| !rest.is_empty()) {
        let (port, length) = turns.next().expect("there is one");
        let port = port % ports.len();
        let length = (*length).min(bytes[port].len());
        let rest = bytes[port].split_off(length);
        open[port].push(&bytes[port]);
        bytes[port] = rest;
    }
    open.into_iter().for_each(|port| port.finish());
    let totals = capture.finish(json!({})).expect("it is writable");
    (out, totals)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the packets of two boots come, over several ports, in chunks of any length, with
    /// metadata again and again: the same two traces.
    #[test]
    fn any_interleaving_gives_the_same_traces(
        again in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 0..12),
        turns in prop::collection::vec((0usize..3, 1usize..900), 3..40),
        described_at in prop::collection::vec(0usize..3, 2),
    ) {
        let whole = known(&recorded("plain", &[other_boot(1, &small()), other_boot(2, &other())].concat()).0);
        prop_assert_eq!(whole.len(), 2);
        let mut ports = vec![Vec::new(); 3];
        for (boot, packets) in [(1, other_boot(1, &small())), (2, other_boot(2, &other()))] {
            let (described, log) = parts(&packets);
            ports[described_at[boot - 1]].extend(described);
            for packet in log {
                // As kernels do it: a stream stays with its port.
                ports[packet[24] as usize % 3].push(packet);
            }
        }
        let (one, _) = parts(&other_boot(1, &small()));
        let (two, _) = parts(&other_boot(2, &other()));
        let described = [one, two].concat();
        let repeated = again.len();
        let mut doubles = 0;
        for (at, which, is_salvaged) in again {
            let packet = &described[which.index(described.len())];
            doubles += usize::from(is_salvaged);
            let packet = if is_salvaged { salvaged(packet) } else { packet.clone() };
            let port = at.index(3);
            let place = at.index(ports[port].len() + 1);
            ports[port].insert(place, packet);
        }
        // Every port has its turn.
        let turns = [&turns[..], &[(0, 500), (1, 500), (2, 500)]].concat();
        let (out, totals) = made_of(&ports, &turns);
        prop_assert_eq!((totals.fragments, totals.left_out, totals.boots), (0, 0, 2));
        prop_assert!(totals.is_sound());
        let counted = [made(&out), made(&out.join("boot.2"))];
        let sum = |key: &str| counted.iter().map(|made| made[key].as_u64().unwrap_or(0) as usize).sum::<usize>();
        prop_assert_eq!((sum("repeated"), sum("doubles")), (repeated - doubles, doubles));
        prop_assert_eq!(known(&out), whole);
    }
}
