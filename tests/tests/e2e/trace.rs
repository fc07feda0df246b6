//! The trace of what the machine does: it says exactly what was done, costs what it says, and feeds
//! on itself not at all.

mod classes;
mod cost;
mod pattern;
mod quiet;
mod snapshot;

use std::path::Path;
use std::process::Command;

use e2e::{Run, babeltrace, boot, relayctl};
use serde_json::Value;

/// What a command of relayctl prints about a capture.
fn said(command: &[&str], capture: &Path) -> String {
    let mut relayctl = Command::new(relayctl());
    let output = relayctl.args(command).arg(capture).output();
    String::from_utf8(output.expect("relayctl starts").stdout).expect("it is UTF-8")
}

/// The records of a channel, in the order of time.
fn records(channel: &str, capture: &Path) -> Vec<Value> {
    let text = said(&["cat", "--json", "--channel", channel], capture);
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("cat prints JSON"))
        .collect()
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// When a record was written, in nanoseconds since the machine's start.
#[track_caller]
fn when(record: &Value) -> u64 {
    number(&record["ts_ns"])
}

/// Checks that a capture is judged so, and that babeltrace2 reads as many records of each channel
/// as relayctl does.
#[track_caller]
pub(crate) fn assert_judged(capture: &Path, verdict: &str) {
    let judged: Value =
        serde_json::from_str(&said(&["verify", "--json"], capture)).expect("it prints JSON");
    assert_eq!(judged["verdict"], verdict, "{judged:#}");
    let shown = said(&["cat", "--json"], capture).lines().count();
    let read = babeltrace(&capture.join("trace"), &["--no-delta"]);
    let read = String::from_utf8_lossy(&read).lines().count();
    assert_eq!(read, shown, "babeltrace2 reads another number of records");
}

/// Boots a scenario with these settings. Its capture lies in `folder`.
fn run(folder: &Path, scenario: &str, set: &[&str], others: &[&str]) -> Run {
    let out = folder.to_str().expect("a temporary folder's name is UTF-8");
    let mut args = vec!["--scenario", scenario, "--out", out, "--force"];
    args.extend(others);
    args.extend(set.iter().flat_map(|word| ["--set", word]));
    boot(&args)
}
