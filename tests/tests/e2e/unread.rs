//! A log that nobody reads for a while: the machine does not notice.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Turn, kernel, relayctl, workspace};
use relay_decode::console::Line;
use serde_json::Value;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(
            begin.elapsed() < PATIENCE,
            "{} does not come",
            path.display()
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// 32 CPUs say more than a pipe has room for. Nobody reads until the capture is finished and
/// judged.
#[test]
fn a_log_that_is_read_after_the_run_is_whole() {
    let _turn = Turn::wait();
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let out = folder.path().join("capture");
    let (mut reader, writer) = io::pipe().expect("there are pipes");
    let mut command = Command::new(relayctl());
    command
        .args(["run", "--smp", "32", "--kernel"])
        .arg(kernel());
    command
        .arg("--out")
        .arg(&out)
        .current_dir(&workspace().root);
    command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped());
    let child = command.spawn().expect("relayctl starts");
    drop(command);
    wait_for(&out.join("run.json"));
    let mut shown = String::new();
    reader.read_to_string(&mut shown).expect("it is UTF-8");
    let left = child.wait_with_output().expect("relayctl ends");
    let err = String::from_utf8_lossy(&left.stderr);
    assert_eq!(left.status.code(), Some(0), "{err}");
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(
        (&run["verdict"], &run["exit"]),
        (&"complete".into(), &0.into()),
        "{run}"
    );
    // Each record once.
    let mut records: Vec<_> = shown
        .lines()
        .filter_map(|line| match Line::parse(line) {
            Line::Record(record) => Some((record.cpu, record.number)),
            _ => None,
        })
        .collect();
    let count = records.len();
    records.sort_unstable();
    records.dedup();
    assert_eq!(records.len(), count, "some came twice");
    let mut cat = Command::new(relayctl());
    let cat = cat
        .args(["cat", "--channel", "klog", "--json"])
        .arg(&out)
        .output();
    let cat = cat.expect("relayctl starts").stdout;
    assert_eq!(count, cat.iter().filter(|byte| **byte == b'\n').count());
    assert!(!err.contains("not shown"), "{err}");
}
