//! `cat --follow`: captures and raw bytes that are shown while they grow.

mod captures;
mod sources;
#[path = "../synthetic/mod.rs"]
mod synthetic;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay_decode::capture::{Capture, Keep, Options, Port};
use relay_decode::wire::Kind;
use serde_json::json;
use synthetic::{Stream, capture, folder, metadata, metadata_packets, relayctl, small};

/// After this a follower that says nothing is given up: nothing that is right takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `cat --follow` that runs.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Starts it.
    fn start(args: &[&str], path: &Path, stdin: Stdio) -> Self {
        let (child, stdout) = spawn(args, path, stdin);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line.expect("it prints UTF-8")).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line; panics if none comes.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// Waits for its end: exit code, the lines that were not taken, and stderr.
    fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.child.kill().expect("it can be ended");
                    panic!("it does not end; it said {lines:?}");
                }
            }
        }
        let (code, err) = wait(self.child);
        (code, lines, err)
    }

    /// Sends the signal of Ctrl-C.
    fn interrupt(&self) {
        interrupt(&self.child);
    }
}

/// Starts `cat --follow`.
fn spawn(args: &[&str], path: &Path, stdin: Stdio) -> (Child, ChildStdout) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "--follow"])
        .args(args)
        .arg(path)
        .env_remove("NO_COLOR")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts");
    let stdout = child.stdout.take().expect("it is piped");
    (child, stdout)
}

/// Sends the signal of Ctrl-C.
fn interrupt(child: &Child) {
    let id = child.id().try_into().ok().map(Pid::from_raw);
    kill(id.expect("a child has a number"), Signal::SIGINT).expect("it runs");
}

/// Waits for an end that is near: exit code and stderr.
fn wait(mut child: Child) -> (Option<i32>, String) {
    let mut err = String::new();
    let stderr = child.stderr.as_mut().expect("it is piped");
    stderr.read_to_string(&mut err).expect("it prints UTF-8");
    (child.wait().expect("it ends").code(), err)
}

/// A capture that is being made: nothing has come yet.
fn growing(name: &str) -> (PathBuf, Capture, Port) {
    let out = folder(name).join("capture");
    let capture = Capture::create(&Options {
        announce: |what| panic!("{what}"),
        ..Options::new(&out, Kind::Live)
    });
    let capture = capture.expect("the target folder is writable");
    let port = capture.port(0);
    (out, capture, port)
}

/// The metadata of a machine with two CPUs.
fn two_cpus() -> Vec<u8> {
    metadata_packets(&metadata(2), 1 << 20).concat()
}

/// A packet of the log with one message.
fn say(klog: &mut Stream, ticks: u64, message: &str) -> Vec<u8> {
    klog.klog(ticks, 0, 3, 1, ["m", "f", message]);
    klog.packet(ticks + 1, 0)
}

/// Follows messages only.
const MESSAGES: [&str; 2] = ["--log-format", "{msg}"];
