//! The load's rings under stress: exchanged, grown, shrunk, left in static memory, shared by all
//! CPUs, delivered by record; while eight CPUs write in every context.

use e2e::{Run, babeltrace, boot};
use relay_format::Severity;
use serde_json::Value;

/// CPUs of the standard machine.
const SMP: u64 = 8;

/// Boots the scenario with these settings, which must pass with a complete capture.
fn stress(settings: &[&str]) -> Run {
    stress_in(settings, &[])
}

fn stress_in(settings: &[&str], more: &[&str]) -> Run {
    let settings = ["records=2000"].iter().chain(settings);
    let settings: Vec<_> = settings.flat_map(|word| ["--set", word]).collect();
    let run = boot(&[&["--scenario", "stress"], &settings[..], more].concat());
    run.assert_code(0);
    let capture = &run.summary()["run"]["capture"];
    assert_eq!(capture["verdict"], "complete", "{capture}");
    run
}

/// What the capture has of the only channel of the load that there is: all of it is accounted for.
fn load(run: &Run, name: &str) -> Value {
    let summary = run.summary();
    let channels = summary["run"]["capture"]["channels"].as_array();
    let channels = channels.expect("it is a list").iter();
    let loads =
        channels.filter(|channel| ["flood", "shared"].iter().any(|it| channel["name"] == *it));
    let [load] = loads
        .cloned()
        .collect::<Vec<_>>()
        .try_into()
        .expect("there is one");
    assert_eq!(load["name"], name);
    assert_eq!(load["unaccounted"], 0, "{load}");
    assert!(load["attempted"].as_u64() >= Some(2000 * SMP), "{load}");
    assert!(load["delivered"].as_u64() > Some(0), "{load}");
    load
}

/// The numbers in the record that contains `text`.
fn numbers(run: &Run, text: &str) -> Vec<u64> {
    let records = run.records();
    let found = records.iter().find(|record| record.message.contains(text));
    let message = &found
        .unwrap_or_else(|| panic!("nobody says {text:?}"))
        .message;
    let words = message.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Checks that the memory of all rings has come back.
fn assert_heap_is_flat(run: &Run) {
    let heap = numbers(run, "heap in use");
    let [before, after] = heap[..] else {
        panic!("{heap:?}")
    };
    assert!(before != 0 && after <= before, "{heap:?}");
}

#[test]
fn rings_leave_static_memory_and_are_exchanged_while_all_cpus_write() {
    let run = stress(&["begin=static", "resize=3000"]);
    load(&run, "flood");
    assert_eq!(numbers(&run, "have left static memory"), [SMP]);
    assert!(numbers(&run, "rings were exchanged")[0] >= 3000);
    assert_heap_is_flat(&run);
}

#[test]
fn rings_that_are_overwritten_are_exchanged() {
    let run = stress(&["mode=overwrite", "resize=1000", "subbuf=1024", "count=8"]);
    let load = load(&run, "flood");
    assert!(load["overwritten"].as_u64() > Some(0), "{load}");
    assert!(numbers(&run, "rings were exchanged")[0] >= 1000);
    assert_heap_is_flat(&run);
}

#[test]
fn rings_grow_while_nobody_reads_and_shrink_when_nobody_writes() {
    let run = stress(&["count=2", "adapt=64", "begin=static"]);
    load(&run, "flood");
    let asked = numbers(&run, "rings have grown to");
    let [most, grown, shrunk] = asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(most, 64);
    // Five doublings of each ring, and as many halvings.
    assert!(grown >= 5 * SMP && shrunk >= 5 * SMP, "{asked:?}");
    assert_heap_is_flat(&run);
}

#[test]
fn records_are_read_one_by_one_before_their_sub_buffers_are_complete() {
    let run = stress(&["delivery=record"]);
    load(&run, "flood");
    assert!(numbers(&run, "were read before")[0] > 0);
}

#[test]
fn one_stream_goes_over_a_serial_port_too() {
    let run = stress_in(
        &["usage=global", "begin=static"],
        &["--transport", "serial"],
    );
    load(&run, "shared");
    assert_eq!(numbers(&run, "have left static memory"), [1]);
}

#[test]
fn one_stream_is_written_by_all_cpus_and_its_ring_exchanged() {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("its name is UTF-8");
    let run = stress_in(
        &[
            "usage=global",
            "delivery=record",
            "begin=static",
            "resize=100",
        ],
        &["--out", out, "--force"],
    );
    let load = load(&run, "shared");
    assert_eq!(numbers(&run, "have left static memory"), [1]);
    assert!(numbers(&run, "rings were exchanged")[0] >= 100);
    assert!(numbers(&run, "were read before")[0] > 0);
    assert_heap_is_flat(&run);
    // The reference reader finds the records of all CPUs in it.
    let text =
        String::from_utf8(babeltrace(&folder.path().join("trace"), &[])).expect("it is text");
    let records: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" flood: "))
        .collect();
    assert_eq!(Some(records.len() as u64), load["delivered"].as_u64());
    for cpu in 0..SMP {
        let field = format!("{{ cpu = {cpu}, sequence = ");
        assert!(
            records.iter().any(|line| line.contains(&field)),
            "cpu {cpu}"
        );
    }
}

#[test]
fn settings_that_cannot_go_together_fail_with_the_reason() {
    for (settings, why) in [
        (
            ["delivery=record", "mode=overwrite"],
            "delivery=record and mode=overwrite cannot go together",
        ),
        (
            ["resize=1", "adapt=128"],
            "resize and adapt cannot go together",
        ),
    ] {
        let set = settings.map(|word| ["--set", word]);
        let run = boot(&[&["--scenario", "stress"], set.as_flattened()].concat());
        run.assert_code(1);
        assert!(run.has(Severity::Error, why), "{why}");
        assert_eq!(run.summary()["run"]["capture"]["verdict"], "complete");
    }
}
