//! The flight recorder: rings that nobody reads keep the newest records of every CPU, and a
//! snapshot or a panic brings them out, whole and without gaps. The rest is counted as overwritten.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::{Run, boot, relayctl};
use serde_json::Value;

const SMP: usize = 8;
/// Sub-buffers of a ring, and records that one has room for: 4096 bytes without a header, records
/// of 37 bytes.
const COUNT: usize = 8;
const FULL: usize = 100;

/// What a command of relayctl prints about a capture.
fn said(command: &[&str], capture: &Path) -> String {
    let mut relayctl = Command::new(relayctl());
    let output = relayctl.args(command).arg(capture).output();
    String::from_utf8(output.expect("relayctl starts").stdout).expect("it is UTF-8")
}

fn json(command: &[&str], capture: &Path) -> Value {
    serde_json::from_str(&said(command, capture)).expect("it prints JSON")
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// A record of `flood`: its number in the stream; its context, and its number among those of that.
struct Flood {
    number: u64,
    context: String,
    sequence: u64,
}

/// The records of each CPU, in the order of its stream, parted where numbers are missing.
fn runs(capture: &Path) -> BTreeMap<u64, Vec<Vec<Flood>>> {
    let mut cpus: BTreeMap<u64, Vec<Vec<Flood>>> = BTreeMap::new();
    for line in said(&["cat", "--json", "--channel", "flood"], capture).lines() {
        let record: Value = serde_json::from_str(line).expect("cat prints JSON");
        let flood = Flood {
            number: number(&record["number"]),
            context: record["context"].as_str().expect("it has one").to_owned(),
            sequence: number(&record["fields"]["sequence"]),
        };
        let runs = cpus.entry(number(&record["cpu"])).or_default();
        match runs.last_mut() {
            Some(run) if run.last().map(|last| last.number + 1) == Some(flood.number) => {
                run.push(flood);
            }
            _ => runs.push(vec![flood]),
        }
    }
    assert_eq!(cpus.len(), SMP, "a CPU has left nothing");
    cpus
}

/// Checks that a run has what its ring held, and of no context a gap.
#[track_caller]
fn assert_is_whole(cpu: u64, run: &[Flood]) {
    assert!(run.len() >= (COUNT - 2) * FULL, "cpu {cpu}: {}", run.len());
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for record in run {
        let after = next.insert(&record.context, record.sequence + 1);
        assert_eq!(
            after.unwrap_or(record.sequence),
            record.sequence,
            "cpu {cpu}: a gap in {}, at {}",
            record.context,
            record.number
        );
    }
}

/// What each CPU said that it had written, by context, in the order in which it said so.
fn written(run: &Run) -> BTreeMap<u64, Vec<BTreeMap<&'static str, u64>>> {
    let mut cpus: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for record in run.records() {
        let Some((_, counts)) = record.message.split_once(" has written ") else {
            continue;
        };
        let counts: Vec<u64> = counts
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let names = ["task", "irq", "nmi"];
        assert_eq!(counts.len(), names.len(), "{}", record.message);
        let said = names.into_iter().zip(counts).collect();
        cpus.entry(record.cpu.into()).or_default().push(said);
    }
    cpus
}

/// Checks that a run ends with the newest record of each context that it has.
#[track_caller]
fn assert_is_newest(cpu: u64, run: &[Flood], written: &BTreeMap<&'static str, u64>) {
    let last = run.last().expect("it is not empty").number;
    let all: u64 = written.values().sum();
    assert_eq!(last + 1, all, "cpu {cpu}: the newest is not there");
    for (context, count) in written {
        let newest = run.iter().rfind(|record| record.context == *context);
        if let Some(newest) = newest {
            assert_eq!(newest.sequence + 1, *count, "cpu {cpu}, {context}");
        }
    }
}

/// Checks the ledger of each CPU: what is missing between the runs is what was overwritten.
fn assert_overwritten(capture: &Path, cpus: &BTreeMap<u64, Vec<Vec<Flood>>>) {
    let stat = json(&["stat", "--json"], capture);
    let channels = stat["channels"].as_array().expect("a list");
    let flood = channels.iter().find(|channel| channel["name"] == "flood");
    let ledgers = flood.expect("there is one")["cpus"].as_array();
    for ledger in ledgers.expect("a list") {
        let records = || cpus[&number(&ledger["cpu"])].iter().flatten();
        let there = records().count() as u64;
        let last = records().next_back().expect("it has some").number;
        assert_eq!(number(&ledger["overwritten"]), last + 1 - there, "{ledger}");
        assert_eq!(number(&ledger["delivered"]), there, "{ledger}");
        let ends = last + 1 + number(&ledger["uncommitted"]);
        assert_eq!(number(&ledger["attempted"]), ends, "{ledger}");
    }
}

/// Boots the recorder. Its capture lies in `folder`.
fn record(folder: &Path, set: &[&str], verdict: &str) -> Run {
    let out = folder.to_str().expect("a temporary folder's name is UTF-8");
    let mut args = vec!["--scenario", "recorder", "--out", out, "--force"];
    args.extend(set.iter().flat_map(|word| ["--set", word]));
    let run = boot(&args);
    let judged = json(&["verify", "--json"], folder);
    assert_eq!(judged["verdict"], verdict, "{judged:#}");
    run
}

#[test]
fn snapshots_have_the_newest_records_of_every_cpu() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = record(folder.path(), &["snapshots=3", "laps=5"], "complete");
    run.assert_code(0);
    let seen = run.record("observers checked ").message;
    assert!(seen.ends_with(" 0 were wrong"), "{seen}");
    let (cpus, written) = (runs(folder.path()), written(&run));
    for (cpu, runs) in &cpus {
        assert_eq!(runs.len(), 3, "cpu {cpu}: its snapshots have gaps");
        for (run, written) in runs.iter().zip(&written[cpu]) {
            assert_is_whole(*cpu, run);
            assert_is_newest(*cpu, run, written);
        }
    }
    assert_overwritten(folder.path(), &cpus);
}

#[test]
fn a_panic_leaves_the_newest_records_of_every_cpu() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = record(folder.path(), &["snapshots=1", "end=panic"], "open");
    run.assert_code(1);
    let (cpus, written) = (runs(folder.path()), written(&run));
    for (cpu, runs) in &cpus {
        let [run] = runs.as_slice() else {
            panic!("cpu {cpu}: what it left has gaps");
        };
        assert_is_whole(*cpu, run);
    }
    // The CPU that failed knew what it had written. The last packet of each of the others says that
    // it was stopped there.
    assert_is_newest(0, &cpus[&0][0], &written[&0][0]);
    assert_overwritten(folder.path(), &cpus);
}
