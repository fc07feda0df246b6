//! relayctl with a QEMU that is only pretended: a shell script.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) use super::synthetic::Left;

/// What a good machine prints.
pub(crate) const GOOD: &str = "\
[    0.000120] 0:0 task INFO  kernel main.rs:20: relay kernel
[    0.001000] 0:1 task INFO  kernel::mem heap.rs:9: heap ready: 64 MiB
[    0.002000] 1:0 task INFO  kernel::arch smp.rs:7: cpu 1 up
[    0.003000] 1:1 irq  WARN  kernel::scenario smoke.rs:41: two lines
            | the second
-- cpu 0: end of stream: attempted 2, delivered 2, lost 0 (full 0, too_big 0, wrapped 0, nested 0, closed 0, discarded 0)
-- cpu 1: end of stream: attempted 5, delivered 2, lost 3 (full 3, too_big 0, wrapped 0, nested 0, closed 0, discarded 0)
";

/// Shell commands that print the good machine's text.
pub(crate) fn print_good() -> String {
    format!("cat <<'END'\n{GOOD}END\n")
}

/// A file that looks like a kernel as far as the runner script looks.
pub(crate) fn kernel() -> PathBuf {
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
pub(crate) fn capture() -> PathBuf {
    kernel().with_extension("capture")
}

/// relayctl with a pretended QEMU that runs `script`.
pub(crate) fn relayctl(script: &str, args: &[&str]) -> Command {
    let args: Vec<_> = args.iter().map(OsStr::new).collect();
    relayctl_with(script, &args)
}

/// The same, with arguments that need not be UTF-8.
pub(crate) fn relayctl_with(script: &str, args: &[&OsStr]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    command.arg("run");
    if !args.contains(&OsStr::new("--out")) {
        command.arg("--out").arg(capture());
    }
    if !args.contains(&OsStr::new("--kernel")) {
        command.arg("--kernel").arg(kernel());
    }
    command
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

/// Runs relayctl to its end.
pub(crate) fn run(script: &str, args: &[&str]) -> Left {
    relayctl(script, args)
        .output()
        .expect("relayctl starts")
        .into()
}

/// Starts relayctl and waits until the pretended QEMU has printed its process
/// number, which the script does first (`echo $$`).
pub(crate) fn start(script: &str, args: &[&str]) -> (Child, Pid, BufReader<impl Read + use<>>) {
    let mut child = relayctl(script, args).spawn().expect("relayctl starts");
    let mut out = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("stdout is readable");
    let number = line.trim().parse().ok().map(Pid::from_raw);
    (
        child,
        number.unwrap_or_else(|| panic!("no process number: {line:?}")),
        out,
    )
}

/// Waits until a process is gone.
pub(crate) fn is_gone(process: Pid) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if kill(process, None).is_err() {
            return true;
        }
        // Nobody may have waited for it: a zombie is gone, too.
        let stat = fs::read_to_string(format!("/proc/{}/stat", process));
        if stat.is_ok_and(|stat| stat.contains(") Z ")) {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

pub(crate) fn send(child: &Child, signal: Signal) {
    let number = i32::try_from(child.id()).expect("a process number");
    kill(Pid::from_raw(number), signal).expect("relayctl is running");
}
