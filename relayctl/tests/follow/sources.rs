//! Raw bytes that come, readers that go, and what goes wrong.

use super::*;

#[test]
fn a_raw_file_may_grow() {
    let packets = small();
    let raw = folder("raw").join("raw");
    let half = packets.len() / 2;
    fs::write(&raw, packets[..half].concat()).unwrap();
    let follower = Follower::start(&["--json"], &raw, Stdio::null());
    let mut shown = vec![follower.line()];
    let mut file = OpenOptions::new().append(true).open(&raw).unwrap();
    for packet in &packets[half..] {
        file.write_all(packet).unwrap();
    }
    // All streams are closed now.
    let (code, lines, err) = follower.end();
    shown.extend(lines);
    assert_eq!((code, shown.len()), (Some(0), 33), "{err}");
}

#[test]
fn standard_input_is_shown_as_it_comes() {
    let (mut child, stdout) = spawn(&MESSAGES, Path::new("-"), Stdio::piped());
    let mut stdin: ChildStdin = child.stdin.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut klog = Stream::new(1, 0, 0);
    stdin.write_all(&two_cpus()).unwrap();
    for (ticks, message) in [(10, "one"), (20, "two")] {
        stdin.write_all(&say(&mut klog, ticks, message)).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), message);
    }
    drop(stdin);
    assert!(lines.next().is_none());
    assert_eq!(wait(child), (Some(0), String::new()));
}

#[test]
fn a_reader_that_goes_ends_it_even_if_nothing_comes() {
    let (out, _capture, mut port) = growing("pipe");
    port.push(&two_cpus());
    port.push(&say(&mut Stream::new(1, 0, 0), 10, "one"));
    let (child, stdout) = spawn(&MESSAGES, &out, Stdio::null());
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(reader);
    assert_eq!(wait(child), (Some(0), String::new()));
}

#[test]
fn what_happens_to_a_followed_file_is_said() {
    type Change = fn(&Path);
    let list: [(&str, Change); 3] = [
        ("packets: removed while", |out| {
            fs::remove_dir_all(out).unwrap();
        }),
        ("packets: replaced by another file", |out| {
            let list = out.join("packets");
            fs::copy(&list, out.join("new")).unwrap();
            fs::rename(out.join("new"), list).unwrap();
        }),
        (
            "packets: truncated to 3 bytes while it was followed",
            |out| {
                let list = OpenOptions::new().write(true).open(out.join("packets"));
                list.unwrap().set_len(3).unwrap();
            },
        ),
    ];
    for (what, change) in list {
        let (out, _capture, mut port) = growing("changed");
        port.push(&two_cpus());
        port.push(&say(&mut Stream::new(1, 0, 0), 10, "one"));
        let follower = Follower::start(&MESSAGES, &out, Stdio::null());
        assert_eq!(follower.line(), "one");
        change(&out);
        let (code, lines, err) = follower.end();
        assert_eq!((code, lines.len()), (Some(3), 0), "{err}");
        assert!(
            err.contains(what) && err.contains(out.to_str().unwrap()),
            "{err}"
        );
    }
    let raw = folder("changed").join("raw");
    fs::write(
        &raw,
        [two_cpus(), say(&mut Stream::new(1, 0, 0), 10, "one")].concat(),
    )
    .unwrap();
    let follower = Follower::start(&MESSAGES, &raw, Stdio::null());
    assert_eq!(follower.line(), "one");
    File::create(&raw).unwrap();
    let (code, _, err) = follower.end();
    assert_eq!(code, Some(3));
    assert!(
        err.contains("raw: truncated to 0 bytes while it was followed"),
        "{err}"
    );
}

#[test]
fn damage_is_said_and_the_rest_is_shown() {
    let (out, capture, mut port) = growing("damaged");
    port.push(&two_cpus());
    let mut klog = Stream::new(1, 0, 0);
    for (n, message) in ["one", "two", "three"].into_iter().enumerate() {
        port.push(&say(&mut klog, 10 * n as u64, message));
    }
    let file = out.join("trace/klog_0");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    // A line that is none, and one of a packet that is not there.
    let mut list = OpenOptions::new()
        .append(true)
        .open(out.join("packets"))
        .unwrap();
    let end = fs::metadata(&file).unwrap().len();
    write!(
        list,
        "{}\nklog_0 {end} 4294967295 00000000\n",
        "x".repeat(1000)
    )
    .unwrap();
    let follower = Follower::start(&MESSAGES, &out, Stdio::null());
    assert_eq!(follower.line(), "one");
    let note = follower.line();
    assert!(
        note.contains("klog_0 at 192: packet 1 was changed: its checksum is not "),
        "{note}"
    );
    assert!(follower.line().contains("packets 1 to 1 are missing"));
    assert_eq!(follower.line(), "three");
    assert!(follower.line().contains("packet 3 has 4294967295 bytes"));
    capture.finish(json!({})).expect("it is writable");
    let (code, lines, err) = follower.end();
    assert_eq!((code, lines.len()), (Some(1), 0), "{lines:?}");
    assert!(
        err.contains("packets: line 5 is not 'FILE OFFSET SIZE CRC-32C'"),
        "{err}"
    );
}

#[test]
fn what_cannot_be_followed_is_said() {
    let other = folder("other");
    fs::write(other.join("file"), "").unwrap();
    let left = relayctl(&["cat".as_ref(), "-f".as_ref(), other.as_os_str()]);
    assert_eq!(left.code, Some(3));
    assert!(
        left.err
            .contains("no capture (a folder with a folder trace)"),
        "{left:?}"
    );
    let left = relayctl(&["cat", "-f", "-"]);
    assert_eq!(left.code, Some(3));
    assert!(
        left.err.contains("-: no metadata in its 0 bytes"),
        "{left:?}"
    );
    // A capture to which nothing came.
    let (out, capture, port) = growing("empty");
    let follower = Follower::start(&[], &out, Stdio::null());
    drop(port);
    capture.finish(json!({})).expect("it is writable");
    let (code, _, err) = follower.end();
    assert_eq!(code, Some(3));
    assert!(
        err.contains("nothing can be read without metadata"),
        "{err}"
    );
}

#[test]
fn a_signal_ends_it_although_nobody_reads() {
    let (out, _capture, mut port) = growing("unread");
    port.push(&two_cpus());
    let mut klog = Stream::new(1, 0, 0);
    // More than a pipe and the program keep.
    let text = "x".repeat(1000);
    for n in 0..1000 {
        port.push(&say(&mut klog, 100 * n, &text));
    }
    let raw = out.with_file_name("raw");
    fs::write(
        &raw,
        [two_cpus(), fs::read(out.join("trace/klog_0")).unwrap()].concat(),
    )
    .unwrap();
    for path in [&out, &raw] {
        let temporary = folder("temporary");
        let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
            .args(["cat", "--follow"])
            .arg(path)
            .env("TMPDIR", &temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts");
        let mut reader = BufReader::with_capacity(1, child.stdout.take().expect("it is piped"));
        reader.fill_buf().expect("something comes");
        // Until it is stuck; if this is too short, it ends anyhow.
        thread::sleep(Duration::from_millis(500));
        interrupt(&child);
        assert_eq!(wait(child), (Some(0), String::new()));
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
        drop(reader);
    }
}
