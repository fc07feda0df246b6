//! Recorders that attach late, again, and to machines that start again; and followers of such
//! recordings. The machine is pretended: it serves a socket.

mod synthetic;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay_decode::capture::{Capture, Options};
use relay_decode::wire::Kind;
use serde_json::{Value, json};
use synthetic::{Left, folder, judged, machine, other_boot, relayctl, small};

/// After this a program that says nothing is given up: nothing that is right takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends the signal of Ctrl-C.
fn interrupt(child: &Child) {
    let id = child.id().try_into().ok().map(Pid::from_raw);
    kill(id.expect("a child has a number"), Signal::SIGINT).expect("it runs");
}

/// A `record` of a socket that runs.
fn start(socket: &Path, out: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .arg("record")
        .arg("--from")
        .arg(format!("unix:{}", socket.display()))
        .arg("--out")
        .arg(out)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts")
}

/// Waits for its end.
fn end(child: Child) -> Left {
    child.wait_with_output().expect("it ends").into()
}

/// A socket, and a folder for captures.
fn socket(name: &str) -> (UnixListener, PathBuf, PathBuf) {
    let folder = folder(name);
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).expect("it can be bound");
    (listener, path, folder)
}

#[test]
fn who_attaches_again_can_read_what_comes() {
    let (described, log) = machine();
    let (machine, path, folder) = socket("again");
    // While nobody is there, packets 4 and 5 are thrown away. The metadata comes with each.
    let served = [
        [&described[..], &log[..4]].concat().concat(),
        [&described[..], &log[6..]].concat().concat(),
    ];
    let server = thread::spawn(move || {
        for bytes in served {
            let (mut client, _) = machine.accept().expect("somebody connects");
            client.write_all(&bytes).expect("it reads");
        }
    });
    let first = folder.join("first");
    let left = end(start(&path, &first, &[]));
    assert_eq!(left.code, Some(0), "{left:?}");
    let (code, boots) = judged(&first);
    assert_eq!(
        (code, &boots[0]["verdict"]),
        (Some(0), &"open".into()),
        "{boots:?}"
    );
    let second = folder.join("second");
    let left = end(start(&path, &second, &[]));
    server.join().expect("it served");
    assert_eq!(left.code, Some(0), "{left:?}");
    let (code, boots) = judged(&second);
    assert_eq!((code, boots.len()), (Some(1), 1));
    let problems = boots[0]["problems"].to_string();
    assert!(
        problems.contains("packets 0 to 5 are missing before it"),
        "{problems}"
    );
    let total = &boots[0]["total"];
    let sums = ["attempted", "delivered", "lost", "unaccounted"].map(|name| &total[name]);
    assert_eq!(sums, [&11.into(), &5.into(), &6.into(), &Value::from(0)]);
    let shown = relayctl(&[
        "cat".as_ref(),
        "--channel".as_ref(),
        "klog".as_ref(),
        second.as_os_str(),
    ]);
    assert_eq!(shown.out.matches("message").count(), 4, "{shown:?}");
    // Both together lack what nobody took.
    let both = folder.join("both");
    let bytes = [&described[..], &log[..4], &described, &log[6..]]
        .concat()
        .concat();
    fs::write(&both, bytes).expect("it is writable");
    let (_, boots) = judged(&both);
    let problems = boots[0]["problems"].to_string();
    assert!(
        problems.contains("packets 4 to 5 are missing before it"),
        "{problems}"
    );
}

/// Records what a pretended machine sends to one recorder after the other, until that is
/// interrupted; the capture, and what `record` said.
fn reattached(name: &str, served: Vec<Vec<u8>>) -> (PathBuf, Left) {
    let (machine, path, folder) = socket(name);
    let out = folder.join("capture");
    // It waits for what is not there.
    let elsewhere = folder.join("elsewhere");
    fs::rename(&path, &elsewhere).expect("it is writable");
    let child = start(&path, &out, &["--reattach"]);
    fs::rename(&elsewhere, &path).expect("it is writable");
    for bytes in served {
        let (mut client, _) = machine.accept().expect("it connects");
        client.write_all(&bytes).expect("it reads");
    }
    // It has taken everything when it comes again.
    let last = machine.accept().expect("it connects");
    interrupt(&child);
    let left = end(child);
    drop(last);
    (out, left)
}

#[test]
fn record_attaches_again_by_itself() {
    let (described, log) = machine();
    let served = |ranges: &[std::ops::Range<usize>]| -> Vec<Vec<u8>> {
        let serve = |range: &std::ops::Range<usize>| [&described[..], &log[range.clone()]].concat();
        ranges.iter().map(|range| serve(range).concat()).collect()
    };
    let (out, left) = reattached("whole", served(&[0..4, 4..7, 7..12]));
    assert_eq!(left.code, Some(0), "{left:?}");
    let waits = "it ended; waiting until it can be opened again";
    assert_eq!(left.err.matches(waits).count(), 3, "{left:?}");
    let (code, boots) = judged(&out);
    assert_eq!((code, boots.len()), (Some(0), 1));
    assert_eq!(boots[0]["verdict"], "complete", "{boots:?}");
    let (out, left) = reattached("missing", served(&[0..4, 6..12]));
    assert_eq!(left.code, Some(0), "{left:?}");
    let (code, boots) = judged(&out);
    assert_eq!((code, &boots[0]["verdict"]), (Some(1), &"broken".into()));
    let problems = boots[0]["problems"].to_string();
    assert!(
        problems.contains("packets 4 to 5 are missing before it"),
        "{problems}"
    );
}

/// A port that says nothing at all may stall: it is opened once more.
#[test]
fn a_port_that_is_silent_is_opened_once_more() {
    let (listener, path, folder) = socket("silent");
    let out = folder.join("capture");
    let recorder = start(&path, &out, &[]);
    let (mut first, _) = listener.accept().expect("it attaches");
    let mut nothing = [0];
    assert_eq!(first.read(&mut nothing).expect("it goes away"), 0);
    let (mut second, _) = listener.accept().expect("it attaches again");
    let (described, log) = machine();
    let bytes = [described, log].concat().concat();
    second.write_all(&bytes).expect("it reads");
    drop(second);
    let left = end(recorder);
    assert_eq!(left.code, Some(0), "{left:?}");
    let (code, judged) = judged(&out);
    assert_eq!((code, &judged[0]["verdict"]), (Some(0), &"complete".into()));
}

#[test]
fn a_machine_that_starts_again_is_another_boot() {
    let (described, log) = machine();
    let first = [&described[..], &log[..8]].concat().concat();
    // It ends in the middle of a packet.
    let cut = [&first[..], &log[8][..100]].concat();
    let second = other_boot(2, &small()).concat();
    let (out, left) = reattached("restarted", vec![cut, second]);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(
        left.err
            .contains("boot 2 of the machine begins, in boot.2/"),
        "{left:?}"
    );
    let (code, boots) = judged(&out);
    assert_eq!((code, boots.len()), (Some(0), 3));
    let verdicts: Vec<_> = boots.iter().map(|boot| &boot["verdict"]).collect();
    assert_eq!(verdicts, ["open", "complete", "open"]);
    assert_eq!(
        fs::read(out.join("fragments/0")).expect("kept"),
        log[8][..100]
    );
    let run = fs::read_to_string(out.join("boot.2/run.json")).expect("it is there");
    let run: Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(
        (&run["command"], &run["result"]),
        (&"record".into(), &"interrupted".into())
    );
    assert_eq!(
        (&run["capture"]["boot"], &run["capture"]["packets"]),
        (&2.into(), &12.into())
    );
}

#[test]
fn only_a_socket_comes_back() {
    for from in ["-", "/dev/null", "file"] {
        let left = relayctl(&["record", "--reattach", "--from", from]);
        assert_eq!(left.code, Some(2), "{left:?}");
        assert!(left.err.contains("only a socket"), "{left:?}");
    }
}

#[test]
fn what_cannot_be_read_fails_the_recording() {
    let (machine, path, folder) = socket("nothing");
    // No text, which is passed on.
    let garbage = vec![0xfa; 5000];
    let sent = garbage.clone();
    let server = thread::spawn(move || {
        for bytes in [&[][..], &sent] {
            let (mut client, _) = machine.accept().expect("somebody connects");
            client.write_all(bytes).expect("it reads");
        }
    });
    for (name, said) in [
        ("empty", "nothing came"),
        ("garbage", "there is no whole packet in it"),
    ] {
        let out = folder.join(name);
        let left = end(start(&path, &out, &[]));
        assert_eq!(left.code, Some(1), "{name}: {left:?}");
        assert!(left.err.contains(said), "{name}: {left:?}");
        let run = fs::read_to_string(out.join("run.json")).expect("it is there");
        let run: Value = serde_json::from_str(&run).expect("it is JSON");
        assert_eq!(run["exit"], 1);
        let (code, boots) = judged(&out);
        assert_eq!(
            (code, &boots[0]["verdict"]),
            (Some(1), &"broken".into()),
            "{name}"
        );
        // There is nothing to show, which is no success.
        assert_eq!(relayctl(&["cat".as_ref(), out.as_os_str()]).code, Some(3));
        assert_eq!(relayctl(&["stat".as_ref(), out.as_os_str()]).code, Some(3));
    }
    server.join().expect("it served");
    assert_eq!(
        fs::read(folder.join("garbage/fragments/0")).expect("kept"),
        garbage
    );
}

/// A `cat --follow` that runs, and its lines.
fn follow(out: &Path, more: &[&str]) -> (Child, Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "--follow", "--log-format", "{msg}"])
        .args(more)
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts");
    let stdout = child.stdout.take().expect("it is piped");
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            if sender.send(line.expect("it prints UTF-8")).is_err() {
                break;
            }
        }
    });
    (child, lines)
}

#[test]
fn a_follower_goes_on_with_the_next_boot() {
    let (described, log) = machine();
    let out = folder("follow").join("capture");
    let capture = Capture::create(&Options::new(&out, Kind::Live)).expect("it is writable");
    let mut port = capture.port(0);
    let mut others = capture.port(1);
    port.push(&[&described[..], &log[..2]].concat().concat());
    let (child, lines) = follow(&out, &["--channel", "klog"]);
    let (second, picked) = follow(&out, &["--channel", "klog", "--boot", "2"]);
    let line = |lines: &Receiver<String>| lines.recv_timeout(PATIENCE).expect("a line comes");
    assert_eq!(line(&lines), "message 0");
    assert_eq!(line(&lines), "message 1");
    // The machine is reset; of its first boot a packet is still on its way, on another port.
    let again = other_boot(2, &[&described[..], &log[..1]].concat());
    port.push(&log[2]);
    port.push(&again.concat());
    assert_eq!(line(&lines), "message 2");
    let title = line(&lines);
    assert!(title.starts_with("-- boot 2: "), "{title}");
    assert_eq!(line(&lines), "message 0");
    others.push(&log[3]);
    port.push(&other_boot(2, &log[1..2]).concat());
    assert_eq!(line(&lines), "message 1");
    port.finish();
    others.finish();
    capture.finish(json!({})).expect("it is writable");
    let mut rest: Vec<_> = lines.iter().collect();
    assert_eq!(rest, [""; 0]);
    let left = end(child);
    assert_eq!(left.code, Some(0), "{left:?}");
    let late = "boot 1: 1 packets came after the next boot had begun";
    assert!(left.err.contains(late), "{left:?}");
    // One boot by itself.
    rest = picked.iter().collect();
    assert_eq!(rest[1..], ["message 0", "message 1"], "{rest:?}");
    assert_eq!(end(second).code, Some(0));
    // A boot that never comes.
    let (child, lines) = follow(&out, &["--boot", "3"]);
    assert_eq!(lines.iter().count(), 0);
    let left = end(child);
    assert_eq!(left.code, Some(2), "{left:?}");
    assert!(left.err.contains("there is no boot 3"), "{left:?}");
    // As it comes through a pipe.
    let bytes = [&described[..], &log[..2], &other_boot(2, &small())]
        .concat()
        .concat();
    let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "--follow", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(&bytes).expect("it reads");
    drop(stdin);
    let mut text = String::new();
    let stdout = child.stdout.as_mut().expect("it is piped");
    stdout.read_to_string(&mut text).expect("it prints UTF-8");
    let boots: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it prints JSON")["boot"].clone())
        .collect();
    assert_eq!(boots[..2], [1, 1]);
    assert!(
        boots.len() == 35 && boots[2..].iter().all(|boot| *boot == 2),
        "{boots:?}"
    );
    assert_eq!(end(child).code, Some(0));
}
