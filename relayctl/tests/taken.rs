//! Channels that programs take: nothing of them is in a capture, and nothing is missing.

mod synthetic;

use std::path::Path;

use serde_json::Value;
use synthetic::{IRQ, Stream, TASK, capture, metadata, metadata_packets, relayctl};

/// What a command prints as JSON about a capture, and its exit code.
fn json(command: &str, capture: &Path) -> (Option<i32>, Value) {
    let left = relayctl(&[command.as_ref(), "--json".as_ref(), capture.as_os_str()]);
    let value = serde_json::from_str(&left.out).unwrap_or_else(|error| panic!("{error}: {left:?}"));
    (left.code, value)
}

/// The metadata of a machine with two CPUs whose flood programs take.
fn text() -> String {
    let plain = metadata(2);
    let name = "channel_3 = \"flood\";";
    let marked = plain.replace(name, &format!("{name} taken_3 = \"programs\";"));
    assert_ne!(plain, marked);
    marked
}

/// The packets of that machine: of the first CPU's flood so many.
fn machine(packets_there: usize) -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&text(), 1 << 20);
    for cpu in 0..2 {
        let mut klog = Stream::new(1, cpu, 100);
        klog.klog(110, TASK, 3, 1, ["m", "f", "a"]);
        packets.push(klog.packet(120, 1));
        let mut flood = Stream::new(3, cpu, 100);
        let there = if cpu == 0 { packets_there } else { 0 };
        packets.extend((0..there).map(|_| flood.packet(130, 0)));
        let mut claims = Stream::new(2, cpu, 200);
        claims.claim(210, 1, TASK, 1);
        claims.claim(211, 3, TASK, 15);
        claims.claim(212, 3, IRQ, 5);
        packets.push(claims.packet(300, 1));
    }
    packets
}

#[test]
fn what_programs_take_is_known_from_claims_and_keeps_nothing_from_being_complete() {
    let out = capture("taken", &machine(0));
    let (code, verified) = json("verify", &out);
    assert_eq!((code, &verified["verdict"]), (Some(0), &"complete".into()));
    // klog 1 + 1, claims 3 + 3; the flood is not among them.
    assert_eq!(verified["total"]["attempted"], 8);
    assert_eq!(verified["total"]["lost"], 0);
    let streams = verified["streams"].as_array().expect("a list");
    let flood: Vec<_> = streams
        .iter()
        .filter(|it| it["channel"] == "flood")
        .collect();
    assert_eq!(flood.len(), 2);
    for stream in flood {
        assert_eq!(
            (&stream["verdict"], &stream["attempted"]),
            (&"taken".into(), &20.into())
        );
    }
    let (code, stat) = json("stat", &out);
    assert_eq!((code, &stat["total"]["attempted"]), (Some(0), &8.into()));
    let left = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert_eq!(
        left.out,
        "flood_0: taken by programs; 20 claimed\nflood_1: taken by programs; 20 claimed\n\
         attempted 8 = delivered 8 + lost 0 (missing 0) + overwritten 0 + uncommitted 0; \
         unaccounted 0; 6 claims compared\ncomplete\n"
    );
    let left = relayctl(&["cat".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(0), "{left:?}");
}

#[test]
fn packets_of_what_programs_take_are_a_contradiction() {
    let (code, verified) = json("verify", &capture("taken", &machine(1)));
    assert_eq!((code, &verified["verdict"]), (Some(1), &"broken".into()));
    let problems = verified["problems"].to_string();
    assert!(
        problems.contains("programs are said to take its packets"),
        "{problems}"
    );
}

#[test]
fn who_else_takes_a_channel_is_not_known() {
    for taken in [
        "taken_3 = 1",
        "taken_3 = \"host\"",
        "taken_9 = \"programs\"",
    ] {
        let text = text().replace("taken_3 = \"programs\"", taken);
        let folder = synthetic::folder("taken");
        let (raw, out) = (folder.join("raw"), folder.join("capture"));
        let packets = metadata_packets(&text, 1 << 20).concat();
        std::fs::write(&raw, packets).expect("it is writable");
        let left = synthetic::record(&raw, &out);
        assert_ne!(left.code, Some(0), "{taken}: {left:?}");
        assert!(left.err.contains("env.taken_"), "{taken}: {left:?}");
    }
}
