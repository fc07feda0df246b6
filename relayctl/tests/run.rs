//! `relayctl run` against a QEMU that is only pretended: what it shows, how it
//! ends, and that nothing is left behind. No guest is needed.

mod synthetic;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// What a good machine prints.
const GOOD: &str = "\
[    0.000120] 0:0 task INFO  kernel main.rs:20: relay kernel
[    0.001000] 0:1 task INFO  kernel::mem heap.rs:9: heap ready: 64 MiB
[    0.002000] 1:0 task INFO  kernel::arch smp.rs:7: cpu 1 up
[    0.003000] 1:1 irq  WARN  kernel::scenario smoke.rs:41: two lines
            | the second
-- cpu 0: end of stream: attempted 2, delivered 2, lost 0 (full 0, too_big 0, wrapped 0, nested 0, closed 0, discarded 0)
-- cpu 1: end of stream: attempted 5, delivered 2, lost 3 (full 3, too_big 0, wrapped 0, nested 0, closed 0, discarded 0)
";

/// Shell commands that print the good machine's text.
fn print_good() -> String {
    format!("cat <<'END'\n{GOOD}END\n")
}

/// A file that looks like a kernel as far as the runner script looks.
fn kernel() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("kernel-{}-{count}", std::process::id()));
    // ELF header: magic, 64 bits, little-endian, version 1; ET_EXEC, EM_X86_64.
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    (header[16], header[18]) = (2, 0x3e);
    fs::write(&path, header).expect("the target folder is writable");
    path
}

/// A folder for a capture that does not exist yet.
fn capture() -> PathBuf {
    kernel().with_extension("capture")
}

/// relayctl with a pretended QEMU that runs `script`.
fn relayctl(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    if !args.contains(&"--out") {
        command.arg("run").arg("--out").arg(capture());
    } else {
        command.arg("run");
    }
    command
        .arg("--kernel")
        .arg(kernel())
        .args(args)
        .env(
            "RELAY_QEMU",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-qemu"),
        )
        .env("FAKE_QEMU", script)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a run left: its exit code, stdout and stderr.
struct Left {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Left {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("relayctl prints UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Runs relayctl to its end.
fn run(script: &str, args: &[&str]) -> Left {
    relayctl(script, args)
        .output()
        .expect("relayctl starts")
        .into()
}

/// Starts relayctl and waits until the pretended QEMU has printed its process
/// number, which the script does first (`echo $$`).
fn start(script: &str, args: &[&str]) -> (Child, Pid, BufReader<impl Read + use<>>) {
    let mut child = relayctl(script, args).spawn().expect("relayctl starts");
    let mut out = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("stdout is readable");
    let number = line.trim().parse().ok().and_then(Pid::from_raw);
    (
        child,
        number.unwrap_or_else(|| panic!("no process number: {line:?}")),
        out,
    )
}

/// Waits until a process is gone.
fn is_gone(process: Pid) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if test_kill_process(process).is_err() {
            return true;
        }
        // Nobody may have waited for it: a zombie is gone, too.
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
        if stat.is_ok_and(|stat| stat.contains(") Z ")) {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("relayctl is running");
}

#[test]
fn a_good_run_shows_the_text_and_the_sums() {
    let left = run(&(print_good() + "exit 33"), &["--smp", "2"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert_eq!(left.out, GOOD);
    assert!(
        left.err.contains("scenario smoke on 2 CPUs: pass"),
        "{}",
        left.err
    );
    assert!(left.err.contains("lost: full 3"), "{}", left.err);
    assert!(left.err.contains("first log line 0."), "{}", left.err);
}

#[test]
fn a_failing_guest_is_1_and_anything_else_is_3() {
    let left = run(&(print_good() + "exit 35"), &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("scenario smoke failed"), "{}", left.err);
    let left = run("echo 'cannot set up guest memory' >&2; exit 1", &[]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(
        left.err.contains("qemu: cannot set up guest memory"),
        "{}",
        left.err
    );
    let left = run(&(print_good() + "exit 0"), &[]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("triple fault"), "{}", left.err);
    let left = run("kill -SEGV $$", &[]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("killed by signal 11"), "{}", left.err);
}

#[test]
fn a_record_that_is_not_accounted_for_fails_a_passing_run() {
    let left = run(&(print_good().replace(" 1:0 ", " 1:9 ") + "exit 33"), &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("problem: cpu 1: "), "{}", left.err);
    let left = run("echo nothing; exit 33", &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("without one log record"), "{}", left.err);
}

#[test]
fn json_is_one_object_on_stdout() {
    let left = run(&(print_good() + "exit 33"), &["--json", "--smp", "2"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert_eq!(left.out.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
    assert_eq!(value["run"]["result"], "pass");
    // The end of the text is the end: nothing is waited for.
    assert!(
        value["run"]["wall_ms"]
            .as_f64()
            .is_some_and(|ms| ms < 1900.0),
        "{value}"
    );
    assert_eq!(value["total"]["attempted"], 7);
    assert_eq!(value["total"]["delivered"], 4);
    assert_eq!(value["total"]["unaccounted"], 0);
    assert_eq!(value["total"]["verdict"], "complete");
    assert_eq!(left.err, GOOD);
}

#[test]
fn quiet_shows_the_sums_only() {
    let left = run(&(print_good() + "exit 33"), &["--quiet"]);
    assert_eq!(
        (left.code, left.out.as_str()),
        (Some(0), ""),
        "{}",
        left.err
    );
    assert!(left.err.contains("smoke on 8 CPUs: pass"), "{}", left.err);
}

#[test]
fn colour_is_for_who_wants_it() {
    let script = print_good() + "exit 33";
    assert!(
        run(&script, &["--color", "always"])
            .out
            .contains("\x1b[33mWARN\x1b[0m")
    );
    for choice in ["auto", "never"] {
        assert_eq!(run(&script, &["--color", choice]).out, GOOD);
    }
}

#[test]
fn a_hostile_guest_cannot_touch_the_terminal_or_the_memory() {
    let script = r"printf '\033]0;owned\007\xff\r\n'
        head -c 20000000 /dev/zero
        printf '\n[    0.000001] 0:0 task INFO  m f.rs:1: \033[2J\n'
        printf '[    0.000001] 9999:0 task INFO  m f.rs:1: x'
        exit 33";
    let left = run(script, &[]);
    assert!(!left.out.contains('\x1b') && !left.out.contains('\0') && !left.out.contains('\r'));
    assert!(
        left.out.starts_with("\\x1b]0;owned\\x07\\xff\n"),
        "{:?}",
        &left.out[..60]
    );
    assert!(
        left.out
            .contains(&format!("[cut: {} more bytes]\n", 20_000_000 - 65536))
    );
    assert!(
        left.out
            .ends_with("f.rs:1: \\x1b[2J\n[    0.000001] 9999:0 task INFO  m f.rs:1: x\n")
    );
    // The last line is not whole, so it is no record.
    assert_eq!(left.code, Some(0), "{}", left.err);
}

#[test]
fn backtraces_need_no_symbols() {
    let script = "echo '[    0.000001] 0:0 task ERROR m f.rs:1:   #0 0xffffffff80201234'; exit 35";
    let left = run(script, &[]);
    assert_eq!(left.code, Some(1));
    assert!(
        left.out.ends_with("  #0 0xffffffff80201234\n"),
        "{}",
        left.out
    );
}

#[test]
fn the_time_limit_ends_the_guest() {
    let (child, qemu, _out) = start("echo $$; exec sleep 1000", &["--timeout", "1"]);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("did not end within 1 s"), "{}", left.err);
    assert!(is_gone(qemu));
}

#[test]
fn an_interrupt_ends_the_guest() {
    for (scenario, signal, code) in [
        ("idle", Signal::INT, 0),
        ("smoke", Signal::INT, 3),
        ("idle", Signal::TERM, 0),
    ] {
        let (child, qemu, _out) = start("echo $$; exec sleep 1000", &["--scenario", scenario]);
        send(&child, signal);
        let left: Left = child.wait_with_output().expect("relayctl ends").into();
        assert_eq!(left.code, Some(code), "{scenario}: {}", left.err);
        assert!(left.err.contains("interrupted"), "{}", left.err);
        assert!(
            left.err.contains(&format!("scenario {scenario} on 8 CPUs")),
            "{}",
            left.err
        );
        assert!(is_gone(qemu));
    }
}

#[test]
fn a_guest_that_does_not_want_to_end_is_killed() {
    let script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    let (child, qemu, _out) = start(script, &["--scenario", "idle"]);
    send(&child, Signal::INT);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(is_gone(qemu));
}

#[test]
fn a_second_interrupt_ends_everything_at_once() {
    let script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    let (mut child, qemu, _out) = start(script, &["--scenario", "idle"]);
    // Two different ones: two of the same kind could arrive as one.
    send(&child, Signal::INT);
    send(&child, Signal::TERM);
    let begin = Instant::now();
    assert_eq!(child.wait().expect("relayctl ends").code(), Some(3));
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(is_gone(qemu));
}

#[test]
fn no_qemu_survives_relayctl() {
    let (mut child, qemu, _out) = start("echo $$; exec sleep 1000", &[]);
    send(&child, Signal::KILL);
    child.wait().expect("relayctl ends");
    assert!(is_gone(qemu));
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    // A scenario that ends by itself goes on to its end.
    let script = format!("echo $$; sleep 0.3; {} sleep 0.2; exit 33", print_good());
    let (child, _, out) = start(&script, &[]);
    drop(out);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(left.err.contains("smoke on 8 CPUs: pass"), "{}", left.err);
    // An endless one has nobody left to run for.
    let script = "echo $$; while :; do echo more; sleep 0.1; done";
    let (child, qemu, out) = start(script, &["--scenario", "idle"]);
    drop(out);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(is_gone(qemu));
}

#[test]
fn the_options_reach_qemu() {
    let script = r#"printf '%s\n' "$@"; exit 35"#;
    let args = [
        "--smp",
        "3",
        "--memory",
        "512",
        "--scenario",
        "idle",
        "--set",
        "seed=1",
    ];
    let left = run(
        script,
        &[&args[..], &["--set", "x=a,b", "--", "-d", "two words"]].concat(),
    );
    let has = |words: &[&str]| left.out.contains(&(words.join("\n") + "\n"));
    assert!(has(&["-smp", "3"]), "{}", left.out);
    assert!(has(&["-m", "512M"]), "{}", left.out);
    assert!(
        has(&["-append", "scenario=idle seed=1 x=a,b"]),
        "{}",
        left.out
    );
    assert!(has(&["-d", "two words"]), "{}", left.out);
}

#[test]
fn gdb_is_explained_and_waited_for() {
    let left = run(r#"printf '%s\n' "$@"; exit 35"#, &["--gdb"]);
    assert!(left.out.contains("-s\n-S\n"), "{}", left.out);
    assert!(
        left.err.contains("gdb -ex 'target remote :1234' /"),
        "{}",
        left.err
    );
}

#[test]
fn wrong_arguments_are_2_and_missing_things_are_3() {
    assert_eq!(run("", &["--smp", "33"]).code, Some(2));
    assert_eq!(run("", &["--gdb", "--timeout", "3"]).code, Some(2));
    let long = format!("k={}", "x".repeat(3000));
    assert_eq!(run("", &["--set", &long]).code, Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    let left: Left = command
        .args(["--kernel", "/nonexistent"])
        .output()
        .expect("relayctl starts")
        .into();
    assert_eq!(left.code, Some(3));
    assert!(
        left.err.contains("/nonexistent: No such file"),
        "{}",
        left.err
    );
    if fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        let left = run("", &["--accel", "kvm"]);
        assert_eq!(left.code, Some(3));
        assert!(
            left.err.contains("--accel kvm needs /dev/kvm"),
            "{}",
            left.err
        );
    }
}

#[test]
fn a_file_that_is_no_kernel_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    command
        .arg("--kernel")
        .arg(file!().rsplit_once('/').map_or("run.rs", |(_, name)| name));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    command.env("RELAY_QEMU", "/bin/false");
    let left: Left = command.output().expect("relayctl starts").into();
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("is not an ELF file"), "{}", left.err);
}

#[test]
fn what_may_not_be_installed_is_named() {
    let left: Left = relayctl("", &[])
        .env_remove("RELAY_QEMU")
        .env("PATH", "/nonexistent")
        .env("RELAY_INSTALL", "never")
        .env("CI", "true")
        .output()
        .expect("relayctl starts")
        .into();
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(
        left.err.contains("qemu-system-x86_64 is missing"),
        "{}",
        left.err
    );
}

/// A run whose pretended QEMU has ports: `fill` gets QEMU's arguments and the
/// ports, that for panics last, then QEMU prints the good text and does `end`. Returns what is left, the
/// text that was shown, and the capture.
fn run_with_ports(
    smp: usize,
    end: &str,
    fill: impl FnOnce(&[String], &mut Vec<UnixStream>),
) -> (Left, String, PathBuf) {
    let out = capture();
    let done = out.with_extension("done");
    // Prints QEMU's arguments, then waits like a machine that runs.
    let script = format!(
        "for arg; do echo \"$arg\"; done; echo ready
         until [ -e '{}' ]; do sleep 0.05; done; {} {end}",
        done.display(),
        print_good(),
    );
    let folder = out.to_str().expect("it is text");
    let mut child = relayctl(&script, &["--smp", &smp.to_string(), "--out", folder])
        .spawn()
        .expect("relayctl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
    let arguments: Vec<String> = lines
        .by_ref()
        .map(|line| line.expect("it is text"))
        .take_while(|line| line != "ready")
        .collect();
    let mut ports = Vec::new();
    for port in 0..=smp {
        let start = format!("socket,id=relay{port},path=");
        let path = arguments.iter().find_map(|arg| arg.strip_prefix(&start));
        let path = path.unwrap_or_else(|| panic!("{arguments:?}"));
        ports.push(UnixStream::connect(path).expect("relayctl listens"));
    }
    fill(&arguments, &mut ports);
    drop(ports);
    fs::write(&done, "").expect("it is writable");
    let shown: String = lines.map(|line| line.expect("it is text") + "\n").collect();
    let left = child.wait_with_output().expect("relayctl ends").into();
    (left, shown, out)
}

/// Runs `verify`, and returns the exit code and the judgement.
fn verify(folder: &std::path::Path) -> (Option<i32>, String) {
    let left = synthetic::relayctl(&["verify".as_ref(), folder.as_os_str()]);
    let last = left.out.lines().last().unwrap_or_default().to_owned();
    (left.code, last)
}

#[test]
fn every_port_is_captured() {
    let (left, shown, out) = run_with_ports(2, "exit 33", |arguments, ports| {
        let device = "virtio-serial-pci,max_ports=4,";
        assert!(
            arguments.iter().any(|arg| arg.starts_with(device)),
            "{arguments:?}"
        );
        let devices = arguments
            .iter()
            .filter(|arg| arg.starts_with("virtserialport,"));
        assert_eq!(
            devices.collect::<Vec<_>>(),
            [
                "virtserialport,chardev=relay0,name=relay.0,nr=1",
                "virtserialport,chardev=relay1,name=relay.1,nr=2",
                "virtserialport,chardev=relay2,name=relay.panic,nr=3"
            ]
        );
        // The streams of CPU 1 come on port 1, before the metadata on port 0.
        let packets = synthetic::small();
        let on_port_1 = |packet: &&Vec<u8>| packet[20] != 0 && packet[80] == 1;
        for packet in packets.iter().filter(on_port_1) {
            ports[1].write_all(packet).expect("relayctl reads");
        }
        thread::sleep(Duration::from_millis(100));
        for packet in packets.iter().filter(|packet| !on_port_1(packet)) {
            ports[0].write_all(packet).expect("relayctl reads");
        }
        ports[0]
            .write_all(b"the end of a packet")
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert_eq!(shown, GOOD);
    assert!(
        left.err.contains(": complete, 33 records in 12 packets"),
        "{}",
        left.err
    );
    let log = fs::read_to_string(out.join("console.log")).expect("it is kept");
    assert!(log.ends_with(GOOD), "{log}");
    let fragment = fs::read(out.join("fragments/0")).expect("it is kept");
    assert_eq!(fragment, b"the end of a packet");
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(
        (&run["result"], &run["verdict"]),
        (&"pass".into(), &"complete".into())
    );
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
}

#[test]
fn a_broken_capture_is_a_failure() {
    let (left, _, out) = run_with_ports(1, "exit 33", |_, ports| {
        let mut packets = synthetic::small();
        packets.remove(6);
        ports[0]
            .write_all(&packets.concat())
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(
        left.err.contains("problem: capture: klog_0 at "),
        "{}",
        left.err
    );
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
}

#[test]
fn a_guest_that_is_killed_leaves_an_open_capture() {
    let (left, _, out) = run_with_ports(1, "kill -9 $$", |_, ports| {
        // In the middle of CPU 1's second packet of the log.
        let bytes = synthetic::small()[..13].concat();
        ports[0]
            .write_all(&bytes[..bytes.len() - 50])
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("killed by signal 9"), "{}", left.err);
    assert!(left.err.contains(": open, "), "{}", left.err);
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
    assert!(out.join("fragments/0").is_file());
}

#[test]
fn what_a_panic_sends_is_captured_behind_what_came_before() {
    let (left, _, out) = run_with_ports(1, "exit 35", |_, ports| {
        let mut packets = synthetic::small();
        // The last two packets of klog_0 are salvaged, and so is the one before, which comes once
        // more: first of all.
        let klog: Vec<usize> = (0..packets.len())
            .filter(|&at| (packets[at][20], packets[at][80]) == (1, 0))
            .collect();
        for &at in &klog {
            ports[1]
                .write_all(&synthetic::salvaged(&packets[at]))
                .expect("relayctl reads");
        }
        thread::sleep(Duration::from_millis(100));
        packets.remove(klog[2]);
        packets.remove(klog[1]);
        ports[0]
            .write_all(&packets.concat())
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(
        left.err.contains(": complete, 33 records in 12 packets"),
        "{}",
        left.err
    );
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
    let made = &run["capture"];
    assert_eq!(
        (&made["salvaged"], &made["doubles"]),
        (&2.into(), &1.into())
    );
    assert!(!out.join("salvaged").exists());
    assert!(!out.join("fragments").exists());
}

#[test]
fn without_a_transport_there_are_no_ports() {
    let script = "for arg; do echo \"$arg\"; done; exit 33";
    let left = run(script, &["--transport", "none"]);
    assert!(!left.out.contains("virtio-serial"), "{}", left.out);
    assert!(
        left.err
            .contains("no records came beside the console's text"),
        "{}",
        left.err
    );
}

#[test]
fn an_existing_folder_is_not_written_to() {
    let out = capture();
    fs::create_dir_all(out.join("trace")).expect("it is writable");
    let left = run("exit 33", &["--out", out.to_str().unwrap()]);
    assert_eq!(left.code, Some(2), "{}", left.err);
    assert!(left.err.contains("--force"), "{}", left.err);
}

#[test]
fn the_runner_refuses_ports_that_end_nowhere() {
    for (ports, socket) in [
        ("1", ""),
        ("1", "/nonexistent"),
        ("31", "/dev/null"),
        ("x", ""),
    ] {
        let mut runner = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu-runner.sh"));
        runner.arg(kernel()).env("RELAY_QEMU", "true");
        runner
            .env("RELAY_PORTS", ports)
            .env("RELAY_PORTS_SOCKET", socket);
        let left: Left = runner.output().expect("there is a shell").into();
        assert_eq!(left.code, Some(3), "{ports} {socket}");
        assert!(left.err.contains("RELAY_PORTS"), "{}", left.err);
    }
}
