//! Captures with a largest size: what is left out is told, and explains all that is not there.

mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use relay_decode::audit::Audit;
use relay_decode::balance::{Balance, Verdict};
use relay_decode::capture::{Capture, Keep, Options, Stored, Totals};
use relay_decode::merge::{Filter, Merge, Next};
use relay_decode::wire::Kind;
use serde_json::json;
use synthetic::{Stream, TASK, folder, metadata, metadata_packets, relayctl, salvaged};

/// How many packets klog has on each of two CPUs.
const PACKETS: u64 = 60;

/// A machine of two CPUs, which lose something now and then, and claim what they tried.
fn machine() -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(2), 4000);
    let mut klogs = [Stream::new(1, 0, 100), Stream::new(1, 1, 100)];
    for at in 0..PACKETS {
        for klog in &mut klogs {
            let begin = 110 + at * 100;
            for record in 0..1 + at % 5 {
                klog.klog(begin + record, TASK, 3, 1, ["m", "f", "some text of a log"]);
            }
            klog.lost[0] += u64::from(at % 7 == 3) * 2;
            packets.push(klog.packet(begin + 50, u32::from(at == PACKETS - 1)));
        }
    }
    for (cpu, klog) in (0..).zip(&klogs) {
        let mut claims = Stream::new(2, cpu, 100);
        claims.claim(110, 1, TASK, klog.ordinal + klog.lost[0]);
        claims.claim(111, 3, TASK, 0);
        packets.push(claims.packet(20_000, 1));
        packets.push(Stream::new(3, cpu, 100).packet(20_000, 1));
    }
    packets
}

/// The same, but what CPU 1 claims, and its load, come before the log: they make room first.
fn early() -> Vec<Vec<u8>> {
    let mut packets = machine();
    let described = metadata_packets(&metadata(2), 4000).len();
    packets[described..].rotate_right(2);
    packets
}

/// A capture of what comes on one port, at most so large; `panic` comes on another one.
fn make(max_size: u64, keep: Keep, packets: &[Vec<u8>], panic: &[Vec<u8>]) -> (PathBuf, Totals) {
    let out = folder("sizes").join("capture");
    let options = Options {
        max_size,
        keep,
        ..Options::new(&out, Kind::Live)
    };
    let capture = Capture::create(&options).expect("it is writable");
    let mut ports = [capture.port(0), capture.port(1)];
    for packet in packets {
        ports[0].push(packet);
    }
    for packet in panic {
        ports[1].push(packet);
    }
    ports.into_iter().for_each(|port| port.finish());
    let totals = capture.finish(json!({})).expect("it is writable");
    (out, totals)
}

/// The sums and the judgement.
fn judge(folder: &Path) -> (Balance, Verdict) {
    let stored = Stored::open(folder).expect("it has metadata");
    let audit = Audit::of(&stored).expect("it is readable");
    (audit.balance(), audit.verdict())
}

/// How many records can be shown.
fn shown(folder: &Path) -> u64 {
    let stored = Stored::open(folder).expect("it has metadata");
    let filter = Filter::default();
    let mut count = 0;
    let mut merge = Merge::of(&stored, &filter).expect("it is readable");
    merge
        .each(|next| {
            count += u64::from(matches!(next, Next::Record(..)));
            Ok::<_, relay_decode::capture::OpenError>(())
        })
        .expect("it is readable");
    count
}

#[test]
fn what_there_is_room_for_is_complete() {
    for keep in [Keep::Oldest, Keep::Newest] {
        let (out, totals) = make(1 << 20, keep, &machine(), &[]);
        assert_eq!((judge(&out).1, totals.left_out), (Verdict::Complete, 0));
    }
}

#[test]
fn the_newest_are_the_last_and_the_oldest_the_first() {
    let packets = machine();
    let numbers = |keep| {
        let (out, _) = make(12_000, keep, &packets, &[]);
        let left = relayctl(&["cat".as_ref(), out.as_os_str(), "--json".as_ref()]);
        let times = left.out.lines().map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            record["ticks"]
                .as_u64()
                .filter(|_| record["channel"] == "klog")
        });
        let times: Vec<_> = times.flatten().collect();
        (times.iter().min().copied(), times.iter().max().copied())
    };
    let all = numbers(Keep::Oldest);
    let newest = numbers(Keep::Newest);
    assert!(all.0 < newest.0, "{all:?} {newest:?}");
    assert!(all.1 < newest.1, "{all:?} {newest:?}");
}

#[test]
fn what_a_panic_sends_has_room_in_any_case() {
    let packets = machine();
    // The last ten of each CPU are only sent by the panic, with some that came before.
    let (before, after) = packets.split_at(packets.len() - 24);
    let from = before.len() - 6;
    let panic: Vec<_> = packets[from..]
        .iter()
        .map(|packet| salvaged(packet))
        .collect();
    for keep in [Keep::Oldest, Keep::Newest] {
        let (out, totals) = make(9_000, keep, before, &panic);
        let (balance, verdict) = judge(&out);
        assert_eq!(verdict, Verdict::Open, "{keep:?}");
        assert!(totals.left_out > 0);
        let last = after.iter().map(|packet| packet.len()).sum::<usize>();
        assert!(totals.bytes > last as u64);
        let (whole, _) = judge(&make(1 << 20, keep, &packets, &[]).0);
        assert_eq!(balance.attempted, whole.attempted);
        assert_eq!((balance.lost.missing, balance.unaccounted), (0, 0));
    }
}

#[test]
fn verify_stat_and_cat_tell_of_it() {
    let (out, totals) = make(9_000, Keep::Newest, &machine(), &[]);
    let verify = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert_eq!(verify.code, Some(0));
    let told = format!("open: {} bytes that came are left out", totals.left_out);
    assert!(verify.out.contains(&told), "{}", verify.out);
    assert!(verify.out.contains(", left out "), "{}", verify.out);
    let stat = relayctl(&["stat".as_ref(), out.as_os_str(), "--json".as_ref()]);
    let stat: serde_json::Value = serde_json::from_str(&stat.out).expect("it is JSON");
    let left_out = stat["channels"][0]["cpus"][0]["lost"]["left_out"].as_u64();
    assert!(left_out > Some(0), "{stat}");
    let cat = relayctl(&["cat".as_ref(), out.as_os_str()]);
    let told = format!("{} bytes that came are left out", totals.left_out);
    assert!(cat.err.contains(&told), "{}", cat.err);
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(run["capture"]["left_out"], totals.left_out);
}

/// What every reading command says of a capture.
fn said(out: &Path) -> Vec<(Option<i32>, String, String)> {
    let commands: [&[&str]; 8] = [
        &["verify"],
        &["verify", "--json"],
        &["stat"],
        &["stat", "--json"],
        &["stat", "--channel", "claims"],
        &["cat"],
        &["cat", "--json"],
        &["export", "--format", "jsonl"],
    ];
    let all = commands.iter().map(|command| {
        let words = command.iter().map(AsRef::as_ref);
        let left = relayctl(&words.chain([out.as_os_str()]).collect::<Vec<_>>());
        (left.code, left.out, left.err)
    });
    all.collect()
}

/// The files of a trace, without its indexes, with their lengths.
fn files(out: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(out.join("trace")).expect("it is there");
    let entries = entries.map(|entry| entry.expect("it is readable"));
    let files = entries.filter(|entry| entry.path().is_file());
    let mut files: Vec<_> = files
        .map(|entry| {
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, entry.metadata().expect("it is readable").len())
        })
        .collect();
    files.sort();
    files
}

/// The streams of [`early`] of which nothing is kept.
const EMPTIED: [&str; 2] = ["claims_1", "flood_1"];

#[test]
fn a_stream_of_which_nothing_is_kept_has_no_file() {
    let (out, totals) = make(9_000, Keep::Newest, &early(), &[]);
    let kept: Vec<_> = files(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        kept,
        ["claims_0", "flood_0", "klog_0", "klog_1", "metadata"]
    );
    assert!(files(&out).iter().all(|(_, length)| *length > 0));
    let list = fs::read_to_string(out.join("packets")).expect("it is kept");
    for file in EMPTIED {
        assert!(!out.join(format!("trace/index/{file}.idx")).exists());
        let told = format!("{file} left-out 0 0 ");
        assert!(list.contains(&told), "{list}");
    }
    // They came: that is told as before.
    let (balance, verdict) = judge(&out);
    assert_eq!(verdict, Verdict::Open);
    assert_eq!((balance.lost.missing, balance.unaccounted), (0, 0));
    assert_eq!(
        balance.attempted,
        judge(&make(1 << 20, Keep::Newest, &early(), &[]).0)
            .0
            .attempted
    );
    let without = said(&out);
    let told = format!("open: {} bytes that came are left out", totals.left_out);
    assert!(without[0].1.contains(&told), "{without:?}");
    assert!(without.iter().all(|(code, ..)| *code == Some(0)));
    for file in EMPTIED {
        fs::write(out.join("trace").join(file), b"").expect("it is writable");
    }
    assert_eq!(said(&out), without);
}

#[test]
fn a_capture_that_was_cut_off_has_its_holes_and_says_the_same_without_them() {
    let out = folder("sizes").join("capture");
    let options = Options {
        max_size: 9_000,
        keep: Keep::Newest,
        ..Options::new(&out, Kind::Live)
    };
    let capture = Capture::create(&options).expect("it is writable");
    let mut port = capture.port(0);
    early().iter().for_each(|packet| port.push(packet));
    // Nobody ends it.
    drop((port, capture));
    let with = said(&out);
    assert_eq!(judge(&out).1, Verdict::Open);
    assert_eq!(judge(&out).0.lost.missing, 0);
    // Who ends it may be stopped when these are removed, and the list is not written anew.
    for file in EMPTIED {
        fs::remove_file(out.join("trace").join(file)).expect("it has a hole");
    }
    assert_eq!(said(&out), with);
}

#[test]
fn a_line_about_what_is_left_out_cannot_explain_more_away() {
    let (out, _) = make(9_000, Keep::Newest, &machine(), &[]);
    let list = fs::read_to_string(out.join("packets")).expect("it is kept");
    // Without the line the packets are missing; with another number it is no line.
    let lines = || list.lines();
    let without: Vec<_> = lines().filter(|line| !line.contains("left-out")).collect();
    let other: Vec<_> = lines()
        .map(|line| match line.contains("left-out") {
            true => line.replace(" 0 ", " 1 "),
            false => line.to_owned(),
        })
        .collect();
    for text in [without.join("\n"), other.join("\n")] {
        fs::write(out.join("packets"), text + "\n").expect("it is writable");
        assert!(matches!(judge(&out).1, Verdict::Broken(_)));
    }
}

#[test]
fn what_never_came_is_missing_also_between_what_is_left_out() {
    // The third packet of CPU 0's log, behind the metadata.
    let described = metadata_packets(&metadata(2), 4000).len();
    let mut packets = machine();
    packets.remove(described + 2 * 3);
    for keep in [Keep::Oldest, Keep::Newest] {
        let whole = make(1 << 20, keep, &packets, &[]).0;
        assert!(matches!(judge(&whole).1, Verdict::Broken(_)));
        let (out, totals) = make(4_000, keep, &packets, &[]);
        assert!(totals.left_out > 0);
        let Verdict::Broken(problems) = judge(&out).1 else {
            panic!("{keep:?}: a packet is missing");
        };
        let told = "packets 3 to 3 are missing ";
        let is_told = problems.iter().any(|problem| problem.contains(told));
        assert!(is_told, "{keep:?}: {problems:?}");
    }
}

proptest! {
    /// Whatever the size: the sums are those of the whole, nothing is missing, and what is there
    /// can be shown.
    #[test]
    fn any_size_explains_what_is_not_there(
        max_size in 3_000u64..40_000,
        newest: bool,
        is_early: bool,
    ) {
        let keep = if newest { Keep::Newest } else { Keep::Oldest };
        let packets = if is_early { early() } else { machine() };
        let (out, totals) = make(max_size, keep, &packets, &[]);
        let (whole, _) = judge(&make(1 << 20, keep, &packets, &[]).0);
        let (balance, verdict) = judge(&out);
        prop_assert_eq!(balance.attempted, whole.attempted);
        prop_assert_eq!((balance.lost.missing, balance.unaccounted), (0, 0));
        let expected = match totals.left_out {
            0 => Verdict::Complete,
            _ => Verdict::Open,
        };
        prop_assert_eq!(verdict, expected);
        prop_assert_eq!(shown(&out), balance.delivered);
        prop_assert!(files(&out).iter().all(|(_, length)| *length > 0), "{:?}", files(&out));
        let metadata = fs::metadata(out.join("trace/metadata")).expect("it is there").len();
        prop_assert!(totals.bytes <= max_size.max(metadata) + 4096, "{} bytes", totals.bytes);
        let _ = fs::remove_dir_all(out);
    }
}
