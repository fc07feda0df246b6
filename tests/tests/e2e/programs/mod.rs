//! Programs in ring 3.

mod basics;
mod cost;
mod evlog;
mod hostile;
mod nmis;
mod profile;
mod readers;
mod services;
pub(crate) mod syslog;
mod trace;
mod walls;

use std::path::Path;
use std::process::Command;

use e2e::{Run, boot, ramdisk, relayctl};
use serde_json::Value;

/// Runs `init` with these programs on so many CPUs, and keeps the capture in `folder`. The kernel
/// counts the memory before and after: a run in which any is missing has failed.
fn run(folder: &Path, smp: u32, programs: &str, others: &[&str]) -> Run {
    let (smp, programs) = (smp.to_string(), format!("programs={programs}"));
    let ramdisk = ramdisk().to_str().expect("it is UTF-8");
    let out = folder.to_str().expect("it is UTF-8");
    let mut args = vec!["--scenario", "init", "--smp", &smp, "--set", &programs];
    args.extend(["--ramdisk", ramdisk, "--out", out, "--force"]);
    args.extend(others);
    boot(&args)
}

/// The records of a channel, as `relayctl cat --json` has them.
fn records(folder: &Path, channel: &str) -> Vec<Value> {
    let mut cat = Command::new(relayctl());
    cat.arg("cat")
        .arg(folder)
        .args(["--json", "--channel", channel]);
    let output = cat.output().expect("relayctl starts");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

/// What programs have written: the program, and its text, in the order of time.
fn said(folder: &Path) -> Vec<(String, String)> {
    let field = |record: &Value, name: &str| {
        let text = record["fields"][name].as_str();
        text.unwrap_or_else(|| panic!("{record} has no {name}"))
            .to_owned()
    };
    let records = records(folder, "user");
    let records = records.iter();
    records
        .map(|record| (field(record, "comm"), field(record, "text")))
        .collect()
}

/// Whether this program has written this.
fn has_said(folder: &Path, program: &str, text: &str) -> bool {
    let said = said(folder);
    said.iter().any(|(by, what)| by == program && what == text)
}
