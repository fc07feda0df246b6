//! End to end tests of relay: the kernel in QEMU against relayctl on the host.
//!
//! The tests drive the `relayctl` program, the way a user does, and read what
//! it prints with relayctl's own parser. One guest runs at a time on a machine:
//! the kernel's time-outs and the host's measurements mean nothing when several
//! share two cores. What the machine lacks is installed by relayctl's own rules.

#![forbid(unsafe_code)]

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay_decode::console::{Line, Record};
use relay_format::Severity;
use relay_machine::install::{self, BABELTRACE, Need, RSYSLOG, RealSystem};
use relay_machine::workspace::{Build, Machine, Workspace};
use serde_json::Value;
use tempfile::TempDir;

/// How long relayctl may be silent. It gives up a silent guest by itself, earlier.
const PATIENCE: Duration = Duration::from_secs(150);

/// How many lines of the log a failing test shows.
const TAIL: usize = 60;

/// The exit code for what is neither a pass nor a failure of the kernel.
const INFRASTRUCTURE: i32 = 3;

/// The workspace under test.
#[must_use]
pub fn workspace() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::find().expect("the tests lie in the workspace");
        ensure(&workspace, &[Need::RustTarget, Need::Qemu]);
        workspace
    })
}

/// Installs what is missing, or fails.
fn ensure(workspace: &Workspace, needs: &[Need]) {
    let mut system = RealSystem {
        folder: workspace.root.clone(),
        say: |what| eprintln!("{what}"),
    };
    install::ensure(&mut system, needs).unwrap_or_else(|error| panic!("{error}"));
}

/// The text that babeltrace2 makes of a trace, of which it has nothing to complain but lost
/// records.
///
/// # Panics
///
/// When it cannot be installed, or complains.
#[must_use]
pub fn babeltrace(trace: &Path, args: &[&str]) -> Vec<u8> {
    ensure(workspace(), &[Need::Babeltrace]);
    let output = Command::new(BABELTRACE)
        .args(args)
        .arg(trace)
        .output()
        .expect("babeltrace2 starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = errors.lines();
    let others: Vec<_> = lines.filter(|line| !line.contains("discarded")).collect();
    assert!(output.status.success() && others.is_empty(), "{others:#?}");
    output.stdout
}

/// A syslog daemon that runs in the foreground, with this configuration, which lies in `folder` like
/// all else of it.
///
/// # Panics
///
/// When it cannot be installed, or does not start.
#[must_use]
pub fn rsyslog(folder: &Path, configuration: &str) -> Child {
    ensure(workspace(), &[Need::Rsyslog]);
    let file = folder.join("rsyslog.conf");
    std::fs::write(&file, configuration).expect("the folder is writable");
    Command::new(RSYSLOG)
        .arg("-n")
        .arg("-f")
        .arg(&file)
        .arg("-i")
        .arg(folder.join("rsyslog.pid"))
        .stdin(Stdio::null())
        .spawn()
        .expect("rsyslogd starts")
}

/// The kernel and its programs, built once for all tests.
fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| {
        workspace()
            .build_machine(false, &[], false)
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

/// The kernel's ELF file, built once for all tests.
#[must_use]
pub fn kernel() -> &'static Path {
    &machine().kernel
}

/// The archive of the kernel's programs, built once for all tests.
#[must_use]
pub fn ramdisk() -> &'static Path {
    &machine().ramdisk
}

/// The ELF file of a kernel with relay's phases, which can tell where in a write an interrupt came;
/// built once for all tests, in a folder of its own.
#[must_use]
pub fn stress_kernel() -> &'static Path {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    let machine = MACHINE.get_or_init(|| {
        workspace()
            .build_machine(false, &["stress"], false)
            .unwrap_or_else(|error| panic!("{error}"))
    });
    &machine.kernel
}

/// The relayctl program, built once for all tests.
#[must_use]
pub fn relayctl() -> &'static Path {
    static RELAYCTL: OnceLock<PathBuf> = OnceLock::new();
    RELAYCTL.get_or_init(|| {
        let build = Build {
            features: &[],
            package: "relayctl",
            target: None,
            release: false,
            quiet: false,
        };
        workspace()
            .build(&build)
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

/// The right to run a guest. Dropping it lets the next test have it.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

impl Turn {
    /// Waits until no other test on this machine runs a guest: not in this
    /// process, not in another.
    #[must_use]
    pub fn wait() -> Self {
        let user = nix::unistd::getuid();
        let path = env::temp_dir().join(format!("relay-e2e-{user}.lock"));
        let file = File::create(&path).expect("the temporary folder is writable");
        file.lock().expect("the lock can be waited for");
        Self(file)
    }
}

/// A relayctl that runs.
#[derive(Debug)]
pub struct Session {
    /// The process.
    child: Child,
    /// Lines as they come: from stdout or stderr.
    lines: Receiver<(Stream, String)>,
    /// The lines seen so far.
    left: Run,
    /// Held while the guest runs.
    _turn: Turn,
    /// Where the capture goes, if no test asked for it.
    folder: Option<TempDir>,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Session {
    /// Starts relayctl with the shared kernel, unless they name another: `--json`, so that the summary is
    /// on stdout and the console on stderr.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        let turn = Turn::wait();
        let mut command = Command::new(relayctl());
        command.args(["run", "--json"]).args(args);
        if !args.contains(&"--kernel") {
            command.arg("--kernel").arg(kernel());
        }
        // Captures that no test asked for do not pile up in the workspace.
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        if !args.contains(&"--out") {
            command.arg("--out").arg(folder.path()).arg("--force");
        }
        let mut session = Self::spawn(command, turn);
        session.folder = Some(folder);
        session
    }

    /// Starts any command that boots a guest.
    #[must_use]
    pub fn spawn(mut command: Command, turn: Turn) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.current_dir(&workspace().root);
        let mut child = command.spawn().expect("the command starts");
        let (sender, lines) = mpsc::channel();
        let forward = |stream, pipe: Option<Box<dyn Read + Send>>| {
            let sender = sender.clone();
            let pipe = BufReader::new(pipe.expect("it is a pipe"));
            thread::spawn(move || {
                for line in pipe.split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if sender.send((stream, line)).is_err() {
                        break;
                    }
                }
            });
        };
        forward(
            Stream::Out,
            child.stdout.take().map(|pipe| Box::new(pipe) as _),
        );
        forward(
            Stream::Err,
            child.stderr.take().map(|pipe| Box::new(pipe) as _),
        );
        let mut left = Run::default();
        left.what = format!("{command:?}");
        Self {
            child,
            lines,
            left,
            _turn: turn,
            folder: None,
        }
    }

    /// Waits for a line on either stream that contains `text`.
    ///
    /// # Panics
    ///
    /// When the command ends or makes no progress before such a line.
    pub fn wait_for(&mut self, text: &str) {
        while let Some(line) = self.next_line() {
            if line.contains(text) {
                return;
            }
        }
        panic!("no line with {text:?} before the end");
    }

    /// Sends relayctl a signal.
    pub fn send(&self, signal: Signal) {
        let number = i32::try_from(self.child.id()).expect("a process number");
        kill(Pid::from_raw(number), signal).expect("relayctl is running");
    }

    /// The processes that relayctl has started.
    #[must_use]
    pub fn children(&self) -> Vec<Pid> {
        let number = self.child.id();
        let path = format!("/proc/{number}/task/{number}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let numbers = children
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok());
        numbers.map(Pid::from_raw).collect()
    }

    /// Waits for the end of the command.
    ///
    /// # Panics
    ///
    /// When it makes no progress.
    #[must_use]
    pub fn end(mut self) -> Run {
        while self.next_line().is_some() {}
        let status = self.child.wait().expect("the command can be waited for");
        self.left.code = status.code();
        std::mem::take(&mut self.left)
    }

    /// The next line, or `None` at the end of both streams.
    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok((stream, line)) => {
                match (stream, line.strip_prefix("relayctl: ")) {
                    (Stream::Out, _) => self.left.out.push(line.clone()),
                    (Stream::Err, Some(talk)) => self.left.talk.push(talk.to_owned()),
                    (Stream::Err, None) => self.left.console.push(line.clone()),
                }
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no output for {} s", PATIENCE.as_secs())
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Only a test that failed half way leaves it running; QEMU goes with it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What a run left. If the test that holds it fails, the end of the log is shown.
#[derive(Debug, Default)]
pub struct Run {
    /// The command.
    what: String,
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its lines on stdout: with `--json` the summary.
    pub out: Vec<String>,
    /// Its lines on stderr that are not its own talk: with `--json` the console.
    pub console: Vec<String>,
    /// What relayctl had to say.
    pub talk: Vec<String>,
}

impl Run {
    /// Checks the exit code.
    ///
    /// # Panics
    ///
    /// When it is another one.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "exit code");
    }

    /// The summary.
    ///
    /// # Panics
    ///
    /// When stdout is not one JSON object.
    #[must_use]
    #[track_caller]
    pub fn summary(&self) -> Value {
        let [line] = self.out.as_slice() else {
            panic!("stdout is not one line: {:?}", self.out)
        };
        serde_json::from_str(line).expect("the summary is JSON")
    }

    /// The log records in the order of the console.
    #[must_use]
    pub fn records(&self) -> Vec<Record<'_>> {
        let lines = self.console.iter().map(|line| Line::parse(line));
        lines
            .filter_map(|line| {
                if let Line::Record(r) = line {
                    Some(r)
                } else {
                    None
                }
            })
            .collect()
    }

    /// The first record whose message starts with `begin`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn record(&self, begin: &str) -> Record<'_> {
        let found = self
            .records()
            .into_iter()
            .find(|record| record.message.starts_with(begin));
        found.unwrap_or_else(|| panic!("no record starts with {begin:?}"))
    }

    /// Whether a record of at least this severity contains `text`.
    #[must_use]
    pub fn has(&self, severity: Severity, text: &str) -> bool {
        let records = self.records();
        records
            .iter()
            .any(|r| r.severity <= severity && r.message.contains(text))
    }

    /// Checks that every stream of CPUs `0..smp` was closed and that every record
    /// of every CPU is accounted for, by relayctl's count and by this one.
    ///
    /// # Panics
    ///
    /// When that is not so.
    #[track_caller]
    pub fn assert_complete(&self, smp: u32) {
        let summary = self.summary();
        assert_eq!(summary["total"]["unaccounted"], 0, "unaccounted records");
        assert_eq!(
            summary["total"]["verdict"], "complete",
            "{}",
            summary["run"]["problems"]
        );
        let cpus: Vec<_> = summary["channels"][0]["cpus"]
            .as_array()
            .expect("a list")
            .clone();
        let numbers: Vec<_> = cpus.iter().filter_map(|cpu| cpu["cpu"].as_u64()).collect();
        assert_eq!(
            numbers,
            (0..u64::from(smp)).collect::<Vec<_>>(),
            "CPUs with records"
        );
        let records = self.records();
        for (cpu, stream) in (0..smp).zip(&cpus) {
            let numbers: Vec<_> = records
                .iter()
                .filter(|r| r.cpu == cpu)
                .map(|r| r.number)
                .collect();
            let count = numbers.len() as u64;
            assert_eq!(
                numbers,
                (0..count).collect::<Vec<_>>(),
                "record numbers of CPU {cpu}"
            );
            assert_eq!(stream["delivered"], count, "records of CPU {cpu}");
        }
    }

    /// Prints the end of everything that was said.
    fn show_tail(&self) {
        eprintln!("---- {}\n---- exit code: {:?}", self.what, self.code);
        for (name, lines) in [
            ("console", &self.console),
            ("talk", &self.talk),
            ("stdout", &self.out),
        ] {
            let skipped = lines.len().saturating_sub(TAIL);
            eprintln!("---- {name} ({skipped} lines before these)");
            for line in &lines[skipped..] {
                eprintln!("{line}");
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if thread::panicking() && !self.what.is_empty() {
            self.show_tail();
        }
    }
}

/// Boots the shared kernel and waits for the end.
///
/// What ends as an infrastructure failure is tried once more: on a busy machine
/// QEMU may starve. What the kernel itself says is final.
#[must_use]
pub fn boot(args: &[&str]) -> Run {
    let run = boot_once(args);
    if run.code != Some(INFRASTRUCTURE) {
        return run;
    }
    eprintln!("an infrastructure failure, trying once more:");
    run.show_tail();
    boot_once(args)
}

/// Boots the shared kernel and waits for the end, whatever it is.
#[must_use]
pub fn boot_once(args: &[&str]) -> Run {
    Session::start(args).end()
}

/// Waits until a process is gone (or is a zombie that somebody else has to collect).
#[must_use]
pub fn is_gone(process: Pid) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process));
        if kill(process, None).is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")) {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}
