//! The standard run, on machines of several sizes.

use e2e::boot;
use relay_format::{Context, Severity};

/// Boots `smp` CPUs and checks everything that must hold whatever their number.
fn smoke(smp: u32) {
    let run = boot(&["--smp", &smp.to_string()]);
    run.assert_code(0);
    run.assert_complete(smp);
    let records = run.records();
    for cpu in 0..smp {
        for context in Context::ALL {
            let seen = records.iter().any(|r| r.cpu == cpu && r.context == context);
            assert!(seen, "no {} record from CPU {cpu}", context.name());
        }
        let up = format!("cpu {cpu} up");
        let by = records.iter().find(|r| r.message == up).map(|r| r.cpu);
        assert!(cpu == 0 || by == Some(cpu), "{up:?} is logged by {by:?}");
    }
    let pass = run.record("scenario smoke: pass");
    assert_eq!(pass.cpu, 0);
    let errors: Vec<_> = records
        .iter()
        .filter(|r| r.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");

    let summary = run.summary();
    assert_eq!(summary["run"]["result"], "pass");
    assert_eq!(summary["run"]["smp"], smp);
    let first_ms = summary["run"]["first_line_ms"]
        .as_f64()
        .expect("there was a first line");
    let wall_ms = summary["run"]["wall_ms"]
        .as_f64()
        .expect("the run took time");
    assert!(
        0.0 < first_ms && first_ms <= wall_ms,
        "first line {first_ms}, all {wall_ms}"
    );
    // The guest's time begins after QEMU has started, whatever the counter of its CPU shows then.
    let stamp_ms = records[0].time_us as f64 / 1e3;
    assert!(
        stamp_ms <= first_ms,
        "the first line is of {stamp_ms} ms, and came after {first_ms} ms"
    );
    println!(
        "{smp} CPUs: first line {first_ms} ms, all {wall_ms} ms, {} records",
        records.len()
    );
}

#[test]
fn smoke_on_1_cpu() {
    smoke(1);
}

#[test]
fn smoke_on_2_cpus() {
    smoke(2);
}

#[test]
fn smoke_on_3_cpus() {
    smoke(3);
}

#[test]
fn smoke_on_8_cpus() {
    smoke(8);
}

#[test]
fn smoke_on_32_cpus() {
    smoke(32);
}

/// Logging works before the heap and before the other CPUs: the log begins with
/// the very first record, and there are records older than both.
#[test]
fn the_log_begins_before_the_heap_and_the_other_cpus() {
    let run = boot(&["--smp", "2"]);
    run.assert_code(0);
    let records = run.records();
    let first = records.iter().find(|r| r.cpu == 0).expect("CPU 0 logs");
    assert_eq!(first.number, 0, "CPU 0's first line is its first record");
    let heap = run.record("heap ready");
    let up = run.record("cpu 1 up");
    assert_eq!((heap.cpu, up.cpu), (0, 1));
    assert!(heap.number > 0, "the first record is older than the heap");
    assert!(
        first.time_us < heap.time_us,
        "{} < {} us",
        first.time_us,
        heap.time_us
    );
    assert!(
        first.time_us < up.time_us,
        "{} < {} us",
        first.time_us,
        up.time_us
    );
}

/// What the kernel does not understand on its command line it reports, and runs.
#[test]
fn bad_command_line_words_are_reported() {
    let args = [
        "--smp",
        "2",
        "--set",
        "loglevel=loud",
        "--set",
        "seed=many",
        "--set",
        "nonsense=1",
    ];
    let run = boot(&args);
    run.assert_code(0);
    for word in ["loglevel", "seed", "nonsense"] {
        assert!(run.has(Severity::Warn, word), "no warning about {word}");
    }
}

/// The level on the command line is the level of the log.
#[test]
fn the_log_level_is_obeyed() {
    let quiet = boot(&["--smp", "2", "--set", "loglevel=warn"]);
    quiet.assert_code(0);
    // The first record shows the command line, before anybody has read it.
    let records = quiet.records();
    let loud = records
        .iter()
        .filter(|r| r.severity > Severity::Warn && r.number > 0);
    assert_eq!(loud.count(), 0, "records below the level");
    let talkative = boot(&["--smp", "2", "--set", "loglevel=trace"]);
    talkative.assert_code(0);
    talkative.assert_complete(2);
    assert!(talkative.records().len() > records.len());
}

/// A CPU that does not come up is reported, and the rest run.
#[test]
fn a_missing_cpu_is_reported() {
    let run = boot(&["--smp", "3", "--set", "lose=1"]);
    run.assert_code(0);
    assert!(
        run.has(Severity::Warn, "did not come up"),
        "no warning about the CPU"
    );
    assert_eq!(run.summary()["total"]["unaccounted"], 0);
    assert!(
        run.records().iter().any(|r| r.message == "cpu 2 up"),
        "CPU 2 runs"
    );
}
