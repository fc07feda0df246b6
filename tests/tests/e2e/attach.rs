//! QEMU's port is a socket that it listens on: who attaches again, or stays over a reset, can read
//! what comes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Turn, babeltrace, kernel, relayctl, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

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

/// A machine whose only port listens.
struct Machine {
    qemu: Child,
    folder: TempDir,
}

impl Machine {
    /// Starts it; it stays up. A reset does not end it.
    fn start() -> Self {
        // Built before the machine starts: of what it says to nobody it keeps the newest only.
        let (kernel, _) = (kernel(), relayctl());
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let arguments = [
            "-action",
            "reboot=reset",
            "-device",
            "virtio-serial-pci,max_ports=4",
            "-chardev",
            &format!("socket,id=relay0,path={},server=on,wait=off", at("port")),
            "-device",
            "virtserialport,chardev=relay0,name=relay.0,nr=1",
        ];
        let qemu = Command::new(workspace().root.join("qemu-runner.sh"))
            .arg(kernel)
            .arg("scenario=idle")
            .env("RELAY_SMP", "2")
            .env("RELAY_SERIAL", format!("file:{}", at("console")))
            .env("RELAY_QMP", at("qmp"))
            .env("RELAY_QEMU_ARGS", arguments.join("\n"))
            .env("RELAY_EXEC", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let machine = Self {
            qemu: qemu.expect("QEMU starts"),
            folder,
        };
        wait_for(&machine.path("port"));
        wait_for(&machine.path("qmp"));
        machine
    }

    /// A file beside the machine.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A recorder of its port, into a folder.
    fn record(&self, out: &str, more: &[&str]) -> Child {
        Command::new(relayctl())
            .arg("record")
            .arg("--from")
            .arg(format!("unix:{}", self.path("port").display()))
            .arg("--out")
            .arg(self.path(out))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts")
    }

    /// A recorder that has got a packet of the log: the heart beats once a second.
    fn record_heartbeat(&self, out: &str) -> Child {
        let recorder = self.record(out, &[]);
        wait_for(&self.path(out).join("trace/klog_0"));
        recorder
    }

    /// Presses the reset button.
    fn reset(&self) {
        let mut qmp = UnixStream::connect(self.path("qmp")).expect("QEMU serves QMP");
        let mut answers = BufReader::new(qmp.try_clone().expect("it can be cloned"));
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("it greets");
        for command in ["qmp_capabilities", "system_reset"] {
            writeln!(qmp, "{{\"execute\":\"{command}\"}}").expect("it listens");
            answer.clear();
            answers.read_line(&mut answer).expect("it answers");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Ends a recorder as Ctrl-C does.
fn interrupt(recorder: Child) -> Output {
    let id = i32::try_from(recorder.id()).expect("a process number");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
    recorder.wait_with_output().expect("it ends")
}

/// What a command says of a capture, in lines of JSON.
fn json(command: &str, capture: &Path) -> Vec<Value> {
    let left = Command::new(relayctl())
        .args([command, "--json"])
        .arg(capture)
        .output()
        .expect("relayctl starts");
    let text = String::from_utf8(left.stdout).expect("it prints UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("it prints JSON"))
        .collect()
}

/// The first recorder goes, and the second gets what comes since, explained.
#[test]
fn a_second_recording_can_be_read() {
    let _turn = Turn::wait();
    let machine = Machine::start();
    for out in ["first", "second", "third"] {
        let recorder = machine.record_heartbeat(out);
        let left = interrupt(recorder);
        let err = String::from_utf8_lossy(&left.stderr);
        assert_eq!(left.status.code(), Some(0), "{out}: {err}");
        let capture = machine.path(out);
        let judged = &json("verify", &capture)[0];
        assert_eq!(judged["fragments"], 0, "{out}: {judged}");
        assert_eq!(judged["total"]["unaccounted"], 0, "{out}: {judged}");
        let shown = json("cat", &capture);
        assert_eq!(judged["total"]["delivered"], shown.len(), "{out}: {judged}");
        assert!(!shown.is_empty(), "{out}");
        let problems = judged["problems"].to_string();
        if out == "first" {
            assert_eq!(judged["verdict"], "open", "{judged}");
        } else {
            // What went to the one before is missing here, and nothing else is wrong.
            assert_eq!(judged["verdict"], "broken", "{judged}");
            for problem in judged["problems"].as_array().expect("a list") {
                let problem = problem.as_str().expect("a text");
                assert!(problem.ends_with("are missing before it"), "{problems}");
            }
            assert!(problems.contains("packets 0 to "), "{problems}");
        }
        assert_eq!(
            babeltrace(&capture.join("trace"), &[])
                .iter()
                .filter(|byte| **byte == b'\n')
                .count(),
            shown.len()
        );
    }
}

/// The machine is reset while it is recorded: each boot is a trace of its own.
#[test]
fn a_recording_over_a_reset_has_two_boots() {
    let _turn = Turn::wait();
    let machine = Machine::start();
    let recorder = machine.record("capture", &["--reattach"]);
    let capture = machine.path("capture");
    wait_for(&capture.join("trace/klog_1"));
    machine.reset();
    wait_for(&capture.join("boot.2/trace/klog_1"));
    let left = interrupt(recorder);
    let err = String::from_utf8_lossy(&left.stderr);
    assert_eq!(left.status.code(), Some(0), "{err}");
    let judged = json("verify", &capture);
    assert_eq!(judged.len(), 3, "{judged:?}");
    assert_ne!(judged[0]["uuid"], judged[1]["uuid"]);
    let shown = json("cat", &capture);
    for (number, trace) in [(1, "trace"), (2, "boot.2/trace")] {
        let boot = &judged[number - 1];
        assert_eq!(
            (&boot["boot"], &boot["verdict"]),
            (&number.into(), &"open".into()),
            "{judged:?}"
        );
        assert_eq!(boot["total"]["unaccounted"], 0, "{judged:?}");
        let records = shown
            .iter()
            .filter(|record| record["boot"] == number)
            .count();
        assert_eq!(boot["total"]["delivered"], records);
        let events = babeltrace(&capture.join(trace), &[]);
        assert_eq!(
            events.iter().filter(|byte| **byte == b'\n').count(),
            records
        );
        let first = shown.iter().find(|record| record["boot"] == number);
        let message = first.expect("there is one")["msg"]
            .as_str()
            .unwrap_or_default();
        assert!(message.starts_with("command line: "), "{message}");
    }
    let run = fs::read_to_string(capture.join("run.json")).expect("it is kept");
    let run: Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(
        (&run["capture"]["boots"], &run["capture"]["left_out"]),
        (&2.into(), &0.into())
    );
}
