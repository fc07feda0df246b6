//! Captures that are valid and unusual, or lack something that their own words prove: each judged
//! right, with every number.

mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use synthetic::{
    IRQ, Stream, TASK, capture, folder, metadata, metadata_packets, relayctl, salvaged,
};

/// What a command says as JSON, and its exit code.
fn json_of(command: &str, capture: &Path) -> (Option<i32>, Value) {
    let left = relayctl(&[command.as_ref(), capture.as_os_str(), "--json".as_ref()]);
    let json = serde_json::from_str(&left.out).unwrap_or_else(|_| panic!("{}", left.err));
    (left.code, json)
}

/// The verdict, the exit code, and what is wrong, in one text.
fn verify(capture: &Path) -> (String, Option<i32>, String) {
    let (code, said) = json_of("verify", capture);
    let texts = [&said["problems"], &said["unproven"]];
    let texts = texts
        .into_iter()
        .flat_map(|all| all.as_array().expect("a list"));
    let texts: Vec<_> = texts.filter_map(Value::as_str).collect();
    let verdict = said["verdict"].as_str().expect("a word");
    (verdict.to_owned(), code, texts.join("\n"))
}

/// The sums that `stat` shows: attempted, delivered, lost, overwritten, uncommitted, unaccounted;
/// and those of klog of CPU 0, with the reasons of losses that are not 0.
fn stat(capture: &Path) -> ([u64; 6], [u64; 5], Value) {
    let (code, said) = json_of("stat", capture);
    assert_eq!(code, Some(0));
    let number = |of: &Value, name: &str| of[name].as_u64().expect(name);
    let total = [
        "attempted",
        "delivered",
        "lost",
        "overwritten",
        "uncommitted",
        "unaccounted",
    ];
    let klog = &said["channels"][0];
    assert_eq!(klog["name"], "klog");
    let cpu = &klog["cpus"][0];
    let sums = [
        "attempted",
        "delivered",
        "overwritten",
        "uncommitted",
        "unaccounted",
    ];
    let mut lost = cpu["lost"].clone();
    let reasons = lost.as_object_mut().expect("by reason");
    reasons.retain(|_, count| *count != 0);
    (
        total.map(|name| number(&said["total"], name)),
        sums.map(|name| number(cpu, name)),
        lost,
    )
}

/// A machine with one CPU, which claims so many attempts to write to klog.
fn machine(claimed: [u64; 2], klog: impl FnOnce(&mut Stream) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(1), 1 << 20);
    packets.extend(klog(&mut Stream::new(1, 0, 100)));
    let mut claims = Stream::new(2, 0, 0);
    claims.claim(900, 1, TASK, claimed[0]);
    claims.claim(901, 1, IRQ, claimed[1]);
    claims.claim(902, 3, TASK, 0);
    packets.push(claims.packet(950, 1));
    packets.push(Stream::new(3, 0, 0).packet(1, 1));
    packets
}

/// Some records.
fn say(klog: &mut Stream, from: u64, count: u64) {
    for at in 0..count {
        klog.klog(from + at, TASK, 3, 1, ["m", "f", "x"]);
    }
}

/// A copy of a capture to change.
fn copy(from: &Path) -> PathBuf {
    let to = folder("changed");
    fs::create_dir_all(to.join("trace")).expect("it is writable");
    for part in [".", "trace"] {
        for entry in fs::read_dir(from.join(part)).expect("it is readable") {
            let entry = entry.expect("it is readable");
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(part).join(entry.file_name())).expect("a copy");
            }
        }
    }
    to
}

/// A capture of three packets of klog with 2 records each, and all else.
fn plain() -> Vec<Vec<u8>> {
    machine([6, 0], |klog| {
        let mut packets = Vec::new();
        for at in 0..3 {
            say(klog, 110 + at * 100, 2);
            packets.push(klog.packet(200 + at * 100, u32::from(at == 2)));
        }
        packets
    })
}

#[test]
fn an_ordinary_capture_is_complete() {
    let out = capture("judged", &plain());
    assert_eq!(verify(&out), ("complete".into(), Some(0), String::new()));
    assert_eq!(stat(&out), ([9, 9, 0, 0, 0, 0], [6, 6, 0, 0, 0], json!({})));
}

#[test]
fn what_claims_prove_to_be_absent_is_missing() {
    // The last packet, the last two, all of klog's.
    for (there, delivered) in [(2, 4), (1, 2), (0, 0)] {
        let mut packets = plain();
        packets.drain(1 + there..4);
        let out = capture("judged", &packets);
        let (verdict, code, problems) = verify(&out);
        assert_eq!((verdict.as_str(), code), ("broken", Some(1)));
        let missing = 6 - delivered;
        let told = format!("{missing} records that its CPU counted are not there");
        assert!(problems.contains(&told), "{problems}");
        assert_eq!(
            stat(&out),
            (
                [9, 3 + delivered, missing, 0, 0, 0],
                [6, delivered, 0, 0, 0],
                json!({ "missing": missing })
            )
        );
    }
}

#[test]
fn without_claims_a_stream_that_ends_early_is_open() {
    let mut packets = plain();
    packets.remove(4);
    packets.remove(3);
    let out = capture("judged", &packets);
    let (verdict, code, _) = verify(&out);
    assert_eq!((verdict.as_str(), code), ("open", Some(0)));
    assert_eq!(stat(&out), ([4, 4, 0, 0, 0, 0], [4, 4, 0, 0, 0], json!({})));
}

#[test]
fn a_part_of_the_claims_proves_as_much_as_it_says() {
    // The packet of claims is not the last one: there may have been more.
    let mut packets = plain();
    packets[4][84] &= !1;
    packets.remove(3);
    let out = capture("judged", &packets);
    let (verdict, _, problems) = verify(&out);
    assert_eq!(verdict, "broken");
    assert!(
        problems.contains("2 records that its CPU counted"),
        "{problems}"
    );
    assert_eq!(
        stat(&out),
        ([9, 7, 2, 0, 0, 0], [6, 4, 0, 0, 0], json!({ "missing": 2 }))
    );
}

#[test]
fn a_capture_whose_end_was_cut_off_is_open_and_says_why() {
    let out = copy(&capture("judged", &plain()));
    fs::remove_file(out.join("run.json")).expect("it is there");
    let list = fs::read_to_string(out.join("packets")).expect("it is there");
    let kept: Vec<_> = list
        .lines()
        .filter(|line| !line.starts_with("run.json"))
        .collect();
    fs::write(out.join("packets"), kept.join("\n") + "\n").expect("it is writable");
    let (verdict, code, why) = verify(&out);
    assert_eq!((verdict.as_str(), code), ("open", Some(0)));
    assert!(why.contains("there is no run.json"), "{why}");
}

#[test]
fn packets_that_were_written_and_are_not_listed_are_missed() {
    let out = copy(&capture("judged", &plain()));
    // The last packet of klog, and its line.
    let klog = fs::read(out.join("trace/klog_0")).expect("it is there");
    let list = fs::read_to_string(out.join("packets")).expect("it is there");
    let line = list.lines().rfind(|line| line.starts_with("klog_0 "));
    let line = line.expect("there is one");
    let offset = line.split(' ').nth(1).expect("an offset");
    let offset: usize = offset.parse().expect("a number");
    fs::write(out.join("trace/klog_0"), &klog[..offset]).expect("it is writable");
    fs::write(out.join("packets"), list.replace(&format!("{line}\n"), "")).expect("it is writable");
    let (verdict, code, problems) = verify(&out);
    assert_eq!((verdict.as_str(), code), ("broken", Some(1)));
    assert!(
        problems.contains("packets: 5 packets were written, 4 are listed"),
        "{problems}"
    );
}

#[test]
fn a_stream_ends_once() {
    let packets = machine([4, 0], |klog| {
        say(klog, 110, 2);
        let first = klog.packet(200, 1);
        say(klog, 210, 2);
        vec![first, klog.packet(300, 1)]
    });
    let out = capture("judged", &packets);
    let (verdict, code, problems) = verify(&out);
    assert_eq!((verdict.as_str(), code), ("broken", Some(1)));
    assert!(
        problems.contains("packet 1 comes after the stream was closed"),
        "{problems}"
    );
    assert_eq!(stat(&out), ([7, 7, 0, 0, 0, 0], [4, 4, 0, 0, 0], json!({})));
}

#[test]
fn a_stream_may_begin_with_what_was_overwritten() {
    let packets = machine([9, 0], |klog| {
        (klog.ordinal, klog.overwritten) = (5, 5);
        say(klog, 110, 2);
        let first = klog.packet(200, 0);
        say(klog, 210, 2);
        vec![first, klog.packet(300, 1)]
    });
    let out = capture("judged", &packets);
    assert_eq!(verify(&out), ("complete".into(), Some(0), String::new()));
    assert_eq!(
        stat(&out),
        ([12, 7, 0, 5, 0, 0], [9, 4, 5, 0, 0], json!({}))
    );
    // The count may lag, but not behind what is seen.
    let packets = machine([9, 0], |klog| {
        (klog.ordinal, klog.overwritten) = (5, 3);
        say(klog, 110, 4);
        vec![klog.packet(300, 1)]
    });
    let (verdict, _, problems) = verify(&capture("judged", &packets));
    assert_eq!(verdict, "broken");
    assert!(
        problems.contains("5 record numbers are skipped, 3 records are said to be overwritten"),
        "{problems}"
    );
}

/// What is overwritten was delivered before, and has a number.
#[test]
fn packets_that_were_overwritten_leave_their_numbers_unused() {
    let overwriting = |last_overwritten: u64| {
        machine([18, 0], move |klog| {
            // Packets 0 to 2, and later 4 and 5, went unread.
            (klog.number, klog.ordinal, klog.overwritten) = (3, 5, 5);
            say(klog, 110, 2);
            let first = klog.packet(200, 0);
            klog.number += 2;
            klog.ordinal += 7;
            // Counted later: they were overwritten when this packet was complete already.
            say(klog, 210, 3);
            let second = klog.packet(300, 0);
            klog.overwritten = last_overwritten;
            say(klog, 310, 1);
            vec![first, second, klog.packet(400, 1)]
        })
    };
    let out = capture("judged", &overwriting(12));
    assert_eq!(verify(&out), ("complete".into(), Some(0), String::new()));
    let (sums, ..) = stat(&out);
    assert_eq!(
        sums[3..],
        [12, 0, 0],
        "overwritten, uncommitted, unaccounted"
    );
    // One record fewer was overwritten: it is missing, and nobody knows from which packet.
    let (verdict, code, problems) = verify(&capture("judged", &overwriting(11)));
    assert_eq!((verdict.as_str(), code), ("broken", Some(1)));
    for gap in ["packets 0 to 2 are missing", "packets 4 to 5 are missing"] {
        assert!(problems.contains(gap), "{problems}");
    }
    // More than are not there cannot be.
    let (verdict, _, problems) = verify(&capture("judged", &overwriting(13)));
    assert_eq!(verdict, "broken");
    assert!(
        problems.contains("12 record numbers are skipped, 13 records are said to be overwritten"),
        "{problems}"
    );
}

#[test]
fn gaps_of_several_kinds_are_told_apart() {
    let packets = machine([40, 0], |klog| {
        say(klog, 110, 2);
        klog.lost[0] = 3;
        let first = klog.packet(200, 0);
        // Six were overwritten between two packets.
        klog.ordinal += 6;
        klog.overwritten = 6;
        klog.lost[5] = 1;
        say(klog, 210, 3);
        let second = klog.packet(300, 0);
        // Two packets with eleven records, and three losses, do not come.
        klog.number += 2;
        klog.ordinal += 11;
        klog.lost[0] = 6;
        say(klog, 310, 4);
        let third = klog.packet(400, 0);
        say(klog, 410, 1);
        // The rest of the 40: 27 records before, one here, seven lost.
        klog.lost[1] = 5;
        vec![first, second, third, klog.packet(500, 1)]
    });
    let out = capture("judged", &packets);
    let (verdict, code, problems) = verify(&out);
    assert_eq!((verdict.as_str(), code), ("broken", Some(1)));
    assert!(
        problems.contains("packets 2 to 3 are missing before it"),
        "{problems}"
    );
    // 27 records and 12 losses are known; the claims say one more, and the stream is closed.
    assert!(
        problems.contains("the writers claim 40 attempts, the ledger has 39"),
        "{problems}"
    );
    assert_eq!(
        stat(&out),
        (
            [42, 13, 23, 6, 0, 0],
            [39, 10, 6, 0, 0],
            json!({ "full": 6, "too_big": 5, "discarded": 1, "missing": 11 })
        )
    );
}

#[test]
fn salvaged_copies_that_come_twice_are_one() {
    let packets = plain();
    let mut sent = packets.clone();
    for at in [1, 2, 3, 2, 3] {
        sent.push(salvaged(&packets[at]));
    }
    let out = capture("judged", &sent);
    assert_eq!(verify(&out), ("complete".into(), Some(0), String::new()));
    assert_eq!(stat(&out), ([9, 9, 0, 0, 0, 0], [6, 6, 0, 0, 0], json!({})));
    // Only copies, twice, and in any order.
    let mut sent = packets.clone();
    sent.drain(1..4);
    for at in [3, 1, 2, 1, 3] {
        sent.push(salvaged(&packets[at]));
    }
    let out = capture("judged", &sent);
    assert_eq!(verify(&out), ("complete".into(), Some(0), String::new()));
    assert_eq!(stat(&out), ([9, 9, 0, 0, 0, 0], [6, 6, 0, 0, 0], json!({})));
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: Value = serde_json::from_str(&run).expect("it is JSON");
    let made = &run["capture"];
    assert_eq!(
        (&made["salvaged"], &made["doubles"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn uncommitted_records_and_a_closed_stream_are_no_contradiction() {
    // A stopped CPU had closed the stream that holds an uncommitted record.
    let packets = machine([3, 0], |klog| {
        say(klog, 110, 2);
        klog.uncommitted = 1;
        vec![klog.packet(200, 1)]
    });
    let out = capture("judged", &packets);
    let (verdict, code, _) = verify(&out);
    assert_eq!((verdict.as_str(), code), ("open", Some(0)));
    assert_eq!(stat(&out), ([6, 5, 0, 0, 1, 0], [3, 2, 0, 1, 0], json!({})));
}

#[test]
fn counts_at_the_end_of_their_ranges_are_broken_and_not_more() {
    let packets = machine([0, 0], |klog| {
        let all = (0..20).map(|_| {
            klog.ordinal = 0;
            klog.records_in_doubt((1 << 60) - 1);
            klog.packet(200, 0)
        });
        all.collect()
    });
    let out = capture("judged", &packets);
    assert_eq!(verify(&out).0, "broken");
    assert_eq!(json_of("stat", &out).0, Some(0));
}

#[test]
fn a_list_that_promises_much_does_not_make_the_search_long() {
    let out = copy(&capture("judged", &plain()));
    let list = fs::read_to_string(out.join("packets")).expect("it is there");
    let other = list.lines().filter(|line| !line.starts_with("klog_0 "));
    let promise = "klog_0 0 2097152 00000000".to_owned();
    let lines: Vec<_> = other.map(str::to_owned).chain([promise]).collect();
    fs::write(out.join("packets"), lines.join("\n") + "\n").expect("it is writable");
    // A magic number at every place, and nothing else.
    let magic = 0xC1FC_1FC1u32.to_le_bytes().repeat(1 << 20);
    fs::write(out.join("trace/klog_0"), magic).expect("it is writable");
    let (verdict, _, problems) = verify(&out);
    assert_eq!(verdict, "broken", "{problems}");
}
