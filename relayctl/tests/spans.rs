//! Entries and exits in captures: `cat --spans` shows how long what lies between them took, and
//! never across what is not there.

mod synthetic;

use std::path::Path;

use serde_json::{Value, json};
use synthetic::typed::{SCHED, event, with_classes};
use synthetic::{IRQ, Left, NMI, Stream, TASK, capture, metadata_packets, relayctl, salvaged};

/// The classes: a timer's interrupt, another one with a number, and what has no two ends.
const TIMER: (u16, u16) = (300, 301);
const HANDLER: (u16, u16) = (302, 303);
const FAULT: u16 = 304;

fn classes() -> String {
    let number = "integer { size = 32; align = 8; signed = true; }";
    [
        event(TIMER.0, "timer_entry", "", &format!("{number} _vector;")),
        event(TIMER.1, "timer_exit", "", &format!("{number} _vector;")),
        event(
            HANDLER.0,
            "irq_handler_entry",
            "",
            &format!("{number} _irq; string _name;"),
        ),
        event(
            HANDLER.1,
            "irq_handler_exit",
            "",
            &format!("{number} _irq; {number} _ret;"),
        ),
        event(FAULT, "fault", "", "uint64_t _address;"),
    ]
    .concat()
}

/// A stream of the machine, whose clock has ticks of a nanosecond or so.
struct Traced(Stream);

impl Traced {
    fn new() -> Self {
        Self(Stream::new(SCHED, 0, 0))
    }

    fn timer(&mut self, class: u16, ticks: u64, context: u8) {
        self.0.record(class, ticks, context, &[0xEC, 0, 0, 0]);
    }

    fn enter(&mut self, ticks: u64, irq: u8) {
        let fields = [&[irq, 0, 0, 0][..], b"disk\0"].concat();
        self.0.record(HANDLER.0, ticks, IRQ, &fields);
    }

    fn leave(&mut self, ticks: u64, irq: u8) {
        self.0
            .record(HANDLER.1, ticks, IRQ, &[irq, 0, 0, 0, 1, 0, 0, 0]);
    }

    fn fault(&mut self, ticks: u64, context: u8) {
        self.0.record(FAULT, ticks, context, &[0; 8]);
    }
}

/// A capture of these packets of the stream.
fn captured(packets: &[Vec<u8>]) -> std::path::PathBuf {
    let mut all = metadata_packets(&with_classes(&classes()), 1 << 14);
    all.extend_from_slice(packets);
    capture("spans", &all)
}

fn cat(out: &Path, args: &[&str]) -> Left {
    let mut all = vec!["cat".as_ref()];
    all.extend(args.iter().map(std::ffi::OsStr::new));
    all.push(out.as_os_str());
    relayctl(&all)
}

/// What `cat --json --spans` says of the ends, by their numbers, and its notes.
fn ends(out: &Path, args: &[&str]) -> (Vec<(u64, Value)>, Vec<String>) {
    let left = cat(
        out,
        &[&["--json", "--spans", "--channel", "sched"], args].concat(),
    );
    let records = left
        .out
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect("it is JSON") });
    let spans = records.filter_map(|record| {
        let number = record["number"].as_u64().expect("it has one");
        record.get("span").map(|span| (number, span.clone()))
    });
    let notes = left.err.lines().filter(|line| line.contains("exit"));
    let notes = notes.map(|line| line.trim_start_matches("-- sched cpu 0: ").to_owned());
    (spans.collect(), notes.collect())
}

fn pair(entry: u64, begin: u64, ticks: u64, depth: u64) -> Value {
    let ns = |ticks: u64| u128::from(ticks) * 1_000_000_000 / 2_611_200_000;
    let took = ns(begin + ticks) - ns(begin);
    let (begin, took) = (ns(begin) as u64, took as u64);
    json!({ "entry": entry, "begin_ns": begin, "ns": took, "depth": depth })
}

fn unpaired(why: &str) -> Value {
    json!({ "unpaired": why })
}

#[test]
fn interrupts_in_each_other_are_shown_with_how_long_they_took() {
    let mut traced = Traced::new();
    traced.timer(TIMER.0, 1_000, IRQ);
    traced.enter(2_000, 3);
    traced.timer(TIMER.0, 3_000, NMI);
    traced.timer(TIMER.1, 3_500, NMI);
    traced.fault(3_600, IRQ);
    let first = traced.0.packet(4_000, 0);
    // A packet's end is no loss.
    traced.leave(50_000, 3);
    traced.timer(TIMER.1, 10_000_000, IRQ);
    traced.fault(10_000_001, TASK);
    traced.timer(TIMER.0, 10_000_002, IRQ);
    let out = captured(&[first, traced.0.packet(20_000_000, 1)]);

    let (spans, notes) = ends(&out, &[]);
    let expected = [
        (3, pair(2, 3_000, 500, 3)),
        (5, pair(1, 2_000, 48_000, 2)),
        (6, pair(0, 1_000, 9_999_000, 1)),
    ];
    assert_eq!(spans, expected);
    assert_eq!(
        notes,
        ["timer_entry of record 8, at 0.003829: no exit: still open at the end"]
    );
    let text = cat(&out, &["--spans", "--channel", "sched"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    for ending in [
        "sched timer_exit: vector=236 (192 ns, depth 3)\n",
        "irq_handler_exit: irq=3 ret=1 (18.383 us, depth 2)\n",
        "sched timer_exit: vector=236 (3.829 ms, depth 1)\n",
        "sched timer_entry: vector=236\n",
        "-- sched cpu 0: timer_entry of record 8, at 0.003829: no exit: still open at the end\n",
    ] {
        assert!(text.out.contains(ending), "{ending} in {}", text.out);
    }
    // Nobody asked, nobody is told.
    let plain = cat(&out, &["--channel", "sched"]);
    assert!(
        !plain.out.contains("depth") && !plain.out.contains("-- "),
        "{}",
        plain.out
    );
    // A column of its own.
    let format = ["--log-format", "{number}{span}", "--channel", "sched"];
    let column = cat(&out, &format);
    assert!(
        column.out.contains("\n3 (192 ns, depth 3)\n4\n"),
        "{}",
        column.out
    );
    // What is shown does not change what is paired.
    let (spans, notes) = ends(&out, &["--since", "0.0000013"]);
    assert_eq!(spans, expected);
    assert_eq!(notes.len(), 1);
}

#[test]
fn another_number_is_another_interrupt() {
    let mut traced = Traced::new();
    traced.enter(10, 3);
    traced.enter(20, 4);
    // That of 4 was not written.
    traced.leave(30, 3);
    traced.leave(40, 5);
    let out = captured(&[traced.0.packet(50, 1)]);
    let (spans, notes) = ends(&out, &[]);
    assert_eq!(
        spans,
        [
            (2, pair(0, 10, 20, 1)),
            (3, unpaired("no entry: it was not written"))
        ]
    );
    assert_eq!(
        notes,
        ["irq_handler_entry of record 1, at 0.000000: no exit: it was not written"]
    );
}

#[test]
fn nothing_is_paired_across_packets_that_are_not_there() {
    let mut traced = Traced::new();
    traced.timer(TIMER.0, 10, IRQ);
    let first = traced.0.packet(100, 0);
    traced.timer(TIMER.1, 110, IRQ);
    traced.fault(120, TASK);
    traced.timer(TIMER.0, 130, IRQ);
    let gone = traced.0.packet(200, 0);
    traced.timer(TIMER.1, 210, IRQ);
    traced.fault(220, TASK);
    traced.timer(TIMER.0, 230, IRQ);
    traced.timer(TIMER.1, 240, IRQ);
    let last = traced.0.packet(300, 1);

    let whole = captured(&[first.clone(), gone, last.clone()]);
    let (spans, notes) = ends(&whole, &[]);
    let all = [
        (1, pair(0, 10, 100, 1)),
        (4, pair(3, 130, 80, 1)),
        (7, pair(6, 230, 10, 1)),
    ];
    assert_eq!((spans, notes.len()), (all.to_vec(), 0));

    let out = captured(&[first.clone(), last.clone()]);
    let (spans, notes) = ends(&out, &[]);
    let lost = unpaired("entry lost: 3 records are missing before it");
    assert_eq!(spans, [(4, lost), all[2].clone()]);
    assert_eq!(
        notes,
        ["timer_entry of record 0, at 0.000000: exit lost: 3 records are missing behind it"]
    );
    // Who attaches late has no entry either.
    let (spans, _) = ends(&captured(&[last]), &[]);
    let lost = unpaired("entry lost: 4 records are missing before it");
    assert_eq!(spans[0], (4, lost));
    // What is left out because of its time is nobody's loss.
    let (spans, notes) = ends(&whole, &["--since", "0.000000077"]);
    let unread = unpaired("entry lost: records were not read before it");
    assert_eq!((spans, notes.len()), (vec![(4, unread), all[2].clone()], 0));
}

#[test]
fn nothing_is_paired_where_a_packet_has_lost_something() {
    let mut traced = Traced::new();
    traced.timer(TIMER.0, 10, IRQ);
    let first = traced.0.packet(100, 0);
    traced.timer(TIMER.1, 110, IRQ);
    traced.timer(TIMER.0, 120, IRQ);
    // Here an exit and an entry were lost.
    traced.timer(TIMER.1, 130, IRQ);
    traced.timer(TIMER.0, 140, IRQ);
    traced.0.lost[3] = 2;
    let lossy = traced.0.packet(200, 0);
    traced.timer(TIMER.1, 210, IRQ);
    traced.timer(TIMER.0, 220, IRQ);
    traced.timer(TIMER.1, 230, IRQ);
    let out = captured(&[first, lossy, traced.0.packet(300, 1)]);
    let (spans, notes) = ends(&out, &[]);
    let before = || unpaired("entry lost: 2 records were lost before it");
    let beside = || unpaired("not paired: 2 records were lost beside it");
    assert_eq!(
        spans,
        [
            (1, before()),
            (2, beside()),
            (3, before()),
            (4, beside()),
            (5, before()),
            (7, pair(6, 220, 10, 1)),
        ]
    );
    assert_eq!(
        notes,
        ["timer_entry of record 0, at 0.000000: exit lost: 2 records were lost behind it"]
    );
}

#[test]
fn nothing_is_paired_across_what_a_stopped_cpu_left_undone_or_is_damaged() {
    // Records that were under way, somewhere in the packet.
    let mut traced = Traced::new();
    traced.timer(TIMER.0, 10, IRQ);
    traced.timer(TIMER.1, 20, IRQ);
    traced.0.uncommitted = 1;
    let undone = salvaged(&traced.0.packet(100, 0));
    let (spans, _) = ends(&captured(&[undone]), &[]);
    assert_eq!(
        spans,
        [
            (0, unpaired("not paired: 1 record was lost beside it")),
            (1, unpaired("entry lost: 1 record was lost before it")),
        ]
    );
    // A class that nobody knows: the rest of its packet cannot be read.
    let mut traced = Traced::new();
    traced.timer(TIMER.0, 10, IRQ);
    traced.0.record(999, 20, IRQ, &[]);
    traced.timer(TIMER.1, 30, IRQ);
    let damaged = traced.0.packet(100, 0);
    traced.timer(TIMER.1, 110, IRQ);
    let (spans, notes) = ends(&captured(&[damaged, traced.0.packet(200, 1)]), &[]);
    let lost = unpaired("entry lost: records cannot be read before it");
    assert_eq!(spans, [(3, lost)]);
    assert_eq!(
        notes,
        ["timer_entry of record 0, at 0.000000: exit lost: records cannot be read behind it"]
    );
}

#[test]
fn who_follows_is_shown_the_same() {
    let mut traced = Traced::new();
    let mut packets = Vec::new();
    for at in 0..50 {
        traced.timer(TIMER.0, at * 1000 + 10, IRQ);
        if at % 7 == 3 {
            traced.0.lost[0] += 1;
        }
        packets.push(traced.0.packet(at * 1000 + 20, 0));
        traced.timer(TIMER.1, at * 1000 + 30, IRQ);
    }
    packets.remove(20);
    packets.push(traced.0.packet(60_000, 1));
    let out = captured(&packets);
    let (spans, notes) = ends(&out, &[]);
    assert!(
        spans.len() == 49 + 7 && notes.len() > 6,
        "{} {}",
        spans.len(),
        notes.len()
    );
    assert_eq!(ends(&out, &["--follow"]), (spans, notes));
}

/// Who follows a machine that closes all its streams is told in the end what is open.
#[test]
fn what_is_open_when_all_streams_are_closed_is_told_to_who_follows() {
    let mut traced = Traced::new();
    traced.timer(TIMER.0, 10, IRQ);
    let mut packets = vec![traced.0.packet(100, 1)];
    packets.extend((1..=3).map(|id| Stream::new(id, 0, 0).packet(100, 1)));
    let out = captured(&packets);
    let told = ends(&out, &["--follow"]).1;
    assert_eq!(told, ends(&out, &[]).1);
    assert!(
        told[0].ends_with("no exit: still open at the end"),
        "{told:?}"
    );
    // Also while the capture is still being made: nothing more will come.
    std::fs::remove_file(out.join("run.json")).expect("it is there");
    assert_eq!(ends(&out, &["--follow"]).1, told);
}

/// The classes of threads, as the kernel has them: a switch, a wake-up, and a call.
const SWITCH: u16 = 400;
const WAKING: u16 = 401;
const CALL: (u16, u16) = (402, 403);
const SEND: u16 = 404;
const REPLY: u16 = 405;

/// A machine with two CPUs, and these classes beside the others.
fn with_threads() -> String {
    let text = with_classes(
        &[
            classes(),
            event(
                SWITCH,
                "sched_switch",
                "",
                "utf8_t _prev_comm[16]; int32_t _prev_tid; int32_t _next_tid;",
            ),
            event(
                WAKING,
                "sched_waking",
                "",
                "utf8_t _comm[16]; int32_t _tid;",
            ),
            event(CALL.0, "syscall_entry_read", "", "uint32_t _file;"),
            event(CALL.1, "syscall_exit_read", "", "int64_t _ret;"),
            event(SEND, "message_send", "", "uint64_t _port; int32_t _client;"),
            event(
                REPLY,
                "message_reply",
                "",
                "uint64_t _port; int32_t _client;",
            ),
        ]
        .concat(),
    );
    assert!(text.contains("cpus = 1;"));
    text.replace("cpus = 1;", "cpus = 2;")
}

fn switch(stream: &mut Stream, ticks: u64, prev: i32, next: i32) {
    let fields = [&[b'x'; 16][..], &prev.to_le_bytes(), &next.to_le_bytes()].concat();
    stream.record(SWITCH, ticks, TASK, &fields);
}

fn waking(stream: &mut Stream, ticks: u64, thread: i32) {
    let fields = [&[b'x'; 16][..], &thread.to_le_bytes()].concat();
    stream.record(WAKING, ticks, IRQ, &fields);
}

fn message(stream: &mut Stream, class: u16, ticks: u64, client: i32) {
    let fields = [&[1; 8][..], &client.to_le_bytes()].concat();
    stream.record(class, ticks, TASK, &fields);
}

/// What `cat --json --spans` says of the ends, by CPU and number.
fn far_ends(out: &Path, args: &[&str]) -> Vec<(u64, u64, Value)> {
    let left = cat(
        out,
        &[&["--json", "--spans", "--channel", "sched"], args].concat(),
    );
    assert_eq!(left.code, Some(0), "{left:?}");
    let records = left
        .out
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect("it is JSON") });
    let spans = records.filter_map(|record| {
        let number = |name: &str| record[name].as_u64().expect("a number");
        let place = (number("cpu"), number("number"));
        record
            .get("span")
            .map(|span| (place.0, place.1, span.clone()))
    });
    spans.collect()
}

fn since(cpu: u64, number: u64, begin: u64, end: u64) -> Value {
    let ns = |ticks: u64| (u128::from(ticks) * 1_000_000_000 / 2_611_200_000) as u64;
    let (begin, end) = (ns(begin), ns(end));
    json!({ "cpu": cpu, "number": number, "begin_ns": begin, "ns": end - begin })
}

/// A thread calls on CPU 0, waits, is woken there, and goes on on CPU 1. Each CPU has two packets.
fn moved() -> [Stream; 2] {
    [0, 1].map(|cpu| Stream::new(SCHED, cpu, 0))
}

#[test]
fn threads_are_followed_from_one_cpu_to_another() {
    let [mut first, mut second] = moved();
    switch(&mut first, 1_000, 0, 7);
    first.record(CALL.0, 2_000, TASK, &[0; 4]);
    message(&mut first, SEND, 2_500, 7);
    switch(&mut first, 3_000, 7, 0);
    message(&mut second, REPLY, 3_500, 7);
    waking(&mut first, 4_000, 7);
    let packets = [first.packet(4_100, 0), second.packet(4_200, 0)];
    switch(&mut second, 5_000, 0, 7);
    second.record(CALL.1, 9_000, TASK, &[0; 8]);
    let mut all = metadata_packets(&with_threads(), 1 << 14);
    all.extend(packets);
    all.extend([first.packet(9_000, 1), second.packet(9_100, 1)]);
    let out = capture("threads", &all);
    let ends = far_ends(&out, &[]);
    let expected = [
        (0, 3, json!({ "ran": since(0, 0, 1_000, 3_000) })),
        (1, 0, json!({ "asked": since(0, 2, 2_500, 3_500) })),
        (1, 1, json!({ "woken": since(0, 4, 4_000, 5_000) })),
        (1, 2, json!({ "call": since(0, 1, 2_000, 9_000) })),
    ];
    assert_eq!(ends, expected);
    // What is shown does not change what is paired.
    assert_eq!(far_ends(&out, &["--cpu", "1"]), expected[1..]);
    let calls = ["--where", "event == syscall_exit_read"];
    assert_eq!(far_ends(&out, &calls), expected[3..]);
    let text = cat(&out, &["--spans", "--channel", "sched"]).out;
    for ending in [
        "next_tid=0 (ran 766 ns)\n",
        "client=7 (answered after 383 ns, from cpu 0)\n",
        "next_tid=7 (next was woken 383 ns before, from cpu 0)\n",
        "ret=0 (took 2.681 us, from cpu 0)\n",
    ] {
        assert!(text.contains(ending), "{ending} in {text}");
    }
}

#[test]
fn no_thread_is_followed_across_a_loss_on_any_cpu() {
    let [mut first, mut second] = moved();
    switch(&mut first, 1_000, 0, 7);
    first.record(CALL.0, 2_000, TASK, &[0; 4]);
    switch(&mut first, 3_000, 7, 0);
    waking(&mut first, 4_000, 7);
    // Meanwhile something was lost on the other CPU: the thread may have been there.
    switch(&mut second, 1_500, 0, 8);
    let early = second.packet(2_000, 0);
    second.lost[0] = 1;
    switch(&mut second, 3_500, 8, 0);
    let lossy = second.packet(3_600, 0);
    switch(&mut second, 5_000, 0, 7);
    second.record(CALL.1, 9_000, TASK, &[0; 8]);
    let mut all = metadata_packets(&with_threads(), 1 << 14);
    all.extend([
        first.packet(9_000, 1),
        early,
        lossy,
        second.packet(9_100, 1),
    ]);
    let out = capture("threads", &all);
    let left = cat(&out, &["--spans", "--channel", "sched"]);
    let lost = "ret=0 (entry lost: 1 record was lost before it)\n";
    assert!(left.out.contains(lost), "{}", left.out);
    assert!(
        left.out.contains("next_tid=0 (ran 766 ns)\n"),
        "{}",
        left.out
    );
    assert!(!left.out.contains("woken"), "{}", left.out);
    let open = "-- sched cpu 0: syscall_entry_read of record 1, at 0.000000: exit lost";
    assert!(left.out.contains(open), "{}", left.out);
}
