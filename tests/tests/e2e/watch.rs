//! Records are watched for while the machine runs, and a command runs for them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use e2e::{Session, relayctl};
use serde_json::Value;

/// What a command of relayctl leaves, on a capture.
fn on(capture: &Path, command: &str, args: &[&str]) -> Output {
    let mut relayctl = Command::new(relayctl());
    relayctl.arg(command).arg(capture).args(args);
    relayctl.output().expect("relayctl starts")
}

/// Lines of JSON.
fn lines(text: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(text).expect("it prints UTF-8");
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("it prints JSON"));
    lines.collect()
}

#[test]
fn a_command_runs_for_what_the_machine_says() {
    let folder = tempfile::tempdir().expect("there is room");
    let (capture, got) = (folder.path().join("capture"), folder.path().join("got"));
    let out = capture.to_str().expect("it is UTF-8");
    let idle = ["--scenario", "idle", "--set", "seconds=8", "--smp", "2"];
    let mut session = Session::start(&[&idle[..], &["--set", "trace=irq", "--out", out]].concat());
    session.wait_for("heartbeat 1");
    // It waits for what has not come yet, and does not wait for the end.
    let command = format!("cat > '{}'", got.display());
    let heartbeat = ["--where", "severity >= info && msg =~ \"^heartbeat 3\\b\""];
    let exec = ["--exec", &command, "--once"];
    let left = on(&capture, "watch", &[&heartbeat[..], &exec].concat());
    let said = String::from_utf8_lossy(&left.stderr);
    assert_eq!(left.status.code(), Some(0), "{said}");
    assert!(
        said.contains("1 record matched; 1 commands started; exit status: 0"),
        "{said}"
    );
    let got = lines(&fs::read(&got).expect("the command ran"));
    assert_eq!(got.len(), 1);
    assert_eq!(got[0]["channel"], "klog");
    assert!(
        got[0]["msg"]
            .as_str()
            .expect("it has one")
            .starts_with("heartbeat 3")
    );
    // Events, too; the machine is still up.
    let timer = [
        "--where",
        "channel == trace && context == irq && cpu == 1",
        "--once",
    ];
    let left = on(&capture, "watch", &timer);
    assert_eq!(left.status.code(), Some(0));
    let event = lines(&left.stdout);
    assert_eq!(
        (event[0]["cpu"].as_u64(), event[0]["channel"].as_str()),
        (Some(1), Some("trace"))
    );
    session.wait_for("heartbeat 6");
    let run = session.end();
    run.assert_code(0);
    assert_eq!(run.summary()["run"]["capture"]["verdict"], "complete");

    // What was watched for is what is counted and shown afterwards.
    let expr = [
        "--where",
        "context == irq || msg contains \"heartbeat\"",
        "--json",
    ];
    let shown = lines(&on(&capture, "cat", &expr).stdout);
    let told = lines(&on(&capture, "watch", &expr[..2]).stdout);
    let counted = lines(&on(&capture, "stat", &expr).stdout);
    assert!(shown.len() > 20, "{}", shown.len());
    assert_eq!(
        (told.len(), counted[0]["matching"].as_u64()),
        (shown.len(), Some(shown.len() as u64))
    );
}

#[test]
fn the_examples_of_the_page_are_true() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let args = [
        "--scenario",
        "types",
        "--smp",
        "2",
        "--set",
        "trace=types",
        "--out",
        out,
    ];
    Session::start(&args).end().assert_code(0);
    let page = include_str!("../../../docs/QUERY.md");
    let (_, block) = page.split_once("```query\n").expect("it has examples");
    let (block, _) = block.split_once("```").expect("they end");
    for line in block.lines() {
        let (count, expr) = line
            .trim_start()
            .split_once("  ")
            .expect("a count, and an expression");
        let args = ["--json", "--channel", "trace", "--where", expr];
        let counted = lines(&on(&capture, "stat", &args).stdout);
        assert_eq!(counted[0]["matching"].to_string(), count, "{expr}");
    }
    assert!(block.lines().count() > 30);
}
