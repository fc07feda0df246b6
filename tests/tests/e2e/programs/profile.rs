//! What the profiler says of a program that works in known functions for known shares of its time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{kernel, relayctl};
use serde_json::Value;

use super::{records, run, said};

/// The program's ELF file, and all that lie beside it.
fn folder_of_programs() -> PathBuf {
    let folder = kernel().parent().expect("a file is in a folder");
    folder.to_owned()
}

/// What `relayctl profile` says of a capture, by function.
fn profile(capture: &Path, others: &[&str]) -> Value {
    let output = Command::new(relayctl())
        .args(["profile", "--json", "--programs"])
        .arg(folder_of_programs())
        .args(others)
        .arg(capture)
        .output()
        .expect("relayctl starts");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The rounds that each function did, as the program says.
fn rounds(capture: &Path) -> BTreeMap<String, f64> {
    let said = said(capture);
    let rounds = said.iter().filter_map(|(by, text)| {
        let (name, rest) = text.strip_prefix("spin: ")?.split_once(" did ")?;
        let rounds = rest.strip_suffix(" rounds")?.parse().ok()?;
        (by == "spin").then_some((name.to_owned(), rounds))
    });
    rounds.collect()
}

#[test]
fn shares_of_a_programs_functions_are_those_of_what_it_did() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let set = [
        "--accel",
        "icount",
        "--set",
        "profile=10000",
        "--set",
        "profile-size=4194304",
    ];
    let run = run(&capture, 1, "spin,shares,250", &set);
    run.assert_code(0);
    run.assert_complete(1);

    let rounds = rounds(&capture);
    assert_eq!(rounds.len(), 4, "{rounds:?}");
    let all: f64 = rounds.values().sum();
    let profile = profile(&capture, &["--top", "0"]);
    let rows = profile["rows"].as_array().expect("a list");
    let own = |name: &str| {
        let name = format!("spin::{name}");
        let row = rows.iter().find(|row| row["name"] == name);
        let row = row.unwrap_or_else(|| panic!("no {name}: {profile:#}"));
        // Where it ran, what is inlined into it, and what it called.
        row["total"].as_f64().expect("a number")
    };
    // `outer` calls `inner`, and nobody else does.
    let own = |name: &str| match name {
        "outer" => own("outer") - own("inner"),
        _ => own(name),
    };
    let samples: f64 = rounds.keys().map(|name| own(name)).sum();
    assert!(samples > 3_000.0, "{samples} samples");
    for (name, rounds) in &rounds {
        // Further from what is expected than six standard deviations once in five hundred million.
        let share = rounds / all;
        let expected = samples * share;
        let bound = 6.0 * (expected * (1.0 - share)).sqrt();
        let count = own(name);
        eprintln!("{name}: {count} of {samples} samples, {expected:.0} +- {bound:.0} expected");
        assert!(
            (count - expected).abs() <= bound,
            "{name}: {count}, not {expected:.0}"
        );
    }
}

/// Each sample is of the thread that ran: a program's lie in the program, and go down to its
/// beginning; in a system call they begin in the kernel and go on in the program.
#[test]
fn samples_of_programs_are_theirs_in_the_kernel_too() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let set = ["--set", "profile=1000", "--set", "profile-size=4194304"];
    let programs = "spin,300;pingpong,server;pingpong,client,20000,0;costs";
    let run = run(&capture, 4, programs, &set);
    run.assert_code(0);
    let lower = |value: &Value| value.as_u64().expect("a number") < 1 << 47;
    let (mut in_ring_3, mut in_calls, mut switching) = (0, 0, 0);
    for record in records(&capture, "profile") {
        let fields = &record["fields"];
        if record["event"] != "profile_sample" {
            continue;
        }
        let is_program = fields["tid"].as_i64().is_some_and(|tid| tid >= 100);
        let stack = fields["stack"].as_array().expect("a list");
        let addresses: Vec<_> = [&fields["ip"]]
            .into_iter()
            .chain(stack)
            .map(lower)
            .collect();
        // The kernel's come first, the program's behind them.
        assert!(addresses.is_sorted(), "{record}");
        if !is_program {
            assert_eq!(fields["pid"], 0, "{record}");
            assert!(!addresses[0], "{record}");
            // It is about to run: the stack is still that of the thread before.
            switching += usize::from(addresses.contains(&true));
            continue;
        }
        match (addresses[0], addresses[addresses.len() - 1]) {
            (true, _) => in_ring_3 += 1,
            (false, true) => in_calls += 1,
            // On its way in or out.
            (false, false) => {}
        }
    }
    assert!(
        in_ring_3 > 50 && in_calls > 10,
        "{in_ring_3} and {in_calls}"
    );
    assert!(switching < in_ring_3 + in_calls, "{switching}");
}
