//! Serial lines: frames among text, noise, resets, and readers who come late. The machine is
//! pretended.

mod synthetic;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, ttyname};
use relay_format::frame;
use serde_json::Value;
use synthetic::{
    Left, Stream, TASK, folder, judged, machine, other_boot, relayctl, salvaged, small,
};

/// The frame of a packet.
fn frame_of(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; frame::max_size(packet.len())];
    let size = frame::write([packet], &mut frame).expect("there is room");
    frame.truncate(size);
    frame
}

/// The frames of packets, one after the other.
fn frames(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.iter().flat_map(|packet| frame_of(packet)).collect()
}

/// A `record` that runs.
fn record(from: &str, out: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["record", "--from", from, "--out"])
        .arg(out)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts")
}

/// Its end.
fn end(child: Child) -> Left {
    child.wait_with_output().expect("it ends").into()
}

/// Ends it like Ctrl-C.
fn interrupt(child: Child) -> Left {
    let id = child.id().try_into().ok().map(Pid::from_raw);
    kill(id.expect("a child has a number"), Signal::SIGINT).expect("it runs");
    end(child)
}

/// Records a line that lies in a file.
fn recorded(name: &str, line: &[u8]) -> (PathBuf, Left) {
    let folder = folder(name);
    let (raw, out) = (folder.join("line"), folder.join("capture"));
    fs::write(&raw, line).expect("it is writable");
    let left = end(record(raw.to_str().expect("it is UTF-8"), &out, &[]));
    (out, left)
}

/// The verdicts of boots.
fn verdicts(boots: &[Value]) -> Vec<&str> {
    let verdicts = boots.iter().map(|boot| boot["verdict"].as_str());
    verdicts.collect::<Option<_>>().expect("each has one")
}

#[test]
fn frames_among_text_make_a_complete_capture() {
    let line = [
        b"SeaBIOS (version 1.16)\r\n",
        &frames(&small())[..],
        b"Oh, and a kernel\n",
        &frame_of(&small()[0]),
    ]
    .concat();
    let (out, left) = recorded("mixed", &line);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert_eq!(left.out, "SeaBIOS (version 1.16)\nOh, and a kernel\n");
    assert!(
        left.err.contains("frames, 0 damaged, 41 bytes of text"),
        "{left:?}"
    );
    let (code, boots) = judged(&out);
    assert_eq!(
        (code, &boots[0]["verdict"]),
        (Some(0), &"complete".into()),
        "{boots:?}"
    );
    let count = small().len() + 1;
    assert_eq!(boots[0]["line"]["frames"], count);
    assert_eq!(boots[0]["line"]["damaged"], 0);
    let console = fs::read(out.join("console.log")).expect("there is text");
    assert_eq!(console, b"SeaBIOS (version 1.16)\r\nOh, and a kernel\n");
    let run = fs::read_to_string(out.join("run.json")).expect("it is there");
    let run: Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(run["capture"]["line"], boots[0]["line"]);
    // The file by itself says the same.
    let (raw, of_raw) = (out.with_file_name("line"), ["verify", "stat", "cat"]);
    for command in of_raw {
        let by_capture = relayctl(&[command.as_ref(), out.as_os_str()]);
        let by_file = relayctl(&[command.as_ref(), raw.as_os_str()]);
        assert_eq!(
            (by_file.code, &by_file.out),
            (Some(0), &by_capture.out),
            "{by_file:?}"
        );
        assert_eq!(by_file.err, by_capture.err);
    }
    assert!(
        relayctl(&["verify".as_ref(), raw.as_os_str()])
            .out
            .contains(&format!(
                "line: {count} frames, 0 damaged, 41 bytes of text\n"
            ))
    );
}

#[test]
fn each_damaged_frame_is_missing_and_has_its_place() {
    let (described, log) = machine();
    let mut line = frames(&described);
    let mut places = Vec::new();
    for (number, packet) in log.iter().enumerate() {
        let mut frame = frame_of(packet);
        if matches!(number, 2 | 5 | 6) {
            places.push(line.len() as u64 + 1);
            frame[100] ^= 0x10;
        }
        line.extend(frame);
    }
    let (out, left) = recorded("damaged", &line);
    assert_eq!(left.code, Some(0), "{left:?}");
    let frames = described.len() + 9;
    assert!(
        left.err
            .contains(&format!("line: {frames} frames, 3 damaged (")),
        "{left:?}"
    );
    assert!(
        left.err
            .contains(&format!("first at byte {}: a frame, but", places[0])),
        "{left:?}"
    );
    let (code, boots) = judged(&out);
    assert_eq!((code, &boots[0]["verdict"]), (Some(1), &"broken".into()));
    let damage = boots[0]["line"]["damage"]
        .as_array()
        .expect("it has places");
    let at: Vec<_> = damage.iter().map(|place| place["at"].as_u64()).collect();
    assert_eq!(at, places.into_iter().map(Some).collect::<Vec<_>>());
    let total = &boots[0]["total"];
    let sums = ["attempted", "delivered", "lost", "unaccounted"].map(|name| &total[name]);
    assert_eq!(sums, [&11.into(), &8.into(), &3.into(), &Value::from(0)]);
    let problems = boots[0]["problems"].to_string();
    assert!(
        problems.contains("packets 2 to 2 are missing before it"),
        "{problems}"
    );
    assert!(
        problems.contains("packets 5 to 6 are missing before it"),
        "{problems}"
    );
    // What came is shown, and nothing else.
    let shown = relayctl(&[
        "cat".as_ref(),
        "--channel".as_ref(),
        "klog".as_ref(),
        out.as_os_str(),
    ]);
    for n in 0..10 {
        let is_there = shown.out.contains(&format!("message {n}"));
        assert_eq!(is_there, !matches!(n, 2 | 5 | 6), "{shown:?}");
    }
    assert!(shown.err.contains("3 damaged"), "{shown:?}");
}

/// The last frame is damaged: no later number tells of it, the claims do.
#[test]
fn a_damaged_end_is_told_by_the_claims() {
    let (described, mut log) = machine();
    // Its claims come before the end of the log.
    let end = log.remove(9);
    let mut line = [frames(&described), frames(&log)].concat();
    let mut last = frame_of(&end);
    last[150] ^= 1;
    line.extend(last);
    let (out, left) = recorded("end", &line);
    assert_eq!(left.code, Some(0), "{left:?}");
    let (code, boots) = judged(&out);
    assert_eq!(
        (code, &boots[0]["verdict"]),
        (Some(1), &"broken".into()),
        "{boots:?}"
    );
    assert_eq!(boots[0]["total"]["lost"], 1, "{boots:?}");
    let problems = boots[0]["problems"].to_string();
    assert!(
        problems.contains("1 records that its CPU counted are not there"),
        "{problems}"
    );
}

#[test]
fn who_comes_late_reads_from_there_on() {
    let (described, log) = machine();
    let line = [frames(&log[..4]), frames(&described), frames(&log[4..])].concat();
    // In the middle of packet 1, before the metadata came again.
    let from = frame_of(&log[0]).len() + 50;
    let (out, left) = recorded("late", &line[from..]);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("1 damaged"), "{left:?}");
    let (_, boots) = judged(&out);
    let problems = boots[0]["problems"].to_string();
    assert!(
        problems.contains("packets 0 to 1 are missing before it"),
        "{problems}"
    );
    let sums = ["delivered", "lost"].map(|name| &boots[0]["total"][name]);
    assert_eq!(sums, [&9.into(), &Value::from(2)], "{boots:?}");
}

#[test]
fn a_reset_in_a_frame_is_another_boot_behind_the_firmwares_text() {
    let (described, log) = machine();
    let first = [frames(&described), frames(&log[..6])].concat();
    let half = &frame_of(&log[6])[..90];
    let firmware = b"\r\nSeaBIOS (version 1.16.2)\r\nBooting from ROM..\r\n";
    let line = [&first, half, firmware, &frames(&other_boot(2, &small()))].concat();
    let (out, left) = recorded("reset", &line);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert_eq!(left.out, "SeaBIOS (version 1.16.2)\nBooting from ROM..\n");
    let (code, boots) = judged(&out);
    let verdicts = verdicts(&boots);
    assert_eq!(
        (code, verdicts),
        (Some(0), vec!["open", "complete", "open"])
    );
    assert_eq!(boots[0]["total"]["delivered"], 6);
}

#[test]
fn what_a_panic_left_comes_over_a_line_too() {
    let (described, log) = machine();
    let left_behind: Vec<_> = log[4..6].iter().map(|packet| salvaged(packet)).collect();
    let half = &frame_of(&log[4])[..120];
    let again: Vec<_> = described.iter().map(|packet| salvaged(packet)).collect();
    let line = [
        &frames(&described),
        &frames(&log[..4]),
        half,
        &frames(&again),
        &frames(&left_behind),
    ];
    let (out, left) = recorded("panic", &line.concat());
    let line = line.iter().map(|part| part.len()).sum::<usize>();
    assert_eq!(left.code, Some(0), "{line}: {left:?}");
    let (code, boots) = judged(&out);
    assert_eq!(
        (code, &boots[0]["verdict"]),
        (Some(0), &"open".into()),
        "{boots:?}"
    );
    assert_eq!(boots[0]["total"]["delivered"], 6);
    assert_eq!(boots[0]["line"]["damaged"], 1);
}

/// The device end of a terminal, and the path of the other.
fn terminal() -> (File, String) {
    let pty = openpty(None, None).expect("there are terminals");
    let path = ttyname(&pty.slave).expect("it has a name");
    // Whoever reads the other end must not hold this one.
    fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("it is open");
    (
        File::from(pty.master),
        path.to_str().expect("it is UTF-8").to_owned(),
    )
}

/// Reads lines until there is this one.
fn wait_for(child: &mut Child, wanted: &str) -> BufReader<ChildStdout> {
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while lines.read_line(&mut line).expect("it is UTF-8") > 0 {
        if line.trim_end() == wanted {
            return lines;
        }
        line.clear();
    }
    panic!("{wanted} did not come");
}

#[test]
fn a_terminal_gives_its_bytes_as_they_are() {
    let (mut device, path) = terminal();
    let out = folder("terminal").join("capture");
    let mut child = record(&format!("tty:{path}:57600"), &out, &[]);
    // Before it is open, the terminal would change bytes: ask until somebody answers.
    let (ready, done) = std::sync::mpsc::channel::<()>();
    let mut asking = device.try_clone().expect("there are descriptors");
    let asker = thread::spawn(move || {
        while done.try_recv().is_err() {
            asking.write_all(b"\0hello\n\0").expect("it is open");
            thread::sleep(Duration::from_millis(20));
        }
    });
    let rest = wait_for(&mut child, "hello");
    ready.send(()).expect("it asks");
    asker.join().expect("it asked");
    // Among them are all bytes, also those that mean something to terminals.
    let mut packets = small();
    let mut odd = Stream::new(7, 0, 0);
    for byte in 0..=255 {
        odd.raw(1, 1, TASK, &[byte; 3]);
    }
    packets.push(odd.packet(9, 0));
    device.write_all(&frames(&packets)).expect("it is read");
    // What a terminal holds when its device goes is lost.
    device.write_all(b"the end\n").expect("it is read");
    child.stdout = Some(rest.into_inner());
    drop(wait_for(&mut child, "the end"));
    drop(device);
    let left = end(child);
    assert_eq!(
        left.code,
        Some(1),
        "the odd packet is of no stream: {left:?}"
    );
    let frames = packets.len();
    assert!(
        left.err
            .contains(&format!("line: {frames} frames, 0 damaged")),
        "{left:?}"
    );
    let (_, boots) = judged(&out);
    assert_eq!(boots[0]["total"]["unaccounted"], 0);
    let open = boots[0]["streams"].as_array().expect("it has streams");
    assert!(
        open.iter().all(|stream| stream["verdict"] == "complete"),
        "{boots:?}"
    );
}

#[test]
fn what_is_no_terminal_is_said() {
    let folder = folder("no-terminal");
    let plain = folder.join("plain");
    fs::write(&plain, "text").expect("it is writable");
    let from = format!("tty:{}", plain.display());
    let left = end(record(&from, &folder.join("capture"), &[]));
    assert_eq!(left.code, Some(3), "{left:?}");
    assert!(left.err.contains("it is no terminal"), "{left:?}");
    for wrong in [
        "tty:",
        "tty:/dev/ttyS0:",
        "tty:/dev/ttyS0:fast",
        "tty:/dev/ttyS0:9601",
    ] {
        let left = end(record(wrong, &folder.join("capture"), &[]));
        assert_eq!(left.code, Some(2), "{wrong}: {left:?}");
    }
    let left = end(record("-", &folder.join("capture"), &["--follow"]));
    assert_eq!(left.code, Some(2), "{left:?}");
    assert!(left.err.contains("only a file can be followed"), "{left:?}");
}

/// A file that grows, is cut when the machine starts again, and grows again.
#[test]
fn a_file_that_grows_is_followed_through_a_restart() {
    let folder = folder("grows");
    let (path, out) = (folder.join("line"), folder.join("capture"));
    let (described, log) = machine();
    let mut child = record(path.to_str().expect("UTF-8"), &out, &["--follow"]);
    // It is waited for until it is there.
    let mut file = File::create(&path).expect("it is writable");
    let mut add = |bytes: &[u8]| file.write_all(bytes).expect("it is writable");
    add(b"first\n");
    let first = [frames(&described), frames(&log)].concat();
    let (some, others) = first.split_at(first.len() / 2);
    add(some);
    add(others);
    add(b"\0behind the first\n");
    let lines = wait_for(&mut child, "behind the first");
    child.stdout = Some(lines.into_inner());
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&path)
        .expect("it is there");
    let second = [
        &frames(&other_boot(2, &small()))[..],
        b"\0behind the second\n",
    ]
    .concat();
    // Shorter than what was read: so it is seen that it was cut.
    assert!(b"behind the second".len() < first.len());
    file.write_all(b"again\n").expect("it is writable");
    let lines = wait_for(&mut child, "again");
    child.stdout = Some(lines.into_inner());
    file.write_all(&second).expect("it is writable");
    let lines = wait_for(&mut child, "behind the second");
    child.stdout = Some(lines.into_inner());
    let left = interrupt(child);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("truncated to"), "{left:?}");
    let (code, boots) = judged(&out);
    let verdicts = verdicts(&boots);
    assert_eq!((code, verdicts), (Some(0), vec!["complete"; 3]));
}

/// A socket may have frames or packets: what comes first tells.
#[test]
fn a_socket_may_be_a_line_or_a_port() {
    for (name, bytes) in [
        (
            "line",
            [&b"text of firmware\n"[..], &frames(&small())].concat(),
        ),
        ("port", small().concat()),
    ] {
        let folder = folder(name);
        let (path, out) = (folder.join("socket"), folder.join("capture"));
        let listener = UnixListener::bind(&path).expect("it can be bound");
        let child = record(&format!("unix:{}", path.display()), &out, &[]);
        let (mut client, _) = listener.accept().expect("it connects");
        // Whatever it is, it is known after some bytes.
        for chunk in bytes.chunks(100) {
            client.write_all(chunk).expect("it reads");
        }
        drop(client);
        let left = end(child);
        assert_eq!(left.code, Some(0), "{left:?}");
        assert_eq!(left.out.is_empty(), name == "port", "{left:?}");
        assert_eq!(left.err.contains("line: "), name == "line", "{left:?}");
        let (code, boots) = judged(&out);
        assert_eq!((code, &boots[0]["verdict"]), (Some(0), &"complete".into()));
        assert_eq!(boots[0]["line"].is_null(), name == "port");
    }
}

/// The view of a line that grows is like that of a port.
#[test]
fn cat_follows_a_line() {
    let folder = folder("followed");
    let path = folder.join("line");
    let (described, log) = machine();
    let mut file = File::create(&path).expect("it is writable");
    file.write_all(b"firmware\n").expect("it is writable");
    let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args([
            "cat",
            "--follow",
            "--channel",
            "klog",
            "--log-format",
            "{msg}",
        ])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts");
    let line = [frames(&described), frames(&log)].concat();
    for chunk in line.chunks(333) {
        file.write_all(chunk).expect("it is writable");
    }
    let lines = wait_for(&mut child, "message 9");
    child.stdout = Some(lines.into_inner());
    let left = interrupt(child);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("0 damaged, 9 bytes of text"), "{left:?}");
}

/// From a socket the same is shown, and is no fragment as well: there was no packet.
#[test]
fn text_alone_from_a_socket_is_told_once() {
    let folder = folder("text-socket");
    let (path, out) = (folder.join("socket"), folder.join("capture"));
    let listener = UnixListener::bind(&path).expect("it can be bound");
    let child = record(&format!("unix:{}", path.display()), &out, &[]);
    let (mut client, _) = listener.accept().expect("it connects");
    client.write_all(b"only text\n").expect("it reads");
    drop(client);
    let left = end(child);
    assert_eq!(
        (left.code, &left.out[..]),
        (Some(1), "only text\n"),
        "{left:?}"
    );
    assert!(
        left.err.contains(" 10 bytes, 0 bytes of fragments"),
        "{left:?}"
    );
    let (code, boots) = judged(&out);
    assert_eq!((code, &boots[0]["verdict"]), (Some(0), &"open".into()));
    assert_eq!(relayctl(&["cat".as_ref(), out.as_os_str()]).code, Some(3));
}

/// A line without any frame has text, and nothing that can be read.
#[test]
fn text_alone_is_no_capture() {
    let (out, left) = recorded("text", b"only text\nand more\n");
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(
        left.err.contains("there is no whole packet in it"),
        "{left:?}"
    );
    let (code, _) = judged(&out);
    assert_eq!(code, Some(1));
    let raw = out.with_file_name("line");
    assert_eq!(relayctl(&["cat".as_ref(), raw.as_os_str()]).code, Some(3));
}

/// Text that nobody reads holds up neither Ctrl-C nor the end of the capture.
#[test]
fn who_does_not_read_the_text_is_not_waited_for() {
    let folder = folder("unread");
    let (path, out) = (folder.join("socket"), folder.join("capture"));
    let listener = UnixListener::bind(&path).expect("it can be bound");
    let mut child = record(&format!("unix:{}", path.display()), &out, &[]);
    // It stays open, and is not read.
    let _unread = child.stdout.take().expect("it is piped");
    let (mut client, _) = listener.accept().expect("it connects");
    // More than a pipe holds.
    let text = "a line that nobody reads\n".repeat(20_000);
    client.write_all(text.as_bytes()).expect("it is read");
    drop(client);
    let run = out.join("run.json");
    for _ in 0..1000 {
        if run.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(run.exists(), "the capture waits for its text to be read");
    let asked = Instant::now();
    let left = interrupt(child);
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(left.code, Some(1), "{left:?}");
    let console = fs::metadata(out.join("console.log")).expect("it is there");
    assert_eq!(console.len(), text.len() as u64);
}

/// A line of text that is too long to be shown says so.
#[test]
fn what_is_cut_of_a_long_line_is_told() {
    let text = "x".repeat(70_000);
    let line = [text.as_bytes(), b"\nnext\n", &frames(&small())].concat();
    let (_, left) = recorded("long", &line);
    assert_eq!(left.code, Some(0), "{:?}", left.err);
    let shown: Vec<_> = left.out.lines().collect();
    assert!(
        shown[0].ends_with("xx [cut: 4464 more bytes]"),
        "{:?}",
        left.err
    );
    assert_eq!(shown[1], "next");
}

/// Noise has no end, and makes no room again: the newest packets are kept beside it.
#[test]
fn noise_does_not_drive_out_the_newest_packets() {
    let (described, log) = machine();
    let noise = [[0xff; 300].as_slice(), &[0]].concat().repeat(300);
    let line = [&frames(&described)[..], &noise, &frames(&log), &noise].concat();
    let folder = folder("noise");
    let (raw, out) = (folder.join("line"), folder.join("capture"));
    fs::write(&raw, line).expect("it is writable");
    let raw = raw.to_str().expect("it is UTF-8");
    let left = end(record(
        raw,
        &out,
        &["--max-size", "40000", "--keep", "newest"],
    ));
    // What is left out is told, once.
    assert_eq!(left.code, Some(1), "{left:?}");
    assert_eq!(left.err.matches("largest size").count(), 1, "{left:?}");
    assert!(
        left.err.contains("no packet has its largest size, 5000"),
        "{left:?}"
    );
    let (code, boots) = judged(&out);
    assert_eq!((code, &boots[0]["verdict"]), (Some(0), &"open".into()));
    assert_eq!(boots[0]["total"]["delivered"], 11);
    let sizes = ["fragments", "left_out"].map(|name| boots[0][name].as_u64());
    let [Some(kept), Some(left_out)] = sizes else {
        panic!("they are numbers: {boots:?}");
    };
    assert!((1..=5000).contains(&kept), "{boots:?}");
    assert_eq!(kept + left_out, 2 * 300 * 300);
    assert_eq!(boots[0]["line"]["damaged_bytes"], 2 * 300 * 300);
}
