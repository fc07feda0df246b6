//! Metadata that comes again, late, or not at all.

use super::*;

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
