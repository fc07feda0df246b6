//! `relayctl run`: boots the kernel, shows its log live, checks it, sums up.

mod args;
mod end;
mod error;
mod host;
mod judge;
mod pause;
mod services;
mod summary;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use relay_decode::capture::{Capture, Image};
use relay_decode::escape::printable;
use relay_decode::wire::Kind;
use relay_machine::control::Desk;
use relay_machine::guest::{Accel, Event, Guest, GuestConfig, GuestEnd, Wires};
use relay_machine::install::{self, Need, RealSystem};
use relay_machine::ports::CONSOLE;
use relay_machine::settings::Settings;
use relay_machine::syslog::Syslog;
use relay_machine::workspace::{RUNNER, Workspace};
use serde_json::json;

pub(crate) use args::RunArgs;
use args::Transport;
use end::{End, Hurry, explain};
pub(super) use error::RunError;
use host::Host;
use judge::judge;
use view::View;
use watch::{QUEUE, Watch};

use super::captures::{arguments, unix_ms, versions};
use super::ctl::desk;
use crate::exit::Exit;
use crate::signals;
use crate::symbols::{ElfFile, Programs};
use crate::terminal::{
    Aside, LazySymbols, Output, Renderer, say, settle_talk, talk_aside, tell, unlocked,
};

/// What is said of a run that did not end well after nothing was read for a time.
const BLAME: &str = "the guest could not send meanwhile: what it lost, and streams that it did not \
                     close, are the host's fault";

/// Does `relayctl run`.
pub(crate) fn run(args: &RunArgs) -> Exit {
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
    args.check_syslog().map_err(RunError::Usage)?;
    if args.accel == Accel::Kvm {
        check_kvm()?;
    }
    let workspace = Workspace::find().map_err(RunError::Build)?;
    // The kernel is built like relayctl was.
    let release = !cfg!(debug_assertions);
    let (kernel, built) = kernel(
        args.kernel.as_deref(),
        (release, features(args.scenario())),
        args.quiet,
        &workspace,
    )?;
    let takes = takes(&kernel);
    if args.list {
        return list(&kernel, takes.as_ref());
    }
    // A kernel that tells its settings is one of ours: it sends through its ports.
    let is_ours = takes.is_some();
    if let Some(takes) = takes {
        let settings = args.settings.iter().map(String::as_str);
        let checked = takes.check(args.scenario(), settings, args.cpus());
        checked.map_err(|error| RunError::Usage(error.to_string()))?;
    }
    let ramdisk = ramdisk(args, built)?;
    if args.gdb {
        let kernel = shlex::bytes::try_quote(kernel.as_os_str().as_encoded_bytes());
        say(format!(
            "QEMU waits for a debugger; start it with:\n    gdb -ex 'target remote :1234' {}",
            // A path has no NUL, which is all that cannot be quoted.
            kernel
                .map(|path| printable(&path).into_owned())
                .unwrap_or_default()
        ));
    }
    let capture = Capture::create(&args.capture.options(Kind::Live)).map_err(RunError::Capture)?;
    // Who may ask, as long as the machine runs.
    let desk = desk(capture.folder());
    let wire = desk.as_ref().map(Desk::wire);
    let syslog = syslog(args)?;
    let intake = syslog.as_ref().map(Syslog::intake);
    let host = Host::new(args, &capture, wire.clone(), intake).map_err(RunError::Ports)?;
    let started_unix_ms = unix_ms();
    // The file may be another when it has run.
    let image = ElfFile::read(&kernel).and_then(|elf| elf.image()).ok();
    let config = GuestConfig {
        runner: workspace.root.join(RUNNER),
        kernel: kernel.clone(),
        ramdisk,
        words,
        smp: args.smp,
        memory: args.memory,
        accel: args.accel,
        seed: args.seed(),
        gdb: args.gdb,
        qemu_args: args.qemu_args.clone(),
        wires: host.wires(),
    };
    // From here on nobody waits for a reader of stdout or stderr.
    talk_aside();
    let (sender, events) = mpsc::sync_channel(QUEUE);
    let on_signal = sender.clone();
    signals::on_end(move || drop(on_signal.send(Event::Signal))).map_err(RunError::Signals)?;
    let folder = capture.folder().to_owned();
    let mut watch = Watch::new(args);
    if !args.quiet {
        let programs = Programs::beside(&kernel);
        let symbols = LazySymbols::new(kernel.clone(), workspace.root);
        watch.view = Some(view(args, symbols, programs, &folder).map_err(RunError::Output)?);
    }
    let mut console = capture.console_line(CONSOLE);
    if let (Some(wire), Wires::None) = (&wire, &config.wires) {
        console.answer_to(wire.answers());
    }
    watch.console = Some(console);
    watch.capture = Some(capture);
    let mut guest = Guest::start(&config, sender).map_err(RunError::Guest)?;
    if let (Some(wire), Some(input)) = (wire, guest.input()) {
        wire.attach(input);
    }
    let end = watch.until_end(&mut guest, &events)?;
    let wall = guest.started().elapsed();
    drop(desk);
    host.finish().map_err(RunError::Ports)?;
    watch.syslog = syslog.map(Syslog::finish);
    if let Some(capture) = &watch.capture {
        capture.settle();
    }
    let mut problems = watch.problems(end);
    let mut facts = None;
    if let Some(capture) = &watch.capture {
        let is_due = end == End::Guest(GuestEnd::Pass);
        facts = Some(judge(capture, args.cpus(), is_due, &mut problems));
        if is_due && is_ours && args.transport != Transport::None && !capture.totals().has_metadata
        {
            let what = match args.transport {
                Transport::Virtio | Transport::File => "the ports",
                Transport::Serial | Transport::None => "COM2",
            };
            problems.push(format!(
                "nothing came through {what}, and the kernel passed"
            ));
        }
    }
    if watch.ledger.passed_over() > 0 {
        problems.extend(watch.passed_over(&view::logged(&folder)));
    }
    let mut exit = end.exit(watch.endless, problems.is_empty());
    if let Some(capture) = watch.capture.take() {
        let info = json!({
            "command": "run",
            "versions": versions(),
            "arguments": arguments(),
            "kernel": printable(kernel.as_os_str().as_encoded_bytes()),
            "kernel_image": image.map(Image::json),
            "ramdisk": config
                .ramdisk
                .as_ref()
                .map(|ramdisk| printable(ramdisk.as_os_str().as_encoded_bytes())),
            "kernel_command_line": config.words.join(" "),
            "smp": args.smp,
            "memory_mib": args.memory,
            "accel": args.accel.name(),
            "transport": args.transport.name(),
            "ports": match config.wires {
                Wires::Ports { count, .. } | Wires::Files(count, _) => count,
                Wires::Line(_) | Wires::None => 0,
            },
            "started_unix_ms": started_unix_ms,
            "wall_ms": summary::milliseconds(wall),
            "host_pauses_ms": summary::milliseconds(watch.pauses.total()),
            "syslog": watch.syslog,
            "result": end.result(watch.endless),
            "exit": exit.code(),
            "verdict": facts.as_ref().and_then(|facts| facts.verdict),
        });
        // It has been said already, when it happened.
        if capture.finish(info).is_err() && exit == Exit::Good {
            exit = Exit::Infrastructure;
        }
    }
    // What is left is to show it.
    let mut hurry = Hurry::new(
        &events,
        end,
        watch.limit.map(|limit| guest.started() + limit),
    );
    if let Some(view) = watch.view.take() {
        match view.end(&folder, || hurry.is_asked()) {
            Ok(true) => {}
            // It was waited for long enough.
            Ok(false) => hurry.ask(),
            Err(error) => {
                say(RunError::Output(error).to_string());
                if exit == Exit::Good {
                    exit = Exit::Infrastructure;
                }
            }
        }
    }
    explain(args, end, &guest);
    if let Some(told) = watch.pauses.told(guest.started()) {
        say(told.to_string());
        if exit != Exit::Good {
            say(BLAME);
        }
    }
    let summary = watch.sum_up(args, end, exit, wall, problems, facts);
    print(args.json, summary, || hurry.is_asked());
    settle_talk(|| hurry.is_asked());
    Ok(exit)
}

/// Begins to pass on what the guest says to syslog, if somebody wants it.
fn syslog(args: &RunArgs) -> Result<Option<Syslog>, RunError> {
    let Some(to) = &args.syslog else {
        return Ok(None);
    };
    let tell = |what: &str| say(printable(what.as_bytes()));
    let begun = Syslog::start(to.clone(), tell).map_err(|error| RunError::Syslog {
        to: to.clone(),
        error,
    });
    begun.map(Some)
}

/// Prints the summary: the object on stdout, the table where the talk is.
fn print(is_json: bool, summary: String, is_hurried: impl FnMut() -> bool) {
    if !is_json {
        return tell(summary);
    }
    // There is nobody to tell about a summary that cannot be written.
    if let Ok(out) = unlocked(&io::stdout()).and_then(Aside::start) {
        out.put(summary);
        if !out.settle(is_hurried) {
            say("the summary was not written: stdout did not move");
        }
    }
}

/// Begins to show what comes to the capture in `folder`: on stdout, unless that is for the summary.
fn view(
    args: &RunArgs,
    symbols: LazySymbols,
    programs: Programs,
    folder: &Path,
) -> io::Result<View> {
    let (out, colour) = match args.json {
        true => (
            unlocked(&io::stderr())?,
            args.color.for_stream(&io::stderr()),
        ),
        false => (
            unlocked(&io::stdout())?,
            args.color.for_stream(&io::stdout()),
        ),
    };
    let renderer = Renderer::new(colour, Some(symbols)).with_programs(programs);
    View::start(out, renderer, folder)
}

/// The ramdisk that the guest gets: the one that was named, or the one that was built with the
/// kernel.
fn ramdisk(args: &RunArgs, built: Option<PathBuf>) -> Result<Option<PathBuf>, RunError> {
    let Some(named) = &args.ramdisk else {
        return Ok(built.filter(|_| !args.no_ramdisk));
    };
    let error = |error| RunError::Kernel {
        path: named.clone(),
        error,
    };
    let path = fs::canonicalize(named).map_err(error)?;
    fs::File::open(&path).map_err(error)?;
    Ok(Some(path))
}

/// The kernel's ELF file: the one that was named, or one that is built, for release or not, with
/// features, and then its ramdisk, too; and what it needs to run.
pub(super) fn kernel(
    named: Option<&Path>,
    (release, features): (bool, &[&str]),
    quiet: bool,
    workspace: &Workspace,
) -> Result<(PathBuf, Option<PathBuf>), RunError> {
    let mut system = RealSystem {
        folder: workspace.root.clone(),
        say: |what| say(what),
    };
    let mut need = |needs: &[Need]| install::ensure(&mut system, needs).map_err(RunError::Install);
    if let Some(path) = named {
        let error = |error| RunError::Kernel {
            path: path.to_owned(),
            error,
        };
        let path = fs::canonicalize(path).map_err(error)?;
        fs::File::open(&path).map_err(error)?;
        need(&[Need::Qemu])?;
        return Ok((path, None));
    }
    need(&[Need::RustTarget, Need::Qemu])?;
    let built = workspace.build_machine(release, features, quiet);
    let built = built.map_err(RunError::Build)?;
    Ok((built.kernel, Some(built.ramdisk)))
}

/// The features of the kernel that a scenario needs to show all that it can.
fn features(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "stress" | "panic" => &["stress"],
        _ => &[],
    }
}

/// What a kernel's command line may say, if it tells; if that cannot be read, the user is told.
fn takes(kernel: &Path) -> Option<Settings> {
    let found = Settings::of(kernel);
    let told = found.inspect_err(|error| {
        say(format!(
            "{}: its settings are not checked: {error}",
            kernel.display()
        ));
    });
    told.ok().flatten()
}

/// Shows what a kernel's command line may say.
fn list(kernel: &Path, takes: Option<&Settings>) -> Result<Exit, RunError> {
    let Some(takes) = takes else {
        let kernel = kernel.display();
        return Err(RunError::Usage(format!(
            "{kernel} does not tell which scenarios and settings it has"
        )));
    };
    let shown = Output::new(io::stdout()).put(&listed(takes));
    shown.map(|()| Exit::Good).map_err(RunError::Output)
}

/// The page of a kernel's settings, safe to show.
fn listed(takes: &Settings) -> String {
    let page = takes.to_string();
    let lines = page.lines().map(|line| printable(line.as_bytes()) + "\n");
    lines.collect()
}

/// What `--help` says of the kernel that was built last.
pub(crate) fn help() -> String {
    let workspace = Workspace::find().ok();
    let kernel = workspace.and_then(|workspace| workspace.built_kernel(!cfg!(debug_assertions)));
    match kernel.and_then(|kernel| Settings::of(&kernel).ok().flatten()) {
        Some(takes) => listed(&takes),
        None => {
            "Scenarios and their settings are the kernel's: 'relayctl run --list' builds it and \
                 lists them.\n"
                .to_owned()
        }
    }
}

/// Refuses KVM where it is missing, and warns where it is there.
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
