//! The seam between the rules of installation and the machine.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// How much of a command's output is kept for reading its error, in bytes.
const TAIL: usize = 16 * 1024;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmd {
    /// Environment variables to set.
    pub env: Vec<(&'static str, &'static str)>,
    /// The program and its arguments.
    pub words: Vec<String>,
}

impl Cmd {
    /// Creates a command from its words.
    #[must_use]
    pub fn new(words: &[&str]) -> Self {
        Self {
            env: Vec::new(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
        }
    }
}

impl fmt::Display for Cmd {
    /// Shows the command as it would be typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether it ended with status 0.
    pub ok: bool,
    /// The last part of what it printed, stdout and stderr together.
    pub output: String,
}

/// What installation needs from the machine; the tests put a fake in its place.
pub trait System {
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;
    /// Whether there is a user at a terminal who can be asked.
    fn is_interactive(&self) -> bool;
    /// Whether this process may change the system as it is.
    fn is_root(&self) -> bool;
    /// Finds a program in the search path.
    fn find_program(&self, name: &str) -> Option<PathBuf>;
    /// Whether a path exists.
    fn exists(&self, path: &Path) -> bool;
    /// The text of a file.
    fn read(&self, path: &Path) -> Option<String>;
    /// Runs a command silently.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    fn probe(&mut self, cmd: &Cmd) -> io::Result<Done>;
    /// Runs a command whose output the user sees on the real stderr.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    fn run(&mut self, cmd: &Cmd) -> io::Result<Done>;
    /// Asks the user; true is yes.
    fn ask(&mut self, question: &str) -> bool;
    /// Tells the user something.
    fn say(&mut self, text: &str);
    /// Waits.
    fn sleep(&mut self, time: Duration);
}

/// The machine itself.
#[derive(Clone, Debug)]
pub struct RealSystem {
    /// The folder in which commands run: it selects the Rust toolchain.
    pub folder: PathBuf,
    /// Tells the user something, on stderr.
    pub say: fn(&str),
}

impl System for RealSystem {
    fn env(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn is_interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn is_root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn read(&self, path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    fn probe(&mut self, cmd: &Cmd) -> io::Result<Done> {
        let output = self.command(cmd)?.stdin(Stdio::null()).output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(Done {
            ok: output.status.success(),
            output: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    fn run(&mut self, cmd: &Cmd) -> io::Result<Done> {
        let mut child = self
            .command(cmd)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let out = child
            .stdout
            .take()
            .map(|pipe| thread::spawn(move || show(pipe)));
        let err = child
            .stderr
            .take()
            .map(|pipe| thread::spawn(move || show(pipe)));
        let status = child.wait()?;
        let mut output = String::new();
        for tail in [out, err]
            .into_iter()
            .flatten()
            .filter_map(|thread| thread.join().ok())
        {
            output.push_str(&String::from_utf8_lossy(&tail));
        }
        Ok(Done {
            ok: status.success(),
            output,
        })
    }

    fn ask(&mut self, question: &str) -> bool {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "relayctl: {question} [Y/n] ");
        let _ = stderr.flush();
        let mut answer = String::new();
        match io::stdin().lock().take(1024).read_line(&mut answer) {
            Ok(0) | Err(_) => false,
            Ok(_) => matches!(
                answer.trim().to_ascii_lowercase().as_str(),
                "" | "y" | "yes"
            ),
        }
    }

    fn say(&mut self, text: &str) {
        (self.say)(text);
    }

    fn sleep(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

impl RealSystem {
    /// The process that a command describes.
    fn command(&self, cmd: &Cmd) -> io::Result<Command> {
        let [program, args @ ..] = cmd.words.as_slice() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(cmd.env.iter().copied())
            .current_dir(&self.folder);
        Ok(command)
    }
}

/// Copies a pipe to the real stderr (a test harness captures only what goes
/// through the print macros) and returns the last part of it.
fn show(mut pipe: impl Read) -> Vec<u8> {
    let mut tail = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let _ = io::stderr().write_all(&buffer[..length]);
        tail.extend_from_slice(&buffer[..length]);
        tail.drain(..tail.len().saturating_sub(TAIL));
    }
    tail
}
