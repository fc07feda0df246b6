//! One run: its process, and what is wrong with how it ended.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::pause::Pauses;
use super::{Pause, Stop, Totals};
use crate::exit::Exit;

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The most bytes of packets that a run may leave.
const MAX_SIZE: &str = "16G";

/// How much of what a run says is shown if it went wrong, in bytes.
const TAIL: usize = 2000;

/// Why nobody knows how a run went.
#[derive(Debug)]
pub(crate) enum RoundError {
    /// Its process, or a file for its messages, could not be had.
    Process(io::Error),
    /// The user asked to stop.
    Stopped,
    /// The run itself could not be made: the build, QEMU, or a wrong setting.
    Exit {
        /// How its process ended.
        status: ExitStatus,
        /// The last that it said.
        said: String,
    },
}

impl fmt::Display for RoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(error) => write!(f, "the run could not be started: {error}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Exit { status, said } => write!(f, "the run was not made ({status}): {said}"),
        }
    }
}

impl std::error::Error for RoundError {}

/// A run to be made.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// What `run` is told, beside where the capture lies.
    pub(crate) arguments: Vec<String>,
    /// When its process is stopped for a time.
    pub(crate) pauses: Vec<Pause>,
    /// The kernel is to fail: a panic was asked for.
    pub(crate) shall_fail: bool,
}

impl Round {
    /// The command that makes the run again, with its log to be seen.
    pub(crate) fn command(&self) -> String {
        let words = ["relayctl", "run"].into_iter();
        let words = words.chain(self.arguments.iter().map(String::as_str));
        // No argument has a NUL.
        shlex::try_join(words).unwrap_or_default()
    }

    /// Makes the run, its capture in `folder`, and says what that holds and what is wrong.
    ///
    /// # Errors
    ///
    /// When nobody knows how it went.
    pub(crate) fn play(&self, folder: &Path, stop: &Stop) -> Result<Totals, RoundError> {
        let mut messages = tempfile().map_err(RoundError::Process)?;
        let theirs = messages.try_clone().map_err(RoundError::Process)?;
        let own = env::current_exe().map_err(RoundError::Process)?;
        let child = Command::new(own)
            .args(["run", "--quiet", "--json", "--force"])
            .args(["--max-size", MAX_SIZE])
            .arg("--out")
            .arg(folder)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(theirs)
            .spawn()
            .map_err(RoundError::Process)?;
        let status = wait(child, Pauses::new(&self.pauses), stop)?;
        let said = tail(&mut messages).unwrap_or_default();
        let code = status.code();
        let is = |exit: Exit| code == Some(exit.code().into());
        let is_made = folder.is_dir();
        if is(Exit::Usage) || (is(Exit::Infrastructure) && !is_made) {
            return Err(RoundError::Exit { status, said });
        }
        let mut totals = Totals::of(folder, self.shall_fail);
        let wanted = match self.shall_fail {
            true => Exit::Failed,
            false => Exit::Good,
        };
        if !is(wanted) {
            let last = said.lines().next_back().unwrap_or_default();
            totals
                .wrong
                .insert(0, format!("the run ended with {status}: {last}"));
        }
        Ok(totals)
    }
}

/// Waits for a process; it is ended if the user asks to stop.
fn wait(mut child: Child, mut pauses: Pauses<'_>, stop: &Stop) -> Result<ExitStatus, RoundError> {
    let start = Instant::now();
    let pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
    // One that has ended is not waited for yet, so that the number is nobody else's.
    let send = |signal| pid.map(|pid| kill(pid, signal));
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait().map_err(RoundError::Process)? {
            return match stop.is_asked() {
                true => Err(RoundError::Stopped),
                false => Ok(status),
            };
        }
        if stop.is_asked() && !is_told {
            is_told = true;
            send(Signal::SIGTERM);
            send(Signal::SIGCONT);
        } else if let Some(signal) = pauses.signal(start.elapsed()).filter(|_| !is_told) {
            send(signal);
        }
        thread::sleep(LOOK);
    }
}

/// A file that nobody else sees.
fn tempfile() -> io::Result<fs::File> {
    let folder = relay_decode::capture::Scratch::new()?;
    let path = folder.path().join("messages");
    fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

/// The last of what was written to a file.
fn tail(file: &mut fs::File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(TAIL as u64)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_as_a_shell_would_read_it() {
        let round = Round {
            arguments: ["--set", "a=b c", "--smp", "2"].map(str::to_owned).to_vec(),
            pauses: Vec::new(),
            shall_fail: false,
        };
        assert_eq!(round.command(), "relayctl run --set 'a=b c' --smp 2");
    }

    #[test]
    fn what_was_said_last_is_kept() {
        let mut file = tempfile().expect("it is writable");
        io::Write::write_all(&mut file, &[b'x'; 3 * TAIL]).expect("it is writable");
        io::Write::write_all(&mut file, b"\nthe end\n").expect("it is writable");
        let said = tail(&mut file).expect("it is readable");
        assert!(said.ends_with("x\nthe end") && said.len() < TAIL, "{said}");
    }
}
