//! Runs that a seed chooses: the same each time, kept if they fail.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{Run, Session, Turn, relayctl};
use serde_json::Value;

/// Runs a command of relayctl that makes runs of the kernel itself.
fn relayctl_says(words: &[&str], keep: &Path) -> Run {
    let turn = Turn::wait();
    let mut command = Command::new(relayctl());
    command.args(words).arg("--json").arg("--keep").arg(keep);
    Session::spawn(command, turn).end()
}

/// A number in a summary.
#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_seed_gives_the_same_capture_each_time_and_interrupts_writes_everywhere() {
    let keep = tempfile::tempdir().expect("the temporary folder is writable");
    let words = [
        "stress",
        "--seeds",
        "1..4",
        "--twice",
        "--set",
        "records=500",
    ];
    let run = relayctl_says(&words, keep.path());
    run.assert_code(0);
    let summary = run.summary();
    assert_eq!(summary["failed"], serde_json::json!([]));
    let runs = &summary["runs"];
    assert_eq!(runs["captures"], 4);
    assert_eq!(runs["total"]["unaccounted"], 0);
    let parts = runs["parts"].as_array().expect("a list");
    // And those of streams that all CPUs write, if a seed has chosen them.
    let own = parts.iter().filter(|part| !part["cpu"].is_null());
    assert_eq!(own.count(), 8 * 3, "CPUs and contexts");
    let sum = |key: &str| parts.iter().map(|part| number(&part[key])).sum::<u64>();
    assert_eq!(sum("attempted"), number(&runs["total"]["attempted"]));
    assert_eq!(sum("delivered"), number(&runs["total"]["delivered"]));
    assert!(number(&runs["nestings"]["failed_swaps"]) > 0);
    let interrupted = &runs["nestings"]["interrupted"];
    for what in ["timer in task", "ipi in task", "nmi in task", "nmi in irq"] {
        assert!(number(&interrupted[what]["times"]) > 0, "{interrupted:#}");
    }
    // What all of them do is removed.
    assert_eq!(fs::read_dir(keep.path()).expect("it is there").count(), 0);
}

#[test]
fn a_seed_that_fails_is_kept_with_the_command_that_makes_it_again() {
    let keep = tempfile::tempdir().expect("the temporary folder is writable");
    let set = ["--set", "lose=1", "--set", "records=10"];
    let words = [&["stress", "--seeds", "3..9", "--first"], &set[..]].concat();
    let run = relayctl_says(&words, keep.path());
    run.assert_code(1);
    let summary = run.summary();
    let failed = summary["failed"].as_array().expect("a list");
    assert_eq!(failed.len(), 1, "it ends with the first");
    assert_eq!(failed[0]["name"], "seed-3");
    let kept = keep.path().join("seed-3");
    let replay = fs::read_to_string(kept.join("replay")).expect("it is kept");
    assert_eq!(replay.trim_end(), failed[0]["command"]);
    for word in ["relayctl run ", "--accel=icount", "seed=3", "lose=1"] {
        assert!(replay.contains(word), "{word}: {replay}");
    }
    // What can be read of it is there.
    assert!(kept.join("trace/metadata").is_file() && kept.join("console.log").is_file());
}

#[test]
fn a_soak_mixes_runs_and_adds_them_up() {
    let keep = tempfile::tempdir().expect("the temporary folder is writable");
    let run = relayctl_says(&["soak", "--hours", "0.004", "--seed", "3"], keep.path());
    run.assert_code(0);
    let summary = run.summary();
    assert_eq!(summary["failed"], serde_json::json!([]));
    let total = &summary["runs"]["total"];
    assert!(number(&summary["runs"]["captures"]) > 0);
    assert!(number(&total["delivered"]) > 0);
    assert_eq!(total["unaccounted"], 0);
}
