//! Captures of machines that were reset, and of recorders that attached late or again: each boot is
//! a trace of its own, and metadata that comes again is no error.

mod bounds;
mod chance;
mod metadata;
mod resets;
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod traces;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use relay_decode::audit::Audit;
use relay_decode::capture::{Boots, Capture, MAX_BOOTS, Options, Stored, Totals};
use relay_decode::wire::Kind;
use serde_json::{Value, json};
use synthetic::{
    Left, Stream, TASK, boot_uuid, folder, metadata, metadata_packets, other_boot, recorded,
    relayctl, salvaged, small, text_of,
};

/// The metadata packets among others, and the others.
fn parts(packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let all = packets.iter().cloned();
    all.partition(|packet| packet[20..24] == [0; 4])
}

/// A small machine's second boot, with one CPU and other counts.
fn other() -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(1), 700);
    let mut klog = Stream::new(1, 0, 50);
    for n in 0..5 {
        klog.klog(100 + n, TASK, 3, 1, ["m", "f", "after the reset"]);
    }
    klog.lost[0] = 2;
    packets.push(klog.packet(200, 0));
    klog.klog(210, TASK, 2, 1, ["m", "f", "last"]);
    packets.push(klog.packet(220, 1));
    let mut claims = Stream::new(2, 0, 50);
    claims.claim(300, 1, TASK, 8);
    packets.push(claims.packet(310, 1));
    packets.push(Stream::new(3, 0, 50).packet(310, 1));
    packets
}

/// Runs a command on a capture.
fn on(command: &[&str], capture: &Path) -> Left {
    let mut args: Vec<_> = command.iter().map(std::ffi::OsStr::new).collect();
    args.push(capture.as_os_str());
    relayctl(&args)
}

/// The lines of JSON that a command prints.
fn lines(left: &Left) -> Vec<Value> {
    let lines = left.out.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("it prints JSON"))
        .collect()
}

/// Sums as `verify` and `stat` show them.
fn sums(total: &Value) -> [u64; 6] {
    let names = [
        "attempted",
        "delivered",
        "lost",
        "overwritten",
        "uncommitted",
        "unaccounted",
    ];
    names.map(|name| total[name].as_u64().expect("a number"))
}

/// What was written about the making of a capture.
fn made(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("run.json")).expect("it is there");
    let run: Value = serde_json::from_str(&text).expect("it is JSON");
    run["capture"].clone()
}

/// How many records babeltrace2, where there is one, finds in a trace. It complains of nothing but
/// what was lost. End to end tests install it.
fn babeltrace_reads(trace: &Path, records: usize) {
    let Ok(output) = Command::new("babeltrace2").arg(trace).output() else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    let others = errors.lines().filter(|line| !line.contains("discarded"));
    assert_eq!(
        (output.status.code(), others.count()),
        (Some(0), 0),
        "{errors}"
    );
    let events = output.stdout.split_inclusive(|byte| *byte == b'\n').count();
    assert_eq!(events, records);
}

/// The sums of `small` and of `other`.
const SMALL: [u64; 6] = [47, 33, 14, 0, 0, 0];
const OTHER: [u64; 6] = [9, 7, 2, 0, 0, 0];
