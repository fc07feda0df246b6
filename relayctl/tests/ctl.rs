//! `relayctl ctl` finds the machine that is meant, and says how it went.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use relay_format::control::{Answer, End, MAX_BODY, MAX_FRAME, Message, Request};
use relay_format::frames::Frames;
use relay_machine::control::Desk;

/// A machine of this name, which answers get with its name, refuses set, and list with what a
/// terminal should not get.
fn machine(folder: &Path, name: &'static str) -> Desk {
    fs::create_dir_all(folder).expect("it is writable");
    let desk = Desk::open(folder).expect("there are sockets");
    let (machine, port) = UnixStream::pair().expect("there are sockets");
    let wire = desk.wire();
    wire.attach(port.try_clone().expect("it is open"));
    thread::spawn(move || wire.read(port));
    thread::spawn(move || answer(machine, name));
    desk
}

fn answer(machine: UnixStream, name: &str) {
    let mut output = machine.try_clone().expect("it is open");
    let mut frames = Frames::<MAX_BODY>::new();
    for byte in BufReader::new(machine).bytes() {
        let Ok(byte) = byte else { return };
        let Some(contents) = frames.push(byte) else {
            continue;
        };
        let message = Message::read(contents).expect("it is a message");
        let (end, text) = match message.request() {
            Ok(Request::Get { .. }) => (End::Done, name),
            Ok(Request::List) => (End::Done, "a=\u{1b}[2J\nb=2\n"),
            _ => (End::Refused, "not \u{1b}[2J today"),
        };
        let answer = Answer {
            number: message.number,
            piece: 0,
            end: Some(end),
            text: text.as_bytes(),
        };
        let mut frame = [0; MAX_FRAME];
        let size = answer.message().frame(&mut frame).expect("it fits");
        if output.write_all(&frame[..size]).is_err() {
            return;
        }
    }
}

/// Runs `ctl` in a folder.
fn ctl(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    let left = command.current_dir(folder).arg("ctl").args(args).output();
    left.expect("relayctl starts")
}

/// The exit code, stdout and stderr.
fn told(left: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("it is UTF-8");
    (left.status.code(), text(left.stdout), text(left.stderr))
}

#[test]
fn the_newest_machine_that_runs_is_asked_unless_another_is_named() {
    let folder = tempfile::tempdir().expect("there is room");
    let root = folder.path().join("captures");
    let (code, out, err) = told(ctl(folder.path(), &["--get", "name"]));
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert!(err.contains("no machine runs"), "{err}");

    let old = machine(&root.join("old"), "old");
    thread::sleep(Duration::from_millis(20));
    let new = machine(&root.join("new"), "new");
    thread::sleep(Duration::from_millis(20));
    // One that was killed, and one that is complete.
    let dead = root.join("dead");
    fs::create_dir(&dead).expect("it is writable");
    drop(UnixListener::bind(dead.join("control")).expect("there are sockets"));
    fs::create_dir(root.join("done")).expect("it is writable");
    symlink("done", root.join("latest")).expect("it is writable");

    let ask = |args: &[&str]| told(ctl(folder.path(), &[args, &["--get", "name"]].concat()));
    let (code, out, err) = ask(&[]);
    assert_eq!((code, out.as_str()), (Some(0), "name=new\n"), "{err}");
    assert!(
        err.contains("asking ") && err.contains("captures/new"),
        "{err}"
    );
    assert_eq!(ask(&["captures/old"]).1, "name=old\n");
    for absent in [
        "captures/dead",
        "captures/done",
        "captures/latest",
        "nowhere",
    ] {
        let (code, out, err) = ask(&[absent]);
        assert_eq!((code, out.as_str()), (Some(3), ""));
        assert!(err.contains("no machine runs there"), "{err}");
    }
    drop(new);
    assert_eq!(ask(&[]).1, "name=old\n");
    drop(old);
    assert_eq!(ask(&[]).0, Some(3));
}

#[test]
fn what_a_machine_says_is_safe_to_show() {
    let folder = tempfile::tempdir().expect("there is room");
    let _machine = machine(folder.path(), "\u{1b}]0;x\u{7}\n");
    let all = ["--set", "a=1", "--get", "name", "--list"];
    let (code, out, err) = told(ctl(folder.path(), &[&["."], &all[..]].concat()));
    // What was refused does not keep the rest from being asked.
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("--set a=1: refused: not "), "{err}");
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.starts_with("name=") && out.ends_with("b=2\n"), "{out}");
    let is_plain = |text: &str| text.chars().all(|c| c == '\n' || !c.is_control());
    assert!(is_plain(&out) && is_plain(&err), "{out:?} {err:?}");
}

#[test]
fn a_machine_that_says_nothing_is_waited_for_as_long_as_wanted() {
    let folder = tempfile::tempdir().expect("there is room");
    let desk = Desk::open(folder.path()).expect("there are sockets");
    let (machine, port) = UnixStream::pair().expect("there are sockets");
    desk.wire().attach(port);
    let (code, out, err) = told(ctl(folder.path(), &[".", "--list", "--timeout", "1"]));
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert!(err.contains("--list: no answer in 1 s"), "{err}");
    // Who ends meanwhile is told of at once.
    let asking = thread::spawn({
        let folder = folder.path().to_owned();
        move || told(ctl(&folder, &[".", "--list", "--timeout", "600"]))
    });
    let mut byte = [0];
    // The request has come: that of before, and this one.
    for _ in 0..2 {
        while {
            (&machine).read_exact(&mut byte).expect("it is sent");
            byte != [3]
        } {}
    }
    drop(desk);
    let (code, _, err) = asking.join().expect("it has ended");
    assert_eq!(code, Some(3));
    assert!(err.contains("ended before it answered"), "{err}");
}
