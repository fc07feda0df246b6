//! `relayctl run`: boots the kernel, shows its log live, checks it, sums up.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use clap::ValueEnum;
use serde_json::json;

use crate::audit::Audit;
use crate::capture::{Capture, CaptureError, Stored};
use crate::cli::RunArgs;
use crate::commands::unix_ms;
use crate::console::{Line, LineSplitter, RawLine, printable};
use crate::exit::Exit;
use crate::guest::{Accel, Event, Guest, GuestConfig, GuestEnd};
use crate::install::{self, InstallError, Need, RealSystem};
use crate::ledger::{Ledger, Verdict};
use crate::ports::{MAX_PORTS, Ports};
use crate::render::Renderer;
use crate::summary::{self, CaptureFacts, RunFacts};
use crate::symbols::LazySymbols;
use crate::term::{Output, say};
use crate::wire::Kind;
use crate::workspace::{BuildError, RUNNER, Workspace};

/// How long a guest that is expected to end may be silent.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long the rest of the console's text is waited for after QEMU was asked to end.
const DRAIN: Duration = Duration::from_secs(2);

/// How often QEMU is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Chunks of console text that may wait to be shown. When they do, QEMU waits,
/// then the guest's console, and then the guest counts what it loses.
const QUEUE: usize = 64;

/// The scenario that goes on until it is stopped.
const ENDLESS: &str = "idle";

/// How records leave the guest, apart from its console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Over virtio-console ports, one per CPU
    #[default]
    Virtio,
    /// Not at all: the console's text is all there is
    None,
}

/// Why a run did not get as far as a guest's verdict.
#[derive(Debug)]
pub enum RunError {
    /// The command line asks for something impossible.
    Usage(String),
    /// Something is missing on this machine.
    Install(InstallError),
    /// The workspace or the kernel's executable could not be had.
    Build(BuildError),
    /// The kernel's ELF file cannot be read.
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// KVM was asked for and is not to be had.
    Kvm(io::Error),
    /// QEMU's runner did not start or could not be waited for.
    Guest(io::Error),
    /// The signal handlers could not be installed.
    Signals(io::Error),
    /// The console's text could not be written.
    Output(io::Error),
    /// The capture could not be begun.
    Capture(CaptureError),
    /// The socket for the guest's ports could not be made.
    Ports(io::Error),
}

impl RunError {
    /// The exit code for it.
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Capture(error) => error.exit(),
            _ => Exit::Infrastructure,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::Install(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Kernel { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Kvm(error) => write!(
                f,
                "--accel kvm needs /dev/kvm, readable and writable: {error}. \
                 --accel tcg works everywhere"
            ),
            Self::Guest(error) => write!(f, "QEMU could not be started: {RUNNER}: {error}"),
            Self::Signals(error) => write!(f, "cannot listen for signals: {error}"),
            Self::Output(error) => write!(f, "cannot write the console's text: {error}"),
            Self::Capture(error) => error.fmt(f),
            Self::Ports(error) => write!(f, "cannot make a socket for the guest's ports: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Why the guest is not running any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// QEMU ended by itself.
    Guest(GuestEnd),
    /// A signal, or the reader of an endless log has gone.
    Interrupted,
    /// The time that `--timeout` gave is over.
    Timeout,
    /// No output for [`PATIENCE`].
    NoProgress,
}

impl End {
    /// The result in one word.
    fn result(self, endless: bool) -> &'static str {
        match self {
            Self::Guest(GuestEnd::Pass) => "pass",
            Self::Guest(GuestEnd::Fail) => "fail",
            Self::Guest(_) => "error",
            Self::Interrupted if endless => "pass",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::NoProgress => "no-progress",
        }
    }

    /// The exit code, given whether the records add up.
    fn exit(self, endless: bool, sound: bool) -> Exit {
        match self {
            Self::Interrupted if !endless => Exit::Infrastructure,
            Self::Guest(GuestEnd::Pass) | Self::Interrupted if sound => Exit::Good,
            Self::Guest(GuestEnd::Pass | GuestEnd::Fail) | Self::Interrupted => Exit::Failed,
            Self::Guest(_) | Self::Timeout | Self::NoProgress => Exit::Infrastructure,
        }
    }
}

/// Does `relayctl run`.
pub fn run(args: &RunArgs) -> Exit {
    match try_run(args) {
        Ok(exit) => exit,
        Err(error) => {
            say(error.to_string());
            error.exit()
        }
    }
}

/// Prepares the machine, the kernel and the guest, and runs it.
fn try_run(args: &RunArgs) -> Result<Exit, RunError> {
    let words = args.kernel_words().map_err(RunError::Usage)?;
    if args.accel == Accel::Kvm {
        check_kvm()?;
    }
    let workspace = Workspace::find().map_err(RunError::Build)?;
    let mut system = RealSystem {
        folder: workspace.root.clone(),
    };
    let kernel = match &args.kernel {
        Some(path) => {
            let error = |error| RunError::Kernel {
                path: path.clone(),
                error,
            };
            let path = fs::canonicalize(path).map_err(error)?;
            fs::File::open(&path).map_err(error)?;
            install::ensure(&mut system, &[Need::Qemu]).map_err(RunError::Install)?;
            path
        }
        None => {
            let needs = [Need::RustTarget, Need::Qemu];
            install::ensure(&mut system, &needs).map_err(RunError::Install)?;
            // The kernel is built like relayctl was.
            let release = !cfg!(debug_assertions);
            workspace
                .build_kernel(release, args.quiet)
                .map_err(RunError::Build)?
        }
    };
    if args.gdb {
        say(format!(
            "QEMU waits for a debugger; start it with:\n    gdb -ex 'target remote :1234' {}",
            kernel.display()
        ));
    }
    let capture = Capture::create(&args.capture.options(Kind::Live)).map_err(RunError::Capture)?;
    let ports = match args.transport {
        Transport::Virtio => {
            Some(Ports::listen(&capture, args.smp.min(MAX_PORTS)).map_err(RunError::Ports)?)
        }
        Transport::None => None,
    };
    let started_unix_ms = unix_ms();
    let config = GuestConfig {
        runner: workspace.root.join(RUNNER),
        kernel: kernel.clone(),
        words,
        smp: args.smp,
        memory: args.memory,
        accel: args.accel,
        gdb: args.gdb,
        qemu_args: args.qemu_args.clone(),
        ports: ports
            .as_ref()
            .map(|ports| (ports.count(), ports.path().to_owned())),
    };
    let (sender, events) = mpsc::sync_channel(QUEUE);
    listen_for_signals(sender.clone())?;
    let mut guest = Guest::start(&config, sender).map_err(RunError::Guest)?;
    let symbols = LazySymbols::new(kernel.clone(), workspace.root);
    let mut watch = Watch::new(args, symbols);
    watch.capture = Some(capture);
    let end = watch.until_end(&mut guest, &events)?;
    let wall = guest.started().elapsed();
    explain(args, end, &guest);
    if let Some(ports) = ports {
        ports.finish();
    }
    if let Some(capture) = &watch.capture {
        capture.settle();
    }
    let mut problems = watch.problems(end);
    let mut facts = None;
    if let Some(capture) = &watch.capture {
        facts = Some(judge(capture, &mut problems));
    }
    let mut exit = end.exit(watch.endless, problems.is_empty());
    if let Some(capture) = watch.capture.take() {
        let info = json!({
            "command": "run",
            "arguments": std::env::args().collect::<Vec<_>>(),
            "kernel": kernel,
            "kernel_command_line": config.words.join(" "),
            "smp": args.smp,
            "memory_mib": args.memory,
            "accel": args.accel.name(),
            "ports": config.ports.as_ref().map_or(0, |(count, _)| *count),
            "started_unix_ms": started_unix_ms,
            "wall_ms": summary::milliseconds(wall),
            "result": end.result(watch.endless),
            "exit": exit.code(),
            "verdict": facts.as_ref().and_then(|facts| facts.verdict),
        });
        // It has been said already, when it happened.
        if capture.finish(info).is_err() && exit == Exit::Good {
            exit = Exit::Infrastructure;
        }
    }
    watch.sum_up(args, end, exit, wall, problems, facts);
    Ok(exit)
}

/// Judges what was captured, and adds what is wrong to `problems`.
fn judge(capture: &Capture, problems: &mut Vec<String>) -> CaptureFacts {
    let totals = capture.totals();
    let mut facts = CaptureFacts {
        path: capture.folder().display().to_string(),
        verdict: None,
        packets: totals.packets,
        records: 0,
        bytes: totals.bytes,
    };
    problems.extend(totals.contradictions);
    if let Some(error) = totals.metadata_error {
        problems.push(format!("the capture has no metadata: {error}"));
        facts.verdict = Some(Verdict::Broken(Vec::new()).name());
    }
    if totals.has_metadata {
        let audit = Stored::open(capture.folder()).and_then(|stored| Audit::of(&stored));
        let verdict = match audit {
            Ok(audit) => {
                facts.records = audit.sums().delivered;
                audit.verdict()
            }
            Err(error) => Verdict::Broken(vec![error.to_string()]),
        };
        facts.verdict = Some(verdict.name());
        if let Verdict::Broken(reasons) = verdict {
            problems.extend(
                reasons
                    .into_iter()
                    .map(|reason| format!("capture: {reason}")),
            );
        }
    }
    facts
}

/// Refuses KVM where it is not to be had, and warns where it is.
fn check_kvm() -> Result<(), RunError> {
    fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map_err(RunError::Kvm)?;
    say("--accel kvm is experimental");
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    if !flags.any(|line| {
        line.split_ascii_whitespace()
            .any(|flag| matches!(flag, "vmx" | "svm"))
    }) {
        say("/proc/cpuinfo shows neither vmx nor svm: this KVM may be slow or incomplete");
    }
    Ok(())
}

/// Reports the first signal that asks relayctl to end as an event. The second
/// one ends relayctl at once, and QEMU with it (see [`Guest`]).
fn listen_for_signals(events: SyncSender<Event>) -> Result<(), RunError> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(RunError::Signals)?;
    let listen = move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.next() {
            // The queue may be full while the output is stuck; a second signal must
            // still be heard.
            thread::spawn(move || events.send(Event::Signal(signal)));
        }
        if signals.next().is_some() {
            std::process::exit(Exit::Infrastructure.code().into());
        }
    };
    thread::spawn(listen);
    Ok(())
}

/// Says why the guest ended, unless it is what everybody hopes for.
fn explain(args: &RunArgs, end: End, guest: &Guest) {
    match end {
        End::Guest(GuestEnd::Pass) => return,
        End::Guest(GuestEnd::Fail) => {
            return say(format!(
                "{}: scenario {} failed",
                GuestEnd::Fail,
                args.scenario
            ));
        }
        End::Guest(end) => say(end.to_string()),
        End::Interrupted => return say("interrupted: the guest was ended"),
        End::Timeout => {
            let limit = args.timeout.unwrap_or_default();
            say(format!(
                "timeout: the guest did not end within {limit} s, and was ended"
            ));
        }
        End::NoProgress => say(format!(
            "no progress: no output for {} s, the guest was ended",
            PATIENCE.as_secs()
        )),
    }
    let messages = guest.messages();
    let mut splitter = LineSplitter::new();
    let show = |line: RawLine<'_>| say(format!("qemu: {}", printable(line.bytes)));
    splitter.push(&messages, show);
    splitter.finish(show);
}

/// Watches one guest: shows its console and counts its records.
struct Watch {
    /// Where the console's text goes; nowhere if quiet.
    output: Option<Output<Box<dyn Write>>>,
    /// How it is shown.
    renderer: Renderer,
    /// Cuts it into lines.
    splitter: LineSplitter,
    /// Counts the records.
    ledger: Ledger,
    /// Whether more text may come.
    console_open: bool,
    /// When the first record came.
    first_line: Option<Duration>,
    /// Whether the scenario goes on until it is stopped.
    endless: bool,
    /// When the guest is given up although it makes progress.
    limit: Option<Duration>,
    /// How long the guest may be silent.
    patience: Option<Duration>,
    /// Keeps the console's text, too.
    capture: Option<Capture>,
}

impl Watch {
    /// Prepares to watch.
    fn new(args: &RunArgs, symbols: LazySymbols) -> Self {
        let (output, colour): (Box<dyn Write>, bool) = match args.json {
            true => (Box::new(io::stderr()), args.color.for_stream(&io::stderr())),
            false => (Box::new(io::stdout()), args.color.for_stream(&io::stdout())),
        };
        let endless = args.scenario == ENDLESS;
        let limit = args
            .timeout
            .map(|seconds| Duration::from_secs(seconds.into()));
        let patient = endless || args.gdb || limit.is_some();
        Self {
            output: (!args.quiet).then(|| Output::new(output)),
            renderer: Renderer::new(colour, Some(symbols)),
            splitter: LineSplitter::new(),
            ledger: Ledger::new(),
            console_open: true,
            first_line: None,
            endless,
            limit,
            patience: (!patient).then_some(PATIENCE),
            capture: None,
        }
    }

    /// Shows the console until the guest ends or has to be ended, and waits for QEMU.
    fn until_end(&mut self, guest: &mut Guest, events: &Receiver<Event>) -> Result<End, RunError> {
        let end = self.until_reason(guest, events)?;
        let status = match end {
            Some(_) => {
                guest.terminate();
                self.drain(guest, events)?;
                guest.wait().map_err(RunError::Guest)?
            }
            None => {
                let status = guest.wait().map_err(RunError::Guest)?;
                self.drain(guest, events)?;
                status
            }
        };
        let rest = &mut self.splitter;
        let mut shown = String::new();
        rest.finish(|line| {
            // Cut by the end: whatever it looks like, it is not whole.
            let text = printable(line.bytes);
            shown += &self.renderer.show(&text, &Line::Text(&text));
        });
        self.show(&shown)?;
        Ok(end.unwrap_or(End::Guest(status)))
    }

    /// Shows the console until there is a reason to stop; `None` is that QEMU
    /// has ended or has closed the console.
    fn until_reason(
        &mut self,
        guest: &mut Guest,
        events: &Receiver<Event>,
    ) -> Result<Option<End>, RunError> {
        let started = guest.started();
        let mut progress = started;
        let mut captured = 0;
        loop {
            let now = Instant::now();
            if self.limit.is_some_and(|limit| now >= started + limit) {
                return Ok(Some(End::Timeout));
            }
            if self
                .patience
                .is_some_and(|patience| now >= progress + patience)
            {
                return Ok(Some(End::NoProgress));
            }
            let wait = self
                .limit
                .map_or(TICK, |limit| TICK.min(started + limit - now));
            match events.recv_timeout(wait) {
                Ok(Event::Console(came, bytes)) => {
                    self.take(&bytes, came - started)?;
                    if self.endless && self.output.as_ref().is_some_and(Output::is_closed) {
                        return Ok(Some(End::Interrupted));
                    }
                    // After the writing: a reader that pauses is not a guest that hangs.
                    progress = Instant::now();
                }
                Ok(Event::Signal(_)) => return Ok(Some(End::Interrupted)),
                Ok(Event::ConsoleEnd) | Err(RecvTimeoutError::Disconnected) => {
                    self.console_open = false;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if guest.has_ended().map_err(RunError::Guest)? {
                        return Ok(None);
                    }
                    // A guest that says nothing may still be sending packets.
                    let came = self
                        .capture
                        .as_ref()
                        .map_or(0, |capture| capture.totals().came());
                    if came != captured {
                        captured = came;
                        progress = Instant::now();
                    }
                }
            }
        }
    }

    /// Takes what is left of the console's text.
    fn drain(&mut self, guest: &Guest, events: &Receiver<Event>) -> Result<(), RunError> {
        let deadline = Instant::now() + DRAIN;
        while self.console_open {
            let wait = deadline.saturating_duration_since(Instant::now());
            match events.recv_timeout(wait) {
                Ok(Event::Console(came, bytes)) => self.take(&bytes, came - guest.started())?,
                Ok(Event::Signal(_)) => {}
                Ok(Event::ConsoleEnd) | Err(_) => self.console_open = false,
            }
            if wait.is_zero() {
                break;
            }
        }
        Ok(())
    }

    /// Takes console text that came at a time after QEMU's start.
    fn take(&mut self, bytes: &[u8], came: Duration) -> Result<(), RunError> {
        if let Some(capture) = &self.capture {
            capture.console(bytes);
        }
        let mut shown = String::new();
        let Self {
            splitter,
            ledger,
            renderer,
            first_line,
            output,
            ..
        } = self;
        splitter.push(bytes, |raw| {
            let text = printable(raw.bytes);
            let line = Line::parse(&text);
            ledger.take(&line);
            if matches!(line, Line::Record(_)) {
                first_line.get_or_insert(came);
            }
            if output.is_some() {
                shown += renderer.show(&text, &line).trim_end_matches('\n');
                if raw.dropped > 0 {
                    shown += &format!(" [cut: {} more bytes]", raw.dropped);
                }
                shown.push('\n');
            }
        });
        self.show(&shown)
    }

    /// Writes to where the console's text goes.
    fn show(&mut self, text: &str) -> Result<(), RunError> {
        match &mut self.output {
            Some(output) => output.put(text).map_err(RunError::Output),
            None => Ok(()),
        }
    }

    /// What is wrong with the console's records.
    fn problems(&self, end: End) -> Vec<String> {
        let mut problems = match self.ledger.verdict() {
            Verdict::Broken(reasons) => reasons,
            Verdict::Complete | Verdict::Open => Vec::new(),
        };
        if end == End::Guest(GuestEnd::Pass) && self.first_line.is_none() {
            problems.push("the guest reported success without one log record".to_owned());
        }
        problems
    }

    /// Prints the summary.
    fn sum_up(
        &self,
        args: &RunArgs,
        end: End,
        exit: Exit,
        wall: Duration,
        problems: Vec<String>,
        capture: Option<CaptureFacts>,
    ) {
        let facts = RunFacts {
            scenario: args.scenario.clone(),
            result: end.result(self.endless),
            exit: exit.code(),
            first_line_ms: self.first_line.map(summary::milliseconds),
            wall_ms: summary::milliseconds(wall),
            smp: args.smp,
            problems,
            capture,
        };
        // There is nobody to tell about a summary that cannot be written.
        let _ = match args.json {
            true => Output::new(io::stdout()).put(&(summary::json(&self.ledger, &facts) + "\n")),
            false => Output::new(io::stderr()).put(&summary::table(&self.ledger, &facts)),
        };
    }
}

#[cfg(test)]
mod tests;
