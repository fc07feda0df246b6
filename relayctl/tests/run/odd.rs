//! Odd places and arguments: what is no UTF-8, paths that are too long, CPUs of QEMU's own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::pretended::*;
use super::synthetic::{self, folder};

/// What `run.json` of a capture says.
fn run_json(capture: &std::path::Path) -> serde_json::Value {
    let text = fs::read(capture.join("run.json")).expect("it was written");
    serde_json::from_slice(&text).expect("it is JSON")
}

#[test]
fn arguments_need_not_be_utf8() {
    let home = folder("odd");
    let odd = |name: &[u8]| home.join(OsStr::from_bytes(name));
    let (out, elf) = (odd(b"out\xff\x1b"), odd(b"kernel\xfe"));
    fs::copy(kernel(), &elf).expect("there is room");
    let disk = OsStr::from_bytes(b"-d\xfd");
    let text = ["--smp", "2", "--json", "--out", "--kernel", "--"].map(OsStr::new);
    let [smp, two, json, out_is, kernel_is, qemu] = text;
    let (out_path, elf_path) = (out.as_os_str(), elf.as_os_str());
    let args = [
        smp, two, json, out_is, out_path, kernel_is, elf_path, qemu, disk,
    ];
    let mut odd = relayctl_with(&(print_good() + "exit 33"), &args);
    let left: Left = odd.output().expect("relayctl starts").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(left.out.contains(r"/out\\xff\\x1b"), "{}", left.out);
    let run = run_json(&out);
    let shown = run["arguments"].to_string();
    assert!(
        shown.contains(r"out\\xff\\x1b") && shown.contains(r"-d\\xfd"),
        "{shown}"
    );
    assert!(run["kernel"].to_string().contains(r"kernel\\xfe"), "{run}");
    // What was written there is read there.
    let left = synthetic::relayctl(&[OsStr::new("verify"), out.as_os_str()]);
    assert_eq!(left.code, Some(0), "{left:?}");
}

#[test]
fn the_folder_for_temporary_files_may_have_a_long_path() {
    let long = folder("long").join("x".repeat(200));
    fs::create_dir(&long).expect("there is room");
    let script = print_good() + "printf '%s\\n' \"$@\" | grep -c socket,id; exit 33";
    let left: Left = relayctl(&script, &["--smp", "2"])
        .env("TMPDIR", &long)
        .output()
        .expect("relayctl starts")
        .into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(
        left.out.ends_with("\n4\n"),
        "two ports, that for panics and that for control: {}",
        left.out
    );
    assert_eq!(
        fs::read_dir(&long).expect("it is there").count(),
        0,
        "nothing is left"
    );
    let left: Left = relayctl("exit 33", &[])
        .env("TMPDIR", "/nonexistent")
        .output()
        .expect("relayctl starts")
        .into();
    assert_eq!(left.code, Some(3));
    assert!(
        left.err.contains("ports: /nonexistent/relayctl-"),
        "{}",
        left.err
    );
}

#[test]
fn the_line_for_gdb_is_one_that_a_shell_takes() {
    let home = folder("gdb");
    let elf = home.join("it's a (kernel)");
    fs::copy(kernel(), &elf).expect("there is room");
    let args = ["--gdb", "--kernel"].map(OsStr::new);
    let args = [args[0], args[1], elf.as_os_str()];
    let left: Left = relayctl_with(&(print_good() + "exit 33"), &args)
        .output()
        .expect("relayctl starts")
        .into();
    let line = left
        .err
        .lines()
        .find_map(|line| line.strip_prefix("relayctl:     gdb "));
    let line = line.unwrap_or_else(|| panic!("no line: {}", left.err));
    let shell = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {line}")])
        .output()
        .expect("there is a shell");
    let words = String::from_utf8(shell.stdout).expect("UTF-8");
    assert_eq!(
        words,
        format!("-ex\ntarget remote :1234\n{}\n", elf.display())
    );
}

#[test]
fn the_summary_tells_how_many_cpus_the_machine_had() {
    let script = print_good() + "exit 33";
    let last = |args: &[&str]| {
        let left = run(&script, args);
        assert_eq!(left.code, Some(0), "{}", left.err);
        left.err.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(last(&["--smp", "4"]), "scenario smoke on 4 CPUs: pass");
    // QEMU takes the last one: the console has two CPUs.
    assert_eq!(last(&["--", "-smp", "2"]), "scenario smoke on 2 CPUs: pass");
}

#[test]
fn a_ramdisk_is_given_to_the_machine_if_it_is_named() {
    let script = print_good() + "printf '%s\\n' \"$@\" | grep -A1 '^-initrd'; exit 33";
    let disk = folder("ramdisk").join("a disk.tar");
    fs::write(&disk, "programs").expect("there is room");
    let name = disk.to_str().expect("it is UTF-8");
    let out = capture();
    let shown = out.to_str().expect("it is UTF-8");
    let left = run(&script, &["--smp", "2", "--ramdisk", name, "--out", shown]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(
        left.out.ends_with(&format!("\n-initrd\n{name}\n")),
        "{}",
        left.out
    );
    assert_eq!(run_json(&out)["ramdisk"], name);
    // Another kernel has no programs of ours.
    let left = run(&script, &["--smp", "2"]);
    assert_eq!(
        (left.code, left.out.as_str()),
        (Some(0), GOOD),
        "{}",
        left.err
    );
    let missing = format!("{name}.not");
    let left = run(&script, &["--ramdisk", &missing]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("a disk.tar.not: "), "{}", left.err);
    let left = run(&script, &["--ramdisk", name, "--no-ramdisk"]);
    assert_eq!(left.code, Some(2), "{}", left.err);
}
