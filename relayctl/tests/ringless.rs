//! CPUs that have no ring in a channel: what they lost there is known from their claims alone.

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

/// A machine with two CPUs, of which the second has no ring for the flood: so many packets of it
/// there are all the same, and `claim` is what it says.
fn machine(packets_there: usize, claim: &dyn Fn(&mut Stream)) -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(2), 1 << 20);
    for cpu in 0..2 {
        let mut klog = Stream::new(1, cpu, 100);
        klog.klog(110, TASK, 3, 1, ["m", "f", "a"]);
        packets.push(klog.packet(120, 1));
        let mut flood = Stream::new(3, cpu, 100);
        let mut claims = Stream::new(2, cpu, 200);
        claims.claim(210, 1, TASK, 1);
        if cpu == 0 {
            flood.flood(111, TASK, 0, 4);
            flood.flood(112, IRQ, 0, 4);
            flood.lost[0] = 3;
            packets.push(flood.packet(130, 1));
            claims.claim(211, 3, TASK, 4);
            claims.claim(212, 3, IRQ, 1);
        } else {
            packets.extend((0..packets_there).map(|_| flood.packet(130, 0)));
            claim(&mut claims);
        }
        packets.push(claims.packet(300, 1));
    }
    packets
}

#[test]
fn what_is_lost_for_want_of_a_ring_is_counted_and_the_capture_complete() {
    let out = capture(
        "no-ring",
        &machine(0, &|claims| {
            claims.claim(211, 3, TASK, 15);
            claims.claim(212, 3, IRQ, 5);
            claims.no_ring(213, 3, 20);
        }),
    );
    let (code, verified) = json("verify", &out);
    assert_eq!((code, &verified["verdict"]), (Some(0), &"complete".into()));
    assert_eq!(verified["claims"], 6);
    let (code, stat) = json("stat", &out);
    assert_eq!(code, Some(0));
    // klog 1 + 1, flood 2 + 3 lost and 20 lost, claims 3 + 4.
    for (key, count) in [
        ("attempted", 34),
        ("delivered", 11),
        ("lost", 23),
        ("overwritten", 0),
        ("uncommitted", 0),
        ("unaccounted", 0),
    ] {
        assert_eq!(stat["total"][key], count, "{key}");
    }
    let channels = stat["channels"].as_array().expect("channels are a list");
    let flood = channels.iter().find(|channel| channel["name"] == "flood");
    let flood = &flood.expect("there is a flood")["cpus"];
    for (cpu, records, attempted, full, no_ring) in [(0, 2, 5, 3, 0), (1, 0, 20, 0, 20)] {
        let is = &flood[cpu];
        assert_eq!(is["verdict"], "complete");
        assert_eq!(
            (&is["records"], &is["attempted"]),
            (&records.into(), &attempted.into())
        );
        assert_eq!(
            (&is["lost"]["full"], &is["lost"]["no_ring"]),
            (&full.into(), &no_ring.into())
        );
        assert_eq!(is["lost"]["missing"], 0);
    }
    let left = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert_eq!(
        left.out,
        "flood_1: its CPU has no ring for it, and lost 20 records\n\
         attempted 34 = delivered 11 + lost 23 (missing 0) + overwritten 0 + uncommitted 0; \
         unaccounted 0; 6 claims compared\ncomplete\n"
    );
    let left = relayctl(&["stat".as_ref(), out.as_os_str()]);
    let head = left.out.lines().next().unwrap_or_default();
    assert!(head.contains("discarded  no_ring  missing"), "{head}");
}

#[test]
fn a_cpu_without_a_ring_that_tried_nothing_has_lost_nothing() {
    let out = capture("no-ring", &machine(0, &|claims| claims.no_ring(213, 3, 0)));
    let (code, verified) = json("verify", &out);
    assert_eq!((code, &verified["verdict"]), (Some(0), &"complete".into()));
    assert_eq!(verified["total"]["lost"], 3);
}

#[test]
fn what_contradicts_a_missing_ring_is_broken() {
    let is_broken = |there: usize, claim: &dyn Fn(&mut Stream), with: &str| {
        let (code, verified) = json("verify", &capture("no-ring", &machine(there, claim)));
        assert_eq!((code, &verified["verdict"]), (Some(1), &"broken".into()));
        let problems = verified["problems"].to_string();
        assert!(problems.contains(with), "{problems}");
    };
    is_broken(
        0,
        &|claims| {
            claims.claim(211, 3, TASK, 20);
            claims.no_ring(213, 3, 19);
        },
        "the writers claim 20 attempts, the ledger has 19",
    );
    is_broken(
        0,
        &|claims| {
            claims.claim(211, 3, TASK, 20);
            claims.no_ring(213, 3, u64::MAX);
            claims.no_ring(214, 3, u64::MAX);
        },
        "the writers claim 20 attempts",
    );
    // There are packets: of a ring that is said not to be.
    is_broken(1, &|claims| claims.no_ring(213, 3, 0), "there are packets");
    is_broken(
        0,
        &|claims| {
            claims.no_ring(213, 3, 0);
            claims.no_ring(214, 9, 1);
        },
        "channel 9, which there is not",
    );
    // A CPU without a ring for claims could not say so.
    is_broken(0, &|claims| claims.no_ring(213, 2, 1), "channel 2");
}
