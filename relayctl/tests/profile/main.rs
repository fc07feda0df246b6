//! `profile` and `export`: known stacks in this test's own executable give exactly these tables and
//! files.

mod export;
mod image;
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod table;
mod wrong;

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::{Value, json};
use synthetic::profiled::{CLASSES, PROFILE, Sample, with_profile, with_programs};
use synthetic::{
    IRQ, Left, NMI, Stream, TASK, capture, metadata_packets, other_boot, recorded, relayctl,
};

/// Ticks in a millisecond, by the metadata.
const MS: u64 = 2_611_200;

/// Functions whose addresses are in the samples. None has an inlined one where it begins.
#[inline(never)]
fn outer(n: u64) -> u64 {
    n ^ 1
}

#[inline(never)]
fn hot(n: u64) -> u64 {
    n ^ 2
}

#[inline(never)]
fn recurse(n: u64) -> u64 {
    n ^ 4
}

/// Where a function begins in this executable's file.
fn address(function: fn(u64) -> u64) -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").expect("maps are readable");
    let first = maps.split('-').next().expect("there is a mapping");
    let base = u64::from_str_radix(first, 16).expect("a mapping starts with its address");
    std::hint::black_box(function) as usize as u64 - base
}

/// The executable.
fn elf() -> String {
    let path = std::env::current_exe().expect("a test has an executable");
    path.to_str().expect("it is text").to_owned()
}

/// A capture of two CPUs with samples of three functions, and with losses.
fn known(name: &str) -> PathBuf {
    let [outer, hot, recurse] = [outer, hot, recurse].map(address);
    // Return addresses are behind a call.
    let (back, again) = (outer + 1, recurse + 1);
    let [mut first, mut second] = [0, 1].map(|cpu| Stream::new(PROFILE, cpu, 0));
    first.source(MS, "hpet", 1000);
    for n in 2..5 {
        first.sample(n * MS, (hot, TASK, 1, &[back]));
    }
    first.sample(5 * MS, (outer, IRQ, 1, &[]));
    for n in 2..4 {
        second.sample(n * MS, (recurse, TASK, -2, &[again, again, back]));
    }
    second.lost[0] = 5;
    second.sample(4 * MS, (0xdead, NMI, 3, &[back]));
    made(name, 2, CLASSES, vec![first, second])
}

/// A capture with these streams of samples, each in one packet.
fn made(name: &str, cpus: u32, classes: &str, streams: Vec<Stream>) -> PathBuf {
    let mut packets = metadata_packets(&with_profile(cpus, classes), 1 << 12);
    for mut stream in streams {
        packets.push(stream.packet(1000 * MS, 1));
    }
    capture(name, &packets)
}

/// Runs a command on a capture, with this test's executable as the kernel.
fn with_elf(command: &str, out: &Path, args: &[&str]) -> Left {
    let (path, elf) = (out.to_str().expect("it is text"), elf());
    relayctl(&[&[command, path, "--elf", &elf], args].concat())
}

/// What `profile --json` says.
fn profiled(out: &Path, args: &[&str]) -> Value {
    let left = with_elf("profile", out, &[args, &["--json"]].concat());
    assert_eq!(left.code, Some(0), "{}", left.err);
    serde_json::from_str(&left.out).expect("it is JSON")
}

/// Name, own and total samples of each row.
fn rows(profile: &Value) -> Vec<(String, Option<u64>, u64)> {
    let rows = profile["rows"].as_array().expect("it has rows");
    let row = |row: &Value| {
        let name = row["name"].as_str().expect("it has a name").to_owned();
        let total = row["total"].as_u64().expect("it has a number");
        (
            name,
            row.get("self").map(|own| own.as_u64().expect("a number")),
            total,
        )
    };
    rows.iter().map(row).collect()
}

fn owned(rows: &[(&str, Option<u64>, u64)]) -> Vec<(String, Option<u64>, u64)> {
    let rows = rows.iter();
    rows.map(|(name, own, total)| ((*name).to_owned(), *own, *total))
        .collect()
}

/// Checks a document against what speedscope's file format asks for, and gives the stacks and
/// weights of each profile, by its name.
fn speedscope(text: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let document: Value = serde_json::from_str(text).expect("it is JSON");
    assert_eq!(
        document["$schema"],
        "https://www.speedscope.app/file-format-schema.json"
    );
    let frames = document["shared"]["frames"].as_array().expect("a list");
    let names: Vec<_> = frames
        .iter()
        .map(|frame| frame["name"].as_str().expect("a frame has a name"))
        .collect();
    let keys = |value: &Value| {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect::<HashSet<_>>()
    };
    for frame in frames {
        let known = ["name", "file", "line", "col"].map(str::to_owned);
        assert!(keys(frame).is_subset(&known.into()), "{frame}");
    }
    let profiles = document["profiles"].as_array().expect("a list");
    let profiles = profiles.iter().map(|profile| {
        let wanted = [
            "type",
            "name",
            "unit",
            "startValue",
            "endValue",
            "samples",
            "weights",
        ];
        assert_eq!(keys(profile), wanted.map(str::to_owned).into());
        assert_eq!(profile["type"], "sampled");
        let units = [
            "none",
            "nanoseconds",
            "microseconds",
            "milliseconds",
            "seconds",
            "bytes",
        ];
        assert!(units.contains(&profile["unit"].as_str().expect("a unit")));
        let samples = profile["samples"].as_array().expect("a list");
        let weights = profile["weights"].as_array().expect("a list");
        assert_eq!(samples.len(), weights.len());
        let weights = weights
            .iter()
            .map(|weight| weight.as_u64().expect("a number"));
        let sum: u64 = weights.clone().sum();
        let from = profile["startValue"].as_u64().expect("a number");
        assert_eq!(profile["endValue"], from + sum);
        let stacks = samples.iter().map(|stack| {
            let stack = stack.as_array().expect("a list").iter();
            let stack = stack.map(|at| names[at.as_u64().expect("a place") as usize]);
            stack.collect::<Vec<_>>().join(";")
        });
        let name = profile["name"].as_str().expect("a text").to_owned();
        (name, stacks.zip(weights).collect())
    });
    profiles.collect()
}
