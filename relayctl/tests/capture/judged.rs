//! What `stat` and `verify` find.

use super::*;

#[test]
fn a_whole_capture_is_complete() {
    let out = capture("whole", &small());
    let left = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.out.ends_with("complete\n"), "{left:?}");
    // klog 4 + 5, 2 * 7 lost, flood 14, claims 10.
    assert!(
        left.out
            .contains("attempted 47 = delivered 33 + lost 14 (missing 0)"),
        "{left:?}"
    );
    assert!(left.out.contains("10 claims compared"), "{left:?}");
}

#[test]
fn stat_counts_everything() {
    let out = capture("stat", &small());
    let left = relayctl(&["stat".as_ref(), out.as_os_str(), "--json".as_ref()]);
    assert_eq!(left.code, Some(0), "{left:?}");
    let value: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
    let total = &value["total"];
    for (key, count) in [
        ("attempted", 47),
        ("delivered", 33),
        ("lost", 14),
        ("overwritten", 0),
        ("uncommitted", 0),
        ("unaccounted", 0),
    ] {
        assert_eq!(total[key], count, "{key}");
    }
    let klog = &value["channels"][0];
    assert_eq!(klog["name"], "klog");
    let cpu = &klog["cpus"][1];
    assert_eq!(
        (&cpu["cpu"], &cpu["packets"], &cpu["records"]),
        (&1.into(), &3.into(), &5.into())
    );
    assert_eq!(
        (&cpu["lost"]["full"], &cpu["lost"]["discarded"]),
        (&4.into(), &3.into())
    );
    assert_eq!(cpu["lost"]["missing"], 0);
    let table = relayctl(&["stat".as_ref(), out.as_os_str()]);
    assert_eq!(table.code, Some(0));
    assert_eq!(table.out.lines().count(), 2 + 6, "{}", table.out);
}

#[test]
fn a_full_capture_is_open() {
    let folder = folder("full");
    let raw = folder.join("raw");
    fs::write(&raw, small().concat()).unwrap();
    let out = folder.join("capture");
    let left = relayctl(&[
        "record",
        "--max-size",
        "2000",
        "--from",
        raw.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(left.code, Some(1), "something was left out");
    assert!(left.err.contains("--max-size"), "{left:?}");
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
}

#[test]
fn garbage_between_packets_becomes_a_fragment() {
    let mut packets = small();
    let half = packets[9][..100].to_vec();
    packets.insert(9, b"line noise".to_vec());
    packets.insert(7, half);
    let out = capture("garbage", &packets);
    let left = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert!(
        left.out
            .contains("110 bytes came that were no whole packet"),
        "{left:?}"
    );
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
    assert_eq!(fs::read(out.join("fragments/0")).unwrap().len(), 110);
}

#[test]
fn packets_before_the_metadata_wait_for_it() {
    let mut packets = small();
    let metadata = metadata_packets(&metadata(2), 1000).len();
    packets.rotate_left(metadata);
    assert_eq!(
        verify(&capture("early", &packets)),
        (Some(0), "complete".to_owned())
    );
    // Without it nothing is lost either, but nothing can be read.
    packets.truncate(packets.len() - metadata / 2);
    let (out, left) = recorded("early", &packets);
    assert_eq!(left.code, Some(1));
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
    assert_eq!(fs::read(out.join("fragments/0")).unwrap(), packets.concat());
}

#[test]
fn what_the_ledger_forbids_is_broken() {
    let metadata = metadata_packets(&metadata(1), 1 << 20);
    let judge = |change: &dyn Fn(&mut Stream), flags: u32, claims: &[(u16, u8, u64)]| {
        let mut packets = metadata.clone();
        let mut klog = Stream::new(1, 0, 100);
        klog.klog(110, 0, 3, 1, ["m", "f", "a"]);
        klog.lost[0] = 5;
        klog.overwritten = 0;
        packets.push(klog.packet(120, 0));
        klog.klog(130, 0, 3, 1, ["m", "f", "b"]);
        klog.klog(131, 1, 3, 1, ["m", "f", "c"]);
        change(&mut klog);
        packets.push(klog.packet(140, flags));
        let mut stream = Stream::new(2, 0, 0);
        for (channel, from, attempted) in claims {
            stream.claim(150, *channel, *from, *attempted);
        }
        packets.push(stream.packet(200, 1));
        packets.push(Stream::new(3, 0, 0).packet(1, 1));
        let out = capture("ledger", &packets);
        (verify(&out).1, problems(&out))
    };
    let same = |_: &mut Stream| {};
    assert_eq!(judge(&same, 1, &[(1, 0, 8)]).0, "complete");
    assert_eq!(judge(&same, 0, &[(1, 0, 8)]).0, "open");
    let is_broken = |(verdict, problems): (String, String), with: &str| {
        assert_eq!(verdict, "broken", "{problems}");
        assert!(problems.contains(with), "{problems}");
    };
    // The stream ends early, and its CPU counted more than it knows of.
    is_broken(
        judge(&same, 0, &[(1, 0, 80)]),
        "72 records that its CPU counted are not there",
    );
    is_broken(
        judge(&same, 0, &[(1, 0, 7)]),
        "the writers claim 7 attempts, the ledger has 8",
    );
    is_broken(judge(&same, 1, &[(1, 0, 9)]), "the writers claim 9");
    // Claims are closed, and this stream is not among them.
    is_broken(judge(&same, 1, &[]), "the writers claim 0 attempts");
    is_broken(
        judge(&same, 1, &[(1, 0, 9), (7, 0, 1)]),
        "channel 7, which there is not",
    );
    is_broken(judge(&|s| s.lost[0] = 4, 1, &[]), "full falls from 5 to 4");
    is_broken(
        judge(&|s| s.number = 5, 1, &[]),
        "packets 1 to 4 are missing",
    );
    is_broken(
        judge(&|s| s.number = 0, 1, &[]),
        "packet 0, where 1 should be",
    );
    is_broken(
        judge(&|s| s.ordinal = 0, 1, &[]),
        "begins with record 0, where 1 should be",
    );
    is_broken(
        judge(&|s| s.ordinal = 3, 1, &[]),
        "2 record numbers are skipped, 0 records are said",
    );
    is_broken(
        judge(&|s| s.overwritten = 3, 1, &[]),
        "0 record numbers are skipped, 3 records are said",
    );
    is_broken(
        judge(&|s| s.klog(200, 0, 1, 1, ["", "", ""]), 1, &[]),
        "time 200 is not between 131 and 140",
    );
    is_broken(
        judge(&|s| s.klog(120, 0, 1, 1, ["", "", ""]), 1, &[]),
        "time 120 is not between",
    );
    is_broken(
        judge(&|s| s.raw(1, 132, 0, &[1]), 1, &[]),
        "contents end within it",
    );
    is_broken(
        judge(&|s| s.raw(9, 132, 0, &[1]), 1, &[]),
        "knows no event 9",
    );
    is_broken(judge(&|s| s.raw(0x3FFD, 132, 3, &[]), 1, &[]), "context 3");
    is_broken(
        judge(&|s| s.raw(1, 132, 0, &[0; 11]), 1, &[]),
        "it has 3 records, its header says 2",
    );
    let overwritten = judge(&|s| (s.ordinal, s.overwritten) = (3, 2), 1, &[(1, 0, 10)]);
    assert_eq!(overwritten.0, "complete", "{}", overwritten.1);
}

/// Where rings overwrite, a packet that is not there may have had no record.
#[test]
fn a_packet_without_records_is_missing_unless_it_may_have_been_overwritten() {
    let plain = metadata(1);
    let name = "channel_3 = \"flood\";";
    let marked = plain.replace(name, &format!("{name} mode_3 = \"overwrite\";"));
    assert_ne!(plain, marked);
    for (text, is_sound) in [(plain, false), (marked, true)] {
        let mut packets = metadata_packets(&text, 1 << 20);
        let mut flood = Stream::new(3, 0, 100);
        flood.flood(110, 0, 0, 3);
        packets.push(flood.packet(120, 0));
        // This one nobody gets.
        let _ = flood.packet(130, 0);
        flood.flood(140, 0, 1, 3);
        packets.push(flood.packet(200, 1));
        let told = problems(&capture("mode", &packets));
        let is_missing = told.contains("packets 1 to 1 are missing");
        assert_eq!(is_missing, !is_sound, "{told}");
    }
}

#[test]
fn the_flood_is_checked_record_by_record() {
    let judge = |make: &dyn Fn(&mut Stream)| {
        let mut packets = metadata_packets(&metadata(1), 1 << 20);
        let mut flood = Stream::new(3, 0, 100);
        make(&mut flood);
        packets.push(flood.packet(200, 1));
        let out = capture("flood", &packets);
        problems(&out)
    };
    let good = judge(&|s| (0..3).for_each(|n| s.flood(110 + n, 0, n, 3)));
    assert!(!good.contains("broken"), "{good}");
    let gap = judge(&|s| [0, 2].into_iter().for_each(|n| s.flood(110 + n, 0, n, 3)));
    assert!(
        gap.contains("1 of the flood's numbers are skipped, but only 0"),
        "{gap}"
    );
    let lost = judge(&|s| {
        [0, 2].into_iter().for_each(|n| s.flood(110 + n, 0, n, 3));
        s.lost[2] = 1;
    });
    assert!(!lost.contains("broken"), "{lost}");
    let again = judge(&|s| [0, 0].into_iter().for_each(|n| s.flood(110 + n, 0, n, 3)));
    assert!(
        again.contains("flood 0 where at least 1 should be"),
        "{again}"
    );
    let mut payload = vec![0; 12];
    payload.extend([1, 0, 0]);
    let seal = judge(&|s| s.record(1, 110, 0, &payload));
    assert!(seal.contains("checksum 0x00000000"), "{seal}");
}

#[test]
fn a_capture_whose_making_was_cut_off_is_open_at_best() {
    let out = capture("unlisted", &small());
    let list = fs::read_to_string(out.join("packets")).unwrap();
    // Behind the last packet's line is the one about run.json.
    let ends: Vec<usize> = list.match_indices('\n').map(|(at, _)| at + 1).collect();
    let [.., before, behind, _] = ends[..] else {
        panic!("{list}");
    };
    fs::write(
        out.join("packets"),
        [&list[..before], &list[behind..]].concat(),
    )
    .unwrap();
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
    fs::write(out.join("packets"), &list[..before]).unwrap();
    fs::remove_file(out.join("run.json")).unwrap();
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
    // With the list gone, too, this is a trace that somebody has copied.
    fs::remove_file(out.join("packets")).unwrap();
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
    fs::write(out.join("console.log"), "").unwrap();
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
    // Its records are shown nevertheless.
    let left = relayctl(&["cat".as_ref(), "--json".as_ref(), out.as_os_str()]);
    assert_eq!(left.out.lines().count(), 33);
    // Without its metadata it cannot be read.
    fs::remove_file(out.join("trace/metadata")).unwrap();
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
}

#[test]
fn verify_speaks_json() {
    let mut packets = small();
    let whole: serde_json::Value = {
        let out = capture("json", &packets);
        let left = relayctl(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
        serde_json::from_str(&left.out).expect("it is JSON")
    };
    assert_eq!(
        (&whole["verdict"], &whole["claims"]),
        (&"complete".into(), &10.into())
    );
    assert_eq!(whole["streams"][0]["last_packet"], 2);
    packets.remove(6);
    let out = capture("json", &packets);
    let left = relayctl(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(1));
    let broken: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
    assert_eq!(broken["verdict"], "broken");
    assert!(
        broken["problems"][0]
            .as_str()
            .unwrap()
            .starts_with("klog_0 at "),
        "{broken}"
    );
    assert!(broken["total"]["lost"].as_u64() > whole["total"]["lost"].as_u64());
    assert_eq!(broken["total"]["unaccounted"], 0);
}
