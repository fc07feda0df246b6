//! Captures that were damaged: never called complete, and what is sound is shown.

mod synthetic;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use relay_decode::audit::Audit;
use relay_decode::balance::Verdict;
use relay_decode::capture::{Capture, OpenError, Options, Stored};
use relay_decode::merge::{Filter, Merge, Next};
use relay_decode::wire::{Kind, Piece, Splitter};
use serde_json::json;
use synthetic::{capture, folder, small};

/// The judgement about a capture; broken if it cannot be read.
fn judge(folder: &Path) -> Verdict {
    match Stored::open(folder).and_then(|stored| Audit::of(&stored)) {
        Ok(audit) => audit.verdict(),
        Err(error) => Verdict::Broken(vec![error.to_string()]),
    }
}

/// The records that are shown, each by stream, number, time and fields, and how many.
fn shown(folder: &Path) -> (BTreeSet<String>, usize) {
    let Ok(stored) = Stored::open(folder) else {
        return Default::default();
    };
    let filter = Filter::default();
    let (mut records, mut count) = (BTreeSet::new(), 0);
    let mut merge = Merge::of(&stored, &filter).expect("files are readable");
    let shown: Result<(), OpenError> = merge.each(|next| {
        if let Next::Record(shown, values) = next {
            let (channel, cpu) = (&shown.channel.name, shown.cpu);
            let (number, ticks) = (shown.record.number, shown.record.stamp.ticks);
            records.insert(format!(
                "{channel}_{cpu} {} {number} {ticks} {values:?}",
                shown.packet
            ));
            count += 1;
        }
        Ok(())
    });
    shown.expect("files are readable");
    (records, count)
}

/// A copy of a capture.
fn copy(from: &Path, to: &Path) {
    for path in ["trace", "."] {
        fs::create_dir_all(to.join(path)).expect("it is writable");
        for entry in fs::read_dir(from.join(path)).expect("it is readable") {
            let entry = entry.expect("it is readable");
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(path).join(entry.file_name()))
                    .expect("it is copied");
            }
        }
    }
}

/// A whole capture, a copy to damage, and the records of the whole one.
fn prepare() -> (PathBuf, PathBuf, BTreeSet<String>) {
    let whole = capture("damage", &small());
    let damaged = folder("damaged");
    copy(&whole, &damaged);
    let (records, count) = shown(&whole);
    assert_eq!((records.len(), count), (33, 33));
    assert_eq!(judge(&whole), Verdict::Complete);
    (whole, damaged, records)
}

/// The files of the streams, and the packets in each.
fn streams(whole: &Path) -> Vec<(PathBuf, Vec<std::ops::Range<usize>>)> {
    let mut streams = Vec::new();
    for channel in ["klog", "claims", "flood"] {
        for cpu in 0..2 {
            let name = PathBuf::from(format!("trace/{channel}_{cpu}"));
            let bytes = fs::read(whole.join(&name)).expect("it is there");
            let (mut packets, mut at) = (Vec::new(), 0);
            while at < bytes.len() {
                let size = u64::from_le_bytes(bytes[at + 56..at + 64].try_into().unwrap()) / 8;
                packets.push(at..at + size as usize);
                at += size as usize;
            }
            streams.push((name, packets));
        }
    }
    streams
}

/// The records of a stream's packet.
fn of_packet<'a>(all: &'a BTreeSet<String>, file: &Path, packet: usize) -> BTreeSet<&'a String> {
    let name = file.file_name().unwrap().to_str().unwrap();
    let start = format!("{name} {packet} ");
    all.iter()
        .filter(|record| record.starts_with(&start))
        .collect()
}

#[test]
fn every_flipped_bit_of_a_stream_is_found() {
    let (whole, damaged, all) = prepare();
    for (name, packets) in streams(&whole) {
        // The other CPU's packets are of the same kind.
        if name.to_str().is_some_and(|name| name.ends_with("_1")) {
            continue;
        }
        let bytes = fs::read(whole.join(&name)).unwrap();
        for (number, packet) in packets.iter().enumerate() {
            let hit = of_packet(&all, &name, number);
            let rest: BTreeSet<_> = all.iter().filter(|record| !hit.contains(record)).collect();
            for bit in packet.start * 8..packet.end * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                fs::write(damaged.join(&name), &changed).unwrap();
                let verdict = judge(&damaged);
                assert!(
                    matches!(verdict, Verdict::Broken(_)),
                    "{name:?} bit {bit}: {verdict:?}"
                );
                let (records, count) = shown(&damaged);
                assert_eq!(
                    records.iter().collect::<BTreeSet<_>>(),
                    rest,
                    "{name:?} bit {bit}"
                );
                assert_eq!(count, rest.len());
            }
        }
        fs::write(damaged.join(&name), &bytes).unwrap();
    }
    assert_eq!(judge(&damaged), Verdict::Complete);
}

#[test]
fn every_flipped_bit_of_list_and_metadata_is_found() {
    let (whole, damaged, _) = prepare();
    for (name, step) in [("packets", 1), ("trace/metadata", 7)] {
        let bytes = fs::read(whole.join(name)).unwrap();
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(damaged.join(name), &changed).unwrap();
            assert!(
                matches!(judge(&damaged), Verdict::Broken(_)),
                "{name} bit {bit}"
            );
        }
        fs::write(damaged.join(name), &bytes).unwrap();
    }
}

#[test]
fn every_damage_of_the_files_beside_the_trace_is_found() {
    let (out, damaged) = (folder("console").join("capture"), folder("console"));
    let capture = Capture::create(&Options {
        announce: |what| panic!("{what}"),
        ..Options::new(&out, Kind::Live)
    });
    let capture = capture.expect("it is writable");
    let mut port = capture.port(0);
    port.push(&small().concat());
    port.finish();
    capture.console(b"[    0.000120] 0:0 task INFO  kernel");
    capture.console(b" main.rs:20: relay kernel\n");
    capture
        .finish(json!({ "command": "run" }))
        .expect("it is writable");
    copy(&out, &damaged);
    assert_eq!(judge(&damaged), Verdict::Complete);
    let (records, _) = shown(&out);
    for name in ["console.log", "run.json"] {
        let path = damaged.join(name);
        let bytes = fs::read(&path).unwrap();
        let check = |what: &str| {
            let Verdict::Broken(problems) = judge(&damaged) else {
                panic!("{name}: {what} was not found");
            };
            let named = problems.iter().any(|problem| problem.starts_with(name));
            assert!(named, "{name}: {what}: {problems:?}");
            // The records are as good as before.
            assert_eq!(shown(&damaged).0, records);
        };
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &changed).unwrap();
            check(&format!("bit {bit}"));
        }
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            check(&format!("cut to {length}"));
        }
        fs::write(&path, [&bytes[..], b"\n"].concat()).unwrap();
        check("a byte more");
        fs::remove_file(&path).unwrap();
        check("removed");
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(judge(&damaged), Verdict::Complete);
    // The lines about them cannot go unseen either.
    let list = fs::read_to_string(damaged.join("packets")).unwrap();
    for name in ["console.log", "run.json"] {
        let lines = list.split_inclusive('\n');
        let without: String = lines.filter(|line| !line.starts_with(name)).collect();
        fs::write(damaged.join("packets"), without).unwrap();
        let problem = format!("packets: no line about {name}");
        assert_eq!(judge(&damaged), Verdict::Broken(vec![problem]));
    }
    // Captures of earlier versions have none, and do not promise them.
    let lines = list.split_inclusive('\n');
    let old: String = lines.filter(|line| !line.contains('.')).collect();
    fs::write(damaged.join("packets"), old).unwrap();
    fs::write(damaged.join("run.json"), "{ \"capture\": {} }\n").unwrap();
    assert_eq!(judge(&damaged), Verdict::Complete);
}

#[test]
fn every_cut_is_found() {
    let (whole, damaged, all) = prepare();
    for (name, packets) in streams(&whole) {
        let bytes = fs::read(whole.join(&name)).unwrap();
        for length in 0..bytes.len() {
            fs::write(damaged.join(&name), &bytes[..length]).unwrap();
            assert!(
                matches!(judge(&damaged), Verdict::Broken(_)),
                "{name:?} at {length}"
            );
            let mut rest: BTreeSet<_> = all.iter().collect();
            for (number, packet) in packets.iter().enumerate() {
                if packet.end > length {
                    rest.retain(|record| !of_packet(&all, &name, number).contains(record));
                }
            }
            let (records, _) = shown(&damaged);
            assert_eq!(
                records.iter().collect::<BTreeSet<_>>(),
                rest,
                "{name:?} at {length}"
            );
        }
        fs::remove_file(damaged.join(&name)).unwrap();
        assert!(
            matches!(judge(&damaged), Verdict::Broken(_)),
            "{name:?} removed"
        );
        fs::write(damaged.join(&name), &bytes).unwrap();
    }
}

#[test]
fn packets_removed_doubled_and_swapped_are_found() {
    let (whole, damaged, all) = prepare();
    for (name, packets) in streams(&whole) {
        let bytes = fs::read(whole.join(&name)).unwrap();
        let check = |order: &[usize], expected: BTreeSet<&String>| {
            let changed: Vec<u8> = order
                .iter()
                .flat_map(|n| &bytes[packets[*n].clone()])
                .copied()
                .collect();
            fs::write(damaged.join(&name), changed).unwrap();
            let verdict = judge(&damaged);
            assert!(
                matches!(verdict, Verdict::Broken(_)),
                "{name:?} {order:?}: {verdict:?}"
            );
            let (records, count) = shown(&damaged);
            assert_eq!(
                records.iter().collect::<BTreeSet<_>>(),
                expected,
                "{name:?} {order:?}"
            );
            assert_eq!(count, expected.len(), "{name:?} {order:?}");
        };
        let order: Vec<usize> = (0..packets.len()).collect();
        for n in 0..packets.len() {
            let mut removed = order.clone();
            removed.remove(n);
            let hit = of_packet(&all, &name, n);
            check(
                &removed,
                all.iter().filter(|record| !hit.contains(record)).collect(),
            );
            for at in 0..=packets.len() {
                let mut doubled = order.clone();
                doubled.insert(at, n);
                check(&doubled, all.iter().collect());
            }
            for m in 0..n {
                let mut swapped = order.clone();
                swapped.swap(n, m);
                check(&swapped, all.iter().collect());
            }
        }
        fs::write(damaged.join(&name), &bytes).unwrap();
    }
}

/// Cuts bytes into packets and fragments, in chunks.
fn split(bytes: &[u8], kind: Kind, chunks: &[usize]) -> (Vec<Vec<u8>>, Vec<u8>, usize) {
    let mut splitter = Splitter::new(kind);
    let (mut packets, mut fragments, mut total) = (Vec::new(), Vec::new(), 0);
    let mut take = |piece: Piece<'_>| -> Result<(), std::convert::Infallible> {
        match piece {
            Piece::Packet(_, packet) => {
                packets.push(packet.to_vec());
                total += packet.len();
            }
            Piece::Fragment(bytes) => {
                fragments.extend(bytes);
                total += bytes.len();
            }
        }
        Ok(())
    };
    let (mut rest, mut chunks) = (bytes, chunks.iter().cycle());
    while !rest.is_empty() {
        let length = chunks
            .next()
            .map_or(rest.len(), |length| (*length).max(1))
            .min(rest.len());
        let (now, later) = rest.split_at(length);
        let Ok(()) = splitter.push(now, &mut take);
        rest = later;
    }
    let Ok(()) = splitter.finish(&mut take);
    (packets, fragments, total)
}

#[test]
fn a_flipped_bit_on_the_wire_costs_one_packet() {
    let packets = small();
    let bytes = packets.concat();
    let mut at = 0;
    for (number, packet) in packets.iter().enumerate() {
        for bit in at * 8..(at + 168) * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let (found, _, total) = split(&changed, Kind::Stored, &[]);
            assert_eq!(total, bytes.len());
            let others = packets.iter().enumerate().filter(|(n, _)| *n != number);
            for (n, other) in others {
                assert!(
                    found.contains(other),
                    "packet {n} with bit {bit} of packet {number} flipped"
                );
            }
        }
        at += packet.len();
    }
}

#[test]
fn a_stream_cut_anywhere_is_read_up_to_there() {
    let packets = small();
    let bytes = packets.concat();
    for length in 0..bytes.len() {
        for kind in [Kind::Live, Kind::Stored] {
            let (found, fragments, total) = split(&bytes[..length], kind, &[]);
            assert_eq!(total, length);
            assert_eq!(
                [found.concat(), fragments.clone()].concat(),
                bytes[..length]
            );
            assert_eq!(found, packets[..found.len()]);
            assert!(fragments.len() < packets.get(found.len()).map_or(1, Vec::len));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// How the bytes are chunked makes no difference.
    #[test]
    fn chunks_do_not_matter(
        garbage in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..50)), 0..4),
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        chunks in prop::collection::vec(1usize..2000, 1..20),
    ) {
        let mut bytes = small().concat();
        for (at, extra) in garbage {
            let at = at.index(bytes.len());
            bytes.splice(at..at, extra);
        }
        for flip in flips {
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for kind in [Kind::Live, Kind::Stored] {
            let whole = split(&bytes, kind, &[]);
            prop_assert_eq!(whole.2, bytes.len());
            prop_assert_eq!(whole, split(&bytes, kind, &chunks));
        }
    }

    /// Any damage to any file: no panic, and never complete.
    #[test]
    fn any_damage_is_found(
        file in 0usize..8,
        at in any::<prop::sample::Index>(),
        remove in 0usize..400,
        insert in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (whole, damaged, all) = prepare();
        let mut files: Vec<_> = streams(&whole).into_iter().map(|(name, _)| name).collect();
        files.extend(["packets".into(), "trace/metadata".into()]);
        let name = &files[file];
        let bytes = fs::read(whole.join(name)).unwrap();
        let from = at.index(bytes.len() + 1);
        let to = (from + remove).min(bytes.len());
        let mut changed = bytes.clone();
        changed.splice(from..to, insert);
        fs::write(damaged.join(name), &changed).unwrap();
        let verdict = judge(&damaged);
        prop_assert_eq!(matches!(verdict, Verdict::Broken(_)), changed != bytes);
        let (records, _) = shown(&damaged);
        if file < 6 {
            prop_assert!(records.is_subset(&all));
        }
    }
}
