//! The rules that records of programs keep in a trace that lacks nothing. Each looks at all records,
//! in the order of time, and knows nothing of the others.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// A rule: what does not keep it.
pub(super) type Rule = fn(&[Value]) -> Result<(), String>;

/// All of them, by their names.
pub(super) const RULES: [(&str, Rule); 13] = [
    ("switches are chains", chains),
    ("a thread is on one cpu", one_cpu),
    ("interrupts end before threads are switched", interrupts),
    ("calls return on their threads", calls),
    ("calls are paired", paired_calls),
    ("who is woken runs", woken_run),
    ("who waits is woken", waiting_is_woken),
    ("threads live once", lives),
    ("messages are answered", messages),
    ("sleepers are woken by their timers", sleepers),
    ("priorities are those that were set", priorities),
    ("what ran is paired", paired_runs),
    ("threads are told before programs begin", told_states),
];

/// The number of the first thread of a program.
const FIRST: i64 = 100;

/// A thread has ended.
const GONE: i64 = 64;

/// A number of a record.
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// A field that is the number of a thread, or another signed one.
pub(super) fn thread(record: &Value, field: &str) -> i64 {
    let value = &record["fields"][field];
    value
        .as_i64()
        .unwrap_or_else(|| panic!("no {field}: {record}"))
}

/// The event of a record.
fn event(record: &Value) -> &str {
    record["event"].as_str().expect("it has one")
}

/// The CPU of a record.
fn cpu(record: &Value) -> u64 {
    number(&record["cpu"])
}

/// That this is so of a record.
fn check(is_so: bool, what: &str, record: &Value) -> Result<(), String> {
    match is_so {
        true => Ok(()),
        false => Err(format!("{what}: {record}")),
    }
}

/// The threads that CPUs run, as records tell it.
#[derive(Default)]
struct Running(BTreeMap<u64, i64>);

impl Running {
    /// Takes a record; the thread that its CPU runs, which is the one before a switch.
    fn take(&mut self, record: &Value) -> i64 {
        let before = self.0.get(&cpu(record)).copied().unwrap_or_default();
        if event(record) == "sched_switch" {
            self.0.insert(cpu(record), thread(record, "next_tid"));
        }
        before
    }
}

/// On each CPU the thread that is left is the one that was gone on with.
fn chains(records: &[Value]) -> Result<(), String> {
    let mut running = Running::default();
    for record in records {
        let before = running.take(record);
        if event(record) == "sched_switch" {
            let (prev, next) = (thread(record, "prev_tid"), thread(record, "next_tid"));
            check(
                prev == before,
                &format!("thread {before} ran there"),
                record,
            )?;
            check(prev != next, "that is no switch", record)?;
        }
    }
    Ok(())
}

/// A thread runs on one CPU at a time.
fn one_cpu(records: &[Value]) -> Result<(), String> {
    let mut running = Running::default();
    for record in records {
        running.take(record);
        let next = match event(record) {
            "sched_switch" => thread(record, "next_tid"),
            _ => 0,
        };
        let places = running.0.values().filter(|tid| **tid == next).count();
        check(next == 0 || places == 1, "it runs elsewhere, too", record)?;
    }
    Ok(())
}

/// Entries and exits of interrupts lie in each other, and no thread is switched in between.
fn interrupts(records: &[Value]) -> Result<(), String> {
    let mut open: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for record in records {
        let open = open.entry(cpu(record)).or_default();
        let name = event(record);
        if name.starts_with("syscall_") {
            continue;
        }
        // Waking a sleeper is done under the scheduler's lock, in the timer interrupt.
        if let Some(name) = name.strip_suffix("_entry") {
            open.push(name);
        } else if let Some(name) = name
            .strip_suffix("_exit")
            .filter(|it| *it != "sched_process")
        {
            check(open.pop() == Some(name), "it was not entered last", record)?;
        } else if name == "sched_switch" {
            check(open.is_empty(), &format!("in {open:?}"), record)?;
        }
    }
    let left = open.values().all(Vec::is_empty);
    left.then_some(()).ok_or(format!("at the end: {open:?}"))
}

/// What a call is called, and whether it begins.
fn call(record: &Value) -> Option<(&str, bool)> {
    let name = event(record);
    let entry = name.strip_prefix("syscall_entry_").map(|name| (name, true));
    entry.or_else(|| Some((name.strip_prefix("syscall_exit_")?, false)))
}

/// Hands each call that returns to `see`: its entry and its exit.
fn returned(
    records: &[Value],
    mut see: impl FnMut(&Value, &Value) -> Result<(), String>,
) -> Result<(), String> {
    let mut running = Running::default();
    let mut open: HashMap<i64, &Value> = HashMap::new();
    for record in records {
        let tid = running.take(record);
        let Some((name, is_entry)) = call(record) else {
            continue;
        };
        check(
            tid >= FIRST,
            &format!("thread {tid} is no program's"),
            record,
        )?;
        if is_entry {
            let before = open.insert(tid, record);
            check(
                before.is_none(),
                &format!("{before:?} has not returned"),
                record,
            )?;
            continue;
        }
        match open.remove(&tid) {
            Some(entry) if call(entry) == Some((name, true)) => see(entry, record)?,
            other => return Err(format!("thread {tid} was in {other:?}: {record}")),
        }
    }
    let left = open.values().next();
    left.map_or(Ok(()), |entry| Err(format!("it has not returned: {entry}")))
}

/// Each call returns, on its thread, before that makes another one.
fn calls(records: &[Value]) -> Result<(), String> {
    returned(records, |_, _| Ok(()))
}

/// `relayctl` pairs them so, too.
fn paired_calls(records: &[Value]) -> Result<(), String> {
    returned(records, |entry, exit| {
        let span = &exit["span"]["call"];
        let is_it = span["number"] == entry["number"] && span["cpu"] == entry["cpu"];
        let took = number(&exit["ts_ns"]) - number(&entry["ts_ns"]);
        check(
            is_it && span["ns"] == took,
            &format!("it is that of {entry}"),
            exit,
        )
    })
}

/// Whoever is woken runs, on the CPU that was said: before it is woken again, and before it is freed.
fn woken_run(records: &[Value]) -> Result<(), String> {
    let mut woken: HashMap<i64, &Value> = HashMap::new();
    for record in records {
        match event(record) {
            "sched_wakeup" | "sched_wakeup_new" => {
                let before = woken.insert(thread(record, "tid"), record);
                check(before.is_none(), "it was woken and has not run", record)?;
            }
            "sched_switch" => {
                let before = woken.remove(&thread(record, "next_tid"));
                let target = before.map(|it| thread(it, "target_cpu"));
                let is_there = target.is_none_or(|target| target as u64 == cpu(record));
                check(is_there, &format!("it was woken for {target:?}"), record)?;
            }
            _ => {}
        }
    }
    let left = woken.values().next();
    left.map_or(Ok(()), |record| {
        Err(format!("it has not run since: {record}"))
    })
}

/// A program's thread that waits, or is new, runs only if it is woken: by `sched_waking`, then by
/// `sched_wakeup` with the same CPU, `sched_wakeup_new` if it is new.
fn waiting_is_woken(records: &[Value]) -> Result<(), String> {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Is {
        New,
        Waiting,
        Waking(i64, bool),
        Ready,
    }
    let mut threads: HashMap<i64, Is> = HashMap::new();
    for record in records {
        let name = event(record);
        match name {
            "sched_process_fork" => {
                threads.insert(thread(record, "child_tid"), Is::New);
            }
            "sched_waking" => {
                let (tid, target) = (thread(record, "tid"), thread(record, "target_cpu"));
                let is = threads.get(&tid).copied();
                let is_right = matches!(is, Some(Is::New | Is::Waiting));
                check(is_right, &format!("it was {is:?}"), record)?;
                threads.insert(tid, Is::Waking(target, is == Some(Is::New)));
            }
            "sched_wakeup" | "sched_wakeup_new" => {
                let tid = thread(record, "tid");
                let target = thread(record, "target_cpu");
                let wanted = Is::Waking(target, name == "sched_wakeup_new");
                let is = threads.insert(tid, Is::Ready);
                check(is == Some(wanted), &format!("it was {is:?}"), record)?;
            }
            "sched_switch" => {
                let (prev, next) = (thread(record, "prev_tid"), thread(record, "next_tid"));
                if prev >= FIRST {
                    let state = match thread(record, "prev_state") {
                        0 => Is::Ready,
                        _ => Is::Waiting,
                    };
                    threads.insert(prev, state);
                }
                if next >= FIRST {
                    let is = threads.get(&next).copied();
                    check(is == Some(Is::Ready), &format!("it was {is:?}"), record)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Each thread of a program: fork, its first switch, exec by itself if it is the first of its process,
/// exit, its last switch, free: each once and in this order.
fn lives(records: &[Value]) -> Result<(), String> {
    /// What has happened to a thread.
    #[derive(Debug, Default)]
    struct Life {
        is_first: bool,
        began: bool,
        exec: bool,
        exit: bool,
        left: bool,
        freed: bool,
    }
    let mut threads: BTreeMap<i64, Life> = BTreeMap::new();
    let mut running = Running::default();
    for record in records {
        let on_cpu = running.take(record);
        let name = event(record);
        if name == "sched_process_fork" {
            let (tid, process) = (thread(record, "child_tid"), thread(record, "child_pid"));
            check(
                thread(record, "parent_tid") == on_cpu,
                "the parent runs",
                record,
            )?;
            let life = Life {
                is_first: tid == process,
                ..Life::default()
            };
            check(threads.insert(tid, life).is_none(), "it was there", record)?;
        }
        let (who, is_it_itself) = match name {
            "sched_process_exec" | "sched_process_exit" => (thread(record, "tid"), true),
            "sched_process_free" => (thread(record, "tid"), false),
            "sched_switch" => (thread(record, "next_tid"), false),
            _ => continue,
        };
        check(
            !is_it_itself || who == on_cpu,
            "another thread runs",
            record,
        )?;
        let prev = match name {
            "sched_switch" => thread(record, "prev_tid"),
            _ => 0,
        };
        if prev >= FIRST && thread(record, "prev_state") == GONE {
            let life = threads.get_mut(&prev).ok_or(format!("no fork: {record}"))?;
            check(life.exit && !life.left, &format!("{life:?}"), record)?;
            life.left = true;
        }
        if who < FIRST {
            continue;
        }
        let life = threads.get_mut(&who).ok_or(format!("no fork: {record}"))?;
        let is_right = match name {
            "sched_switch" => !life.exit,
            "sched_process_exec" => life.began && life.is_first && !life.exec && !life.exit,
            "sched_process_exit" => life.began && !life.exit && life.exec == life.is_first,
            _ => life.left && !life.freed,
        };
        check(is_right, &format!("{life:?}"), record)?;
        match name {
            "sched_switch" => life.began = true,
            "sched_process_exec" => life.exec = true,
            "sched_process_exit" => life.exit = true,
            _ => life.freed = true,
        }
    }
    let left = threads.iter().find(|(_, life)| !life.freed);
    left.map_or(Ok(()), |(tid, life)| Err(format!("{tid}: {life:?}")))
}

/// Who sends a message waits until it is answered, by who has received it; `relayctl` pairs them so.
fn messages(records: &[Value]) -> Result<(), String> {
    let mut running = Running::default();
    // By client: what was sent, and who has received it.
    let mut open: HashMap<i64, (&Value, Option<i64>)> = HashMap::new();
    for record in records {
        let on_cpu = running.take(record);
        let name = event(record);
        if !matches!(name, "message_send" | "message_receive" | "message_reply") {
            continue;
        }
        let client = thread(record, "client");
        if name == "message_send" {
            check(client == on_cpu, "another thread sends", record)?;
            let before = open.insert(client, (record, None));
            check(before.is_none(), "it waits already", record)?;
            continue;
        }
        let server = thread(record, "server");
        let Some((sent, taken)) = open.get(&client).copied() else {
            return Err(format!("nothing was sent: {record}"));
        };
        check(
            server == on_cpu || server == 0,
            "another thread runs",
            record,
        )?;
        let is_same = sent["fields"]["port"] == record["fields"]["port"];
        check(is_same, "that is another port", record)?;
        let (span, is_right) = match name {
            "message_receive" => (&record["span"]["sent"], taken.is_none()),
            _ => (
                &record["span"]["asked"],
                server == 0 || taken == Some(server),
            ),
        };
        check(is_right, &format!("taken by {taken:?}"), record)?;
        let is_paired = span["number"] == sent["number"] && span["cpu"] == sent["cpu"];
        check(is_paired, &format!("that is of {sent}"), record)?;
        match name {
            "message_receive" => open.insert(client, (sent, Some(server))),
            _ => open.remove(&client),
        };
    }
    let left = open.values().next();
    left.map_or(Ok(()), |(sent, _)| {
        Err(format!("it was not answered: {sent}"))
    })
}

/// A thread in the call `sleep`.
struct Asleep {
    /// When its time is over.
    over: i64,
    has_timer: bool,
    is_woken: bool,
}

/// Whoever is in the call `sleep` has a timer, which wakes it when its time has come; if that is not so
/// already before it could wait.
fn sleepers(records: &[Value]) -> Result<(), String> {
    // By thread: when its time comes.
    let mut timers: HashMap<u64, i64> = HashMap::new();
    // By CPU: whose timer has expired there.
    let mut expired: HashMap<u64, u64> = HashMap::new();
    let mut woken = 0;
    let mut running = Running::default();
    let mut asleep: HashMap<i64, Asleep> = HashMap::new();
    for record in records {
        let tid = running.take(record);
        match event(record) {
            "timer_hrtimer_start" | "timer_hrtimer_expire_entry" | "timer_hrtimer_expire_exit" => {
                let timer = number(&record["fields"]["hrtimer"]);
                if timer >= 1 << 32 {
                    // That of a CPU.
                    continue;
                }
                match event(record) {
                    "timer_hrtimer_start" => {
                        check(timer == tid as u64, "another thread runs", record)?;
                        timers.insert(timer, thread(record, "expires"));
                        asleep.entry(tid).and_modify(|it| it.has_timer = true);
                    }
                    "timer_hrtimer_expire_entry" => {
                        let due = timers.remove(&timer);
                        let is_due = due.is_some_and(|due| due <= thread(record, "now"));
                        check(is_due, &format!("{due:?}"), record)?;
                        expired.insert(cpu(record), timer);
                    }
                    _ => {
                        let is_it = expired.remove(&cpu(record)) == Some(timer);
                        check(is_it, "it has not expired", record)?;
                    }
                }
            }
            "sched_waking" => {
                let who = thread(record, "tid");
                if let Some(timer) = expired.get(&cpu(record)) {
                    check(who as u64 == *timer, "another one is woken", record)?;
                    asleep.entry(who).and_modify(|it| it.is_woken = true);
                    woken += 1;
                }
            }
            "syscall_entry_sleep" => {
                let over = number(&record["ts_ns"]) as i64 + thread(record, "ns");
                let begins = Asleep {
                    over,
                    has_timer: false,
                    is_woken: false,
                };
                asleep.insert(tid, begins);
            }
            "syscall_exit_sleep" if thread(record, "ret") == 0 => {
                let now = number(&record["ts_ns"]) as i64;
                let is_right = asleep.remove(&tid).is_some_and(|it| match it.has_timer {
                    true => it.is_woken,
                    false => now >= it.over,
                });
                check(is_right, "no timer has woken it", record)?;
            }
            _ => {}
        }
    }
    match woken {
        0 => Err("nobody has slept".to_owned()),
        _ => Ok(()),
    }
}

/// A thread's priority is what it was, unless `sched_pi_setprio` says so.
fn priorities(records: &[Value]) -> Result<(), String> {
    let mut known: HashMap<i64, i64> = HashMap::new();
    for record in records {
        let told: &[(&str, &str)] = match event(record) {
            "sched_switch" => &[("prev_tid", "prev_prio"), ("next_tid", "next_prio")],
            "sched_waking" | "sched_wakeup" | "sched_wakeup_new" => &[("tid", "prio")],
            "sched_migrate_task" | "sched_process_exit" => &[("tid", "prio")],
            "sched_pi_setprio" => &[("tid", "oldprio")],
            _ => continue,
        };
        for (tid, priority) in told {
            let (tid, priority) = (thread(record, tid), thread(record, priority));
            let before = *known.entry(tid).or_insert(priority);
            check(before == priority, &format!("{tid} had {before}"), record)?;
        }
        if event(record) == "sched_pi_setprio" {
            known.insert(thread(record, "tid"), thread(record, "newprio"));
        }
    }
    Ok(())
}

/// `relayctl` tells of a switch since when the thread that is left has run.
fn paired_runs(records: &[Value]) -> Result<(), String> {
    let mut since: BTreeMap<u64, &Value> = BTreeMap::new();
    for record in records.iter().filter(|it| event(it) == "sched_switch") {
        let before = since.insert(cpu(record), record);
        let ran = &record["span"]["ran"];
        let is_it = before.is_none_or(|before| {
            let lasted = number(&record["ts_ns"]) - number(&before["ts_ns"]);
            ran["number"] == before["number"] && ran["ns"] == lasted
        });
        check(is_it, &format!("it ran since {before:?}"), record)?;
    }
    Ok(())
}

/// Before the first program begins the kernel's threads are told.
fn told_states(records: &[Value]) -> Result<(), String> {
    let fork = records
        .iter()
        .position(|it| event(it) == "sched_process_fork");
    let before = &records[..fork.unwrap_or_default()];
    let told = before
        .iter()
        .filter(|it| event(it) == "lttng_statedump_process_state");
    let mut told: Vec<_> = told.map(|it| thread(it, "tid")).collect();
    told.sort_unstable();
    let cpus: i64 = records.iter().filter(|it| event(it) == "cpu_up").count() as i64;
    match told == (1..=cpus).collect::<Vec<_>>() && cpus > 0 {
        true => Ok(()),
        false => Err(format!("{told:?} are told, of {cpus} CPUs")),
    }
}
