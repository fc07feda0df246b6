//! Captures of the real kernel: complete when they should be, open when they must be, and never
//! complete when something is missing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Run, Session, boot, is_gone, relayctl};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Runs relayctl on a capture.
fn on_capture(command: &str, args: &[&str], capture: &Path) -> Output {
    let mut relayctl = Command::new(relayctl());
    relayctl.arg(command).args(args).arg(capture);
    relayctl.output().expect("relayctl starts")
}

/// What `verify` says of a capture: its exit code and the whole of it.
fn verify(capture: &Path) -> (Option<i32>, Value) {
    let output = on_capture("verify", &["--json"], capture);
    let verdict = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), verdict)
}

/// The totals of a capture's ledger.
fn total(capture: &Path) -> Value {
    let output = on_capture("stat", &["--json"], capture);
    let stat: Value = serde_json::from_slice(&output.stdout).expect("stat prints JSON");
    stat["total"].clone()
}

/// A number in a JSON object.
#[track_caller]
fn number(object: &Value, key: &str) -> u64 {
    object[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key} in {object}"))
}

/// Boots a scenario with a capture in `folder`, which must come out complete.
fn captured(folder: &Path, args: &[&str]) -> Run {
    let out = folder.to_str().expect("a temporary folder's name is UTF-8");
    let args: Vec<_> = args
        .iter()
        .copied()
        .chain(["--out", out, "--force"])
        .collect();
    let run = boot(&args);
    run.assert_code(0);
    let (code, verdict) = verify(folder);
    assert_eq!(
        (code, &verdict["verdict"]),
        (Some(0), &"complete".into()),
        "{verdict:#}"
    );
    run
}

#[test]
fn a_flood_with_large_buffers_loses_nothing() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = [
        "--set",
        "records=20000",
        "--set",
        "subbuf=65536",
        "--set",
        "count=32",
    ];
    let memory = ["--scenario", "flood", "--memory", "512"];
    captured(folder.path(), &[&memory[..], &set[..]].concat());
    let total = total(folder.path());
    assert!(number(&total, "attempted") >= 8 * 20_000, "{total}");
    assert_eq!(number(&total, "lost"), 0, "{total}");
    assert_eq!(number(&total, "unaccounted"), 0, "{total}");
    assert_eq!(total["attempted"], total["delivered"]);
}

#[test]
fn a_flood_with_small_buffers_loses_and_balances() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = [
        "--set",
        "records=20000",
        "--set",
        "subbuf=1024",
        "--set",
        "count=2",
    ];
    captured(
        folder.path(),
        &[&["--scenario", "flood"][..], &set[..]].concat(),
    );
    let total = total(folder.path());
    assert!(number(&total, "lost") > 0, "nothing was lost: {total}");
    assert_eq!(number(&total, "unaccounted"), 0, "{total}");
    let sum = number(&total, "delivered") + number(&total, "lost");
    assert_eq!(number(&total, "attempted"), sum, "{total}");
}

#[test]
fn fewer_ports_than_cpus_are_shared() {
    // 32 CPUs have 30 ports.
    let folder = tempfile::tempdir().expect("there is room");
    let run = captured(folder.path(), &["--smp", "32"]);
    assert!(run.has(relay_format::Severity::Info, "30 of 30 ports"));
}

#[test]
fn babeltrace2_reads_as_many_records_as_were_delivered() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = [
        "--set",
        "records=3000",
        "--set",
        "subbuf=4096",
        "--set",
        "count=4",
    ];
    captured(
        folder.path(),
        &[&["--scenario", "flood"][..], &set[..]].concat(),
    );
    let text = e2e::babeltrace(&folder.path().join("trace"), &[]);
    let records = text.split_inclusive(|byte| *byte == b'\n').count() as u64;
    assert_eq!(records, number(&total(folder.path()), "delivered"));
}

#[test]
fn a_guest_that_is_killed_leaves_an_open_capture() {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("UTF-8");
    let set = ["--set", "seconds=60", "--set", "subbuf=4096"];
    let args = ["--scenario", "flood", "--out", out, "--force"];
    let mut session = Session::start(&[&args[..], &set[..]].concat());
    session.wait_for("scenario flood");
    // Until some of it has arrived.
    let flood = folder.path().join("trace/flood_0");
    let deadline = Instant::now() + Duration::from_secs(120);
    while fs::metadata(&flood).map_or(0, |file| file.len()) < 100_000 {
        assert!(Instant::now() < deadline, "nothing of the flood arrives");
        thread::sleep(Duration::from_millis(10));
    }
    for qemu in session.children() {
        nix::sys::signal::kill(qemu, Signal::SIGKILL).expect("it runs");
        assert!(is_gone(qemu));
    }
    session.end().assert_code(3);
    let (code, verdict) = verify(folder.path());
    assert_eq!(
        (code, &verdict["verdict"]),
        (Some(0), &"open".into()),
        "{verdict:#}"
    );
    assert!(number(&total(folder.path()), "delivered") > 1000);
}

#[test]
fn a_capture_that_lacks_anything_is_not_complete() {
    let folder = tempfile::tempdir().expect("there is room");
    captured(folder.path(), &["--smp", "2"]);
    let stream = folder.path().join("trace/klog_1");
    let whole = fs::read(&stream).expect("there is a stream");
    let damages: [(&str, Vec<u8>); 4] = [
        ("the last byte", whole[..whole.len() - 1].to_vec()),
        ("the first packet", {
            let size = u64::from_le_bytes(whole[56..64].try_into().expect("eight bytes"));
            whole[usize::try_from(size).expect("it is small") / 8..].to_vec()
        }),
        ("a bit of a payload", {
            let mut bytes = whole.clone();
            bytes[200] ^= 1;
            bytes
        }),
        ("everything", Vec::new()),
    ];
    for (what, bytes) in damages {
        fs::write(&stream, bytes).expect("it can be written");
        let (code, verdict) = verify(folder.path());
        assert_ne!(verdict["verdict"], "complete", "without {what}");
        assert!(matches!(code, Some(0 | 1)), "without {what}: {code:?}");
    }
    fs::write(&stream, whole).expect("it can be written");
    assert_eq!(verify(folder.path()).1["verdict"], "complete");
}

#[test]
fn without_ports_the_console_alone_goes_on() {
    let run = boot(&["--transport", "none", "--smp", "2"]);
    run.assert_code(0);
    run.assert_complete(2);
    assert!(run.has(relay_format::Severity::Info, "no virtio-console"));
}
