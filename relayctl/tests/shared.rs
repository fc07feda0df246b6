//! A channel with one stream, which all CPUs write: its records name their CPU, and the claims of
//! all CPUs together are what its ledger has.

mod synthetic;

use std::fs;

use serde_json::Value;
use synthetic::{
    IRQ, NMI, SHARED, Stream, TASK, capture, metadata_packets, recorded, relayctl, salvaged,
};

/// What may be made of the machine below.
struct Make<'a> {
    records: &'a dyn Fn(&mut Stream),
    /// What CPU 1 says that it tried in tasks, and whether it says anything.
    claim: Option<u64>,
    no_ring: [Option<u64>; 2],
}

/// CPU 0 writes two records, CPU 1 three, of which one is lost.
const GOOD: Make<'_> = Make {
    records: &|shared| {
        shared.shared(110, 1, TASK, 0);
        shared.shared(111, 0, TASK, 0);
        shared.shared(112, 0, NMI, 0);
        shared.shared(112, 1, TASK, 2);
        shared.lost[0] = 1;
    },
    claim: Some(3),
    no_ring: [None; 2],
};

fn machine(make: &Make<'_>) -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&SHARED, 1 << 20);
    for cpu in 0..2 {
        let mut klog = Stream::new(1, cpu, 100);
        klog.klog(110, TASK, 3, 1, ["m", "f", "a"]);
        packets.push(klog.packet(120, 1));
        let mut claims = Stream::new(2, cpu, 200);
        claims.claim(210, 1, TASK, 1);
        match (cpu, make.claim) {
            (0, _) => {
                claims.claim(211, 4, TASK, 1);
                claims.claim(211, 4, NMI, 1);
            }
            (_, Some(tried)) => claims.claim(211, 4, TASK, tried),
            (_, None) => {}
        }
        if let Some(lost) = make.no_ring[cpu as usize] {
            claims.no_ring(212, 4, lost);
        }
        packets.push(claims.packet(300, 1));
    }
    let mut shared = Stream::new(4, 0, 100);
    (make.records)(&mut shared);
    if make.no_ring == [None; 2] {
        packets.push(shared.packet(200, 1));
    }
    packets
}

/// What `verify` and `stat` say of it.
fn judge(packets: &[Vec<u8>]) -> (Value, Value) {
    let out = capture("shared", packets);
    let [verified, stat] = ["verify", "stat"].map(|command| {
        let left = relayctl(&[command.as_ref(), "--json".as_ref(), out.as_os_str()]);
        serde_json::from_str::<Value>(&left.out).unwrap_or_else(|error| panic!("{error}: {left:?}"))
    });
    (verified, stat)
}

#[test]
fn what_all_cpus_write_and_claim_is_one_stream() {
    let (verified, stat) = judge(&machine(&GOOD));
    assert_eq!(verified["verdict"], "complete", "{verified}");
    let channels = stat["channels"].as_array().expect("channels are a list");
    let shared = channels.iter().find(|channel| channel["name"] == "shared");
    let shared = &shared.expect("it is there")["cpus"];
    assert_eq!(shared.as_array().map(Vec::len), Some(1), "{shared}");
    assert_eq!(
        (&shared[0]["records"], &shared[0]["attempted"]),
        (&4.into(), &5.into())
    );
}

#[test]
fn what_contradicts_it_is_broken() {
    let is_broken = |make: Make<'_>, with: &str| {
        let (verified, _) = judge(&machine(&make));
        assert_eq!(verified["verdict"], "broken", "{verified}");
        let problems = verified["problems"].to_string();
        assert!(problems.contains(with), "{with}: {problems}");
    };
    for claim in [Some(2), Some(4), None] {
        let all = 2 + claim.unwrap_or(0);
        let with = format!("the writers claim {all} attempts, the ledger has 5");
        is_broken(Make { claim, ..GOOD }, &with);
    }
    let with = |records: &dyn Fn(&mut Stream), claim, with: &str| {
        let claim = Some(claim);
        is_broken(
            Make {
                records,
                claim,
                ..GOOD
            },
            with,
        );
    };
    with(
        &|shared| {
            (GOOD.records)(shared);
            shared.lost[0] = 0;
        },
        2,
        "1 of the flood's numbers are skipped, but only 0",
    );
    with(
        &|shared| {
            (GOOD.records)(shared);
            shared.shared(113, 1, TASK, 2);
        },
        4,
        "flood 2 where at least 3 should be, of cpu 1",
    );
    // All is there; what is claimed of NMIs was written in an interrupt.
    with(
        &|shared| {
            shared.shared(110, 1, TASK, 0);
            shared.shared(111, 0, TASK, 0);
            shared.shared(112, 0, IRQ, 0);
        },
        1,
        "claim 0 attempts from irq, 1 records are there",
    );
}

#[test]
fn a_record_that_names_another_cpu_is_wrong() {
    let good = machine(&GOOD).concat();
    let mut record = 1u32.to_le_bytes().to_vec();
    record.extend(2u64.to_le_bytes());
    let found = good.windows(record.len()).position(|bytes| bytes == record);
    let at = found.expect("it is there");
    for (byte, value, with) in [(0, 0, "flood 2: checksum"), (2, 1, "there is no such CPU")] {
        let mut bytes = good.clone();
        bytes[at + byte] = value;
        let (verified, _) = judge(&[bytes]);
        let problems = verified["problems"].to_string();
        assert!(problems.contains(with), "{problems}");
    }
}

#[test]
fn without_a_ring_the_losses_of_all_cpus_are_added() {
    let make = Make {
        no_ring: [Some(2), Some(3)],
        ..GOOD
    };
    let (verified, stat) = judge(&machine(&make));
    assert_eq!(verified["verdict"], "complete", "{verified}");
    assert_eq!(stat["total"]["lost"], 5);
    let make = Make {
        no_ring: [Some(2), Some(2)],
        ..GOOD
    };
    let (verified, _) = judge(&machine(&make));
    let problems = verified["problems"].to_string();
    assert!(
        problems.contains("claim 5 attempts, the ledger has 4"),
        "{problems}"
    );
}

#[test]
fn the_second_cpu_has_no_stream_in_it() {
    let strange = Stream::new(4, 1, 100).packet(200, 1);
    for strange in [salvaged(&strange), strange] {
        let mut packets = machine(&GOOD);
        packets.push(strange);
        let (out, left) = recorded("shared", &packets);
        assert_eq!(left.code, Some(1), "{left:?}");
        assert!(!out.join("trace/shared_1").exists());
        let fragments = fs::read_dir(out.join("fragments")).expect("they are kept");
        assert_eq!(fragments.count(), 1);
    }
}

#[test]
fn a_usage_that_is_not_known_is_no_metadata() {
    for usage in [
        "usage_4 = \"all\"",
        "usage_4 = 1",
        "usage_5 = \"global\"",
        "usage_x = \"global\"",
    ] {
        let text = SHARED.replace("usage_4 = \"global\"", usage);
        assert_ne!(text, *SHARED);
        let folder = synthetic::folder("usage");
        let (raw, out) = (folder.join("raw"), folder.join("capture"));
        fs::write(&raw, metadata_packets(&text, 1 << 20).concat()).expect("it is writable");
        let left = synthetic::record(&raw, &out);
        assert_ne!(left.code, Some(0), "{usage}: {left:?}");
        assert!(left.err.contains("env.usage_"), "{usage}: {left:?}");
    }
}
