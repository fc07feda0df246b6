//! A trace opens in viewers as LTTng's of a kernel: every rule that Trace Compass has, on captures of
//! the kernel; and each rule is broken once, and says so.
//!
//! Trace Compass itself is not run: the rules are what its code does.

mod controls;
mod lttng;
mod rules;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{Session, boot, relayctl};
use serde_json::Value;

use controls::CONTROLS;
use rules::RULES;
use trace::Trace;

/// The names of the rules that a trace does not keep, with what it does.
pub(crate) fn broken(folder: &Path) -> Vec<(&'static str, String)> {
    let trace = Trace::read(folder);
    let broken = RULES
        .iter()
        .filter_map(|(name, rule)| Some((*name, rule(&trace).err()?)));
    broken.collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is writable");
    for entry in fs::read_dir(from).expect("it is readable") {
        let path = entry.expect("it is readable").path();
        let to = to.join(path.file_name().expect("it has one"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).expect("there is room")),
        }
    }
}

#[test]
fn a_trace_keeps_every_rule_of_the_viewers_and_each_rule_can_be_broken() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let set = ["--set", "trace=all", "--set", "seconds=1"];
    let args = ["--smp", "4", "--scenario", "idle", "--out", out];
    let run = boot(&[&args[..], &set].concat());
    run.assert_code(0);
    run.assert_complete(4);
    let good = capture.join("trace");
    assert_eq!(broken(&good), []);

    let trace = Trace::read(&good);
    let events = |stream: &trace::Stream| -> usize {
        stream.packets.iter().map(|packet| packet.times.len()).sum()
    };
    // Every CPU has events, which were looked at.
    let traced = trace
        .streams
        .iter()
        .filter(|stream| stream.file.starts_with("trace_"));
    assert!(traced.clone().count() == 4 && traced.clone().all(|stream| events(stream) > 20));
    // And what an index is good for is there.
    let empty = |stream: &trace::Stream| {
        stream
            .packets
            .iter()
            .skip(1)
            .any(|packet| packet.is_empty())
    };
    assert!(trace.streams.iter().any(empty), "no empty packets");

    every_interrupt_is_paired(&capture);

    let copied = folder.path().join("copied");
    for (rule, control) in CONTROLS {
        copy(&good, &copied);
        control(&copied);
        let broken = broken(&copied);
        let is_found = broken.iter().any(|(name, _)| *name == rule);
        assert!(
            is_found,
            "{rule} is broken, and these are found: {broken:#?}"
        );
        fs::remove_dir_all(&copied).expect("it is ours");
    }
    let unbroken = RULES
        .iter()
        .filter(|(name, _)| !CONTROLS.iter().any(|(rule, _)| *rule == *name));
    assert_eq!(
        unbroken.map(|(name, _)| *name).collect::<Vec<_>>(),
        [] as [&str; 0]
    );
}

/// Nothing is lost, and everything is traced from the first interrupt on: each entry has its exit, and
/// what lies in something else ends before it.
fn every_interrupt_is_paired(capture: &Path) {
    let output = Command::new(relayctl())
        .args(["cat", "--spans", "--json", "--channel", "trace"])
        .arg(capture)
        .output()
        .expect("relayctl starts");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    // By CPU, what is open by this count.
    let mut open: BTreeMap<u64, Vec<(u64, String)>> = BTreeMap::new();
    let mut pairs = 0;
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).expect("it is JSON");
        let number = |name: &str| record[name].as_u64().expect("it has one");
        let name = record["event"].as_str().expect("it has a name");
        let open = open.entry(number("cpu")).or_default();
        if let Some(name) = name.strip_suffix("_entry") {
            open.push((number("number"), name.to_owned()));
        } else if let Some(name) = name.strip_suffix("_exit") {
            let span = &record["span"];
            assert_eq!(span["depth"], open.len(), "{record}");
            let (entry, entered) = open.pop().expect("it was entered");
            assert_eq!((&span["entry"], name), (&entry.into(), entered.as_str()));
            pairs += 1;
        }
    }
    assert!(pairs > 100, "{pairs}");
    assert!(open.values().all(Vec::is_empty), "{open:?}");
}

/// The rules are kept where records are lost, packets are left out of the capture, and after a
/// panic. What is lost at the very end may be told by an empty packet only.
#[test]
fn losses_sizes_and_panics_break_no_rule() {
    let folder = tempfile::tempdir().expect("there is room");
    let trace = "trace=all";
    let runs: [(&str, &[&str], i32); 3] = [
        (
            "losses",
            &[
                "--scenario",
                "flood",
                "--set",
                "subbuf=1024",
                "--set",
                "count=2",
            ],
            0,
        ),
        (
            "newest",
            &[
                "--scenario",
                "flood",
                "--max-size",
                "300000",
                "--keep",
                "newest",
            ],
            1,
        ),
        ("panic", &["--scenario", "panic"], 1),
    ];
    for (name, args, code) in runs {
        let capture = folder.path().join(name);
        let out = capture.to_str().expect("it is UTF-8");
        let common = ["--smp", "4", "--set", trace, "--out", out];
        let run = Session::start(&[&common[..], args].concat()).end();
        run.assert_code(code);
        let mut broken = broken(&capture.join("trace"));
        broken.retain(|(rule, _)| *rule != "losses are seen");
        assert_eq!(broken, [], "{name}");
    }
}
