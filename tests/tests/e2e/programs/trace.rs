//! What the trace has of programs, in captures of the kernel: threads on their CPUs, who wakes whom,
//! system calls and messages, each with its other end, as LTTng has it and its viewers read it.

mod rules;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::relayctl;
use serde_json::{Value, json};

use super::{run, said};
use rules::{RULES, thread};

/// Programs that do all that is traced: calls, notifications, sleep, threads, priorities, a fault;
/// and more that want a CPU than there are.
const PROGRAMS: &str = "pingpong,server;pingpong,client,300,10000;hello;spin,60;spin,60;spin,60;\
                        spin,60;spin,60;crash,null-read;costs";

/// All of the trace, with what `relayctl` pairs.
fn spans(capture: &Path) -> Vec<Value> {
    let output = Command::new(relayctl())
        .args(["cat", "--spans", "--json", "--channel", "trace"])
        .arg(capture)
        .output()
        .expect("relayctl starts");
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    // It would tell of an entry without an exit.
    assert!(output.status.success() && notes.is_empty(), "{notes}");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

/// The rules that records break, with the first record that does.
fn broken(records: &[Value]) -> Vec<(&'static str, String)> {
    let broken = RULES
        .iter()
        .filter_map(|(name, rule)| Some((*name, rule(records).err()?)));
    broken.collect()
}

/// How many records there are of each event.
fn counts(records: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let name = record["event"].as_str().expect("it has a name");
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[test]
fn threads_calls_and_messages_are_whole_in_a_capture_and_each_rule_can_be_broken() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let size = "trace-size=1048576";
    let run = run(
        &capture,
        4,
        PROGRAMS,
        &["--set", "trace=all", "--set", size],
    );
    // init says so of the program that faulted, and nothing else is wrong.
    run.assert_code(1);
    run.assert_complete(4);
    let ended = said(&capture);
    let well = |name: &str| {
        let what = format!("{name} has ended with code 0");
        ended
            .iter()
            .filter(|(by, text)| by == "init" && *text == what)
            .count()
    };
    assert_eq!(
        ["pingpong", "spin", "hello", "costs"].map(well),
        [2, 5, 1, 1]
    );

    let records = spans(&capture);
    assert_eq!(broken(&records), []);
    let counts = counts(&records);
    let count = |name: &str| counts.get(name).copied().unwrap_or_default();
    // Otherwise there was nothing to look at.
    assert!(count("sched_switch") > 1000, "{counts:#?}");
    assert!(count("sched_migrate_task") > 0, "{counts:#?}");
    assert!(count("sched_pi_setprio") > 0, "{counts:#?}");
    assert!(count("syscall_entry_call") > 300 && count("message_send") > 300);
    assert!(count("message_notify") > 0, "{counts:#?}");
    // It was started again three times.
    assert_eq!(count("x86_exceptions_page_fault_user"), 4);
    let forks = count("sched_process_fork");
    // `init` twice, the others once each; `crash` three times more; two threads of `costs`. And the
    // drain, with a thread for each port.
    assert_eq!(
        (forks, count("sched_process_exec")),
        (2 + 10 + 3 + 2 + 4, 2 + 10 + 3 + 1)
    );
    assert_eq!(count("lttng_statedump_start"), count("lttng_statedump_end"));

    // What viewers of LTTng's traces ask for, and babeltrace2, hold with programs, too.
    assert_eq!(crate::viewers::broken(&capture.join("trace")), []);
    crate::trace::assert_judged(&capture, "complete");

    for (name, damage) in damages() {
        let mut damaged = records.clone();
        damage(&mut damaged);
        let found = broken(&damaged);
        let is_found = found.iter().any(|(rule, _)| *rule == name);
        assert!(
            is_found,
            "'{name}' is broken, and these are found: {found:#?}"
        );
    }
    let tried: Vec<_> = damages().iter().map(|(name, _)| *name).collect();
    assert!(RULES.iter().all(|(name, _)| tried.contains(name)));
}

/// Something that is done to records.
type Damage = fn(&mut Vec<Value>);

/// A way to break each rule.
fn damages() -> Vec<(&'static str, Damage)> {
    vec![
        ("switches are chains", |records| {
            drop_middle(records, "sched_switch", &|_| true)
        }),
        ("a thread is on one cpu", |records| {
            // One more thread of a program is gone on with, which runs already.
            let at = middle(records, "sched_switch", &|it| thread(it, "next_tid") >= 100);
            let mut again = records[at].clone();
            again["cpu"] = json!((again["cpu"].as_u64().expect("a number") + 1) % 4);
            records.insert(at + 1, again);
        }),
        ("interrupts end before threads are switched", |records| {
            drop_middle(records, "x86_irq_vectors_reschedule_exit", &|_| true);
        }),
        ("calls return on their threads", |records| {
            drop_middle(records, "syscall_exit_time", &|_| true);
        }),
        ("calls are paired", |records| {
            let at = middle(records, "syscall_exit_time", &|_| true);
            records[at]["span"]["call"]["number"] = json!(0);
        }),
        ("who is woken runs", |records| {
            // The last that is known of it is that it was woken.
            let at = middle(records, "sched_wakeup", &|_| true);
            let who = thread(&records[at], "tid");
            let mut place = 0;
            records.retain(|it| {
                place += 1;
                place <= at || it["event"] != "sched_switch" || thread(it, "next_tid") != who
            });
        }),
        ("who waits is woken", |records| {
            let at = middle(records, "sched_wakeup", &|_| true);
            let who = thread(&records[at], "tid");
            records.retain(|it| it["event"] != "sched_waking" || thread(it, "tid") != who);
        }),
        ("threads live once", |records| {
            drop_middle(records, "sched_process_free", &|_| true)
        }),
        ("messages are answered", |records| {
            drop_middle(records, "message_reply", &|_| true)
        }),
        ("sleepers are woken by their timers", |records| {
            drop_middle(records, "timer_hrtimer_expire_entry", &|it| {
                it["fields"]["hrtimer"]
                    .as_u64()
                    .is_some_and(|timer| timer < 1 << 32)
            });
        }),
        ("priorities are those that were set", |records| {
            let at = middle(records, "sched_switch", &|it| thread(it, "next_tid") >= 100);
            records[at]["fields"]["next_prio"] = json!(3);
        }),
        ("what ran is paired", |records| {
            let at = middle(records, "sched_switch", &|it| thread(it, "prev_tid") >= 100);
            records[at]["span"]["ran"]["number"] = json!(1);
        }),
        ("threads are told before programs begin", |records| {
            records.retain(|it| {
                it["event"] != "lttng_statedump_process_state" || thread(it, "tid") != 3
            });
        }),
    ]
}

/// The place of a record of an event of which this holds: the one in the middle.
fn middle(records: &[Value], event: &str, is_it: &dyn Fn(&Value) -> bool) -> usize {
    let found = records.iter().enumerate();
    let found = found.filter(|(_, it)| it["event"] == event && is_it(it));
    let found: Vec<_> = found.map(|(at, _)| at).collect();
    assert!(!found.is_empty(), "there is no such {event}");
    found[found.len() / 2]
}

/// Takes one record away.
fn drop_middle(records: &mut Vec<Value>, event: &str, is_it: &dyn Fn(&Value) -> bool) {
    let at = middle(records, event, is_it);
    records.remove(at);
}
