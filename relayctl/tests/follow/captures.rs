//! Captures that grow.

use super::*;

#[test]
fn a_finished_capture_is_shown_as_without_following() {
    let out = capture("finished", &small());
    let raw = out.with_file_name("raw");
    for args in [
        &[][..],
        &["--json"],
        &["-v"],
        &["--channel", "klog", "--cpu", "1", "--level", "warn"],
        &["--since", "100000", "--until", "200000", "--json"],
        &["--log-format", "{time} {msg:>9}"],
        &["--channel", "none"],
        &["--cpu", "7"],
    ] {
        let shown = |follow: &[&str], path: &Path| {
            let left = relayctl(&[&["cat", path.to_str().unwrap()], args, follow].concat());
            (left.code, left.out, left.err)
        };
        let expected = shown(&[], &out);
        let is_unknown = args.contains(&"none") || args.contains(&"7");
        assert_eq!(expected.0, Some(if is_unknown { 2 } else { 0 }));
        assert_eq!(shown(&["-f"], &out), expected, "{args:?}");
        assert_eq!(shown(&["-f"], &out.join("trace")), expected, "{args:?}");
        assert_eq!(shown(&["-f"], &raw), expected, "{args:?}");
    }
    let piped = Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "-f", "-"])
        .stdin(File::open(&raw).unwrap())
        .output()
        .unwrap();
    let whole = relayctl(&["cat".as_ref(), out.as_os_str()]).out;
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), whole);
}

#[test]
fn what_comes_is_shown_until_the_capture_is_finished() {
    let (out, capture, mut port) = growing("growing");
    // Not even the metadata is there.
    let follower = Follower::start(&MESSAGES, &out, Stdio::null());
    let json = Follower::start(&["--json", "--cpu", "1"], &out, Stdio::null());
    let (mut first, mut second) = (Stream::new(1, 0, 0), Stream::new(1, 1, 0));
    port.push(&two_cpus());
    // The other CPU, and the other channels, say nothing, and hold nothing back.
    for n in 0..3 {
        let message = format!("first {n}");
        port.push(&say(&mut first, 100 * n, &message));
        assert_eq!(follower.line(), message);
    }
    // Half a packet is no packet.
    let packet = say(&mut second, 900, "second");
    port.push(&packet[..100]);
    port.push(&packet[100..]);
    assert_eq!(follower.line(), "second");
    let record: serde_json::Value = serde_json::from_str(&json.line()).expect("it is JSON");
    assert_eq!(record["msg"], "second");
    second.lost[0] = 5;
    port.push(&say(&mut second, 1000, "behind a loss"));
    let note = follower.line();
    assert!(
        note.contains("5 records lost") && note.contains("full 5"),
        "{note}"
    );
    assert_eq!(follower.line(), "behind a loss");
    port.push(&say(&mut first, 1100, "the last"));
    port.finish();
    capture.finish(json!({})).expect("it is writable");
    assert_eq!(
        follower.end(),
        (Some(0), vec!["the last".to_owned()], String::new())
    );
    let (code, lines, err) = json.end();
    assert_eq!((code, lines.len()), (Some(0), 1));
    assert!(err.contains("5 records lost"), "{err}");
}

/// A follower whose words on stderr are read while it runs, without a path or with one.
fn waiting(here: &Path, path: Option<&Path>) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "--follow", "--log-format", "{msg}"])
        .args(path)
        .current_dir(here)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts");
    let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    (child, stderr)
}

fn next(stderr: &mut impl BufRead) -> String {
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it prints UTF-8");
    line
}

#[test]
fn a_follower_may_be_started_before_the_run() {
    // Outside of the workspace, so that its captures stay as they are.
    let scratch = relay_decode::capture::Scratch::new().expect("there is room");
    let here = scratch.path();
    let run = |name: Option<&str>, message: &str| {
        let mut klog = Stream::new(1, 0, 100);
        let bytes = [two_cpus(), say(&mut klog, 110, message)].concat();
        let options = Options {
            root: here.join("captures"),
            out: name.map(|name| here.join(name)),
            ..Options::new(here, Kind::Live)
        };
        let capture = Capture::create(&options).expect("there is room");
        let mut port = capture.port(0);
        port.push(&bytes);
        port.finish();
        capture.finish(json!({})).expect("there is room");
    };
    let end = |child: Child| {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (child, mut stderr) = waiting(here, None);
    assert!(next(&mut stderr).contains("waiting for the first run (captures/latest)"));
    run(None, "first");
    assert!(next(&mut stderr).contains("reading captures/"));
    assert_eq!(end(child), "first\n");
    // The one that is there is finished.
    let (child, mut stderr) = waiting(here, None);
    let line = next(&mut stderr);
    assert!(
        line.contains("waiting for the next run: captures/"),
        "{line}"
    );
    run(None, "second");
    assert_eq!(end(child), "second\n");
    // Whose maker has gone, however that happened, is over.
    let options = Options {
        root: here.join("captures"),
        out: None,
        ..Options::new(here, Kind::Live)
    };
    drop(Capture::create(&options).expect("there is room"));
    let (child, mut stderr) = waiting(here, None);
    let line = next(&mut stderr);
    assert!(
        line.contains("waiting for the next run: captures/"),
        "{line}"
    );
    // One that is being made is not waited for.
    let made = Capture::create(&options).expect("there is room");
    assert!(next(&mut stderr).contains("reading captures/"));
    let (second, mut stderr) = waiting(here, None);
    assert!(next(&mut stderr).contains("reading captures/"));
    let mut port = made.port(0);
    port.push(&[two_cpus(), say(&mut Stream::new(1, 0, 100), 110, "third")].concat());
    port.finish();
    made.finish(json!({})).expect("there is room");
    assert_eq!(
        (end(child), end(second)),
        ("third\n".to_owned(), "third\n".to_owned())
    );
    // One that is named, and one in a folder that is there.
    fs::create_dir(here.join("empty")).unwrap();
    for name in ["named", "empty"] {
        let (child, mut stderr) = waiting(here, Some(&here.join(name)));
        assert!(next(&mut stderr).contains(&format!("waiting for {name}")));
        run(Some(name), name);
        assert_eq!(end(child), format!("{name}\n"));
    }
    // Who waits can be asked to end.
    let (child, mut stderr) = waiting(here, Some(&here.join("never")));
    assert!(next(&mut stderr).contains("waiting for never"));
    interrupt(&child);
    assert_eq!(end(child), "");
}

#[test]
fn what_is_there_is_merged_by_time() {
    let (out, _capture, mut port) = growing("merged");
    port.push(&two_cpus());
    let (mut first, mut second) = (Stream::new(1, 0, 0), Stream::new(1, 1, 0));
    let packets = [
        say(&mut second, 20, "b"),
        say(&mut second, 40, "d"),
        say(&mut first, 10, "a"),
        say(&mut first, 30, "c"),
    ];
    port.push(&packets.concat());
    let follower = Follower::start(&MESSAGES, &out, Stdio::null());
    let lines = [(); 4].map(|()| follower.line());
    assert_eq!(lines, ["a", "b", "c", "d"]);
    follower.interrupt();
    assert_eq!(follower.end(), (Some(0), Vec::new(), String::new()));
}

#[test]
fn it_ends_when_all_wanted_streams_are_closed() {
    let (out, _capture, mut port) = growing("closed");
    port.push(&two_cpus());
    let mut klog = Stream::new(1, 0, 0);
    klog.klog(10, 0, 3, 1, ["m", "f", "bye"]);
    port.push(&klog.packet(20, 1));
    let args = [&MESSAGES[..], &["--channel", "klog", "--cpu", "0"]].concat();
    let follower = Follower::start(&args, &out, Stdio::null());
    assert_eq!(
        follower.end(),
        (Some(0), vec!["bye".to_owned()], String::new())
    );
}

#[test]
fn what_comes_too_late_for_its_place_is_said_to_be_late() {
    let (out, capture, mut port) = growing("late");
    port.push(&two_cpus());
    let (mut first, mut second) = (Stream::new(1, 0, 0), Stream::new(1, 1, 0));
    let follower = Follower::start(&MESSAGES, &out, Stdio::null());
    let json = Follower::start(&["--json"], &out, Stdio::null());
    port.push(&say(&mut first, 5_000_000, "five"));
    assert_eq!(follower.line(), "five");
    assert!(json.line().contains("\"five\""));
    // The other CPU was slower than anybody waits.
    second.klog(2_000_000, 0, 3, 1, ["m", "f", "two"]);
    second.klog(3_000_000, 0, 3, 1, ["m", "f", "three"]);
    second.klog(6_000_000, 0, 3, 1, ["m", "f", "six"]);
    second.lost[0] = 5;
    port.push(&second.packet(6_000_001, 0));
    let lines = [(); 5].map(|()| follower.line());
    assert!(lines[0].contains("cpu 1: 5 records lost"), "{lines:?}");
    assert!(
        lines[1].starts_with("-- klog cpu 1: what follows came too late for its place, before "),
        "{lines:?}"
    );
    assert_eq!(lines[2..], ["two", "three", "six"]);
    let late = [(); 3].map(|()| json.line().contains("\"late\":true"));
    assert_eq!(late, [true, true, false]);
    port.finish();
    capture.finish(json!({})).expect("it is writable");
    assert_eq!(follower.end(), (Some(0), Vec::new(), String::new()));
    assert_eq!(json.end().0, Some(0));
    // Sorted, nothing is late.
    let sorted = relayctl(&[
        "cat".as_ref(),
        "--log-format={msg}".as_ref(),
        out.as_os_str(),
    ]);
    assert!(
        sorted.out.ends_with("two\nthree\nfive\nsix\n"),
        "{}",
        sorted.out
    );
}

#[test]
fn a_capture_that_keeps_the_newest_is_followed_to_its_end() {
    let out = folder("newest").join("capture");
    let options = Options {
        max_size: 20_000,
        keep: Keep::Newest,
        ..Options::new(&out, Kind::Live)
    };
    let capture = Capture::create(&options).expect("the target folder is writable");
    let mut port = capture.port(0);
    port.push(&two_cpus());
    let (mut first, mut second) = (Stream::new(1, 0, 0), Stream::new(1, 1, 0));
    port.push(&say(&mut first, 10, "first"));
    port.push(&say(&mut second, 15, "second"));
    let early = Follower::start(&MESSAGES, &out, Stdio::null());
    assert_eq!([early.line(), early.line()], ["first", "second"]);
    let text = "x".repeat(500);
    for n in 1..100 {
        port.push(&say(&mut first, 100 * n, &text));
    }
    port.push(&say(&mut first, 10_000, "middle"));
    while early.line() != "middle" {}
    // The beginning is gone, also of the list.
    let late = Follower::start(&MESSAGES, &out, Stdio::null());
    assert!(late.line().contains("are missing"));
    let mut shown = 0;
    while late.line() != "middle" {
        shown += 1;
    }
    assert!((10..60).contains(&shown), "{shown}");
    port.push(&say(&mut first, 10_100, "last"));
    port.finish();
    capture.finish(json!({})).expect("it is writable");
    for follower in [early, late] {
        assert_eq!(
            follower.end(),
            (Some(0), vec!["last".to_owned()], String::new())
        );
    }
}
