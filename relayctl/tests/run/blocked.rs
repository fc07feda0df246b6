//! Outputs that nobody reads: the run goes on, can be ended, and says what it did not show.

use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::Signal;

use super::pretended::*;
use super::synthetic;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file with the text of a machine with one CPU that logs so much, and closes its stream.
fn text(records: u64) -> PathBuf {
    let lines = (0..records).map(|number| {
        format!("[    0.{number:06}] 0:{number} task INFO  kernel main.rs:20: a message\n")
    });
    let end = format!(
        "-- cpu 0: end of stream: attempted {records}, delivered {records}, lost 0 (full 0)\n"
    );
    let path = kernel().with_extension("text");
    fs::write(&path, lines.chain([end]).collect::<String>()).expect("it is writable");
    path
}

/// Shell commands that print a text, and say so by making a file.
fn print(text: &Path, done: &Path) -> String {
    format!("cat '{}'; : > '{}';", text.display(), done.display())
}

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(
            begin.elapsed() < PATIENCE,
            "{} does not come",
            path.display()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for a child that should end.
fn end(mut child: Child) -> Left {
    let begin = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().expect("it can be ended");
            panic!("relayctl does not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("it has ended").into()
}

/// Starts relayctl with an output that nobody reads.
fn start_unread(script: &str, args: &[&str]) -> (Child, PipeReader) {
    let (reader, writer) = io::pipe().expect("there are pipes");
    let mut command = relayctl(script, args);
    let child = command.stdout(writer).spawn().expect("relayctl starts");
    (child, reader)
}

/// Reads the rest.
fn read(mut reader: impl Read) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("it is UTF-8");
    text
}

#[test]
fn a_reader_that_pauses_holds_up_nothing_and_then_gets_everything() {
    let text = text(8000);
    let done = text.with_extension("done");
    let (child, reader) = start_unread(&(print(&text, &done) + "exit 33"), &[]);
    // The machine comes to its end although nobody reads.
    wait_for(&done);
    let shown = read(reader);
    assert!(shown == fs::read_to_string(&text).expect("it is there"));
    let left = end(child);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(!left.err.contains("not shown"), "{}", left.err);
}

#[test]
fn what_finds_no_room_is_said_and_the_end_is_shown() {
    let records = 50_000;
    let text = text(records);
    let done = text.with_extension("done");
    let out = capture();
    let args = ["--out", out.to_str().expect("it is text")];
    let (child, reader) = start_unread(&(print(&text, &done) + "exit 33"), &args);
    wait_for(&done);
    wait_for(&out.join("run.json"));
    let shown = read(reader);
    let whole = fs::read_to_string(&text).expect("it is there");
    let lines: Vec<&str> = shown.lines().collect();
    let gap = lines
        .iter()
        .position(|line| line.starts_with("-- not shown, because the output did not move: "))
        .expect("something was left out");
    let not_shown = lines[gap]
        .split(' ')
        .nth(9)
        .and_then(|word| word.parse().ok());
    let not_shown: usize = not_shown.unwrap_or_else(|| panic!("{}", lines[gap]));
    // Everything else is there, in order.
    let before: Vec<_> = whole.lines().take(gap).collect();
    assert_eq!(lines[..gap], before);
    let after: Vec<_> = whole.lines().skip(gap + not_shown).collect();
    assert_eq!(lines[gap + 1..], after);
    assert!(after.len() > 5000);
    assert!(fs::read_to_string(out.join("console.log")).expect("it is kept") == whole);
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn packets_that_come_meanwhile_are_shown_later() {
    let out = capture();
    let folder = out.to_str().expect("it is text").to_owned();
    let done = out.with_extension("done");
    // The machine prints more than a pipe has room for, which nobody reads, and waits.
    let script = format!(
        "for arg; do echo \"$arg\"; done > '{0}.new'; mv '{0}.new' '{0}.args'
         cat '{1}'; until [ -e '{0}' ]; do sleep 0.05; done; exit 33",
        done.display(),
        text(3000).display(),
    );
    let (child, reader) = start_unread(&script, &["--smp", "1", "--out", &folder]);
    let arguments = done.with_extension("done.args");
    wait_for(&arguments);
    let arguments = fs::read_to_string(arguments).expect("it is text");
    let port = |number| {
        let start = format!("socket,id=relay{number},path=");
        let path = arguments.lines().find_map(|line| line.strip_prefix(&start));
        let path = path.unwrap_or_else(|| panic!("{arguments}"));
        std::os::unix::net::UnixStream::connect(path).expect("relayctl listens")
    };
    let (mut first, panics) = (port(0), port(1));
    let mut packets = synthetic::metadata_packets(&synthetic::metadata(1), 1 << 20);
    let mut klog = synthetic::Stream::new(1, 0, 0);
    let records = 20_000;
    for number in 0..records {
        klog.klog(10 * number, 0, 3, 1, ["m", "f", "in a packet"]);
        if number % 100 == 99 {
            packets.push(klog.packet(10 * number + 1, u32::from(number + 1 == records)));
        }
    }
    let mut claims = synthetic::Stream::new(2, 0, 0);
    claims.claim(10, 1, synthetic::TASK, records);
    packets.push(claims.packet(20, 1));
    packets.push(synthetic::Stream::new(3, 0, 0).packet(20, 1));
    io::Write::write_all(&mut first, &packets.concat()).expect("relayctl reads");
    drop((first, panics));
    fs::write(&done, "").expect("it is writable");
    // Everything is captured, and judged, although nobody reads.
    wait_for(&out.join("run.json"));
    let shown = read(reader);
    let (console, packets) = (
        shown.matches(": a message\n"),
        shown.matches(": in a packet\n"),
    );
    let (console, packets) = (console.count() as u64, packets.count() as u64);
    // Each record once: from the console only as long as there was no metadata.
    assert_eq!(console + packets, records, "{console} and {packets}");
    assert!(packets >= records - 3000);
    let left = end(child);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(!left.err.contains("not shown"), "{}", left.err);
}

/// What a run ends with whose outputs nobody reads.
fn assert_ended(left: &Left, out: &Path, code: i32, result: &str) {
    assert_eq!(left.code, Some(code), "{}", left.err);
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(
        (&run["result"], &run["exit"]),
        (&result.into(), &code.into())
    );
}

#[test]
fn controls_work_while_nobody_reads() {
    let script = |done: &Path| {
        let print = print(&text(8000), done);
        format!("{print} while :; do echo more; sleep 0.05; done")
    };
    for (signal, scenario, code, result) in [
        (Some(Signal::SIGINT), "idle", 0, "pass"),
        (Some(Signal::SIGTERM), "smoke", 3, "interrupted"),
        (None, "smoke", 3, "timeout"),
    ] {
        let out = capture();
        let done = out.with_extension("done");
        let folder = out.to_str().expect("it is text");
        let mut args = vec!["--scenario", scenario, "--out", folder];
        if signal.is_none() {
            args.extend(["--timeout", "2"]);
        }
        let (child, reader) = start_unread(&script(&done), &args);
        wait_for(&done);
        if let Some(signal) = signal {
            send(&child, signal);
        }
        let left = end(child);
        assert_ended(&left, &out, code, result);
        assert!(
            left.err.contains("was not shown: the output did not move"),
            "{}",
            left.err
        );
        drop(reader);
    }
}

#[test]
fn a_summary_that_nobody_reads_does_not_hold_up_the_end() {
    let out = capture();
    let done = out.with_extension("done");
    // A CPU has a line of its own in the summary: this is more than a pipe takes.
    let record = |cpu| format!("echo '[    0.000120] {cpu}:0 task INFO  kernel main.rs:20: hi'\n");
    let script: String = (0..1000).map(record).collect();
    let script = format!("{script} : > '{}'; exec sleep 1000", done.display());
    let args = [
        "--json",
        "--scenario",
        "idle",
        "--out",
        out.to_str().unwrap(),
    ];
    let (child, reader) = start_unread(&script, &args);
    wait_for(&done);
    send(&child, Signal::SIGINT);
    let left = end(child);
    assert_ended(&left, &out, 0, "pass");
    assert!(
        left.err.contains("the summary was not written"),
        "{}",
        left.err
    );
    drop(reader);
}

#[test]
fn a_terminal_that_was_stopped_holds_up_nothing() {
    // Both outputs, as a user has them. Nobody reads the other end.
    let terminal = openpty(None, None).expect("there are terminals");
    let slave = |slave: &OwnedFd| Stdio::from(slave.try_clone().expect("it can be shared"));
    let out = capture();
    let done = out.with_extension("done");
    let script = print(&text(8000), &done) + "exec sleep 1000";
    let args = ["--scenario", "idle", "--out", out.to_str().unwrap()];
    let mut command = relayctl(&script, &args);
    command.stdout(slave(&terminal.slave));
    command.stderr(slave(&terminal.slave));
    let child = command.spawn().expect("relayctl starts");
    wait_for(&done);
    send(&child, Signal::SIGTERM);
    assert_ended(&end(child), &out, 0, "pass");
}

#[test]
fn who_did_not_read_is_told() {
    for (status, code) in [(35, 1), (33, 0)] {
        let out = capture();
        let done = out.with_extension("done");
        let script = format!(
            "echo $$; {} until [ -e '{}' ]; do sleep 0.05; done; exit {status}",
            print_good(),
            done.display()
        );
        let folder = out.to_str().expect("it is text");
        let (child, _, reader) = start(&script, &["--out", folder]);
        send(&child, Signal::SIGSTOP);
        // More than a busy machine is late.
        thread::sleep(Duration::from_secs(4));
        send(&child, Signal::SIGCONT);
        fs::write(&done, "").expect("it is writable");
        let reading = thread::spawn(move || read(reader));
        let left = end(child);
        reading.join().expect("it only reads");
        assert_eq!(left.code, Some(code), "{}", left.err);
        assert!(
            left.err.contains("the host did not read for "),
            "{}",
            left.err
        );
        assert_eq!(
            left.err.contains("are the host's fault"),
            code == 1,
            "{}",
            left.err
        );
        let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
        let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
        assert!(run["host_pauses_ms"].as_f64() >= Some(2000.0), "{run}");
    }
}
