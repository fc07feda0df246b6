//! What a panic sends: put behind what came before, without doubles, whatever comes.

mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use synthetic::{
    IRQ, Left, Stream, TASK, capture, folder, metadata, metadata_packets, record, recorded,
    relayctl, salvaged,
};

/// Flags of packets.
const SALVAGED: u32 = 2;
const CUT: u32 = 4;

/// Runs a command on a capture.
fn on(command: &[&str], capture: &Path) -> Left {
    let mut args: Vec<_> = command.iter().map(std::ffi::OsStr::new).collect();
    args.push(capture.as_os_str());
    relayctl(&args)
}

/// What `verify` says: the exit code, the judgement.
fn verify(capture: &Path) -> (Option<i32>, Value) {
    let left = on(&["verify", "--json"], capture);
    let judgement = serde_json::from_str(&left.out);
    (left.code, judgement.expect("it prints JSON"))
}

/// Sums as `verify` shows them: attempted, delivered, lost, uncommitted, unaccounted.
fn sums(total: &Value) -> [u64; 5] {
    let names = [
        "attempted",
        "delivered",
        "lost",
        "uncommitted",
        "unaccounted",
    ];
    names.map(|name| total[name].as_u64().expect("a number"))
}

/// The verdict of `verify`.
fn verdict(capture: &Path) -> String {
    verify(capture).1["verdict"]
        .as_str()
        .expect("a word")
        .to_owned()
}

/// The numbers of the records of the log that `cat` shows.
fn numbers(capture: &Path) -> Vec<u64> {
    let left = on(&["cat", "--json", "--channel", "klog"], capture);
    let records = left.out.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("it prints JSON");
        record["number"].as_u64().expect("a number")
    });
    records.collect()
}

/// What was written about the making of a capture.
fn made(capture: &Path) -> Value {
    let text = fs::read_to_string(capture.join("run.json")).expect("it is there");
    let run: Value = serde_json::from_str(&text).expect("it is JSON");
    run["capture"].clone()
}

/// The metadata of one CPU.
fn described() -> Vec<Vec<u8>> {
    metadata_packets(&metadata(1), 1000)
}

/// A stream of the log of CPU 0: packets of two records each, which were all delivered.
fn log(packets: u64) -> (Stream, Vec<Vec<u8>>) {
    let mut stream = Stream::new(1, 0, 1000);
    let packets = (0..packets).map(|n| {
        for record in 0..2 {
            let ticks = 1000 + n * 100 + record;
            stream.klog(ticks, TASK, 3, 1, ["m", "f", "some text"]);
        }
        stream.packet(1000 + n * 100 + 50, 0)
    });
    let packets = packets.collect();
    (stream, packets)
}

#[test]
fn doubles_are_dropped_and_the_rest_comes_behind() {
    let (_, log) = log(6);
    // Salvaged are packets 2 to 5, of which 2 and 3 come over their port, too. The order of arrival
    // is whatever it is.
    let copies: Vec<_> = log[2..].iter().map(|packet| salvaged(packet)).collect();
    let reversed: Vec<_> = copies.iter().rev().cloned().collect();
    let orders = [
        [&described()[..], &log[..4], &reversed].concat(),
        [&described()[..], &copies, &log[..4]].concat(),
        [&copies[..], &described(), &log[..4]].concat(),
        [&described()[..], &log[..4], &copies].concat(),
        [
            &described()[..],
            &log[..2],
            &copies[2..],
            &log[2..4],
            &copies[..2],
        ]
        .concat(),
    ];
    for order in orders {
        let capture = capture("doubles", &order);
        let (code, judgement) = verify(&capture);
        assert_eq!(
            (code, &judgement["verdict"]),
            (Some(0), &"open".into()),
            "{judgement}"
        );
        assert_eq!(numbers(&capture), (0..12).collect::<Vec<_>>());
        let made = made(&capture);
        assert_eq!(
            (&made["salvaged"], &made["doubles"]),
            (&2.into(), &2.into())
        );
        assert_eq!(judgement["total"]["unaccounted"], 0);
        assert_eq!(judgement["fragments"], 0);
        assert!(!capture.join("salvaged").exists());
        // Those that came whole first are kept, and marked as they came.
        let stream = fs::read(capture.join("trace/klog_0")).expect("it is there");
        let mut at = 0;
        let mut flags = Vec::new();
        while at < stream.len() {
            let size = u64::from_le_bytes(stream[at + 56..at + 64].try_into().unwrap()) / 8;
            flags.push(stream[at + 84]);
            at += usize::try_from(size).unwrap();
        }
        assert_eq!(flags, [0, 0, 0, 0, 2, 2]);
    }
}

#[test]
fn the_metadata_may_be_salvaged_too() {
    let (_, log) = log(2);
    let copies: Vec<_> = described().iter().map(|packet| salvaged(packet)).collect();
    assert!(copies.len() > 2);
    for came in 0..=copies.len() {
        let packets = [&copies[..], &log, &described()[..came]].concat();
        let capture = capture("metadata", &packets);
        assert_eq!(verdict(&capture), "open", "{came} packets of metadata");
        assert_eq!(numbers(&capture), [0, 1, 2, 3]);
        assert_eq!(made(&capture)["doubles"], came);
    }
}

#[test]
fn a_copy_that_differs_is_said_and_kept_apart() {
    let (_, log) = log(3);
    let mut copy = salvaged(&log[1]);
    copy[180] ^= 1;
    let folder = folder("differs");
    let raw = folder.join("raw");
    let packets = [described(), log, vec![copy.clone()]].concat();
    fs::write(&raw, packets.concat()).expect("it is writable");
    let out = folder.join("capture");
    let left = record(&raw, &out);
    assert!(
        left.err.contains("klog_0: packet 1 came twice"),
        "{}",
        left.err
    );
    // The one that came first is kept.
    assert_eq!(numbers(&out), [0, 1, 2, 3, 4, 5]);
    assert_eq!(fs::read(out.join("fragments/0")).expect("kept"), copy);
    let (code, judgement) = verify(&out);
    assert_eq!(
        (code, &judgement["verdict"]),
        (Some(1), &"broken".into()),
        "{judgement}"
    );
    let problems = judgement["problems"].to_string();
    assert!(problems.contains("its salvaged copy differs"), "{problems}");
    // The raw bytes, without a capture, are judged alike.
    assert_eq!(verify(&raw).0, Some(1));
}

#[test]
fn a_difference_in_the_padding_is_none() {
    let (mut stream, mut log) = log(1);
    stream.padding = 24;
    stream.klog(1200, TASK, 3, 1, ["m", "f", "padded"]);
    log.push(stream.packet(1250, 0));
    let mut copy = salvaged(&log[1]);
    *copy.last_mut().expect("it is long") ^= 0xFF;
    let capture = capture("padding", &[described(), log, vec![copy]].concat());
    assert_eq!(verdict(&capture), "open");
    assert_eq!(made(&capture)["doubles"], 1);
}

#[test]
fn uncommitted_records_are_counted() {
    let (mut stream, mut packets) = log(2);
    stream.klog(1300, TASK, 3, 1, ["m", "f", "behind a hole"]);
    stream.uncommitted = 1;
    stream.lost[2] = 4;
    packets.push(stream.packet(1400, SALVAGED));
    // And an empty packet, in which nothing but another hole was.
    stream.uncommitted = 2;
    packets.push(stream.packet(1500, SALVAGED));
    let capture = capture("uncommitted", &[described(), packets].concat());
    let (code, judgement) = verify(&capture);
    let total = &judgement["total"];
    assert_eq!((code, &judgement["verdict"]), (Some(0), &"open".into()));
    assert_eq!(sums(total), [11, 5, 4, 2, 0]);
    let text = on(&["verify"], &capture).out;
    assert!(
        text.contains(
            "proven up to packet 3, record 5, where its CPU was stopped: 2 records uncommitted"
        ),
        "{text}"
    );
    assert!(text.contains("+ uncommitted 2; unaccounted 0"), "{text}");
    let text = on(&["cat"], &capture).out;
    for packet in [2, 3] {
        let note =
            format!("packet {packet} was salvaged from a stopped CPU, 1 records uncommitted");
        assert!(text.contains(&note), "{text}");
    }
    assert!(text.contains("behind a hole"), "{text}");
    babeltrace_reads(&capture);
}

#[test]
fn a_packet_that_was_cut_says_so() {
    let (mut stream, mut packets) = log(1);
    // Of five committed records two can be told from what is in doubt.
    stream.klog(1300, TASK, 3, 1, ["m", "f", "before"]);
    stream.klog(1301, IRQ, 3, 1, ["m", "f", "the doubt"]);
    stream.records_in_doubt(3);
    stream.uncommitted = 1;
    packets.push(stream.packet(1400, SALVAGED | CUT));
    stream.klog(1500, TASK, 3, 1, ["m", "f", "behind"]);
    packets.push(stream.packet(1600, SALVAGED));
    let capture = capture("cut", &[described(), packets].concat());
    let (code, judgement) = verify(&capture);
    assert_eq!(
        (code, &judgement["verdict"]),
        (Some(0), &"open".into()),
        "{judgement}"
    );
    let total = &judgement["total"];
    // Those three are known by their numbers, and missing.
    assert_eq!(sums(total), [9, 5, 3, 1, 0]);
    let text = on(&["verify"], &capture).out;
    assert!(text.contains("lost 3 (missing 3)"), "{text}");
    assert!(
        text.contains("1 packets cut where they are in doubt"),
        "{text}"
    );
    let text = on(&["cat"], &capture).out;
    assert!(text.contains("cut where it is in doubt"), "{text}");
    assert_eq!(numbers(&capture), [0, 1, 2, 3, 7]);
}

#[test]
fn a_gap_before_what_was_salvaged_is_a_gap() {
    let (_, log) = log(5);
    let copies: Vec<_> = log[3..].iter().map(|packet| salvaged(packet)).collect();
    let gap = capture("gap", &[described(), log[..2].to_vec(), copies].concat());
    let (code, judgement) = verify(&gap);
    assert_eq!((code, &judgement["verdict"]), (Some(1), &"broken".into()));
    let problems = judgement["problems"].to_string();
    assert!(
        problems.contains("packets 2 to 2 are missing"),
        "{problems}"
    );
    // One that belongs between packets that are there stays out of the stream.
    let late = [described(), vec![log[0].clone(), log[2].clone()]].concat();
    let late = capture("late", &[late, vec![salvaged(&log[1])]].concat());
    assert_eq!(numbers(&late), [0, 1, 4, 5]);
    assert_eq!(
        fs::read(late.join("fragments/0")).expect("kept"),
        salvaged(&log[1])
    );
    assert_eq!(verdict(&late), "broken");
}

#[test]
fn a_stream_that_was_closed_before_the_panic_is_complete() {
    let packets = synthetic::small();
    let all: Vec<_> = packets.iter().map(|packet| salvaged(packet)).collect();
    assert_eq!(verdict(&capture("closed", &all)), "complete");
    // Not if records were under way: that a closing packet says so does not make them whole.
    let (mut stream, mut packets) = log(1);
    stream.uncommitted = 1;
    packets.push(stream.packet(1400, SALVAGED | 1));
    let capture = capture("stopped", &[described(), packets].concat());
    let text = on(&["verify"], &capture).out;
    assert!(
        text.contains("klog_0: its CPU was stopped in the middle of a record"),
        "{text}"
    );
}

#[test]
fn a_cut_of_a_packet_that_was_not_salvaged_is_none() {
    for flags in [CUT, CUT | 1, CUT | SALVAGED | 1, 8] {
        let (mut stream, mut packets) = log(1);
        packets.push(stream.packet(1400, flags));
        let capture = capture("flags", &[described(), packets].concat());
        assert_eq!(numbers(&capture), [0, 1], "flags {flags}");
        assert!(capture.join("fragments/0").is_file());
    }
}

#[test]
fn what_a_panic_left_has_room_in_a_full_capture_behind_what_is_left_out() {
    let (_, log) = log(40);
    let folder = folder("full");
    let raw = folder.join("raw");
    let copies: Vec<_> = log[38..].iter().map(|packet| salvaged(packet)).collect();
    for packets in [
        [described(), copies.clone(), log.clone()].concat(),
        [described(), log.clone(), copies.clone()].concat(),
    ] {
        fs::write(&raw, packets.concat()).expect("it is writable");
        let out = folder.join("capture");
        let left = relayctl(&[
            "record".as_ref(),
            "--force".as_ref(),
            "--max-size".as_ref(),
            "9000".as_ref(),
            "--from".as_ref(),
            raw.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ]);
        assert!(left.err.contains("--max-size"), "{}", left.err);
        assert_eq!(verdict(&out), "open");
        assert_eq!(made(&out)["salvaged"], 2);
        let numbers = numbers(&out);
        // Two records in each packet.
        let first = numbers.len() - 4;
        let expected: Vec<_> = (0..first as u64).chain(76..80).collect();
        assert!(first > 0 && first < 76, "{numbers:?}");
        assert_eq!(numbers, expected);
        assert!(!out.join("salvaged").exists());
    }
}

#[test]
fn hostile_copies_are_bounded_and_found_out() {
    let (_, log) = log(3);
    let far = |at: usize, value: u64| {
        let mut packet = salvaged(&log[1]);
        packet[at..at + 8].copy_from_slice(&value.to_le_bytes());
        packet
    };
    // Another boot, no such channel or CPU.
    let mut foreign = salvaged(&log[1]);
    foreign[4] ^= 1;
    let mut channel = salvaged(&log[1]);
    channel[20] = 77;
    let mut cpu = salvaged(&log[1]);
    (cpu[24], cpu[80]) = (9, 9);
    // Each proves that there is more than the trace has.
    for packet in [foreign, channel, cpu] {
        let packets = [described(), log.clone(), vec![packet]].concat();
        let (capture, left) = recorded("foreign", &packets);
        assert_eq!(left.code, Some(1), "{left:?}");
        assert_eq!(verdict(&capture), "broken");
        assert!(capture.join("fragments/0").is_file());
        assert_eq!(made(&capture)["salvaged"], 0);
    }
    // Numbers and counts at the end of their ranges.
    for (at, value) in [
        (64, (1 << 60) - 1),
        (88, (1 << 60) - 1),
        (160, (1 << 60) - 1),
    ] {
        for again in 1..3 {
            let copies = vec![far(at, value); again];
            let (capture, _) = recorded("far", &[described(), log.clone(), copies].concat());
            assert_eq!(
                verify(&capture).0,
                Some(1),
                "{value} at {at}, {again} times"
            );
        }
    }
    // Thousands of copies of one packet.
    let copies = vec![salvaged(&log[1]); 5000];
    let capture = capture("many", &[described(), log, copies].concat());
    assert_eq!(verdict(&capture), "open");
    assert_eq!(made(&capture)["doubles"], 5000);
    // What was written about the making is as hostile as anything.
    for run in [
        "",
        "{",
        "[]",
        "{\"capture\":{\"contradictions\":7}}",
        "null",
    ] {
        fs::write(capture.join("run.json"), run).expect("it is writable");
        assert_eq!(
            verdict(&capture),
            "broken",
            "{run}: it is not what was written"
        );
    }
    let told = "{\"capture\":{\"contradictions\":[\"a\\u001b[31m\", 5]}}";
    fs::write(capture.join("run.json"), told).expect("it is writable");
    let left = on(&["verify"], &capture);
    assert_eq!(left.code, Some(1));
    assert!(!left.out.contains('\u{1b}'), "{}", left.out);
}

/// Checks that babeltrace2, where there is one, reads the trace and complains of nothing but what
/// was lost. End to end tests install it.
fn babeltrace_reads(capture: &Path) {
    let trace: PathBuf = capture.join("trace");
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
    assert_eq!(events, 5);
}
