//! Packets over serial ports: with relayctl's own machine, and with QEMU's ports as people use them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Run, Turn, boot, kernel, relayctl, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay_format::Severity;
use serde_json::Value;
use tempfile::TempDir;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something is there.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What the summary says of the capture of a run.
fn captured(run: &Run) -> Value {
    run.summary()["run"]["capture"].clone()
}

/// What it says of one channel.
fn channel<'a>(capture: &'a Value, name: &str) -> Option<&'a Value> {
    let channels = capture["channels"].as_array().expect("there are channels");
    channels.iter().find(|channel| channel["name"] == name)
}

/// What `verify --json` says of the only boot.
fn judged(capture: &Path) -> Value {
    let left = Command::new(relayctl())
        .args(["verify", "--json"])
        .arg(capture)
        .output();
    let left = left.expect("relayctl starts");
    serde_json::from_slice(&left.stdout).expect("it prints JSON")
}

#[test]
fn smoke_over_a_serial_port_is_complete() {
    let run = boot(&["--transport", "serial"]);
    run.assert_code(0);
    run.assert_complete(8);
    let capture = captured(&run);
    assert_eq!(capture["verdict"], "complete");
    assert_eq!(capture["cpus"], 8);
    assert!(run.has(
        Severity::Info,
        "COM2 carries packets, in frames: klog, flood, trace, evlog, user, profile, claims"
    ));
}

/// A flood writes far more than the line carries: what is lost is counted, and nothing else is.
#[test]
fn a_flood_over_a_serial_port_is_complete() {
    let run = boot(&["--transport", "serial", "--scenario", "flood"]);
    run.assert_code(0);
    let capture = captured(&run);
    assert_eq!(capture["verdict"], "complete");
    let flood = channel(&capture, "flood").expect("it is carried");
    let count = |of: &Value, name: &str| of[name].as_u64().expect("a number");
    assert!(
        count(flood, "delivered") > 0 && count(flood, "lost") > 0,
        "{flood}"
    );
    assert_eq!(flood["unaccounted"], 0);
    // The log goes first.
    let klog = channel(&capture, "klog").expect("it is carried");
    assert_eq!(klog["lost"], 0, "{klog}");
}

#[test]
fn what_goes_over_the_line_is_chosen() {
    let serial = |what: &str| {
        let serial = format!("serial={what}");
        let run = boot(&[
            "--transport",
            "serial",
            "--scenario",
            "flood",
            "--set",
            &serial,
        ]);
        run.assert_code(0);
        let capture = captured(&run);
        assert_eq!(capture["verdict"], "complete", "{what}");
        capture
    };
    let capture = serial("klog@warn");
    assert!(channel(&capture, "flood").is_none());
    let all = channel(&serial("klog"), "klog").expect("it is carried")["delivered"].clone();
    let warnings = &channel(&capture, "klog").expect("it is carried")["delivered"];
    assert!(warnings.as_u64() < all.as_u64(), "{warnings} of {all}");
    let capture = serial("flood");
    assert!(channel(&capture, "klog").is_none());
    assert!(channel(&capture, "flood").is_some());
}

#[test]
fn the_only_port_carries_frames_if_it_is_told_to() {
    let run = boot(&["--transport", "none", "--set", "serial=all"]);
    run.assert_code(0);
    let capture = captured(&run);
    assert_eq!(capture["verdict"], "complete");
    assert!(channel(&capture, "klog").expect("it is carried")["delivered"].as_u64() > Some(100));
    // Otherwise it has the log's text, and nothing has the rest.
    let run = boot(&["--transport", "none", "--scenario", "flood"]);
    run.assert_code(0);
    assert!(run.has(
        Severity::Info,
        "nothing carries packets: the log goes to COM1 as text"
    ));
}

/// There is no console, and the log is not carried: nobody waits for who would read it.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let run = boot(&["--transport", "none", "--set", "serial=flood"]);
    run.assert_code(0);
    let capture = captured(&run);
    assert_eq!(capture["verdict"], "complete");
    assert!(channel(&capture, "klog").is_none());
}

/// An idle line repeats the metadata for ever: that is nothing to wait for.
#[test]
fn a_machine_ends_although_a_stream_does_not() {
    let run = boot(&["--transport", "serial", "--smp", "3", "--set", "lose=1"]);
    run.assert_code(1);
    let lost = "cpu 1: /klog was not sent to its end (COM2: sent ";
    let is_told = run.console.iter().any(|line| line.contains(lost));
    assert!(is_told, "{:?}", run.console);
}

/// What is logged before there is a heap is in larger packets than what comes later.
#[test]
fn much_that_is_said_early_goes_over_the_line() {
    let words = "log=info ".repeat(150);
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let out = folder.path().join("capture").display().to_string();
    let own = ["--transport", "serial", "--out", &out];
    let run = boot(&[&own[..], &["--", "-append", &words]].concat());
    run.assert_code(0);
    assert_eq!(captured(&run)["verdict"], "complete");
}

#[test]
fn a_port_that_does_not_answer_is_told_and_fails() {
    let run = boot(&["--transport", "none", "--set", "line=com3"]);
    run.assert_code(1);
    assert!(run.has(Severity::Error, "COM3 does not answer"));
    // Where it is, it is used.
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let line = folder.path().join("line");
    let port = format!("file:{}", line.display());
    let out = folder.path().join("capture").display().to_string();
    let own = ["--transport", "none", "--set", "line=com3", "--out", &out];
    let qemus = ["--", "-serial", "null", "-serial", &port];
    boot(&[&own[..], &qemus].concat()).assert_code(0);
    assert_eq!(judged(&line)["verdict"], "complete");
}

#[test]
fn a_panic_over_a_serial_port_leaves_all_that_was_written() {
    // Beside the console, and instead of it.
    for transport in [&["serial"][..], &["none", "--set", "serial=all"]] {
        let args = ["--scenario", "panic", "--transport"];
        let run = boot(&[&args, transport].concat());
        run.assert_code(1);
        let problems = &run.summary()["run"]["problems"];
        assert!(problems.as_array().is_some_and(Vec::is_empty), "{problems}");
        let capture = captured(&run);
        assert_eq!(capture["verdict"], "open");
        for name in ["klog", "flood"] {
            let channel = channel(&capture, name).expect("it is carried");
            assert_eq!(channel["attempted"], channel["delivered"], "{channel}");
            assert_eq!(channel["unaccounted"], 0);
        }
    }
}

/// Every way of writing, in every context, while all CPUs interrupt each other.
#[test]
fn stress_over_every_way_out_is_complete() {
    let stress = ["--scenario", "stress", "--set", "records=2000"];
    for more in [
        &[][..],
        &["--set", "mode=overwrite"],
        &["--transport", "serial"],
    ] {
        let run = boot(&[&stress, more].concat());
        run.assert_code(0);
        let capture = captured(&run);
        assert_eq!(capture["verdict"], "complete", "{more:?}");
        let flood = channel(&capture, "flood").expect("it is carried");
        assert!(flood["delivered"].as_u64() > Some(0), "{flood}");
        assert!(flood["attempted"].as_u64() >= Some(16_000), "{flood}");
        let overwritten = flood["overwritten"].as_u64();
        assert!(
            overwritten == Some(0) || more.contains(&"mode=overwrite"),
            "{flood}"
        );
    }
}

/// A machine that people start by the runner script.
struct Machine {
    qemu: Child,
    folder: TempDir,
    _turn: Turn,
}

impl Machine {
    /// Starts it with these words, then arguments for QEMU, in which `DIR` is its folder.
    fn start(console: &str, arguments: &[&str]) -> Self {
        let turn = Turn::wait();
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let own = folder.path().to_str().expect("it is UTF-8").to_owned();
        let said = File::create(folder.path().join("said")).expect("it is writable");
        let qemu = Command::new(workspace().root.join("qemu-runner.sh"))
            .arg(kernel())
            .args(
                arguments
                    .iter()
                    .map(|argument| argument.replace("DIR", &own)),
            )
            .env("RELAY_SMP", "2")
            .env("RELAY_SERIAL", console.replace("DIR", &own))
            .env("RELAY_EXEC", "1")
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("there are descriptors"))
            .stderr(said)
            .spawn();
        Self {
            qemu: qemu.expect("QEMU starts"),
            folder,
            _turn: turn,
        }
    }

    /// A file in its folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A recorder.
    fn record(&self, from: &str, out: &str) -> Child {
        Command::new(relayctl())
            .args(["record", "--from", from, "--out"])
            .arg(self.path(out))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts")
    }

    /// A recorder that has got a packet of the log, which beats once a second, and then ends.
    fn record_heartbeat(&self, from: &str, out: &str) -> Output {
        let recorder = self.record(from, out);
        let log = self.path(out).join("trace/klog_0");
        wait_for("a packet of the log", || log.exists().then_some(()));
        let id = i32::try_from(recorder.id()).expect("a process number");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
        recorder.wait_with_output().expect("it ends")
    }

    /// Waits for its end: the kernel reports a pass.
    fn pass(&mut self) {
        let status = wait_for("the end", || self.qemu.try_wait().expect("it is ours"));
        let said = fs::read(self.path("said")).expect("it is kept");
        assert_eq!(
            status.code(),
            Some(33),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[test]
fn a_file_behind_a_serial_port_is_a_capture() {
    let args = ["scenario=smoke", "-serial", "file:DIR/line"];
    let mut machine = Machine::start("stdio", &args);
    machine.pass();
    let judged = judged(&machine.path("line"));
    assert_eq!(judged["verdict"], "complete", "{judged}");
    assert_eq!(judged["line"]["damaged"], 0);
    let shown = Command::new(relayctl())
        .arg("cat")
        .arg(machine.path("line"))
        .output();
    let shown = String::from_utf8(shown.expect("relayctl starts").stdout).expect("it is UTF-8");
    assert!(shown.contains("scenario smoke: pass"), "{shown}");
}

/// Everything over one port, behind which QEMU's monitor is, too.
#[test]
fn one_port_that_is_shared_is_a_capture() {
    let mut machine = Machine::start("mon:stdio", &["scenario=flood", "serial=all"]);
    machine.pass();
    let judged = judged(&machine.path("said"));
    assert_eq!(judged["verdict"], "complete", "{judged}");
}

#[test]
fn a_machine_without_any_serial_port_fails() {
    let mut machine = Machine::start("none", &["scenario=smoke"]);
    let status = wait_for("the end", || machine.qemu.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(35), "the kernel reports a failure");
}

#[test]
fn a_socket_that_waits_for_its_reader_gives_all() {
    let args = [
        "scenario=smoke",
        "-serial",
        "unix:DIR/line,server=on,wait=on",
    ];
    let mut machine = Machine::start("stdio", &args);
    let socket = machine.path("line");
    wait_for("the socket", || socket.exists().then_some(()));
    let recorder = machine.record(&format!("unix:{}", socket.display()), "capture");
    machine.pass();
    let left = recorder.wait_with_output().expect("it ends");
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    let judged = judged(&machine.path("capture"));
    assert_eq!(judged["verdict"], "complete", "{judged}");
}

/// Who comes late, and who comes after him, reads what comes from then on: the metadata is
/// repeated.
#[test]
fn readers_of_a_socket_may_come_late() {
    let args = [
        "scenario=idle",
        "-serial",
        "unix:DIR/line,server=on,wait=off",
    ];
    let machine = Machine::start("file:/dev/null", &args);
    let socket = machine.path("line");
    wait_for("the socket", || socket.exists().then_some(()));
    for out in ["first", "second"] {
        // The log has gone on meanwhile, and nobody has read it.
        thread::sleep(Duration::from_millis(300));
        let left = machine.record_heartbeat(&format!("unix:{}", socket.display()), out);
        assert_eq!(left.status.code(), Some(0), "{left:?}");
        let judged = judged(&machine.path(out));
        let total = &judged["total"];
        assert!(total["delivered"].as_u64() > Some(0), "{judged}");
        assert!(total["lost"].as_u64() > Some(0), "{judged}");
        assert_eq!(total["unaccounted"], 0, "{judged}");
    }
}

#[test]
fn a_terminal_gives_what_comes_over_the_line() {
    let machine = Machine::start("file:/dev/null", &["scenario=idle", "-serial", "pty"]);
    let terminal = wait_for("the terminal", || {
        let said = fs::read_to_string(machine.path("said")).expect("it is kept");
        let at = said.find("/dev/pts/")?;
        Some(said[at..].split_whitespace().next()?.to_owned())
    });
    let left = machine.record_heartbeat(&format!("tty:{terminal}"), "capture");
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    let judged = judged(&machine.path("capture"));
    assert!(judged["total"]["delivered"].as_u64() > Some(0), "{judged}");
    assert_eq!(judged["total"]["unaccounted"], 0, "{judged}");
}

/// What `ctl` leaves of a machine that is being recorded there.
fn ctl(capture: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(relayctl());
    let left = command.arg("ctl").arg(capture).args(args).output();
    left.expect("relayctl starts")
}

/// Who records a machine over its line may ask it over the same.
#[test]
fn a_machine_is_asked_over_the_line_that_it_is_recorded_from() {
    for port in ["unix:DIR/line,server=on,wait=on", "pty"] {
        let mut machine = Machine::start(
            "file:DIR/console",
            &["scenario=idle", "seconds=8", "-serial", port],
        );
        let from = match port {
            "pty" => wait_for("the terminal", || {
                let said = fs::read_to_string(machine.path("said")).expect("it is kept");
                let at = said.find("/dev/pts/")?;
                Some(format!("tty:{}", said[at..].split_whitespace().next()?))
            }),
            _ => {
                let socket = machine.path("line");
                wait_for("the socket", || socket.exists().then_some(()));
                format!("unix:{}", socket.display())
            }
        };
        let recorder = machine.record(&from, "capture");
        let capture = machine.path("capture");
        let log = capture.join("trace/klog_0");
        wait_for("a packet of the log", || log.exists().then_some(()));
        let left = ctl(&capture, &["--set", "log=debug", "--list"]);
        let out = String::from_utf8_lossy(&left.stdout);
        assert_eq!(
            out, "log=debug\nlog=debug\ntrace=off\ntrace-snapshot=off\nevlog=all\n",
            "{left:?}"
        );
        assert_eq!(left.status.code(), Some(0), "{left:?}");
        let left = ctl(&capture, &["--set", "log=loud"]);
        assert_eq!(left.status.code(), Some(1), "{left:?}");
        machine.pass();
        let left = recorder.wait_with_output().expect("it ends");
        assert_eq!(left.status.code(), Some(0), "{left:?}");
        assert!(!capture.join("control").exists());
        let judged = judged(&capture);
        assert_eq!(judged["total"]["unaccounted"], 0, "{judged}");
        assert_eq!(judged["line"]["damaged"], 0, "{judged}");
        assert!(judged["line"]["messages"].as_u64() >= Some(3), "{judged}");
        let shown = Command::new(relayctl()).arg("cat").arg(&capture).output();
        let shown = String::from_utf8(shown.expect("relayctl starts").stdout).expect("it is UTF-8");
        let (before, after) = shown
            .split_once("control: log=debug")
            .expect("the log says so");
        assert!(
            !before.contains(" DEBUG ") && after.contains(" DEBUG "),
            "{shown}"
        );
        // Nobody is there any more.
        assert_eq!(ctl(&capture, &["--list"]).status.code(), Some(3));
    }
}

/// A port that carries packets is recorded as ever, and nothing is sent into it.
#[test]
fn a_port_that_is_no_line_is_not_asked() {
    let args = [
        "scenario=idle",
        "seconds=6",
        "-device",
        "virtio-serial-pci,max_ports=4",
        "-chardev",
        "socket,id=relay0,path=DIR/port,server=on,wait=on",
        "-device",
        "virtserialport,chardev=relay0,name=relay.0,nr=1",
    ];
    let mut machine = Machine::start("stdio", &args);
    let socket = machine.path("port");
    wait_for("the socket", || socket.exists().then_some(()));
    let recorder = machine.record(&format!("unix:{}", socket.display()), "capture");
    let capture = machine.path("capture");
    let log = capture.join("trace/klog_0");
    wait_for("a packet of the log", || log.exists().then_some(()));
    let left = ctl(&capture, &["--list"]);
    assert_eq!(left.status.code(), Some(3), "{left:?}");
    let why = String::from_utf8_lossy(&left.stderr);
    assert!(why.contains("no way to the machine"), "{why}");
    machine.pass();
    let left = recorder.wait_with_output().expect("it ends");
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    assert_eq!(judged(&capture)["verdict"], "complete");
}
