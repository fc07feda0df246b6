//! Queries: what `cat --where` and `stat --where` show, and what `watch` tells and runs.

mod synthetic;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay_decode::capture::{Capture, Options, Port};
use relay_decode::wire::Kind;
use serde_json::{Value, json};
use synthetic::typed::{Payload, SCHED, event, others, with_classes};
use synthetic::{Left, Stream, capture, folder, metadata, metadata_packets, relayctl, small};

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks in a millisecond, by the metadata.
const MS: u64 = 2_611_200;

/// Runs a command on a capture.
fn on(out: &Path, command: &str, args: &[&str]) -> Left {
    let path = out.to_str().expect("it is text");
    relayctl(&[&[command], args, &[path]].concat())
}

/// What `cat` shows of a sound capture.
fn cat(out: &Path, args: &[&str]) -> Vec<String> {
    let left = on(out, "cat", args);
    assert_eq!(left.code, Some(0), "{}", left.err);
    left.out.lines().map(str::to_owned).collect()
}

/// A capture with events of a disk: so many, one each millisecond.
fn disk(name: &str, count: u64) -> PathBuf {
    let class = event(
        300,
        "disk_slow",
        "&facility=disk&text=lba {lba} took {us} us",
        "uint64_t _lba; uint32_t _us;",
    );
    let mut packets = metadata_packets(&with_classes(&class), 1 << 12);
    packets.extend(others(0, count));
    packets.push(Stream::new(1, 0, 0).packet(1, 1));
    let mut stream = Stream::new(SCHED, 0, 0);
    for n in 0..count {
        let fields = [&(100 + n).to_le_bytes()[..], &(n as u32 * 10).to_le_bytes()].concat();
        stream.record(300, (n + 1) * MS, synthetic::TASK, &fields);
    }
    packets.push(stream.packet((count + 1) * MS, 1));
    capture(name, &packets)
}

#[test]
fn only_records_that_match_are_shown() {
    let out = disk("shown", 9);
    let message = ["--log-format", "{msg}"];
    let shown = |expr: &str| cat(&out, &[&message[..], &["--where", expr]].concat());
    // The sentence is that of the class.
    assert_eq!(shown("lba == 104"), ["lba 104 took 40 us"]);
    assert_eq!(shown("lba > 106 && facility == disk").len(), 2);
    assert_eq!(shown("msg =~ \"took [1-3]0\"").len(), 3);
    assert_eq!(shown("event == disk_slow && us & 0x40").len(), 2);
    assert_eq!(
        shown("time <= 2ms && facility == disk"),
        ["lba 100 took 0 us", "lba 101 took 10 us"]
    );
    assert_eq!(
        shown("!(us < 80)").last().map(String::as_str),
        Some("lba 108 took 80 us")
    );
    assert_eq!(shown("severity > debug"), [""; 0]);
    // All filters must agree.
    let both = [
        "--where",
        "lba > 102",
        "--until",
        "0.005",
        "--channel",
        "sched",
    ];
    assert_eq!(cat(&out, &[&message[..], &both].concat()).len(), 2);
    // A name that nothing has is told, and shows nothing.
    let left = on(&out, "cat", &["--where", "lbaa > 1"]);
    assert_eq!((left.code, left.out.as_str()), (Some(0), ""));
    assert!(
        left.err.contains("no record of this boot has lbaa"),
        "{}",
        left.err
    );
}

#[test]
fn a_query_can_say_what_the_other_filters_say() {
    let out = capture("others", &small());
    for (filter, expr) in [
        (&["--level", "warn"][..], "severity >= warning"),
        (&["--cpu", "1"], "cpu == 1"),
        (&["--channel", "klog"], "channel == klog"),
        (
            &["--module", "kernel"],
            "module == kernel || module =~ \"^kernel::\"",
        ),
        (&["--since", "421"], "time >= 421s"),
        (&["--until", "421.07"], "time <= 421.07s"),
        (
            &["--channel", "klog", "--cpu", "0"],
            "channel == klog && !(cpu != 0)",
        ),
    ] {
        let left = on(&out, "cat", &[filter, &["--json"]].concat());
        let right = on(&out, "cat", &["--json", "--where", expr]);
        assert_eq!(left.code, Some(0), "{}", left.err);
        assert_eq!(
            (right.code, right.out),
            (left.code, left.out.clone()),
            "{expr}"
        );
        let count = on(&out, "stat", &["--json", "--where", expr]);
        let count: Value = serde_json::from_str(&count.out).expect("it is JSON");
        assert_eq!(count["matching"], left.out.lines().count(), "{expr}");
    }
}

/// An event for operators, or one that says the same in fields of its own.
#[derive(Clone, Copy)]
struct Told {
    class: u16,
    process: i32,
    thread: i32,
    lba: u32,
}

impl Told {
    /// The class's facility, and the type in it.
    fn kind(&self) -> (&'static str, u32) {
        match self.class {
            300 => ("disk", 3),
            301 => ("net", 3),
            302 => ("disk", 4),
            _ => ("disk", 9),
        }
    }

    fn payload(&self) -> Vec<u8> {
        let who = Payload::default()
            .bytes(self.process.to_le_bytes())
            .bytes(self.thread.to_le_bytes());
        let lba = self.lba.to_le_bytes();
        match self.class {
            300 => who.bytes(lba).text("sda"),
            // The context has a text of another length before the thread.
            301 => Payload::default()
                .bytes(self.process.to_le_bytes())
                .bytes([3, b'i', b'r', b'q'])
                .bytes(self.thread.to_le_bytes())
                .bytes(b"eth0\0")
                .bytes(lba),
            302 => who.bytes(2u16.to_le_bytes()).text("a").text("b").bytes(lba),
            _ => who.text("disk").bytes([9]).bytes(lba),
        }
        .0
    }
}

/// Classes of events for operators: who wrote them lies before their fields. The last one has all
/// that as fields.
fn operators() -> String {
    let who = "int32_t _pid; int32_t _tid;";
    let with_name =
        "int32_t _pid; uint8_t ___name_length; utf8_t _name[___name_length]; int32_t _tid;";
    let text = "uint16_t ___device_length; utf8_t _device[___device_length];";
    let list = "uint16_t ___all_length; struct { uint16_t ___v_length; utf8_t _v[___v_length]; } \
                align(8) _all[___all_length];";
    let behind = |class: String, context: &str| {
        let context = format!("context := struct {{ {context} }};\n    fields :=");
        class.replace("fields :=", &context)
    };
    [
        behind(
            event(
                300,
                "timed_out",
                "&facility=disk&code=7&type=3&text=sector {lba} of {device}",
                &format!("uint32_t _lba; {text}"),
            ),
            who,
        ),
        behind(
            event(
                301,
                "down",
                "&facility=net&code=8&type=3",
                "string _port; uint32_t _lba;",
            ),
            with_name,
        ),
        behind(
            event(
                302,
                "replaced",
                "&facility=disk&code=7&type=4",
                &format!("{list} uint32_t _lba;"),
            ),
            who,
        ),
        event(
            303,
            "foreign",
            "",
            "int32_t _process; int32_t _thread; uint16_t ___facility_length; \
             utf8_t _facility[___facility_length]; uint8_t _type; uint32_t _lba;",
        ),
    ]
    .concat()
}

/// Whether a record is one that is wanted.
type Judge<'j> = &'j dyn Fn(&Told) -> bool;

#[test]
fn events_for_operators_are_found_by_who_and_what() {
    let all: Vec<Told> = (0..120u32)
        .map(|n| Told {
            class: 300 + (n * 7 % 11 % 4) as u16,
            process: (n / 3 % 5) as i32 - 1,
            thread: (n * n % 7) as i32,
            lba: n * 13 % 50,
        })
        .collect();
    let mut packets = metadata_packets(&with_classes(&operators()), 1 << 12);
    packets.extend(others(0, all.len() as u64));
    packets.push(Stream::new(1, 0, 0).packet(1, 1));
    let mut stream = Stream::new(SCHED, 0, 0);
    for (told, n) in all.iter().zip(1..) {
        stream.record(told.class, n * MS, synthetic::TASK, &told.payload());
        if n % 50 == 0 {
            packets.push(stream.packet(n * MS, 0));
        }
    }
    packets.push(stream.packet(200 * MS, 1));
    let out = capture("operators", &packets);
    let is_right: [(&str, Judge<'_>); 14] = [
        ("type == 3", &|it| it.kind().1 == 3),
        ("facility == disk", &|it| it.kind().0 == "disk"),
        ("facility == net && type == 3", &|it| it.class == 301),
        ("facility =~ \"^d\" && type >= 4", &|it| it.class >= 302),
        ("process == 2", &|it| it.process == 2),
        ("process != 2", &|it| it.process != 2),
        ("thread & 4", &|it| it.thread & 4 != 0),
        ("!(thread == 1 || process == 0)", &|it| {
            it.thread != 1 && it.process != 0
        }),
        ("facility == net && thread == 2", &|it| {
            it.class == 301 && it.thread == 2
        }),
        ("event == replaced && lba > 25", &|it| {
            it.class == 302 && it.lba > 25
        }),
        ("type == 3 && process == 1 && lba < 30", &|it| {
            it.kind().1 == 3 && it.process == 1 && it.lba < 30
        }),
        ("msg =~ \"^sector 1. of sda$\"", &|it| {
            it.class == 300 && (10..20).contains(&it.lba)
        }),
        ("field.process < 0", &|it| it.class == 303 && it.process < 0),
        ("number >= 49 && port contains th", &|it| it.class == 301),
    ];
    for (expr, is_right) in is_right {
        let wanted: Vec<u64> = (0..)
            .zip(&all)
            .filter(|(n, told)| is_right(told) && (*n >= 49 || !expr.contains("number")))
            .map(|(n, _)| n)
            .collect();
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{expr}");
        let wanted_by = ["--channel", "sched", "--where", expr];
        for args in [
            &["--json"][..],
            &["--json", "--spans"],
            &["--json", "--follow"],
        ] {
            let args = [&wanted_by[..], args].concat();
            let found = lines(&cat(&out, &args).join("\n"));
            let number = |record: &Value| record["number"].as_u64().expect("it has one");
            assert_eq!(
                found.iter().map(number).collect::<Vec<_>>(),
                wanted,
                "{expr}"
            );
            for record in found {
                // What was skipped has not moved what is behind it.
                let told = all[number(&record) as usize];
                assert_eq!(record["fields"]["lba"], told.lba, "{expr}");
            }
        }
        let count = on(&out, "stat", &[&wanted_by[..], &["--json"]].concat());
        let count: Value = serde_json::from_str(&count.out).expect("it is JSON");
        assert_eq!(count["matching"], wanted.len(), "{expr}");
        let left = on(&out, "export", &[&wanted_by[..], &["-f", "jsonl"]].concat());
        assert_eq!(left.out.lines().count(), wanted.len(), "{expr}");
        let left = on(&out, "watch", &wanted_by);
        assert_eq!(left.out.lines().count(), wanted.len(), "{expr}");
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_a_usage_error() {
    let out = disk("wrong", 1);
    for command in ["cat", "stat", "watch"] {
        let left = on(&out, command, &["--where", "severity => warning"]);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
        let wanted = "at character 10:\n  severity => warning\n           ^\none of these would be \
                      right here: ==, !=, <=, >=, <, >";
        assert!(left.err.contains(wanted), "{}", left.err);
    }
    let left = on(&out, "watch", &[]);
    assert_eq!(left.code, Some(2));
    assert!(left.err.contains("--where EXPR"), "{}", left.err);
    for args in [
        &["--times", "2"][..],
        &["--within", "1s"],
        &["--times", "2", "--within", "1"],
        &["--limit", "1"],
        &["--jobs", "0"],
        &["--exec", ""],
    ] {
        let left = on(&out, "watch", &[&["--where", "cpu == 0"], args].concat());
        assert_eq!(left.code, Some(2), "{args:?}");
    }
}

#[test]
fn what_matches_is_counted_by_channel_and_cpu() {
    let out = disk("counted", 9);
    let left = on(&out, "stat", &["--where", "lba >= 103"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let rows: Vec<Vec<&str>> = left
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["channel", "cpu", "matching", "of"]);
    assert!(rows.contains(&vec!["klog", "0", "0", "0"]), "{rows:?}");
    assert!(rows.contains(&vec!["claims", "0", "0", "2"]), "{rows:?}");
    assert!(rows.contains(&vec!["sched", "0", "6", "9"]), "{rows:?}");
    assert_eq!(rows.last(), Some(&vec!["all", "all", "6", "11"]));
    // Without a filter it is the ledger.
    assert!(on(&out, "stat", &[]).out.contains("unaccounted"));
    // Damage is said, and counts; what is before it is counted, too.
    let stream = out.join("trace").join("sched_0");
    let mut bytes = fs::read(&stream).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last - 8] ^= 1;
    fs::write(&stream, bytes).expect("it is writable");
    let left = on(&out, "stat", &["--where", "lba >= 103"]);
    assert_eq!(left.code, Some(1), "{}", left.out);
    assert!(left.err.contains("sched"), "{}", left.err);
}

/// What was told: lines of JSON.
fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("it is JSON"));
    lines.collect()
}

#[test]
fn each_match_is_told() {
    let out = disk("told", 5);
    let left = on(&out, "watch", &["--where", "lba > 101"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let told = lines(&left.out);
    let lba = |record: &Value| record["fields"]["lba"].as_u64();
    assert_eq!(
        told.iter().map(lba).collect::<Vec<_>>(),
        [102, 103, 104].map(Some)
    );
    assert_eq!(
        told[2]["watch"],
        json!({ "matches": 3, "not_delivered": 0 })
    );
    // But for that it is what `cat` shows.
    let mut first = told[0].clone();
    first.as_object_mut().expect("it is one").remove("watch");
    let shown = cat(&out, &["--json", "--where", "lba == 102"]);
    assert_eq!(vec![first], lines(&shown[0]));
    assert!(left.err.contains("3 records matched"), "{}", left.err);
    // A packed one, too.
    let packed = out.with_file_name("packed.tar");
    let tar = Command::new("tar")
        .arg("cf")
        .arg(&packed)
        .arg("-C")
        .arg(&out)
        .arg(".")
        .status();
    assert!(tar.expect("there is tar").success());
    assert_eq!(
        on(&packed, "watch", &["--where", "lba > 101"]).out,
        left.out
    );
}

#[test]
fn so_many_within_a_time_are_told_once() {
    let out = disk("times", 10);
    let told = |times: &str, within: &str| {
        let args = [
            "--where",
            "lba >= 100",
            "--times",
            times,
            "--within",
            within,
        ];
        let left = on(&out, "watch", &args);
        assert_eq!(left.code, Some(0), "{}", left.err);
        let told = lines(&left.out);
        told.iter()
            .map(|line| line["watch"]["matches"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    // They come each millisecond.
    assert_eq!(told("3", "2ms"), [3, 6, 9]);
    assert_eq!(told("3", "1999us"), [0; 0]);
}

#[test]
fn one_is_enough() {
    let out = disk("once", 5);
    let once = |expr: &str, args: &[&str]| {
        on(
            &out,
            "watch",
            &[&["--once", "--where", expr], args].concat(),
        )
    };
    let left = once("lba > 101", &[]);
    assert_eq!(
        (left.code, lines(&left.out).len()),
        (Some(0), 1),
        "{}",
        left.err
    );
    let left = once("lba > 999", &[]);
    assert_eq!(
        (left.code, left.out.as_str()),
        (Some(1), ""),
        "{}",
        left.err
    );
    // How its command ended is told, and changes nothing.
    let left = once("lba > 101", &["--exec", "exit 7"]);
    assert_eq!(left.code, Some(0));
    assert!(
        left.err.contains("1 of them failed; exit status: 7"),
        "{}",
        left.err
    );
    // One that is being made is not waited for.
    let (out, _capture, mut port) = growing("once-live");
    port.push(&log(&["a"]));
    let left = on(&out, "watch", &["--once", "--where", "msg == a"]);
    assert_eq!(
        (left.code, lines(&left.out).len()),
        (Some(0), 1),
        "{}",
        left.err
    );
}

#[test]
fn a_command_gets_the_record() {
    let out = disk("exec", 3);
    let file = out.with_file_name("got");
    let command = format!("cat >> '{}'; echo done", file.display());
    let args = ["--where", "lba >= 100", "--exec", &command, "--jobs", "1"];
    let left = on(&out, "watch", &args);
    assert_eq!(
        (left.code, left.out.as_str()),
        (Some(0), "done\ndone\ndone\n"),
        "{}",
        left.err
    );
    let got = lines(&fs::read_to_string(&file).expect("it is there"));
    let shown = on(&out, "watch", &["--where", "lba >= 100"]);
    assert_eq!(got, lines(&shown.out));
    assert!(
        left.err.contains("3 records matched; 3 commands started\n"),
        "{}",
        left.err
    );
}

#[test]
fn what_is_over_the_limit_is_counted() {
    let out = disk("limit", 5);
    let args = [
        "--where",
        "lba >= 100",
        "--exec",
        "cat",
        "--limit",
        "3/h",
        "--jobs",
        "1",
    ];
    let left = on(&out, "watch", &args);
    assert_eq!(
        (left.code, lines(&left.out).len()),
        (Some(0), 3),
        "{}",
        left.err
    );
    let told = "5 records matched; 3 commands started; 2 notifications were not delivered (over \
                the limit 2, too many waiting 0, not started 0)";
    assert!(left.err.contains(told), "{}", left.err);
    // What is shown has a limit only if somebody wants it.
    let left = on(&out, "watch", &["--where", "lba >= 100", "--limit", "1/h"]);
    assert_eq!(lines(&left.out).len(), 1);
}

/// A capture that is being made: nothing has come yet.
fn growing(name: &str) -> (PathBuf, Capture, Port) {
    let out = folder(name).join("capture");
    let capture = Capture::create(&Options {
        announce: |what| panic!("{what}"),
        ..Options::new(&out, Kind::Live)
    });
    let capture = capture.expect("the target folder is writable");
    let port = capture.port(0);
    (out, capture, port)
}

/// The metadata, and a packet of the log with these messages.
fn log(messages: &[&str]) -> Vec<u8> {
    let metadata = metadata_packets(&metadata(2), 1 << 20).concat();
    [metadata, more(&mut Stream::new(1, 0, 0), messages)].concat()
}

/// The next packet of the log.
fn more(klog: &mut Stream, messages: &[&str]) -> Vec<u8> {
    let ticks = klog.number * 1000;
    for (message, at) in messages.iter().zip(ticks..) {
        klog.klog(at, 0, 3, 1, ["m", "f", message]);
    }
    klog.packet(ticks + 999, 0)
}

/// A `watch` that runs.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    stderr: BufReader<ChildStderr>,
}

impl Watching {
    fn start(out: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relayctl"))
            .arg("watch")
            .args(args)
            .arg(out)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.expect("it prints UTF-8")).is_err() {
                    break;
                }
            }
        });
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self {
            child,
            lines,
            stderr,
        }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// The next line on stderr.
    fn said(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("it prints UTF-8");
        line
    }

    /// Sends the signal of Ctrl-C.
    fn interrupt(&self) {
        let id = i32::try_from(self.child.id()).expect("it is small");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
    }

    /// Waits for its end: exit code and stderr.
    fn end(mut self) -> (Option<i32>, String) {
        let mut err = String::new();
        self.stderr
            .read_to_string(&mut err)
            .expect("it prints UTF-8");
        (self.child.wait().expect("it ends").code(), err)
    }

    /// How many of its children have ended and were not waited for.
    fn zombies(&self) -> usize {
        let parent = self.child.id().to_string();
        let stats = fs::read_dir("/proc").expect("it is there").flatten();
        let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        let is_one = |stat: &String| {
            let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
            let mut words = behind.split(' ');
            words.next() == Some("Z") && words.next() == Some(parent.as_str())
        };
        stats.filter(is_one).count()
    }
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_wait_is_counted_and_told_by_the_next() {
    let (out, capture, mut port) = growing("queue");
    let place = out.with_file_name("gate");
    let command = format!(
        "while ! test -e '{}'; do sleep 0.01; done; cat",
        place.display()
    );
    let args = [
        "--where",
        "msg == hit",
        "--exec",
        &command,
        "--limit",
        "none",
    ];
    let mut watching = Watching::start(
        &out,
        &[&args[..], &["--jobs", "1", "--timeout", "600"]].concat(),
    );
    let mut klog = Stream::new(1, 0, 0);
    port.push(&metadata_packets(&metadata(2), 1 << 20).concat());
    // One runs, 64 wait, the others are too many.
    port.push(&more(&mut klog, &["hit"; 70]));
    // What is said of a loss behind them shows that they were seen.
    klog.lost[0] = 3;
    port.push(&more(&mut klog, &["not"]));
    assert!(watching.said().contains("3 records lost"));
    File::create(&place).expect("it is writable");
    let told: Vec<Value> = (0..65)
        .map(|_| lines(&watching.line())[0].clone())
        .collect();
    assert_eq!(
        told[64]["watch"],
        json!({ "matches": 65, "not_delivered": 0 })
    );
    port.push(&more(&mut klog, &["hit"]));
    let last = lines(&watching.line());
    assert_eq!(
        last[0]["watch"],
        json!({ "matches": 71, "not_delivered": 5 })
    );
    until("no child is left a zombie", || watching.zombies() == 0);
    port.finish();
    capture.finish(json!({})).expect("it is writable");
    let (code, err) = watching.end();
    assert_eq!(code, Some(0), "{err}");
    let sums = "71 records matched; 66 commands started; 5 notifications were not delivered (over \
                the limit 0, too many waiting 5, not started 0)";
    assert!(err.contains(sums), "{err}");
}

/// Whether a process does something.
fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    !behind.is_empty() && !behind.starts_with('Z')
}

#[test]
fn a_command_that_does_not_end_is_ended_with_what_it_started() {
    let out = disk("hangs", 1);
    let pid = out.with_file_name("pid");
    let command = format!(
        "trap '' TERM; sleep 1000 & echo $! > '{}'; wait",
        pid.display()
    );
    let args = [
        "--where",
        "lba >= 100",
        "--exec",
        &command,
        "--timeout",
        "1",
    ];
    let left = on(&out, "watch", &args);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(
        left.err
            .contains("1 commands started, 1 of them had to be ended"),
        "{}",
        left.err
    );
    let id = fs::read_to_string(&pid).expect("it was started");
    until("what it started has ended", || !is_alive(&id));
}

#[test]
fn ctrl_c_ends_the_commands_too() {
    let (out, _capture, mut port) = growing("interrupted");
    let watching = Watching::start(
        &out,
        &[
            "--where",
            "msg == a",
            "--exec",
            "echo $$; exec sleep 1000",
            "--timeout",
            "1000",
        ],
    );
    port.push(&log(&["a"]));
    let id = watching.line();
    assert!(is_alive(&id));
    watching.interrupt();
    let (code, err) = watching.end();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("1 of them had to be ended"), "{err}");
    until("the command has ended", || !is_alive(&id));
}
