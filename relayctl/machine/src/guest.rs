//! One QEMU process: started by the runner script, read through pipes, never
//! left behind.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{self, Pid};

/// How long QEMU may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);

/// How often a process that is about to end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How much of QEMU's own messages is kept, in bytes.
const STDERR_TAIL: usize = 8 * 1024;

/// What runs the guest's code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// QEMU's own translator; works everywhere
    #[default]
    Tcg,
    /// The processor, through /dev/kvm (experimental)
    Kvm,
    /// The translator with a clock that counts instructions, one a tick; slow, one core for all
    /// CPUs
    Icount,
}

impl Accel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcg, Self::Kvm, Self::Icount];

    /// The word that the runner script and QEMU know.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
            Self::Icount => "icount",
        }
    }
}

/// What takes packets from a guest, and the socket or folder that it ends at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wires {
    /// Virtio ports of its CPUs, and the one for panics.
    Ports {
        /// So many of CPUs.
        count: u32,
        /// The socket of all of them.
        packets: PathBuf,
        /// That of the port over which it is asked, if there is one.
        control: Option<PathBuf>,
        /// That of the port over which it says what goes to syslog, if there is one.
        syslog: Option<PathBuf>,
    },
    /// So many virtio ports, and the one for panics, as files in a folder.
    Files(u32, PathBuf),
    /// A second serial port.
    Line(PathBuf),
    /// Nothing beside COM1, whose other direction is the guest's [input](Guest::input).
    None,
}

/// What to boot, and on what machine.
#[derive(Clone, Debug)]
pub struct GuestConfig {
    /// The script that knows QEMU's command line.
    pub runner: PathBuf,
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The file that it gets as its ramdisk.
    pub ramdisk: Option<PathBuf>,
    /// The words of the kernel's command line.
    pub words: Vec<String>,
    /// CPUs.
    pub smp: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// What runs the guest's code.
    pub accel: Accel,
    /// What QEMU's random numbers depend on, where its clock counts instructions.
    pub seed: u64,
    /// Whether QEMU waits for a debugger before the first instruction.
    pub gdb: bool,
    /// More arguments for QEMU.
    pub qemu_args: Vec<OsString>,
    /// What takes packets from it.
    pub wires: Wires,
}

/// What the threads beside the main loop report.
#[derive(Debug)]
pub enum Event {
    /// Bytes from COM1, and when they came.
    Console(Instant, Vec<u8>),
    /// COM1 was closed: QEMU has ended or is about to.
    ConsoleEnd,
    /// This process received a signal that asks it to end.
    Signal,
}

/// How QEMU ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestEnd {
    /// The guest reported success through isa-debug-exit.
    Pass,
    /// The guest reported failure through isa-debug-exit.
    Fail,
    /// QEMU ended with another status.
    Status(i32),
    /// QEMU was killed by a signal.
    Killed(i32),
}

impl GuestEnd {
    /// Reads the process's status. isa-debug-exit makes `(value << 1) | 1` of
    /// the value that the guest writes: 0x10 is pass, 0x11 is fail.
    fn from_status(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(33), _) => Self::Pass,
            (Some(35), _) => Self::Fail,
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Killed(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for GuestEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("the guest reported success"),
            Self::Fail => f.write_str("the guest reported failure"),
            Self::Status(0) => {
                f.write_str("QEMU ended without a verdict of the guest: a triple fault, or a reset")
            }
            Self::Status(code) => {
                write!(f, "QEMU did not run the guest to its end (status {code})")
            }
            Self::Killed(signal) => write!(f, "QEMU was killed by signal {signal}"),
        }
    }
}

/// A running QEMU. Dropping it kills QEMU; it also dies with this process,
/// however this process ends.
#[derive(Debug)]
pub struct Guest {
    /// The process, which leads a process group of its own.
    child: Child,
    /// When it was started.
    started: Instant,
    /// The last part of what QEMU itself said.
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Reads QEMU's own messages.
    reader: thread::JoinHandle<()>,
}

impl Guest {
    /// Starts QEMU and a thread that sends what comes from COM1 to `events`.
    ///
    /// The calling thread must live as long as the guest is wanted: Linux kills
    /// the guest when the *thread* that started it ends (prctl(2),
    /// `PR_SET_PDEATHSIG`).
    ///
    /// # Errors
    ///
    /// When the runner script cannot be started.
    pub fn start(config: &GuestConfig, events: SyncSender<Event>) -> io::Result<Self> {
        let mut command = command(config);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let (console, messages) = (child.stdout.take(), child.stderr.take());
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let tail = Arc::clone(&stderr);
        let reader = thread::spawn(move || {
            if let Some(messages) = messages {
                keep_tail(messages, &tail);
            }
        });
        if let Some(console) = console {
            thread::spawn(move || send_console(console, &events));
        }
        Ok(Self {
            child,
            started,
            stderr,
            reader,
        })
    }

    /// When QEMU was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What goes to COM1, where that is all that the guest has. Once.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Whether QEMU has ended.
    ///
    /// # Errors
    ///
    /// When the process cannot be waited for.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks QEMU to end. QEMU takes SIGTERM for a request to close the machine
    /// and does so cleanly; a machine without progress does not stop it.
    pub fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits for QEMU to end, and kills it if that takes too long.
    ///
    /// # Errors
    ///
    /// When the process cannot be waited for.
    pub fn wait(&mut self) -> io::Result<GuestEnd> {
        let deadline = Instant::now() + GRACE;
        while !self.has_ended()? && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        self.signal(Signal::SIGKILL);
        Ok(GuestEnd::from_status(self.child.wait()?))
    }

    /// The last part of what QEMU and the runner script said, complete once
    /// QEMU has ended.
    #[must_use]
    pub fn messages(&self) -> Vec<u8> {
        // The pipe closes with QEMU, unless something that QEMU started holds it.
        let deadline = Instant::now() + GRACE;
        while !self.reader.is_finished() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        self.stderr
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends a signal to QEMU's process group unless QEMU has been waited for:
    /// after that the number may belong to somebody else.
    fn signal(&mut self, signal: Signal) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(self.group(), signal);
        }
    }

    /// QEMU's process group, which has the number of its leader.
    fn group(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().map(Pid::from_raw)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        // Nothing can be done about a failure here, and the process is dead anyway.
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process group. One that has ended meanwhile needs none.
fn kill(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = killpg(group, signal);
    }
}

/// The runner script with its arguments and environment, in a process group of
/// its own so that a Ctrl-C on the terminal reaches relayctl only.
fn command(config: &GuestConfig) -> Command {
    let mut command = Command::new(&config.runner);
    let qemu_args: Vec<_> = config.qemu_args.iter().map(|arg| arg.as_bytes()).collect();
    command
        .arg(&config.kernel)
        .args(&config.words)
        .env("RELAY_EXEC", "1")
        .env("RELAY_SMP", config.smp.to_string())
        .env("RELAY_MEMORY", config.memory.to_string())
        .env("RELAY_ACCEL", config.accel.name())
        .env("RELAY_SEED", config.seed.to_string())
        .env("RELAY_SERIAL", "stdio")
        .env(
            "RELAY_QEMU_ARGS",
            std::ffi::OsStr::from_bytes(&qemu_args.join(&b'\n')),
        )
        .stdin(match config.wires {
            Wires::None => Stdio::piped(),
            _ => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for variable in [
        "RELAY_PORTS",
        "RELAY_PORTS_SOCKET",
        "RELAY_PORTS_FOLDER",
        "RELAY_CTL_SOCKET",
        "RELAY_SYSLOG_SOCKET",
        "RELAY_SERIAL_SOCKET",
    ] {
        command.env_remove(variable);
    }
    match &config.wires {
        Wires::Ports {
            count,
            packets,
            control,
            syslog,
        } => {
            if let Some(control) = control {
                command.env("RELAY_CTL_SOCKET", control);
            }
            if let Some(syslog) = syslog {
                command.env("RELAY_SYSLOG_SOCKET", syslog);
            }
            command
                .env("RELAY_PORTS", count.to_string())
                .env("RELAY_PORTS_SOCKET", packets)
        }
        Wires::Files(count, folder) => command
            .env("RELAY_PORTS", count.to_string())
            .env("RELAY_PORTS_FOLDER", folder),
        Wires::Line(socket) => command.env("RELAY_SERIAL_SOCKET", socket),
        Wires::None => &mut command,
    };
    if let Some(ramdisk) = &config.ramdisk {
        command.env("RELAY_INITRD", ramdisk);
    }
    if config.gdb {
        command.env("RELAY_GDB", "1");
    } else {
        command.env_remove("RELAY_GDB");
    }
    die_with_parent(&mut command);
    command
}

/// Makes the kernel kill the child when this thread ends, however that happens.
#[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
fn die_with_parent(command: &mut Command) {
    let parent = unistd::getpid();
    let tie = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A parent that ended before that call will not end again.
        if unistd::getppid() != parent {
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec in a process with threads only
    // async-signal-safe functions may be called (fork(2)). `tie` makes the
    // system calls prctl and getppid and builds errors that need no memory: no
    // allocation, no lock, nothing that the other threads could have left half done.
    unsafe { command.pre_exec(tie) };
}

/// Reads COM1 until it is closed or nobody listens any more.
fn send_console(mut console: impl Read, events: &SyncSender<Event>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match console.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let bytes = buffer[..length].to_vec();
                if events.send(Event::Console(Instant::now(), bytes)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // If nobody listens any more, nobody needs to know.
    let _ = events.send(Event::ConsoleEnd);
}

/// Reads QEMU's messages until they end and keeps the last part.
fn keep_tail(mut messages: impl Read, tail: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = messages.read(&mut buffer) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&buffer[..length]);
        let excess = tail.len().saturating_sub(STDERR_TAIL);
        tail.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_statuses_are_verdicts() {
        // wait(2): an exit status is in bits 8 to 15, a signal in the low bits.
        let end = |raw| GuestEnd::from_status(ExitStatus::from_raw(raw));
        assert_eq!(end(33 << 8), GuestEnd::Pass);
        assert_eq!(end(35 << 8), GuestEnd::Fail);
        assert_eq!(end(0), GuestEnd::Status(0));
        assert_eq!(end(1 << 8), GuestEnd::Status(1));
        assert_eq!(end(9), GuestEnd::Killed(9));
    }
}
