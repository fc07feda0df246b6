//! What the machine says to syslog is passed on.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ports::{run_changed, verify};
use super::pretended::*;
use super::synthetic;

/// A run that passes on to `to` what `said` has; with the lines of QEMU's arguments.
fn run_saying(to: &str, said: &[u8]) -> (Left, String, PathBuf) {
    let args = ["--syslog", to, "--", "-smp", "2"];
    let fill = |arguments: &[String], ports: &mut Vec<UnixStream>| {
        let device = "virtserialport,chardev=syslog,name=relay.syslog,nr=4";
        let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
        assert!(has(device), "{arguments:?}");
        assert!(
            has("virtio-serial-pci,max_ports=5,vectors=4"),
            "{arguments:?}"
        );
        let start = "socket,id=syslog,path=";
        let path = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(start));
        let mut port = UnixStream::connect(path.expect("it has one")).expect("relayctl listens");
        port.write_all(said).expect("relayctl reads");
        let bytes = synthetic::small().concat();
        ports[0].write_all(&bytes).expect("relayctl reads");
    };
    let end = print_good() + "exit 33";
    run_changed(|command| command, &args, &end, 1, fill)
}

/// What `run.json` says of it.
fn kept(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: Value = serde_json::from_str(&text).expect("it is JSON");
    run["syslog"].clone()
}

#[test]
fn a_file_gets_a_line_for_each_message() {
    let to = capture().with_extension("syslog");
    let to = to.to_str().expect("it is text");
    let said = b"15 <14>1 - - - - -14 <13>1 - - - \nx12 <5";
    let (left, _, out) = run_saying(to, said);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let lines = fs::read_to_string(to).expect("it is made");
    assert_eq!(lines, "<14>1 - - - - -\n<13>1 - - - \\x0ax\n");
    let told = "syslog: 2 messages passed to ";
    assert!(left.err.contains(told), "{}", left.err);
    let rest = "; control characters of 1 were escaped; 5 bytes that came at 1 place are no messages, \
                first at byte 35: the end, in the middle of a message\n";
    assert!(left.err.contains(rest), "{}", left.err);
    assert_eq!(kept(&out)["passed"], 2);
    assert_eq!(kept(&out)["faults"]["passed_over"], 5);
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
}

#[test]
fn a_receiver_that_is_not_there_costs_nothing_but_its_messages() {
    let path = capture().with_extension("socket");
    let to = format!("unix:{}", path.display());
    let said = b"6 <14>1 ".repeat(100);
    let (left, _, out) = run_saying(&to, &said);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let why = "No such file or directory (os error 2)";
    let kept = kept(&out);
    assert_eq!((&kept["came"], &kept["passed"]), (&100.into(), &0.into()));
    assert_eq!(
        (&kept["not_passed"], &kept["why"]),
        (&100.into(), &why.into())
    );
    let talk = format!("relayctl: syslog: {to}: {why}; trying again\n");
    assert!(left.err.contains(&talk), "{}", left.err);
}

#[test]
fn what_cannot_be_is_refused() {
    for (args, code, what) in [
        (&["--syslog", "tcp:host"][..], 2, "tcp:HOST:PORT"),
        (
            &["--syslog", "/nonexistent/file"],
            3,
            "--syslog /nonexistent/file: No such file",
        ),
        (
            &["--syslog", "file", "--transport", "serial"],
            2,
            "not serial",
        ),
        (&["--syslog", "file", "--transport", "file"], 2, "not file"),
        (&["--syslog", "file", "--transport", "none"], 2, "not none"),
    ] {
        let left = run("exit 33", args);
        assert_eq!(left.code, Some(code), "{}", left.err);
        assert!(left.err.contains(what), "{}", left.err);
    }
}
