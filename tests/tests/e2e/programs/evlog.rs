//! What operators are told of programs: that they were started, have ended, or have done what they
//! must not, with their registers and who had called what.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::{kernel, relayctl};
use relay_format::Severity;
use serde_json::Value;

use super::{records, run};

/// The records of an event about a program.
fn of<'a>(records: &'a [Value], event: &str, program: &str) -> Vec<&'a Value> {
    let records = records.iter();
    let found = records.filter(|it| it["event"] == event && it["fields"]["program"] == program);
    found.collect()
}

#[test]
fn starts_and_ends_are_told_once_each_and_in_order() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 4, "hello;spin,5;spin,5", &[]);
    run.assert_code(0);
    let records = records(folder.path(), "evlog");
    let mut lives: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for record in &records {
        if let Some(process) = record["fields"]["process"].as_u64() {
            let event = record["event"].as_str().expect("it has a name");
            lives.entry(process).or_default().push(event);
        }
    }
    // The drain is ended by `init`, when all others have.
    let draind = of(&records, "program_started", "draind");
    let draind = draind[0]["fields"]["process"].as_u64().expect("a number");
    let life = lives.remove(&draind);
    assert_eq!(life, Some(vec!["program_started", "program_killed"]));
    // `init` twice: it runs alone first.
    assert_eq!(lives.len(), 5, "{lives:?}");
    let whole = ["program_started", "program_ended"];
    assert!(lives.values().all(|life| *life == whole), "{lives:?}");
    for (program, count) in [("init", 2), ("hello", 1), ("spin", 2)] {
        let ended = of(&records, "program_ended", program);
        assert_eq!(ended.len(), count);
        for record in ended {
            assert_eq!(record["fields"]["code"], 0);
            // Who tells it is the program itself.
            assert_eq!(record["process"], record["fields"]["process"], "{record}");
        }
    }
    // Who has started them tells so: the kernel, then `init`.
    let started = |program| of(&records, "program_started", program);
    let init = &started("init")[1]["fields"]["process"];
    assert!(started("init").iter().all(|it| it["process"] == 0));
    assert!(started("spin").iter().all(|it| it["process"] == *init));
}

#[test]
fn a_fault_is_told_with_its_registers_and_the_names_of_its_functions() {
    let folder = tempfile::tempdir().expect("there is room");
    let programs = "crash,divide;crash,null-read;crash,kernel-jump;restarts=0";
    let run = run(folder.path(), 2, programs, &[]);
    run.assert_code(1);
    let records = records(folder.path(), "evlog");
    let faults = of(&records, "program_faulted", "crash");
    assert_eq!(faults.len(), 3, "{faults:#?}");
    let fields = |vector: u64, ip: Option<u64>| {
        let mut faults = faults.iter().map(|it| &it["fields"]);
        let found = faults.find(|it| it["vector"] == vector && ip.is_none_or(|ip| it["ip"] == ip));
        found.unwrap_or_else(|| panic!("none of {vector} at {ip:x?}: {:#?}", records))
    };
    // What `crash` had put there.
    let divide = fields(0, None);
    let register = |name: &str| divide[name].as_u64().expect("a number");
    assert_eq!(["rax", "rcx", "rdx"].map(register), [1, 0, 0], "{divide:#}");
    assert_eq!(divide["address"], 0);
    // That of the kernel's which it has jumped to: what it has called from is told first.
    let jump = fields(14, Some(0xffff_ffff_8020_0000));
    assert_eq!(jump["address"], jump["ip"]);
    // By a program, to execute, and a mapped page or none: what is the kernel's is not told apart.
    assert_eq!(
        jump["error_code"].as_u64().map(|code| code & 0x14),
        Some(0x14)
    );
    for record in &faults {
        let fields = &record["fields"];
        assert_eq!(record["process"], fields["process"]);
        assert_eq!(record["thread"], fields["tid"]);
        let stack = fields["backtrace"].as_array().expect("a list");
        assert!(stack.len() >= 3, "{record:#}");
    }
    // No end in order is told of them.
    assert!(of(&records, "program_ended", "crash").is_empty());

    // `cat` gives addresses their names, and `run` has shown them.
    let programs = kernel().parent().expect("a file is in a folder");
    let cat = Command::new(relayctl())
        .args(["cat", "--channel", "evlog", "--programs"])
        .arg(programs)
        .arg(folder.path())
        .output()
        .expect("relayctl starts");
    let text = String::from_utf8(cat.stdout).expect("it is UTF-8");
    let console = run.console.join("\n");
    for text in [&text, &console] {
        let named = |name: &str| text.matches(name).count();
        assert!(
            named("provoke::Fault::provoke (user/rt/src/provoke.rs:") >= 3,
            "{text}"
        );
        assert!(named("user/programs/src/bin/crash.rs:") >= 3, "{text}");
        assert_eq!(named(" _start"), 3, "{text}");
    }
    assert!(run.has(Severity::Warn, "divide error"), "{:?}", run.console);
}
