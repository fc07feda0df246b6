//! What keeps ring 3 apart: each thing that a program must not do ends it, and nothing else.

use std::collections::HashMap;

use e2e::Run;
use relay_format::Severity;

use super::{has_said, records, run, said};

/// How `crash` is told to do it, and the exception that ends it. QEMU's translator says 13 where the
/// manual says 12; and what returns by far, also in ring 3, it has read the stack as the kernel: SMAP
/// refuses that, 14, before there is anything else to refuse.
const FAULTS: [(&str, &[u64]); 36] = [
    ("null-read", &[14]),
    ("text-write", &[14]),
    ("data-execute", &[14]),
    ("kernel-jump", &[14]),
    ("kernel-read", &[14]),
    ("kernel-write", &[14]),
    ("stack-overflow", &[14]),
    ("hlt", &[13]),
    ("cli", &[13]),
    ("port-read", &[13]),
    ("port-write", &[13]),
    ("sse", &[6]),
    ("x87", &[7]),
    ("non-canonical", &[13]),
    ("non-canonical-jump", &[13]),
    ("stack-nowhere", &[12, 13]),
    ("return-nowhere", &[13]),
    ("return-to-ring-0", &[13, 14]),
    ("interrupt-return", &[13, 14]),
    ("sysret", &[13]),
    ("divide", &[0]),
    ("undefined", &[6]),
    ("breakpoint", &[13]),
    ("interrupt", &[13]),
    ("interrupt-80", &[13]),
    ("gs-base", &[6]),
    ("gs-base-read", &[6]),
    ("swapgs", &[13]),
    ("trap-flag", &[1]),
    ("control-register", &[13]),
    ("debug-register", &[13]),
    ("model-register", &[13]),
    ("counter", &[13]),
    ("descriptor-table", &[13]),
    ("invalidate", &[13]),
    ("flags", &[13]),
];

/// What the kernel calls an exception.
fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        6 => "invalid opcode",
        7 => "device not available",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "page fault",
        _ => "another exception",
    }
}

/// Everything is as it was before the programs.
fn assert_memory_is_back(run: &Run) {
    let text = &run.record("before programs ").message;
    let words = text.split_whitespace();
    let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
    let [frames, now, used, used_now] = numbers[..] else {
        panic!("{text}");
    };
    assert!(now >= frames && used_now <= used, "{text}");
}

#[test]
fn each_thing_that_a_program_must_not_do_ends_it_and_nothing_else() {
    let folder = tempfile::tempdir().expect("there is room");
    let crashes = FAULTS.map(|(how, _)| format!("crash,{how};"));
    let programs = format!("restarts=1;{}nulls,200", crashes.concat());
    let run = run(folder.path(), 8, &programs, &["--set", "log=debug"]);
    // init says that programs have ended badly.
    run.assert_code(1);
    run.assert_complete(8);
    assert_memory_is_back(&run);
    let all = run.records();
    let errors = all
        .iter()
        .filter(|record| record.severity == Severity::Error);
    let errors: Vec<_> = errors.map(|record| &record.message).collect();
    assert_eq!(errors.len(), 2, "init's end and the scenario's: {errors:?}");
    let walls = all.iter().filter(|record| {
        let begin = "the walls of ring 3 stand: smep true, smap true";
        record.message.starts_with(begin)
    });
    assert_eq!(walls.count(), 8, "each CPU has tried its walls");

    // Which process was told to do what.
    let mut done: HashMap<String, u32> = HashMap::new();
    for record in records(folder.path(), "user") {
        let text = record["fields"]["text"].as_str().unwrap_or_default();
        let Some(how) = text.strip_prefix("crash: ") else {
            assert!(!text.contains("did no harm"), "{text}");
            continue;
        };
        let pid = record["fields"]["pid"].as_u64().expect("it has a number");
        let begin = format!("crash[{pid}]: ");
        let mut faults = all
            .iter()
            .filter_map(|record| record.message.strip_prefix(&begin));
        let fault = faults.next().unwrap_or_else(|| panic!("{how} is not told"));
        assert_eq!(faults.next(), None, "{how} is told once");
        let (_, vectors) = FAULTS
            .iter()
            .find(|(known, _)| *known == how)
            .expect("it is known");
        let is_it = |vector: &u64| fault.starts_with(&format!("{} at ", name(*vector)));
        assert!(vectors.iter().any(is_it), "{how}: {fault}");
        *done.entry(how.to_owned()).or_default() += 1;
    }
    for (how, _) in FAULTS {
        assert_eq!(
            done.get(how),
            Some(&2),
            "{how} is done, and once more when it is restarted"
        );
    }
    assert!(has_said(
        folder.path(),
        "init",
        "nulls has ended with code 0"
    ));
}

#[test]
fn what_is_unmapped_is_forgotten_by_all_cpus() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 4, "remap,2,60;remap,2,60", &[]);
    run.assert_code(0);
    run.assert_complete(4);
    let said = said(folder.path());
    let good = said
        .iter()
        .filter(|(by, text)| by == "remap" && text.ends_with(" 0 words were wrong"));
    assert_eq!(good.count(), 2, "{said:?}");
}
