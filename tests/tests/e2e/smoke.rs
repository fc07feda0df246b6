//! The standard run, on machines of several sizes.

use std::process::Command;

use e2e::{Session, Turn, boot, kernel, workspace};
use relay_format::{Context, Severity};
use relay_machine::workspace::RUNNER;

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

/// The least memory that `run` gives is enough for the most CPUs; only the load of other scenarios
/// does not get all its rings then.
#[test]
fn the_smallest_machine_has_room_for_the_most_cpus() {
    let run = boot(&["--smp", "32", "--memory", "32"]);
    run.assert_code(0);
    let wanting = run.records();
    let wanting = wanting.iter().filter(|r| r.message.contains("has no ring"));
    assert!(wanting.clone().all(|r| r.message.contains("for flood")));
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

/// What the kernel would not understand on its command line is refused before it is booted.
#[test]
fn bad_settings_are_refused_before_the_boot() {
    for (args, what) in [
        (
            &["--set", "nonsense=1"][..],
            "no setting 'nonsense'; it has log, log-size, trace",
        ),
        (
            &["--scenario", "flood", "--set", "records=abc"],
            "a number from 0 to",
        ),
        (
            &["--scenario", "flood", "--set", "count=3"],
            "a power of two from 2 to 32768",
        ),
        (
            &["--scenario", "flood", "--set", "subbuf=64"],
            "a power of two from 256 to",
        ),
        (
            &["--scenario", "panic", "--set", "kind=overlow"],
            "Did you mean 'overflow'?",
        ),
        (&["--scenario", "smok"], "Did you mean 'smoke'?"),
    ] {
        let run = boot(args);
        run.assert_code(2);
        assert!(
            run.talk.iter().any(|line| line.contains(what)),
            "{:?}",
            run.talk
        );
        assert!(
            run.records().is_empty() && run.out.is_empty(),
            "{args:?}: it was booted"
        );
    }
}

/// Without relayctl, the kernel itself says what it does not understand, and fails before the
/// scenario starts.
#[test]
fn the_kernel_fails_for_bad_settings() {
    let turn = Turn::wait();
    let mut command = Command::new(workspace().root.join(RUNNER));
    command.arg(kernel()).env("RELAY_SMP", "2");
    command.args([
        "scenario=flood",
        "nonsense=1",
        "log=loud",
        "count=3",
        "quiet",
    ]);
    let run = Session::spawn(command, turn).end();
    run.assert_code(1);
    let said = |text: &str| run.out.iter().any(|line| line.contains(text));
    for what in [
        "scenario flood takes no 'nonsense', only records, seconds, subbuf, count, mode, spares, log",
        "log=loud: 'loud' is no severity; off, emerg, alert",
        "count=3: the value must be a power of two from 2 to 32768",
        "'quiet' is not key=value",
        "scenario flood is not started: the command line is wrong",
    ] {
        assert!(said(what), "nothing says {what:?}: {:#?}", run.out);
    }
    assert!(!said("records tried"), "the scenario ran");
}

/// The level on the command line is the level of the log.
#[test]
fn the_log_level_is_obeyed() {
    let quiet = boot(&["--smp", "2", "--set", "log=warn"]);
    quiet.assert_code(0);
    // The first record shows the command line, before anybody has read it.
    let records = quiet.records();
    let loud = records
        .iter()
        .filter(|r| r.severity > Severity::Warn && r.number > 0);
    assert_eq!(loud.count(), 0, "records below the level");
    let talkative = boot(&["--smp", "2", "--set", "log=trace"]);
    talkative.assert_code(0);
    talkative.assert_complete(2);
    assert!(talkative.records().len() > records.len());
}

/// A CPU that does not come up is reported, the rest run, and the machine fails.
#[test]
fn a_missing_cpu_fails_the_machine() {
    let run = boot(&["--smp", "3", "--set", "lose=1"]);
    run.assert_code(1);
    assert!(
        run.has(Severity::Error, "did not come up, the rest go on: 1"),
        "no error about the CPU"
    );
    assert!(run.has(Severity::Error, "scenario smoke: FAIL"));
    assert_eq!(run.summary()["total"]["unaccounted"], 0);
    assert!(
        run.records().iter().any(|r| r.message == "cpu 2 up"),
        "CPU 2 runs"
    );
    // One that the machine does not have cannot be lost.
    boot(&["--smp", "2", "--set", "lose=7"]).assert_code(2);
    // Nobody but QEMU knows.
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("UTF-8");
    let run = boot(&["--out", out, "--set", "lose=7", "--", "-smp", "2"]);
    run.assert_code(1);
    assert!(run.has(Severity::Error, "there is no such CPU to start, only 1"));
}
