//! The commands that a user types, and the end of what they start.

use std::env;
use std::fs;
use std::process::Command;

use e2e::{Session, Turn, is_gone, kernel, ramdisk, relayctl, workspace};
use nix::sys::signal::Signal;
use relay_decode::console::Line;
use relay_machine::workspace::RUNNER;

/// `relayctl` without a word builds the kernel, boots 8 CPUs and sums up.
#[test]
fn relayctl_alone_builds_boots_and_sums_up() {
    let turn = Turn::wait();
    // Built already, so that the build does not eat up the patience.
    let _ = kernel();
    let run = Session::spawn(Command::new(relayctl()), turn).end();
    run.assert_code(0);
    let is_record = |line: &&String| matches!(Line::parse(line), Line::Record(_));
    // Each CPU says that it is up.
    assert!(
        run.out.iter().filter(is_record).count() >= 8,
        "too few records on stdout"
    );
    assert!(
        run.out
            .iter()
            .any(|line| line.ends_with("scenario init: pass")),
        "{:?}",
        run.out
    );
    // The summary is talk: on stderr, where the console is not.
    assert_eq!(run.console.iter().filter(is_record).count(), 0);
    let all = run.console.iter().find(|line| line.starts_with("all "));
    assert!(
        all.is_some_and(|line| line.ends_with("complete")),
        "{:?}",
        run.console
    );
    assert!(
        run.console
            .iter()
            .any(|line| line == "scenario init on 8 CPUs: pass")
    );
}

/// `cargo run -p kernel` boots through cargo's runner, without relayctl.
#[test]
fn the_kernel_boots_through_cargos_runner() {
    let turn = Turn::wait();
    let _ = kernel();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "run",
            "-p",
            "kernel",
            "--target",
            "x86_64-unknown-none",
            "--",
        ])
        .args(["scenario=smoke", "log=info"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let run = Session::spawn(command, turn).end();
    run.assert_code(0);
    let pass = run.out.iter().any(
        |line| matches!(Line::parse(line), Line::Record(r) if r.message == "scenario smoke: pass"),
    );
    assert!(pass, "no pass on stdout");
}

/// A kernel that is asked for nothing starts programs; without any it says so, and does something
/// else.
#[test]
fn without_programs_the_kernel_runs_something_else() {
    for (ramdisk, scenario) in [(None, "smoke"), (Some(ramdisk()), "init")] {
        let turn = Turn::wait();
        let mut command = Command::new(workspace().root.join(RUNNER));
        command.arg(kernel()).env("RELAY_SMP", "2");
        if let Some(ramdisk) = ramdisk {
            command.env("RELAY_INITRD", ramdisk);
        }
        let run = Session::spawn(command, turn).end();
        run.assert_code(0);
        let said = |text: &str| run.out.iter().any(|line| line.contains(text));
        assert!(said(&format!("scenario {scenario}: pass")), "{:?}", run.out);
        let told = said("started without programs: it runs scenario smoke, not init");
        assert_eq!(told, ramdisk.is_none(), "{:?}", run.out);
    }
    // Who asks for programs is not given something else.
    let turn = Turn::wait();
    let mut command = Command::new(workspace().root.join(RUNNER));
    command
        .arg(kernel())
        .arg("programs=hello")
        .env("RELAY_SMP", "1");
    let run = Session::spawn(command, turn).end();
    run.assert_code(1);
}

/// What the kernel's command line may say is listed, and shown by `--help` of the kernel that was
/// built.
#[test]
fn scenarios_and_settings_are_listed() {
    let ask = |args: &[&str]| {
        let mut command = Command::new(relayctl());
        let output = command.args(args).current_dir(&workspace().root).output();
        let output = output.expect("relayctl starts");
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let elf = kernel().to_str().expect("UTF-8");
    for shown in [
        ask(&["run", "--list", "--kernel", elf]),
        ask(&["run", "--help"]),
        ask(&["--help"]),
        ask(&["help", "run"]),
    ] {
        for what in [
            "\n  drain     measures writers",
            "\n    kind      how the CPU fails",
            "  overflow  endless recursion",
            "a power of two from 256 to 1073741824 bytes; default: 16384\n",
        ] {
            assert!(shown.contains(what), "no {what:?} in {shown}");
        }
    }
}

/// Ctrl-C is the normal end of an idle machine, and QEMU ends with it.
#[test]
fn an_interrupt_ends_an_idle_guest() {
    let mut session = Session::start(&["--scenario", "idle"]);
    session.wait_for("cpu 7 up");
    let children = session.children();
    assert_eq!(children.len(), 1, "relayctl runs one process");
    session.send(Signal::SIGINT);
    let run = session.end();
    run.assert_code(0);
    assert_eq!(run.summary()["run"]["result"], "pass");
    assert_eq!(run.summary()["total"]["unaccounted"], 0);
    assert!(children.into_iter().all(is_gone), "QEMU still runs");
}

/// However relayctl ends, QEMU does not outlive it.
#[test]
fn no_guest_outlives_relayctl() {
    let mut session = Session::start(&["--scenario", "idle", "--smp", "2"]);
    session.wait_for("cpu 1 up");
    let children = session.children();
    assert_eq!(children.len(), 1, "relayctl runs one process");
    session.send(Signal::SIGKILL);
    assert!(children.into_iter().all(is_gone), "QEMU still runs");
    let run = session.end();
    assert_eq!(run.code, None);
}

/// The runner script does not boot what is not a kernel.
#[test]
fn the_runner_refuses_what_is_not_a_kernel() {
    let root = &workspace().root;
    let output = Command::new(root.join("qemu-runner.sh"))
        .arg(relayctl())
        .output()
        .expect("the runner starts");
    assert_eq!(output.status.code(), Some(3));
    assert!(!output.stderr.is_empty(), "it says why");
}

/// `cargo install --path relayctl` makes a tool that reads captures anywhere: it needs nothing of
/// the workspace.
#[test]
fn an_installed_relayctl_reads_a_capture_in_an_empty_folder() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("UTF-8");
    let run = Session::start(&["--smp", "2", "--out", out]).end();
    run.assert_code(0);
    // The profile of the tests, so that little has to be built.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let installed = Command::new(cargo)
        .args(["install", "--debug", "--locked", "--path"])
        .arg(workspace().root.join("relayctl"))
        .arg("--root")
        .arg(folder.path())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo starts");
    let said = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "{said}");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("it can be made");
    let tool = |args: &[&str]| {
        let output = Command::new(folder.path().join("bin/relayctl"))
            .args(args)
            .current_dir(&empty)
            .output()
            .expect("it was installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let shown = tool(&["cat", out]);
    assert!(
        shown
            .lines()
            .any(|line| line.ends_with("scenario smoke: pass"))
    );
    assert!(tool(&["verify", out]).ends_with("complete\n"));
    let left = fs::read_dir(&empty).expect("it is there").count();
    assert_eq!(left, 0, "it leaves nothing behind");
}
