//! Folders that lack a file, and disks that are full: said, and judged alike by whoever makes the
//! capture and by whoever reads it.

mod synthetic;

use std::fs;
use std::path::Path;
use std::process::Command;

use relay_decode::capture::{Capture, Keep, Options};
use relay_decode::wire::Kind;
use serde_json::{Value, json};
use synthetic::{
    Left, Stream, capture, folder, limited, metadata, metadata_packets, relayctl, small,
};

/// Runs a command on a capture.
fn on(command: &[&str], capture: &Path) -> Left {
    let mut args: Vec<_> = command.iter().map(std::ffi::OsStr::new).collect();
    args.push(capture.as_os_str());
    relayctl(&args)
}

#[test]
fn a_stream_file_that_is_gone_is_said() {
    let out = capture("gone", &small());
    for (file, packets, records) in [("klog_0", 3, 29), ("claims_1", 1, 28), ("flood_0", 2, 26)] {
        let path = out.join("trace").join(file);
        let bytes = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("it is writable");
        let said = format!("{file}: the file is not there, {packets} packets of it arrived");
        for follow in [&[][..], &["--follow"]] {
            let left = on(&[&["cat", "--json"], follow].concat(), &out);
            assert_eq!(left.code, Some(1), "{file}: {left:?}");
            assert_eq!(left.out.lines().count(), records, "{file}: {left:?}");
            if follow.is_empty() {
                assert!(left.err.contains(&said), "{left:?}");
            } else {
                assert!(left.err.contains("the file is not there"), "{left:?}");
            }
        }
        assert_eq!(on(&["verify"], &out).code, Some(1));
        fs::write(&path, bytes).expect("it is writable");
    }
    assert_eq!(on(&["cat"], &out).code, Some(0));
    // One that never had a packet is not missed.
    let alone = capture("none", &metadata_packets(&metadata(1), 1 << 16));
    let left = on(&["cat"], &alone);
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
}

/// The log of so many CPUs, whose files and list grow at the same time, in packets of one record.
fn growing(cpus: u32, packets: u64) -> Vec<Vec<u8>> {
    let mut all = metadata_packets(&metadata(cpus), 1 << 16);
    let mut streams: Vec<_> = (0..cpus).map(|cpu| Stream::new(1, cpu, 0)).collect();
    for n in 0..packets {
        for klog in &mut streams {
            klog.klog(n * 10, 0, 3, 1, ["m", "f", "a record"]);
            all.push(klog.packet(n * 10 + 5, 0));
        }
    }
    all
}

#[test]
fn a_disk_that_is_full_leaves_what_is_sound() {
    // A stream's file is the first that is too long, or the list of packets.
    fill(
        2,
        150,
        &[1, 5, 9, 10, 11, 12, 16, 20, 25, 30, 40, 50, 60, 70],
    );
    fill(20, 30, &[10, 11, 12, 13, 14, 15, 20, 25, 30, 33, 35, 40]);
}

/// Records the same log with files of at most so many blocks.
fn fill(cpus: u32, packets: u64, blocks: &[u64]) {
    let all = u64::from(cpus) * packets;
    let packets = growing(cpus, packets);
    let folder = folder("full");
    let raw = folder.join("raw");
    fs::write(&raw, packets.concat()).expect("it is writable");
    let mut shown = Vec::new();
    for blocks in blocks {
        let out = folder.join(blocks.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
        command
            .arg("record")
            .arg("--from")
            .arg(&raw)
            .arg("--out")
            .arg(&out);
        let left: Left = limited(&command, *blocks)
            .output()
            .expect("it starts")
            .into();
        let is_cut = left.err.contains("the capture is cut off: ");
        assert_eq!(
            left.code,
            Some(if is_cut { 3 } else { 0 }),
            "{blocks}: {left:?}"
        );
        let judged = on(&["verify", "--json"], &out);
        if !out.join("trace/metadata").exists() {
            // Nothing can be read of what is there.
            assert!(is_cut && judged.code == Some(1), "{blocks}: {judged:?}");
            continue;
        }
        // Whole packets, each with its line; then nothing.
        let value: Value = serde_json::from_str(&judged.out).expect("it is JSON");
        assert_eq!(
            (judged.code, &value["verdict"]),
            (Some(0), &"open".into()),
            "{blocks}: {value}"
        );
        let records = on(&["cat", "--json"], &out);
        let is_said = records.err.contains("are left out: the capture is cut off");
        assert_eq!((records.code, is_said), (Some(0), is_cut), "{blocks}");
        let records = records.out.lines().count() as u64;
        assert_eq!(value["total"]["delivered"], records);
        assert_eq!(value["total"]["unaccounted"], 0);
        assert_eq!(records < all, is_cut, "{blocks}: {records}");
        shown.push(records);
    }
    assert!(shown.is_sorted() && shown.len() > 5, "{shown:?}");
    assert_eq!(shown.last(), Some(&all));
    assert!(shown[0] < all / 2, "{shown:?}");
}

/// The oldest packets made room, and there is none to write the rest anew: it is as good as it was.
#[test]
fn holes_that_cannot_be_closed_do_no_harm() {
    let packets = growing(2, 150);
    for blocked in ["packets.new", "trace/klog_0.new", "trace/klog_1.new", ""] {
        let out = folder("holes").join("capture");
        let capture = Capture::create(&Options {
            max_size: 30_000,
            keep: Keep::Newest,
            ..Options::new(&out, Kind::Stored)
        });
        let capture = capture.expect("it is writable");
        let mut port = capture.port(0);
        port.push(&packets.concat());
        port.finish();
        let blocker = out.join(blocked);
        if !blocked.is_empty() {
            // A folder, in the place of a file that is to be written.
            fs::create_dir(&blocker).expect("it is writable");
        }
        capture.finish(json!({})).expect("it is writable");
        if !blocked.is_empty() {
            fs::remove_dir(&blocker).expect("it is there");
        }
        let judged = on(&["verify", "--json"], &out);
        let value: Value = serde_json::from_str(&judged.out).expect("it is JSON");
        assert_eq!(
            (judged.code, &value["verdict"]),
            (Some(0), &"open".into()),
            "{value}"
        );
        assert_eq!(value["total"]["unaccounted"], 0);
        let records = on(&["cat", "--json"], &out).out.lines().count() as u64;
        assert_eq!(value["total"]["delivered"], records);
        assert!((80..200).contains(&records), "{blocked}: {records}");
        // Nothing is left of what was tried.
        let rest = ["packets.new", "trace/klog_0.new", "trace/klog_1.new"];
        assert!(
            !rest.iter().any(|name| out.join(name).exists()),
            "{blocked}"
        );
    }
}
