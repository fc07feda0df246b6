//! The trace as a flight recorder: its rings overwrite, and what they hold leaves the machine when
//! it is asked for: by the host, by a record, by a panic.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::{Session, relayctl};
use serde_json::Value;

use super::{assert_judged, number, records, run, said, text, when};

const SMP: u64 = 8;
/// What a snapshot is to have at least, in nanoseconds.
const WANTED: u64 = 100_000_000;
/// The settings of the recorder: all events, and room for about a second of them where nothing but
/// ticks and wake-ups happens.
const RECORDER: [&str; 3] = [
    "trace=all,-mem",
    "trace-mode=continuous",
    "trace-size=32768",
];

/// The events of each CPU in runs without a gap.
fn runs(capture: &Path) -> BTreeMap<u64, Vec<Vec<Value>>> {
    let mut cpus: BTreeMap<u64, Vec<Vec<Value>>> = BTreeMap::new();
    for event in records("trace", capture) {
        let runs = cpus.entry(number(&event["cpu"])).or_default();
        let is_next = |last: &Value| number(&last["number"]) + 1 == number(&event["number"]);
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(is_next) => run.push(event),
            _ => runs.push(vec![event]),
        }
    }
    cpus
}

/// Checks that of each CPU one run without a gap has all of the time before `moment`, and goes up to
/// it: nothing that a CPU does is as rare as ten ticks.
#[track_caller]
fn assert_holds(cpus: &BTreeMap<u64, Vec<Vec<Value>>>, moment: u64) {
    assert_eq!(cpus.len() as u64, SMP, "a CPU has left nothing");
    for (cpu, runs) in cpus {
        let holds = |run: &&Vec<Value>| {
            let (first, last) = (when(&run[0]), when(run.last().expect("it has one")));
            first + WANTED <= moment && moment <= last + WANTED
        };
        let run = runs.iter().find(holds);
        let run = run.unwrap_or_else(|| {
            let bounds: Vec<_> = runs
                .iter()
                .map(|run| (when(&run[0]), run.last().map(when)))
                .collect();
            panic!("cpu {cpu}: no run holds what was before {moment}: {bounds:?}")
        });
        let within = run
            .iter()
            .filter(|event| (moment - WANTED..=moment).contains(&when(event)));
        // Ticks come late where the host is busy, but they come.
        assert!(within.count() >= 4, "cpu {cpu}: it has done nothing");
    }
}

/// What was overwritten, of all CPUs.
fn overwritten(capture: &Path) -> u64 {
    let stat: Value =
        serde_json::from_str(&said(&["stat", "--json"], capture)).expect("it prints JSON");
    let channels = stat["channels"].as_array().expect("a list");
    let trace = channels.iter().find(|channel| channel["name"] == "trace");
    let cpus = trace.expect("it is there")["cpus"].as_array();
    let ledgers = cpus.expect("a list").iter();
    ledgers
        .inspect(|ledger| {
            let lost = ledger["lost"].as_object().expect("by reason");
            assert!(lost.values().all(|count| *count == 0), "{ledger}");
        })
        .map(|ledger| number(&ledger["overwritten"]))
        .sum()
}

/// The records of the log that begin so.
fn logged(capture: &Path, begin: &str) -> Vec<Value> {
    let mut klog = records("klog", capture);
    klog.retain(|record| text(&record["msg"]).starts_with(begin));
    klog
}

#[test]
fn a_record_brings_out_what_was_before_it() {
    // By its severity; and an event, by its facility.
    for (trigger, event) in [
        ("warn", None),
        ("fault", Some("x86_exceptions_page_fault_kernel")),
    ] {
        let folder = tempfile::tempdir().expect("there is room");
        let snapshot = format!("trace-snapshot={trigger}");
        let set = ["seconds=7", "fault=4", &snapshot];
        let run = run(folder.path(), "idle", &[&RECORDER[..], &set].concat(), &[]);
        run.assert_code(0);
        assert_judged(folder.path(), "complete");
        let taken = logged(folder.path(), "snapshot ");
        let [taken] = taken.as_slice() else {
            panic!("{trigger}: not one snapshot: {taken:#?}");
        };
        assert_eq!(
            taken["msg"],
            "snapshot 1 of the trace is taken: a record has matched"
        );
        let cpus = runs(folder.path());
        let warned = &logged(folder.path(), "nothing is mapped at ")[0];
        let moment = match event {
            None => when(warned),
            Some(name) => {
                let found = cpus[&0]
                    .iter()
                    .flatten()
                    .find(|event| event["event"] == name);
                when(found.expect("the event itself is there"))
            }
        };
        assert_holds(&cpus, moment);
        // What is older is not there: it was overwritten, and counted.
        assert!(overwritten(folder.path()) > 0, "{trigger}");
    }
}

/// The last line of the log before the end asks for one: the end waits for it.
#[test]
fn the_end_waits_for_the_snapshot_that_was_asked_for_last() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = ["seconds=2", "trace-snapshot=info"];
    let run = run(folder.path(), "idle", &[&RECORDER[..], &set].concat(), &[]);
    run.assert_code(0);
    assert_judged(folder.path(), "complete");
    let last = when(&logged(folder.path(), "heartbeat 2")[0]);
    let told = logged(folder.path(), "snapshot ");
    assert!(
        told.iter().any(|told| when(told) > last),
        "{last}: {told:#?}"
    );
}

#[test]
fn the_host_has_a_snapshot_taken() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let mut args = vec!["--scenario", "idle", "--set", "seconds=7", "--out", out];
    args.extend(RECORDER.iter().flat_map(|word| ["--set", word]));
    let mut session = Session::start(&args);
    session.wait_for("heartbeat 3");
    let ctl = |args: &[&str]| {
        let mut command = Command::new(relayctl());
        let left = command.arg("ctl").arg(&capture).args(args).output();
        let left = left.expect("relayctl starts");
        (
            left.status.code(),
            String::from_utf8_lossy(&left.stdout).into_owned(),
        )
    };
    assert_eq!(ctl(&["--snapshot"]), (Some(0), "snapshot=1\n".to_owned()));
    session.wait_for("snapshot 1 of the trace is taken: the host has asked for it");
    assert_eq!(ctl(&["--snapshot"]), (Some(0), "snapshot=2\n".to_owned()));
    session.wait_for("snapshot 2 of the trace is taken: the host has asked for it");
    let run = session.end();
    run.assert_code(0);
    assert_judged(&capture, "complete");
    let cpus = runs(&capture);
    let asked = logged(&capture, "control: snapshot=");
    assert_eq!(asked.len(), 2);
    asked
        .iter()
        .for_each(|asked| assert_holds(&cpus, when(asked)));
    // The end of the machine is a last snapshot.
    let end = logged(&capture, "heartbeat 7");
    assert_holds(&cpus, when(&end[0]));
    assert!(overwritten(&capture) > 0);
}

#[test]
fn a_machine_without_a_recorder_refuses() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let idle = ["--scenario", "idle", "--set", "seconds=4", "--smp", "2"];
    let mut session = Session::start(&[&idle[..], &["--out", out]].concat());
    session.wait_for("heartbeat 1");
    let mut command = Command::new(relayctl());
    let left = command.arg("ctl").arg(&capture).arg("--snapshot").output();
    let left = left.expect("relayctl starts");
    let why = String::from_utf8_lossy(&left.stderr).into_owned();
    assert_eq!(left.status.code(), Some(1), "{why}");
    assert!(
        why.contains("trace-mode=continuous would be right"),
        "{why}"
    );
    session.end().assert_code(0);
}

#[test]
fn a_panic_leaves_what_was_before_it() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = ["kind=panic"];
    let run = run(folder.path(), "panic", &[&RECORDER[..], &set].concat(), &[]);
    run.assert_code(1);
    assert_judged(folder.path(), "open");
    let cpus = runs(folder.path());
    let klog = records("klog", folder.path());
    let mut klog = klog.iter();
    let panicked = klog.find(|record| text(&record["msg"]).contains(" panicked at "));
    assert_eq!(cpus.len() as u64, SMP, "a CPU has left nothing");
    let last = |runs: &Vec<Vec<Value>>| runs.last().and_then(|run| run.last()).map(when);
    // The CPU that failed was awake; what the others did last is not long ago.
    let moment = when(panicked.expect("it tells of it"));
    for (cpu, runs) in &cpus {
        assert_eq!(runs.len(), 1, "cpu {cpu}: what it left has gaps");
        assert!(last(runs).is_some_and(|last| last + 20 * WANTED >= moment));
        assert!(
            when(&runs[0][0]) + WANTED <= moment,
            "cpu {cpu}: too little"
        );
    }
}

/// Over one line go the streams of all CPUs, also that of a CPU that did not start.
#[test]
fn a_cpu_that_is_missing_holds_up_no_snapshot() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = [
        "lose=2",
        "serial=klog,trace",
        "rounds=1",
        "burst=20",
        "trace=clients_turn",
        "trace-mode=continuous",
        "trace-snapshot=clients_turn",
    ];
    let others = ["--transport", "serial", "--smp", "3"];
    let run = run(folder.path(), "clients", &set, &others);
    run.assert_code(1);
    let is_taken = |line: &String| line.contains("of the trace is taken: a record has matched");
    assert!(run.console.iter().any(is_taken), "{:?}", run.console);
}
