//! What a panic leaves unsent is in the capture, too: every record that the console shows, and the
//! counts that it tells.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use e2e::{Run, Session, Turn, boot, kernel, relayctl, workspace};
use relay_decode::console::Line;
use serde_json::Value;

/// CPUs of the standard machine.
const SMP: u64 = 8;

/// Runs relayctl on a capture.
pub(super) fn on_capture(command: &[&str], capture: &Path) -> Output {
    let mut relayctl = Command::new(relayctl());
    relayctl.args(command).arg(capture);
    relayctl.output().expect("relayctl starts")
}

/// What a command that prints JSON says of a capture.
pub(super) fn json(command: &[&str], capture: &Path) -> Value {
    let output = on_capture(command, capture);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What is known of a CPU's log: its records' first lines by number, what was lost of it, and what
/// was under way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) records: BTreeMap<u64, String>,
    lost: u64,
    pub(super) uncommitted: u64,
}

/// What the console tells of each CPU's log, and how many records it was too slow for. A line that
/// was cut off comes again.
fn told_by_console(capture: &Path) -> BTreeMap<u64, (Told, u64)> {
    let text = fs::read_to_string(capture.join("console.log")).expect("it is there");
    let mut cpus: BTreeMap<u64, (Told, u64)> = BTreeMap::new();
    for line in text.lines() {
        match Line::parse(line) {
            Line::Record(record) => {
                let (told, _) = cpus.entry(record.cpu.into()).or_default();
                let message = record.message.to_owned();
                told.records.insert(record.number, message);
            }
            Line::Skipped(notice) => {
                cpus.entry(notice.cpu.into()).or_default().1 += notice.skipped;
            }
            Line::Uncommitted { cpu, count } => {
                cpus.entry(cpu.into()).or_default().0.uncommitted = count;
            }
            _ => {
                if let Some((cpu, lost)) = lost_in_all(line) {
                    cpus.entry(cpu).or_default().0.lost = lost;
                }
            }
        }
    }
    cpus
}

/// Reads `-- cpu 1: 5 records lost in all (...)`.
fn lost_in_all(line: &str) -> Option<(u64, u64)> {
    let (cpu, rest) = line.strip_prefix("-- cpu ")?.split_once(": ")?;
    let (lost, _) = rest.split_once(" records lost in all")?;
    Some((cpu.parse().ok()?, lost.parse().ok()?))
}

/// What a capture tells.
pub(super) fn told_by_capture(capture: &Path) -> BTreeMap<u64, Told> {
    let number = |value: &Value| value.as_u64().expect("a number");
    let mut cpus: BTreeMap<u64, Told> = BTreeMap::new();
    let cat = on_capture(&["cat", "--json", "--channel", "klog"], capture);
    assert!(cat.status.success());
    for line in String::from_utf8(cat.stdout).expect("UTF-8").lines() {
        let record: Value = serde_json::from_str(line).expect("cat prints JSON");
        let told = cpus.entry(number(&record["cpu"])).or_default();
        let message = record["msg"].as_str().expect("it has a message");
        let first = message.lines().next().unwrap_or_default().to_owned();
        let before = told.records.insert(number(&record["number"]), first);
        assert_eq!(before, None, "a record twice");
    }
    let stat = json(&["stat", "--json"], capture);
    for channel in stat["channels"].as_array().expect("a list") {
        for cpu in channel["cpus"].as_array().expect("a list") {
            assert_eq!(cpu["unaccounted"], 0, "{cpu}");
            if channel["name"] == "klog" {
                let told = cpus.entry(number(&cpu["cpu"])).or_default();
                let lost = cpu["lost"].as_object().expect("reasons");
                told.lost = lost.values().map(number).sum();
                told.uncommitted = number(&cpu["uncommitted"]);
            }
        }
    }
    cpus
}

/// Reads `-- cpu 1: /klog was tried 87 times`: CPU, channel, how often.
fn tried(line: &str) -> Option<(u64, &str, u64)> {
    let (cpu, rest) = line.strip_prefix("-- cpu ")?.split_once(": /")?;
    let (channel, rest) = rest.split_once(" was tried ")?;
    let count = rest.strip_suffix(" times")?;
    Some((cpu.parse().ok()?, channel, count.parse().ok()?))
}

/// Checks the ledger by what each CPU has counted itself, before it wrote anything: nothing is
/// missing, nor is anything made up. In each context one may have been counted and not begun.
fn assert_all_was_tried(run: &Run, capture: &Path) {
    let stat = json(&["stat", "--json"], capture);
    let channels = stat["channels"].as_array().expect("a list");
    let own: Vec<_> = run.console.iter().filter_map(|line| tried(line)).collect();
    let of = |name: &str| own.iter().filter(|(_, it, _)| *it == name).count() as u64;
    assert_eq!(of("klog"), SMP, "all have logged");
    // On a busy host a CPU may not have begun to flood.
    assert!((1..=SMP).contains(&of("flood")), "somebody has flooded");
    for name in ["klog", "flood"] {
        let channel = channels.iter().find(|channel| channel["name"] == name);
        for cpu in 0..SMP {
            let mut counts = own.iter();
            let tried = counts.find(|(by, it, _)| (*by, *it) == (cpu, name));
            let tried = tried.map_or(0, |(.., tried)| *tried);
            let mut cpus = channel.iter().flat_map(|it| it["cpus"].as_array());
            let it = cpus.find_map(|cpus| cpus.iter().find(|it| it["cpu"] == cpu));
            let attempted = it.and_then(|it| it["attempted"].as_u64()).unwrap_or(0);
            assert!(
                (attempted..=attempted + 3).contains(&tried),
                "cpu {cpu} has tried {tried} times to write to {name}; told are {attempted}"
            );
        }
    }
}

/// Boots the scenario `panic` in one of its kinds, and checks that nothing is missing in its
/// capture, which is left in `folder`.
fn panics(kind: &str, folder: &Path) -> Run {
    panics_with(&["--set", &format!("kind={kind}")], folder)
}

/// The same, with these arguments.
pub(super) fn panics_with(args: &[&str], folder: &Path) -> Run {
    let out = folder.to_str().expect("a temporary folder's name is UTF-8");
    let own = ["--scenario", "panic", "--out", out, "--force"];
    let run = boot(&[&own[..], args].concat());
    run.assert_code(1);
    let summary = run.summary();
    assert_eq!(summary["run"]["result"], "fail");
    assert_eq!(summary["run"]["problems"], serde_json::json!([]));
    let (console, mut capture) = (told_by_console(folder), told_by_capture(folder));
    assert_eq!(console.len() as u64, SMP);
    for (cpu, (told, skipped)) in &console {
        let captured = capture.get_mut(cpu).expect("it is captured");
        let before = captured.records.len();
        if *skipped != 0 {
            captured
                .records
                .retain(|number, _| told.records.contains_key(number));
        }
        if captured != told {
            // What the console has of it, byte by byte.
            let text = fs::read_to_string(folder.join("console.log")).unwrap_or_default();
            let of_cpu = text
                .lines()
                .filter(|line| line.contains(&format!(" {cpu}:")));
            let lines: Vec<_> = of_cpu.collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            panic!("cpu {cpu}: captured {captured:?}, on the console {told:?}; {last:#?}");
        }
        assert_eq!(before, told.records.len() + *skipped as usize, "cpu {cpu}");
    }
    assert_all_was_tried(&run, folder);
    let verify = on_capture(&["verify", "--json"], folder);
    let verdict: Value = serde_json::from_slice(&verify.stdout).expect("verify prints JSON");
    assert_eq!(
        (verify.status.code(), &verdict["verdict"]),
        (Some(0), &"open".into()),
        "{verdict:#}"
    );
    run
}

/// Checks that babeltrace2 reads a trace without complaint, and as many records as were delivered.
pub(super) fn assert_babeltrace_reads(folder: &Path) {
    let text = e2e::babeltrace(&folder.join("trace"), &[]);
    // What was given up has left fillers, which are events to it.
    let text = String::from_utf8(text).expect("it prints UTF-8");
    let events = text.lines().filter(|line| !line.contains(" filler_"));
    let records = events.count() as u64;
    let total = json(&["stat", "--json"], folder);
    assert_eq!(total["total"]["delivered"], records);
}

#[test]
fn a_capture_has_every_record_that_the_console_shows_after_a_panic() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = panics("panic", folder.path());
    let sent = run
        .console
        .iter()
        .any(|line| line.contains("packets that were left were sent to port relay.panic"));
    assert!(sent, "the kernel does not say that it sent something");
    // The panic itself, which no port has got.
    let klog = told_by_capture(folder.path());
    assert!(
        klog.values()
            .flat_map(|told| told.records.values())
            .any(|message| message.contains("panicked at")),
        "the panic is not in the capture"
    );
    assert_babeltrace_reads(folder.path());
}

#[test]
fn records_that_a_panic_interrupts_are_counted_as_uncommitted() {
    let folder = tempfile::tempdir().expect("there is room");
    panics("halfway", folder.path());
    let klog = told_by_capture(folder.path());
    // Each CPU has left one; another may be under way by chance.
    for (cpu, told) in &klog {
        assert!(told.uncommitted >= 1, "cpu {cpu} has left none");
    }
    // Records that were lost behind them are told of, too.
    let lost: u64 = klog.values().map(|told| told.lost).sum();
    assert!(lost > 0, "nothing was lost behind an unfinished record");
    let total = json(&["stat", "--json"], folder.path())["total"].clone();
    let sum = ["delivered", "lost", "overwritten", "uncommitted"]
        .map(|count| total[count].as_u64().expect("a number"));
    assert_eq!(total["attempted"], sum.iter().sum::<u64>());
    assert_babeltrace_reads(folder.path());
}

#[test]
fn exceptions_and_many_panics_at_once_are_captured_too() {
    for kind in ["fault", "overflow", "together"] {
        let folder = tempfile::tempdir().expect("there is room");
        panics(kind, folder.path());
    }
}

#[test]
fn a_panic_that_cannot_be_logged_leaves_what_was_logged_before() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = panics("relay", folder.path());
    let last = run.console.last().expect("it said something");
    assert!(
        last.ends_with("packets that were left were sent to port relay.panic"),
        "{last}"
    );
    assert_babeltrace_reads(folder.path());
}

#[test]
fn a_panic_without_a_port_for_it_is_told_on_the_console() {
    // No device at all; a panic before the ports are looked for.
    let cases: [&[&str]; 2] = [&["--transport", "none"], &["--", "-machine", "acpi=off"]];
    for rest in cases {
        let folder = tempfile::tempdir().expect("there is room");
        let out = folder.path().to_str().expect("UTF-8");
        let args = ["--smp", "2", "--scenario", "panic", "--out", out, "--force"];
        let run = boot(&[&args[..], rest].concat());
        run.assert_code(1);
        let last = run.console.last().expect("it said something");
        assert_eq!(
            last,
            "-- there is no port relay.panic: what was not sent is on the console only"
        );
    }
}

#[test]
fn a_port_for_panics_that_does_not_move_does_not_keep_the_machine() {
    // Nobody reads the other ports, and the one for panics is closed at once.
    let turn = Turn::wait();
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("ports");
    let listener = UnixListener::bind(&path).expect("it is writable");
    let host = thread::spawn(move || {
        let accept = || listener.accept().expect("QEMU connects").0;
        let ports = [accept(), accept()];
        drop(accept());
        // Until QEMU ends.
        for mut port in ports {
            let _ = port.read_to_end(&mut Vec::new());
        }
    });
    let mut runner = Command::new(workspace().root.join(relay_machine::workspace::RUNNER));
    runner
        .arg(kernel())
        .arg("scenario=panic")
        .env("RELAY_SMP", "2")
        .env("RELAY_PORTS", "2")
        .env("RELAY_PORTS_SOCKET", &path);
    let run = Session::spawn(runner, turn).end();
    run.assert_code(1);
    let last = run.out.last().expect("it said something");
    assert!(
        last.starts_with("-- port relay.panic is stuck after 0 packets (the host does not have"),
        "{last}"
    );
    host.join().expect("all ports were accepted");
}
