//! Panics at the worst moments: all CPUs write as fast as they can, in all contexts, and interrupt
//! each other, and one fails in the middle of what must not be disturbed.

use std::path::Path;

use e2e::{boot_once, kernel, stress_kernel};
use relay_format::Severity;
use serde_json::Value;
use tempfile::TempDir;

use super::salvage::{assert_babeltrace_reads, json, on_capture, panics_with, told_by_capture};

/// The CPU that fails.
const VICTIM: u64 = 1;

/// Small rings that overwrite: packets are opened, closed and delivered all the time, also if
/// little leaves the machine.
const BUSY: [&str; 6] = [
    "--set",
    "mode=overwrite",
    "--set",
    "subbuf=1024",
    "--set",
    "count=16",
];

/// The ways out.
const TRANSPORTS: [&str; 2] = ["virtio", "serial"];

/// What the victim has logged, in order.
fn last_words(capture: &Path) -> Vec<Value> {
    let cpu = VICTIM.to_string();
    let cat = on_capture(
        &["cat", "--json", "--channel", "klog", "--cpu", &cpu],
        capture,
    );
    let text = String::from_utf8(cat.stdout).expect("it is UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("cat prints JSON"))
        .collect()
}

/// Boots the scenario `panic` in this kind, and checks that the capture has everything, and ends with
/// the failure, in this context.
fn fails(kernel: &Path, kind: &str, transport: &str, context: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    let kind = format!("kind={kind}");
    let kernel = kernel.to_str().expect("it is UTF-8");
    let own = ["--kernel", kernel, "--transport", transport, "--set", &kind];
    panics_with(&[&own[..], &BUSY].concat(), folder.path());
    let words = last_words(folder.path());
    let begin = words.iter().position(|word| word["severity"] == "ERROR");
    let failure = &words[begin.expect("the failure is told")..];
    assert_eq!(failure[0]["context"], context, "{kind}: {}", failure[0]);
    // Nothing else comes behind it.
    let is_told = |word: &Value| word["severity"] == "ERROR";
    assert!(failure.iter().all(is_told), "{kind}: {failure:?}");
    folder
}

/// Records that the victim has left unfinished in `flood`.
fn uncommitted(capture: &Path) -> u64 {
    let stat = json(&["stat", "--json"], capture);
    let channels = stat["channels"].as_array().expect("a list");
    let flood = channels.iter().find(|channel| channel["name"] == "flood");
    let cpus = &flood.expect("it is captured")["cpus"];
    let cpu = cpus.as_array().expect("a list").iter();
    let cpu = cpu.filter(|cpu| cpu["cpu"] == VICTIM);
    cpu.filter_map(|cpu| cpu["uncommitted"].as_u64()).sum()
}

/// In the interrupts that come to all, in the allocator, in the pump, in a resize, and without a
/// stack.
#[test]
fn a_panic_at_any_moment_leaves_all_that_was_committed() {
    for transport in TRANSPORTS {
        for (kind, context) in [
            ("irq", "irq"),
            ("nmi", "nmi"),
            ("drain", "nmi"),
            ("resize", "nmi"),
            ("heap", "task"),
            ("double", "task"),
        ] {
            fails(kernel(), kind, transport, context);
        }
    }
}

/// Where NMIs have found the CPU is told by relay's phases.
#[test]
fn a_panic_within_a_write_leaves_all_that_was_committed() {
    for transport in TRANSPORTS {
        for kind in ["swap", "switch", "delivery"] {
            let folder = fails(stress_kernel(), kind, transport, "nmi");
            if transport == "virtio" {
                assert_babeltrace_reads(folder.path());
            }
        }
    }
}

/// The record that the NMI came into is half-written, and counted. One that was just being given up
/// is none: then it is tried again.
#[test]
fn a_record_that_a_panic_finds_half_written_is_counted() {
    let mut tries = (0..5).map(|_| fails(stress_kernel(), "reserved", "virtio", "nmi"));
    assert!(tries.any(|folder| uncommitted(folder.path()) > 0));
}

/// The capture of a panic has what was counted as it was written: it is not the console's alone.
#[test]
fn the_exception_without_a_stack_is_told() {
    let folder = fails(kernel(), "double", "virtio", "task");
    let klog = told_by_capture(folder.path());
    let mut words = klog[&VICTIM].records.values();
    assert!(words.any(|word| word.starts_with("cpu 1: double fault (vector 8) at ")));
}

#[test]
fn what_a_kernel_cannot_tell_is_said() {
    let run = boot_once(&["--scenario", "panic", "--set", "kind=switch"]);
    run.assert_code(1);
    assert!(run.has(
        Severity::Error,
        "this kind needs a kernel with the feature stress"
    ));
    run.assert_complete(8);
}

/// Nobody can tell anything any more: what came until then is there.
#[test]
fn a_triple_fault_is_an_infrastructure_failure() {
    for transport in TRANSPORTS {
        let run = boot_once(&[
            "--scenario",
            "panic",
            "--set",
            "kind=triple",
            "--transport",
            transport,
        ]);
        run.assert_code(3);
        assert!(
            run.talk
                .iter()
                .any(|line| line.contains("a triple fault, or a reset")),
            "{:?}",
            run.talk
        );
        let capture = &run.summary()["run"]["capture"];
        assert_eq!(capture["verdict"], "open", "{capture}");
        assert_eq!(capture["unaccounted"].as_u64().unwrap_or(0), 0, "{capture}");
    }
}
