//! Machines that go wrong: what is left of their log, and how relayctl ends.

use e2e::{Run, boot, boot_once};
use relay_decode::console::{Line, Record};
use relay_format::Severity;

/// CPUs of the standard machine.
const SMP: u32 = 8;

/// Boots the scenario `panic` in one of its kinds and checks what holds for all:
/// it ends as a failure, by itself, and what was printed adds up.
fn panics(kind: &str) -> Run {
    let run = boot(&["--scenario", "panic", "--set", &format!("kind={kind}")]);
    run.assert_code(1);
    let summary = run.summary();
    assert_eq!(summary["run"]["result"], "fail");
    assert_eq!(summary["run"]["problems"], serde_json::json!([]));
    assert_eq!(summary["total"]["unaccounted"], 0);
    run
}

/// The first error that contains `text`, in whatever case.
#[track_caller]
fn error<'a>(run: &'a Run, text: &str) -> Record<'a> {
    let found = run
        .records()
        .into_iter()
        .find(|r| r.severity == Severity::Error && r.message.to_ascii_lowercase().contains(text));
    found.unwrap_or_else(|| panic!("no error record contains {text:?}"))
}

/// Checks that there is a backtrace and that relayctl found its functions.
#[track_caller]
fn assert_backtrace(run: &Run) {
    let records = run.records();
    let messages = records.iter().map(|record| record.message.trim_start());
    let frames: Vec<_> = messages
        .filter(|m| m.starts_with('#') && m.contains(" 0x"))
        .collect();
    assert!(!frames.is_empty(), "no backtrace");
    let resolved = frames
        .iter()
        .filter(|m| m.contains("kernel::") && m.contains("kernel/src/"));
    assert!(
        resolved.count() > 0,
        "no frame of the backtrace is resolved: {frames:#?}"
    );
}

/// Checks that every CPU left records, and that of the others each left some
/// that it wrote while the scenario ran, not only while it came up.
#[track_caller]
fn assert_last_records(run: &Run, panicked: &Record<'_>) {
    let records = run.records();
    for cpu in 0..SMP {
        let last = records.iter().rfind(|r| r.cpu == cpu);
        let last = last.unwrap_or_else(|| panic!("CPU {cpu} left no record"));
        if cpu != panicked.cpu {
            assert!(
                last.module.contains("scenario"),
                "CPU {cpu} ends with {last:?}"
            );
        }
    }
}

#[test]
fn a_panic_is_told_although_nothing_is_logged() {
    for kind in ["panic", "fault"] {
        let kind = format!("kind={kind}");
        let run = boot(&["--scenario", "panic", "--set", &kind, "--set", "log=off"]);
        run.assert_code(1);
        assert!(error(&run, "cpu 1").module.ends_with("::panic"));
        assert_backtrace(&run);
        let of_others = run.records().iter().filter(|r| r.cpu != 1).count();
        assert_eq!(of_others, 1, "the command line, before it was read");
    }
}

#[test]
fn a_panic_leaves_its_record_and_everybodys_last_records() {
    let run = panics("panic");
    let panicked = error(&run, "panic");
    assert_backtrace(&run);
    assert_last_records(&run, &panicked);
    // Every stream tells how far it is printed.
    let told = run
        .console
        .iter()
        .filter(|line| matches!(Line::parse(line), Line::NotClosed { .. } | Line::End(_)));
    assert_eq!(
        told.count(),
        SMP as usize,
        "streams that tell how they ended"
    );
}

#[test]
fn an_exception_leaves_its_registers_and_a_backtrace() {
    let run = panics("fault");
    let fault = error(&run, "fault");
    assert_backtrace(&run);
    assert_last_records(&run, &fault);
    assert!(
        run.console
            .iter()
            .any(|line| line.to_ascii_lowercase().contains("rip")),
        "no registers"
    );
}

#[test]
fn a_stack_overflow_is_caught_on_its_own_stack() {
    let run = panics("overflow");
    let fault = error(&run, "fault");
    assert_last_records(&run, &fault);
}

#[test]
fn a_panic_inside_relay_takes_the_last_resort() {
    let run = panics("relay");
    let lines = run.console.iter().enumerate();
    let cries: Vec<_> = lines
        .filter_map(|(at, line)| match Line::parse(line) {
            Line::Fallback(cry) => Some((at, cry)),
            _ => None,
        })
        .collect();
    // Both failures are told, with their places, and the first as far as it could be said.
    let place = "panicked at kernel/src/scenario/panic/mod.rs:";
    for (what, message) in [
        (
            "cpu 1 failed: ",
            "this is the panic that the scenario is about",
        ),
        (
            "cpu 1 failed while it was panicking: ",
            "this panic comes while the first one is being told",
        ),
    ] {
        let begin = cries.iter().position(|(_, cry)| cry.starts_with(what));
        let begin = begin.unwrap_or_else(|| panic!("no {what:?} among {cries:#?}"));
        assert!(cries[begin].1.contains(place), "{:?}", cries[begin]);
        assert_eq!(cries[begin + 1].1, message);
    }
    // Behind that comes what was logged and not printed, of everybody.
    let (last_cry, _) = *cries.last().expect("there are some");
    let rest = &run.console[last_cry..];
    let told = rest.iter().filter_map(|line| match Line::parse(line) {
        Line::NotClosed { printed, .. } => Some(printed),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), SMP as usize, "streams that tell how they ended");
    assert_eq!(told.iter().sum::<u64>(), run.records().len() as u64);
    for cpu in 0..SMP {
        let records = run.records();
        let last = records.iter().rfind(|r| r.cpu == cpu);
        assert!(
            last.is_some_and(|last| last.message.ends_with("before the panic")),
            "CPU {cpu} ends with {last:?}"
        );
    }
}

#[test]
fn a_hang_is_an_infrastructure_failure() {
    let run = boot_once(&["--scenario", "hang", "--timeout", "8"]);
    run.assert_code(3);
    assert_eq!(run.summary()["run"]["result"], "timeout");
    assert!(
        run.talk
            .iter()
            .any(|line| line.contains("did not end within 8 s")),
        "{:?}",
        run.talk
    );
    // It did boot, and what came until then adds up.
    let cpus: Vec<_> = run.records().iter().map(|r| r.cpu).collect();
    assert!(
        (0..SMP).all(|cpu| cpus.contains(&cpu)),
        "not all CPUs logged"
    );
    assert_eq!(run.summary()["total"]["unaccounted"], 0);
}
