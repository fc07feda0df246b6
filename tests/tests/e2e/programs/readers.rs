//! Programs that take channels: what they find is what the writers claim.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::{Run, boot, ramdisk, relayctl};
use relay_format::Severity;
use serde_json::Value;

use super::{has_said, said};

/// What `readers` says of a file, by word.
type Found = BTreeMap<String, u64>;

/// Runs a scenario whose flood `readers` takes.
fn run(folder: &Path, smp: u32, scenario: &str, sets: &[&str]) -> Run {
    let smp = smp.to_string();
    let ramdisk = ramdisk().to_str().expect("it is UTF-8");
    let out = folder.to_str().expect("it is UTF-8");
    let mut args = vec!["--scenario", scenario, "--smp", &smp];
    args.extend(["--ramdisk", ramdisk, "--out", out, "--force"]);
    args.extend([
        "--set",
        "programs=readers,flood,shared",
        "--set",
        "taken=flood",
    ]);
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    boot(&args)
}

/// What `readers` has found in the files of a channel, by CPU.
fn found(folder: &Path, channel: &str) -> BTreeMap<u64, Found> {
    let begin = format!("readers: /{channel}/");
    let said = said(folder);
    let lines = said.iter().filter(|(by, _)| by == "readers");
    let lines = lines.filter_map(|(_, text)| text.strip_prefix(&begin));
    let read = |line: &str| {
        let (cpu, rest) = line.split_once(' ')?;
        let words: Vec<_> = rest.split(' ').collect();
        let pairs = words
            .chunks_exact(2)
            .filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?)));
        Some((cpu.parse().ok()?, pairs.collect()))
    };
    lines.filter_map(read).collect()
}

/// What the writers claim to have tried in a channel that is taken, by CPU. The capture is complete.
fn claimed(folder: &Path, channel: &str) -> BTreeMap<u64, u64> {
    let mut verify = Command::new(relayctl());
    verify.arg("verify").arg(folder).arg("--json");
    let output = verify.output().expect("relayctl starts");
    let verified: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(verified["verdict"], "complete", "{verified}");
    let streams = verified["streams"].as_array().expect("there are streams");
    let of_this = streams.iter().filter(|stream| stream["channel"] == channel);
    let claims = of_this.map(|stream| {
        assert_eq!(
            (&stream["verdict"], &stream["packets"]),
            (&"taken".into(), &0.into())
        );
        let number = |name: &str| stream[name].as_u64().expect("it is a number");
        (number("cpu"), number("attempted"))
    });
    claims.collect()
}

/// Asserts that what `readers` found in a channel's files, of so many, is what the writers claim, and
/// that every byte was right.
fn assert_balanced(folder: &Path, channel: &str, files: u64) -> BTreeMap<u64, Found> {
    let (found, claimed) = (found(folder, channel), claimed(folder, channel));
    assert!((0..files).eq(found.keys().copied()), "{found:?}");
    assert!((0..files).eq(claimed.keys().copied()), "{claimed:?}");
    for (cpu, of) in &found {
        let parts = ["records", "lost", "overwritten", "uncommitted"].map(|word| of[word]);
        assert_eq!(parts.iter().sum::<u64>(), claimed[cpu], "cpu {cpu}: {of:?}");
        assert_eq!(of["checked"], of["records"], "cpu {cpu}: {of:?}");
        assert_eq!(
            of["mapped"] + of["copied"],
            of["packets"],
            "cpu {cpu}: {of:?}"
        );
        assert_eq!(
            (of["wrong"], of["uncommitted"]),
            (0, 0),
            "cpu {cpu}: {of:?}"
        );
    }
    assert!(has_said(folder, "init", "readers has ended with code 0"));
    found
}

/// Asserts that a run was good, and that its capture has nothing of this channel.
fn assert_taken(run: &Run, channel: &str) {
    run.assert_code(0);
    let summary = run.summary();
    let channels = summary["run"]["capture"]["channels"].as_array();
    let mut channels = channels.expect("there are channels").iter();
    let row = channels
        .find(|row| row["name"] == channel)
        .expect("it is there");
    assert_eq!(
        (&row["verdict"], &row["delivered"]),
        (&"taken".into(), &0.into())
    );
    assert_eq!(summary["run"]["capture"]["verdict"], "complete");
}

#[test]
fn programs_take_a_flood_of_eight_cpus_by_mapping() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 8, "flood", &["seconds=3"]);
    assert_taken(&run, "flood");
    let found = assert_balanced(folder.path(), "flood", 8);
    for of in found.values() {
        assert_eq!((of["missed"], of["copied"]), (0, 0), "{of:?}");
    }
    // More than the rings hold: they were read while they were written.
    let mapped: u64 = found.values().map(|of| of["mapped"]).sum();
    assert!(mapped > 8 * 16, "{found:?}");
}

#[test]
fn what_is_too_small_for_a_mapping_is_read() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 8, "flood", &["seconds=2", "subbuf=2048"]);
    assert_taken(&run, "flood");
    let found = assert_balanced(folder.path(), "flood", 8);
    assert!(
        found
            .values()
            .all(|of| of["mapped"] == 0 && of["missed"] == 0),
        "{found:?}"
    );
}

#[test]
fn what_is_overwritten_before_programs_take_it_is_counted() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 8, "flood", &["seconds=2", "mode=overwrite"]);
    assert_taken(&run, "flood");
    let found = assert_balanced(folder.path(), "flood", 8);
    assert!(found.values().any(|of| of["overwritten"] > 0), "{found:?}");
    assert!(
        found.values().all(|of| of["missed"] <= of["overwritten"]),
        "{found:?}"
    );
}

#[test]
fn programs_take_what_is_written_in_every_context() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 4, "stress", &["seconds=5"]);
    assert_taken(&run, "flood");
    assert_balanced(folder.path(), "flood", 4);
}

#[test]
fn programs_take_what_all_cpus_write_into_one_stream() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 4, "stress", &["seconds=3", "usage=global"]);
    assert_taken(&run, "shared");
    assert_balanced(folder.path(), "shared", 1);
}

#[test]
fn what_nobody_could_take_is_not_taken() {
    let run = boot(&[
        "--smp",
        "1",
        "--scenario",
        "smoke",
        "--set",
        "taken=flood,trace",
    ]);
    run.assert_code(1);
    let why = "channels are taken, and there are no programs that could take them";
    assert!(run.has(Severity::Error, why), "{:?}", run.console);
}

/// Instructions that 30000 records took, all of which found room, with a program that takes them, or
/// without.
fn cost_of_records(programs: &str) -> u64 {
    let folder = tempfile::tempdir().expect("there is room");
    let ramdisk = ramdisk().to_str().expect("it is UTF-8");
    let out = folder.path().to_str().expect("it is UTF-8");
    let programs = format!("programs={programs}");
    let mut args = vec!["--scenario", "cost", "--smp", "1", "--accel", "icount"];
    args.extend(["--ramdisk", ramdisk, "--out", out, "--force"]);
    args.extend([
        "--set",
        &programs,
        "--set",
        "taken=flood",
        "--set",
        "count=128",
    ]);
    let run = boot(&args);
    run.assert_code(0);
    let records = run.records();
    let begin = "30000 records of flood tried, 0 found no room, all took ";
    let mut told = records
        .iter()
        .filter_map(|record| record.message.strip_prefix(begin));
    let told = told
        .next()
        .and_then(|rest| rest.strip_suffix(" instructions"));
    told.and_then(|sum| sum.parse().ok()).expect("it is told")
}

/// With somebody who sleeps until something can be taken a sub-buffer is announced when it is complete,
/// by an interrupt: nothing else is different.
#[test]
fn records_cost_the_same_with_programs_that_take_them() {
    let [without, with] = ["hello", "readers,flood"].map(cost_of_records);
    assert!(without <= with, "{without} without, {with} with");
    let more = with - without;
    assert!(more * 1000 < without, "{more} more than {without}");
}
