//! Commands that are run for notifications: so many at once, for so long.

use std::collections::VecDeque;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::args::WatchArgs;
use crate::terminal::say;

/// How many notifications wait for those that run.
const MAX_WAITING: usize = 64;

/// How often is looked for the end of what runs.
const LOOK: Duration = Duration::from_millis(10);

/// Runs a command for each notification.
///
/// Each gets its line as a file, which has no writer that would wait for a reader.
#[derive(Debug)]
pub(super) struct Runner {
    command: String,
    jobs: usize,
    timeout: Duration,
    running: Vec<Job>,
    waiting: VecDeque<Vec<u8>>,
    pub(super) counts: Counts,
    /// Whether the user has seen enough.
    stop: Arc<AtomicBool>,
}

/// How the commands ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// They were started.
    pub(super) started: u64,
    /// Not as they should.
    pub(super) failed: u64,
    /// They took too long, or the user has seen enough.
    pub(super) killed: u64,
    /// They could not be started, or the user did not wait for it.
    pub(super) not_started: u64,
    /// How the last one ended.
    pub(super) last: Option<ExitStatus>,
}

/// A command that runs.
#[derive(Debug)]
struct Job {
    child: Child,
    started: Instant,
    is_killed: bool,
}

impl Job {
    /// Ends it, and what it started: they have a group of their own.
    fn kill(&mut self) {
        self.is_killed = true;
        let group = i32::try_from(self.child.id()).ok().map(Pid::from_raw);
        // It was not waited for, so that the number is still its own.
        let killed = group.map(|group| killpg(group, Signal::SIGKILL));
        if !matches!(killed, Some(Ok(()))) {
            // It has ended, then.
            let _ = self.child.kill();
        }
    }
}

impl Runner {
    /// Nothing runs yet.
    pub(super) fn new(command: &str, args: &WatchArgs, stop: &Arc<AtomicBool>) -> Self {
        Self {
            command: command.to_owned(),
            jobs: args.jobs.into(),
            timeout: Duration::from_secs(args.timeout.into()),
            running: Vec::new(),
            waiting: VecDeque::new(),
            counts: Counts::default(),
            stop: Arc::clone(stop),
        }
    }

    /// Runs the command for a line, or lets that wait; false if too many wait.
    pub(super) fn send(&mut self, line: &[u8]) -> bool {
        self.look();
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        self.waiting.push_back(line.to_owned());
        self.look();
        true
    }

    /// Looks for what has ended, ends what takes too long, and starts what waits.
    pub(super) fn look(&mut self) {
        let (timeout, counts) = (self.timeout, &mut self.counts);
        self.running.retain_mut(|job| {
            if !job.is_killed && job.started.elapsed() >= timeout {
                job.kill();
            }
            match job.child.try_wait() {
                Ok(None) => true,
                Ok(Some(status)) => {
                    counts.killed += u64::from(job.is_killed);
                    counts.failed += u64::from(!job.is_killed && !status.success());
                    counts.last = Some(status);
                    false
                }
                // There is no such child any more.
                Err(_) => false,
            }
        });
        while self.running.len() < self.jobs
            && let Some(line) = self.waiting.pop_front()
        {
            self.start(&line);
        }
    }

    /// Runs the command.
    fn start(&mut self, line: &[u8]) {
        let started = input(line).and_then(|input| {
            let mut command = Command::new("sh");
            command.arg("-c").arg(&self.command).stdin(input);
            command.process_group(0).spawn()
        });
        match started {
            Ok(child) => {
                self.counts.started += 1;
                self.running.push(Job {
                    child,
                    started: Instant::now(),
                    is_killed: false,
                });
            }
            Err(error) => {
                if self.counts.not_started == 0 {
                    say(format!("a command cannot be started: {error}"));
                }
                self.counts.not_started += 1;
            }
        }
    }

    /// Waits until nothing runs or waits any more; all is ended when the user has seen enough.
    pub(super) fn finish(&mut self) {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                self.counts.not_started += self.waiting.len() as u64;
                self.waiting.clear();
                let running = self.running.iter_mut();
                running.filter(|job| !job.is_killed).for_each(Job::kill);
            }
            self.look();
            if self.running.is_empty() && self.waiting.is_empty() {
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        for job in &mut self.running {
            job.kill();
            // It ends at once.
            let _ = job.child.wait();
        }
    }
}

/// A file with a line, at its beginning.
fn input(line: &[u8]) -> io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(line)?;
    file.rewind()?;
    Ok(file)
}
