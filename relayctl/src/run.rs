//! `relayctl run`: boots the kernel, shows its log live, checks it, sums up.

mod args;
mod end;
mod error;
#[cfg(test)]
mod tests;
mod watch;

use std::fs;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

#[cfg(test)]
pub(crate) use self::args::MAX_COMMAND_LINE;
pub use self::args::{RunArgs, Transport};
use self::end::explain;
use self::error::RunError;
use self::watch::Watch;
use crate::audit::Audit;
use crate::capture::{Capture, Stored};
use crate::commands::unix_ms;
use crate::exit::Exit;
use crate::guest::{Accel, Event, Guest, GuestConfig};
use crate::install::{self, Need, RealSystem};
use crate::ledger::Verdict;
use crate::ports::{MAX_PORTS, Ports};
use crate::summary::{self, CaptureFacts};
use crate::symbols::LazySymbols;
use crate::term::say;
use crate::wire::Kind;
use crate::workspace::{RUNNER, Workspace};

/// Chunks of console text that may wait to be shown. When they do, QEMU waits,
/// then the guest's console, and then the guest counts what it loses.
const QUEUE: usize = 64;

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
