//! A machine is asked, and told what to log, while it runs.

use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Session, relayctl};
use serde_json::Value;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `ctl` leaves.
fn ctl(capture: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(relayctl());
    command.arg("ctl").arg(capture).args(args);
    command.output().expect("relayctl starts")
}

/// Its exit code, and what it shows.
fn told(left: &Output) -> (Option<i32>, String) {
    let out = String::from_utf8_lossy(&left.stdout).into_owned();
    (left.status.code(), out)
}

/// What it says.
fn said(left: &Output) -> String {
    String::from_utf8_lossy(&left.stderr).into_owned()
}

/// The records of the log in a capture.
fn log(capture: &Path) -> Vec<Value> {
    records(capture, "klog")
}

/// The records of a channel in a capture.
fn records(capture: &Path, channel: &str) -> Vec<Value> {
    let cat = Command::new(relayctl())
        .args(["cat", "--json", "--channel", channel])
        .arg(capture)
        .output()
        .expect("relayctl starts");
    let text = String::from_utf8(cat.stdout).expect("it prints UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("it prints JSON"))
        .collect()
}

/// Switches what is logged while the machine runs, and checks the capture for it.
fn switch_over(transport: &[&str]) {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let idle = ["--scenario", "idle", "--set", "seconds=9", "--smp", "4"];
    let mut session = Session::start(&[&idle[..], transport, &["--out", out]].concat());
    session.wait_for("heartbeat 1");
    let done = |line: &str| (Some(0), format!("{line}\n"));
    assert_eq!(told(&ctl(&capture, &["--get", "log"])), done("log=info"));
    assert_eq!(
        told(&ctl(&capture, &["--list"])),
        done("log=info\ntrace=off\nevlog=all")
    );
    let refused = ctl(&capture, &["--set", "log=loud", "--get", "log"]);
    assert_eq!(told(&refused), (Some(1), "log=info\n".to_owned()));
    let why = said(&refused);
    assert!(
        why.contains("log=loud: refused") && why.contains("off, emerg, alert"),
        "{why}"
    );
    let unknown = ctl(&capture, &["--get", "no-such-switch"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", said(&unknown));

    assert_eq!(
        told(&ctl(&capture, &["--set", "log=debug"])),
        done("log=debug")
    );
    let (on, off) = ("trace=irq,-*exit", "trace=off");
    assert_eq!(told(&ctl(&capture, &["--set", on])), done(on));
    session.wait_for("timer interrupts on all CPUs");
    assert_eq!(told(&ctl(&capture, &["--set", off])), done(off));
    // Also what silences the log is in the log. Nothing is what it was at first.
    for (set, is) in [("log=warn", "log=warn"), ("log=", "log=info")] {
        assert_eq!(told(&ctl(&capture, &["--set", set])), done(is));
        session.wait_for(&format!("control: {is}"));
    }
    session.wait_for("heartbeat");
    let run = session.end();
    run.assert_code(0);
    assert_eq!(run.summary()["run"]["capture"]["verdict"], "complete");
    assert!(!capture.join("control").exists());

    let log = log(&capture);
    let text = |record: &Value| record["msg"].as_str().expect("it has one").to_owned();
    let place = |wanted: &str| {
        let mut records = log.iter();
        records
            .position(|record| text(record) == wanted)
            .unwrap_or_else(|| panic!("no record {wanted:?}"))
    };
    let (on, off) = (place("control: log=debug"), place("control: log=warn"));
    let debug: Vec<_> = (0..log.len())
        .filter(|at| log[*at]["severity"] == "DEBUG")
        .collect();
    assert!(!debug.is_empty());
    assert!(
        debug.iter().all(|at| (on..off).contains(at)),
        "{debug:?}, between {on} and {off}"
    );
    let time = |wanted: &str| log[place(wanted)]["ts_ns"].as_u64().expect("it has one");
    let (on, off) = (
        time("control: trace=irq,-*exit"),
        time("control: trace=off"),
    );
    let events = records(&capture, "trace");
    assert!(events.len() > 20, "{}", events.len());
    let mut outside = 0;
    for event in &events {
        let name = event["event"].as_str().expect("it has a name");
        assert!(name.ends_with("_entry"), "{event}");
        let when = event["ts_ns"].as_u64().expect("it has a time");
        outside += usize::from(!(on..off).contains(&when));
    }
    // The log tells of a switch when it was set; and a CPU may have looked at it just before.
    assert!(
        outside * 4 < events.len(),
        "{outside} events of {}",
        events.len()
    );
    // The operators were told of each, too.
    let told = records(&capture, "evlog");
    let set = told.iter().filter(|record| record["event"] == "switch_set");
    let set: Vec<_> = set.map(text).collect();
    let switched = [
        "log=debug",
        "trace=irq,-*exit",
        "trace=off",
        "log=warn",
        "log=info",
    ];
    assert_eq!(set, switched);
    // Nobody is there any more.
    let late = ctl(&capture, &["--list"]);
    assert_eq!(late.status.code(), Some(3));
    assert!(
        said(&late).contains("no machine runs there"),
        "{}",
        said(&late)
    );
}

#[test]
fn what_is_logged_is_switched_over_a_virtio_port() {
    switch_over(&[]);
}

#[test]
fn what_is_logged_is_switched_over_a_serial_line() {
    switch_over(&["--transport", "serial"]);
}

#[test]
fn what_is_logged_is_switched_over_the_only_serial_port() {
    switch_over(&["--transport", "none", "--set", "serial=all"]);
}

/// A machine with as many ports as there can be has one more for this.
#[test]
fn the_largest_machine_is_asked() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let idle = ["--scenario", "idle", "--set", "seconds=2", "--smp", "32"];
    let mut session = Session::start(&[&idle[..], &["--out", out]].concat());
    session.wait_for("scenario idle");
    let left = ctl(&capture, &["--list", "--timeout", "60"]);
    assert_eq!(
        told(&left),
        (Some(0), "log=info\ntrace=off\nevlog=all\n".to_owned()),
        "{}",
        said(&left)
    );
    session.end().assert_code(0);
}

/// Who cannot be asked is told of, at once or after a time.
#[test]
fn a_machine_that_hears_nothing_is_told_of() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let idle = ["--scenario", "idle", "--set", "seconds=6", "--smp", "1"];
    let files = ["--transport", "file", "--out", out];
    let mut session = Session::start(&[&idle[..], &files].concat());
    session.wait_for("heartbeat 1");
    let left = ctl(&capture, &["--list"]);
    assert_eq!(left.status.code(), Some(3));
    assert!(
        said(&left).contains("no way to the machine"),
        "{}",
        said(&left)
    );
    session.end().assert_code(0);

    // COM1 carries text, and nobody listens.
    let text = ["--transport", "none", "--out", out, "--force"];
    let mut session = Session::start(&[&idle[..], &text].concat());
    session.wait_for("heartbeat 1");
    let begin = Instant::now();
    let left = ctl(&capture, &["--list", "--timeout", "1"]);
    assert_eq!(left.status.code(), Some(3));
    assert!(said(&left).contains("no answer in 1 s"), "{}", said(&left));
    assert!(begin.elapsed() < PATIENCE);
    session.end().assert_code(0);
}

/// Several at once, and while the log is shown.
#[test]
fn several_ask_at_once() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let idle = ["--scenario", "idle", "--set", "seconds=8", "--smp", "2"];
    let mut session = Session::start(&[&idle[..], &["--out", out]].concat());
    session.wait_for("heartbeat 1");
    thread::scope(|scope| {
        for _ in 0..6 {
            let capture = &capture;
            scope.spawn(move || {
                let gets = ["--get", "log"].repeat(10);
                let left = ctl(capture, &gets);
                let wanted = "log=info\n".repeat(10);
                assert_eq!(told(&left), (Some(0), wanted), "{}", said(&left));
            });
        }
    });
    session.end().assert_code(0);
}
