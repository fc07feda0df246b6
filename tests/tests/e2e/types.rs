//! Fields of every type, and sentences with every kind of placeholder: what the kernel wrote is what
//! both readers say, field by field, and what the kernel has formatted itself.

use std::path::Path;
use std::process::Command;

use e2e::{babeltrace, boot, relayctl};
use serde_json::Value;

use crate::readers::{ours, theirs};

/// The bits that have names in the events of the scenario.
const FLAGS: [(&str, u64); 3] = [("READ", 1), ("WRITE", 2), ("ALL", 0xF000_0000)];

fn cat(args: &[&str], capture: &Path) -> String {
    let output = Command::new(relayctl())
        .arg("cat")
        .args(args)
        .arg(capture)
        .output()
        .expect("relayctl starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is UTF-8")
}

#[test]
fn every_type_and_every_placeholder_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path();
    let out = capture.to_str().expect("it is UTF-8");
    let args = ["--smp", "2", "--scenario", "types", "--out", out, "--force"];
    let run = boot(&args);
    run.assert_code(0);
    run.assert_complete(2);
    let json = cat(&["--json"], capture);

    // Both readers, field by field.
    let text = babeltrace(&capture.join("trace"), &["--clock-cycles", "--no-delta"]);
    let text = String::from_utf8(text).expect("it is UTF-8");
    let (mut theirs, mut ours) = (theirs(&text, &FLAGS), ours(&json));
    theirs.sort();
    ours.sort();
    for (their, our) in theirs.iter().zip(&ours) {
        assert_eq!(their, our);
    }
    assert_eq!(theirs.len(), ours.len());

    // Each sentence, and the same formatted by the kernel, as the host puts it together and as the
    // kernel's console does.
    let records = json
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect("JSON") });
    let said: Vec<_> = records
        .filter(|record| record["module"] == "kernel::scenario::types")
        .filter(|record| record["channel"] == "klog")
        .map(|record| {
            let of = |name: &str| record[name].as_str().expect("it is text").to_owned();
            (of("severity"), of("msg"))
        })
        .collect();
    assert!(said.len() > 100, "{} lines", said.len());
    for pair in said.chunks(2) {
        let [(statement, sentence), (in_place, formatted)] = pair else {
            panic!("one of two lines is missing: {pair:?}");
        };
        assert_eq!((statement.as_str(), in_place.as_str()), ("INFO", "NOTICE"));
        assert_eq!(sentence, formatted);
    }
    let printed = run.records();
    let printed = printed
        .iter()
        .filter(|record| record.module == "kernel::scenario::types");
    let printed: Vec<_> = printed.map(|record| &record.message).collect();
    assert_eq!(printed.len(), said.len());
    for pair in printed.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    let numbers = json
        .lines()
        .filter(|line| line.contains("\"event\":\"numbers\""));
    assert_eq!(numbers.count(), 3);
}
