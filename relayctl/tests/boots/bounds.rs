//! How many boots there may be, and how large they are together.

use super::*;

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
