//! `watch` beside a capture that grows.

use super::*;

/// A `watch` that runs.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    stderr: BufReader<ChildStderr>,
}

impl Watching {
    fn start(out: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
            .arg("watch")
            .args(args)
            .arg(out)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.expect("it prints UTF-8")).is_err() {
                    break;
                }
            }
        });
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self {
            child,
            lines,
            stderr,
        }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// The next line on stderr.
    fn said(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("it prints UTF-8");
        line
    }

    /// Sends the signal of Ctrl-C.
    fn interrupt(&self) {
        let id = i32::try_from(self.child.id()).expect("it is small");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
    }

    /// Waits for its end: exit code and stderr.
    fn end(mut self) -> (Option<i32>, String) {
        let mut err = String::new();
        self.stderr
            .read_to_string(&mut err)
            .expect("it prints UTF-8");
        (self.child.wait().expect("it ends").code(), err)
    }

    /// How many of its children have ended and were not waited for.
    fn zombies(&self) -> usize {
        let parent = self.child.id().to_string();
        let stats = fs::read_dir("/proc").expect("it is there").flatten();
        let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        let is_one = |stat: &String| {
            let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
            let mut words = behind.split(' ');
            words.next() == Some("Z") && words.next() == Some(parent.as_str())
        };
        stats.filter(is_one).count()
    }
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_wait_is_counted_and_told_by_the_next() {
    let (out, capture, mut port) = growing("queue");
    let place = out.with_file_name("gate");
    let command = format!(
        "while ! test -e '{}'; do sleep 0.01; done; cat",
        place.display()
    );
    let args = [
        "--where",
        "msg == hit",
        "--exec",
        &command,
        "--limit",
        "none",
    ];
    let mut watching = Watching::start(
        &out,
        &[&args[..], &["--jobs", "1", "--timeout", "600"]].concat(),
    );
    let mut klog = Stream::new(1, 0, 0);
    port.push(&metadata_packets(&metadata(2), 1 << 20).concat());
    // One runs, 64 wait, the others are too many.
    port.push(&more(&mut klog, &["hit"; 70]));
    // What is said of a loss behind them shows that they were seen.
    klog.lost[0] = 3;
    port.push(&more(&mut klog, &["not"]));
    assert!(watching.said().contains("3 records lost"));
    File::create(&place).expect("it is writable");
    let told: Vec<Value> = (0..65)
        .map(|_| lines(&watching.line())[0].clone())
        .collect();
    assert_eq!(
        told[64]["watch"],
        json!({ "matches": 65, "not_delivered": 0 })
    );
    port.push(&more(&mut klog, &["hit"]));
    let last = lines(&watching.line());
    assert_eq!(
        last[0]["watch"],
        json!({ "matches": 71, "not_delivered": 5 })
    );
    until("no child is left a zombie", || watching.zombies() == 0);
    port.finish();
    capture.finish(json!({})).expect("it is writable");
    let (code, err) = watching.end();
    assert_eq!(code, Some(0), "{err}");
    let sums = "71 records matched; 66 commands started; 5 notifications were not delivered (over \
                the limit 0, too many waiting 5, not started 0)";
    assert!(err.contains(sums), "{err}");
}

/// Whether a process does something.
fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    !behind.is_empty() && !behind.starts_with('Z')
}

#[test]
fn a_command_that_does_not_end_is_ended_with_what_it_started() {
    let out = disk("hangs", 1);
    let pid = out.with_file_name("pid");
    let command = format!(
        "trap '' TERM; sleep 1000 & echo $! > '{}'; wait",
        pid.display()
    );
    let args = [
        "--where",
        "lba >= 100",
        "--exec",
        &command,
        "--timeout",
        "1",
    ];
    let left = on(&out, "watch", &args);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(
        left.err
            .contains("1 commands started, 1 of them had to be ended"),
        "{}",
        left.err
    );
    let id = fs::read_to_string(&pid).expect("it was started");
    until("what it started has ended", || !is_alive(&id));
}

#[test]
fn ctrl_c_ends_the_commands_too() {
    let (out, _capture, mut port) = growing("interrupted");
    let watching = Watching::start(
        &out,
        &[
            "--where",
            "msg == a",
            "--exec",
            "echo $$; exec sleep 1000",
            "--timeout",
            "1000",
        ],
    );
    port.push(&log(&["a"]));
    let id = watching.line();
    assert!(is_alive(&id));
    watching.interrupt();
    let (code, err) = watching.end();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("1 of them had to be ended"), "{err}");
    until("the command has ended", || !is_alive(&id));
}
