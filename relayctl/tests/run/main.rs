//! `relayctl run` against a QEMU that is only pretended: what it shows, how it
//! ends, and that nothing is left behind. No guest is needed.

mod blocked;
mod disk;
mod ends;
mod odd;
mod ports;
mod pretended;
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod syslog;

use std::fs;
use std::process::Command;

use pretended::*;

#[test]
fn a_good_run_shows_the_text_and_the_sums() {
    let left = run(&(print_good() + "exit 33"), &["--smp", "2"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert_eq!(left.out, GOOD);
    assert!(
        left.err.contains("scenario smoke on 2 CPUs: pass"),
        "{}",
        left.err
    );
    assert!(left.err.contains("lost: full 3"), "{}", left.err);
    assert!(left.err.contains("first log line 0."), "{}", left.err);
}

#[test]
fn a_failing_guest_is_1_and_anything_else_is_3() {
    let left = run(&(print_good() + "exit 35"), &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("scenario smoke failed"), "{}", left.err);
    let left = run("echo 'cannot set up guest memory' >&2; exit 1", &[]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(
        left.err.contains("qemu: cannot set up guest memory"),
        "{}",
        left.err
    );
    let left = run(&(print_good() + "exit 0"), &[]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("triple fault"), "{}", left.err);
    let left = run("kill -SEGV $$", &[]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("killed by signal 11"), "{}", left.err);
}

#[test]
fn a_record_that_is_not_accounted_for_fails_a_passing_run() {
    let left = run(&(print_good().replace(" 1:0 ", " 1:9 ") + "exit 33"), &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("problem: cpu 1: "), "{}", left.err);
    let left = run("echo nothing; exit 33", &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.err.contains("without one log record"), "{}", left.err);
}

#[test]
fn json_is_one_object_on_stdout() {
    let left = run(&(print_good() + "exit 33"), &["--json", "--smp", "2"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert_eq!(left.out.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
    assert_eq!(value["run"]["result"], "pass");
    // The end of the text is the end: nothing is waited for.
    assert!(
        value["run"]["wall_ms"]
            .as_f64()
            .is_some_and(|ms| ms < 1900.0),
        "{value}"
    );
    assert_eq!(value["total"]["attempted"], 7);
    assert_eq!(value["total"]["delivered"], 4);
    assert_eq!(value["total"]["unaccounted"], 0);
    assert_eq!(value["total"]["verdict"], "complete");
    assert_eq!(left.err, GOOD);
}

#[test]
fn quiet_shows_the_sums_only() {
    let left = run(&(print_good() + "exit 33"), &["--quiet"]);
    assert_eq!(
        (left.code, left.out.as_str()),
        (Some(0), ""),
        "{}",
        left.err
    );
    assert!(left.err.contains("smoke on 8 CPUs: pass"), "{}", left.err);
}

#[test]
fn colour_is_for_who_wants_it() {
    let script = print_good() + "exit 33";
    assert!(
        run(&script, &["--color", "always"])
            .out
            .contains("\x1b[33mWARN\x1b[0m")
    );
    for choice in ["auto", "never"] {
        assert_eq!(run(&script, &["--color", choice]).out, GOOD);
    }
}

#[test]
fn a_hostile_guest_cannot_touch_the_terminal_or_the_memory() {
    let script = r"printf '\033]0;owned\007\xff\r\n'
        head -c 20000000 /dev/zero | tr '\0' '\001'
        printf '\n[    0.000001] 0:0 task INFO  m f.rs:1: \033[2J\n'
        printf '[    0.000001] 9999:0 task INFO  m f.rs:1: x'
        exit 33";
    let left = run(script, &[]);
    assert!(!left.out.contains('\x1b') && !left.out.contains('\x01') && !left.out.contains('\r'));
    assert!(
        left.out.starts_with("\\x1b]0;owned\\x07\\xff\n"),
        "{:?}",
        &left.out[..60]
    );
    assert!(
        left.out
            .contains(&format!("[cut: {} more bytes]\n", 20_000_000 - 65536))
    );
    assert!(
        left.out
            .ends_with("f.rs:1: \\x1b[2J\n[    0.000001] 9999:0 task INFO  m f.rs:1: x\n")
    );
    // The last line is not whole, so it is no record.
    assert_eq!(left.code, Some(0), "{}", left.err);
}

#[test]
fn backtraces_need_no_symbols() {
    let script = "echo '[    0.000001] 0:0 task ERROR m f.rs:1:   #0 0xffffffff80201234'; exit 35";
    let left = run(script, &[]);
    assert_eq!(left.code, Some(1));
    assert!(
        left.out.ends_with("  #0 0xffffffff80201234\n"),
        "{}",
        left.out
    );
}

#[test]
fn the_options_reach_qemu() {
    let script = r#"printf '%s\n' "$@"; exit 35"#;
    let args = [
        "--smp",
        "3",
        "--memory",
        "512",
        "--scenario",
        "idle",
        "--set",
        "seed=1",
    ];
    let left = run(
        script,
        &[&args[..], &["--set", "x=a,b", "--", "-d", "two words"]].concat(),
    );
    let has = |words: &[&str]| left.out.contains(&(words.join("\n") + "\n"));
    assert!(has(&["-smp", "3"]), "{}", left.out);
    assert!(has(&["-m", "512M"]), "{}", left.out);
    assert!(
        has(&["-append", "scenario=idle seed=1 x=a,b"]),
        "{}",
        left.out
    );
    assert!(has(&["-d", "two words"]), "{}", left.out);
}

#[test]
fn gdb_is_explained_and_waited_for() {
    let left = run(r#"printf '%s\n' "$@"; exit 35"#, &["--gdb"]);
    assert!(left.out.contains("-s\n-S\n"), "{}", left.out);
    assert!(
        left.err.contains("gdb -ex 'target remote :1234' /"),
        "{}",
        left.err
    );
}

#[test]
fn wrong_arguments_are_2_and_missing_things_are_3() {
    assert_eq!(run("", &["--smp", "33"]).code, Some(2));
    assert_eq!(run("", &["--gdb", "--timeout", "3"]).code, Some(2));
    let long = format!("k={}", "x".repeat(3000));
    assert_eq!(run("", &["--set", &long]).code, Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    let left: Left = command
        .args(["--kernel", "/nonexistent"])
        .output()
        .expect("relayctl starts")
        .into();
    assert_eq!(left.code, Some(3));
    assert!(
        left.err.contains("/nonexistent: No such file"),
        "{}",
        left.err
    );
    if fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        let left = run("", &["--accel", "kvm"]);
        assert_eq!(left.code, Some(3));
        assert!(
            left.err.contains("--accel kvm needs /dev/kvm"),
            "{}",
            left.err
        );
    }
}

#[test]
fn a_file_that_is_no_kernel_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayctl"));
    command.args([
        "--kernel",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ]);
    command.env("RELAY_QEMU", "/bin/false");
    let left: Left = command.output().expect("relayctl starts").into();
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("is not an ELF file"), "{}", left.err);
}

#[test]
fn what_may_not_be_installed_is_named() {
    let left: Left = relayctl("", &[])
        .env_remove("RELAY_QEMU")
        .env("PATH", "/nonexistent")
        .env("RELAY_INSTALL", "never")
        .env("CI", "true")
        .output()
        .expect("relayctl starts")
        .into();
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(
        left.err.contains("qemu-system-x86_64 is missing"),
        "{}",
        left.err
    );
}
