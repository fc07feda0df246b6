//! Typed events and statements among the load of `stress`: from all contexts, in each other, on all
//! CPUs. What each says follows from its number.

use std::process::Command;

use e2e::{boot, relayctl};
use serde_json::{Value, json};

/// What the texts and lists of the kernel's events are parts of.
const TEXT: &str = "relay accounts for every record";
const LIST: [u64; 8] = [0, 1, 4, 9, 16, 25, 36, 49];

#[test]
fn events_and_statements_that_interrupt_each_other_are_whole() {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("it is UTF-8");
    let args = ["--scenario", "stress", "--out", out, "--force"];
    let set = [
        "--set",
        "records=40000",
        "--set",
        "timer=100",
        "--set",
        "log=info,stress=trace",
    ];
    let run = boot(&[&args[..], &set[..]].concat());
    run.assert_code(0);
    let output = Command::new(relayctl())
        .args([
            "cat",
            "--json",
            "--channel",
            "trace",
            "--channel",
            "klog",
            out,
        ])
        .output()
        .expect("relayctl starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let (mut tales, mut statements) = ([0; 3], 0);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).expect("it is JSON");
        let fields = &record["fields"];
        let number = || fields["number"].as_u64().expect("it has one");
        let part = || &TEXT[..number() as usize % (TEXT.len() + 1)];
        if record["event"] == "tale" {
            let number = number();
            let list = &LIST[..number as usize % (LIST.len() + 1)];
            let maybe = number.is_multiple_of(2).then_some(number);
            let right = json!({ "number": number, "text": part(), "list": list, "maybe": maybe });
            assert_eq!(*fields, right, "{line}");
            let said = format!("tale {number}: {:?} {list:?}", part());
            assert_eq!(record["msg"], said);
            let context = ["task", "irq", "nmi"];
            let context = context.iter().position(|name| record["context"] == *name);
            tales[context.expect("it has one")] += 1;
        } else if record["module"] == "kernel::scenario::stress::tale" {
            let said = format!("told {}: {}, {}", number(), part(), part().len());
            assert_eq!(record["msg"], said, "{line}");
            assert_eq!(record["severity"], "TRACE");
            statements += 1;
        }
    }
    assert!(tales.iter().all(|count| *count > 20), "{tales:?}");
    assert!(statements > 10, "{statements}");
}
