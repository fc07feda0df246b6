//! What `logd` tells syslog, against what the capture has: each record once, in the order of its
//! stream, word by word, whoever dies meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

use e2e::Run;
use relay_format::Severity;
use serde_json::Value;

use super::{records, run};

/// What syslog is told of.
const CHANNELS: [&str; 3] = ["klog", "evlog", "user"];

/// Runs these programs where there is a syslog; returns what it was told, a message a line.
fn run_with_syslog(folder: &Path, smp: u32, programs: &str, others: &[&str]) -> (Run, Vec<String>) {
    let file = folder.join("syslog");
    let capture = folder.join("capture");
    let syslog = file.to_str().expect("it is UTF-8");
    let run = run(
        &capture,
        smp,
        programs,
        &[&["--syslog", syslog], others].concat(),
    );
    run.assert_code(0);
    run.assert_complete(smp);
    let told = fs::read_to_string(&file).expect("it is text");
    (run, told.lines().map(str::to_owned).collect())
}

/// The text that a message has for a text of a record.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        c if c.is_ascii_control() => format!("\\x{:02x}", c as u32),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The same between quotes.
fn quoted(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("{other} is no field of these tests"),
    };
    let escape = |c: char| match c {
        '"' | '\\' | ']' => format!("\\{c}"),
        c => escaped(&c.to_string()),
    };
    text.chars().map(escape).collect()
}

/// The message of a record, as `relayctl cat --json` has that, without the time.
fn message(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| record[name].as_u64().unwrap_or_default();
    let severity = Severity::from_name(&text("severity")).expect("each has one");
    let severity = (severity as u64).min(7);
    let (channel, fields) = (text("channel"), &record["fields"]);
    let (facility, app, process, id, known, said) = match channel.as_str() {
        "klog" => {
            let file = text("file");
            let file = file.rsplit('/').next().unwrap_or_default().to_owned();
            let source = quoted(&Value::String(format!("{file}:{}", number("line"))));
            let source = format!("source=\"{source}\"]");
            (
                0,
                text("module"),
                "-".into(),
                "-".into(),
                source,
                text("msg"),
            )
        }
        "user" => {
            let thread = format!("thread=\"{}\"]", fields["tid"]);
            let said = fields["text"].as_str().unwrap_or_default().to_owned();
            let program = fields["comm"].as_str().unwrap_or_default().to_owned();
            (
                8,
                program,
                fields["pid"].to_string(),
                "-".into(),
                thread,
                said,
            )
        }
        _ => {
            let facility = Some(number("facility_code")).filter(|code| *code <= 184);
            let values = fields.as_object().expect("each has fields");
            let values = values.iter();
            let values: String = values
                .map(|(name, value)| format!(" {name}=\"{}\"", quoted(value)))
                .collect();
            let values = match values.as_str() {
                "" => String::new(),
                values => format!("[event@32473{values}]"),
            };
            let known = format!("thread=\"{}\"]{values}", record["thread"]);
            let (process, id) = (record["process"].to_string(), text("event"));
            let id = id[..id.len().min(32)].to_owned();
            (
                facility.unwrap_or(24),
                text("facility"),
                process,
                id,
                known,
                text("msg"),
            )
        }
    };
    let app = &app[..app.len().min(48)];
    format!(
        "<{}>1 relay {app} {process} {id} [relay@32473 cpu=\"{}\" context=\"{}\" \
         channel=\"{channel}\" number=\"{}\" {known} {}",
        facility + severity,
        number("cpu"),
        text("context"),
        number("number"),
        escaped(&said)
    )
}

/// A message without its time, and that, in microseconds since midnight.
fn apart(line: &str) -> (String, u64) {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().expect("there are more words");
    let (begin, time, rest) = (word(), word(), word());
    assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
    let of = |place: std::ops::Range<usize>| time[place].parse::<u64>().expect("a number");
    let seconds = of(11..13) * 3600 + of(14..16) * 60 + of(17..19);
    (
        format!("{begin} {}", sorted(rest)),
        seconds * 1_000_000 + of(20..26),
    )
}

/// A message whose fields of the event are in the order of their names: as JSON is read here.
fn sorted(message: &str) -> String {
    const BEGIN: &str = "[event@32473 ";
    let Some((before, rest)) = message.split_once(BEGIN) else {
        return message.to_owned();
    };
    let (values, behind) = rest.split_once("\"] ").expect("it ends");
    let mut values: Vec<_> = values.split("\" ").collect();
    values.sort_unstable();
    format!("{before}{BEGIN}{}\"] {behind}", values.join("\" "))
}

/// That syslog was told what the capture in `folder` has, stream by stream: all that was written
/// before `init` asked whether all was told, and nothing else. Returns how many messages there were.
pub(crate) fn assert_told(folder: &Path, told: &[String]) -> usize {
    let mut streams = BTreeMap::<(String, u64), VecDeque<Value>>::new();
    for channel in CHANNELS {
        for record in records(folder, channel) {
            let cpu = record["cpu"].as_u64().expect("each has one");
            streams
                .entry((channel.into(), cpu))
                .or_default()
                .push_back(record);
        }
    }
    let users = streams.iter().filter(|((channel, _), _)| channel == "user");
    let asked = users
        .flat_map(|(_, records)| records)
        .filter(|record| record["fields"]["text"] == "all programs have ended")
        .filter_map(|record| record["ts_ns"].as_u64())
        .max();
    let asked = asked.expect("init says so");
    let mut shifts = Vec::new();
    let mut times = Vec::new();
    for line in told {
        let (message_told, time) = apart(line);
        let value = |name: &str| {
            let (_, value) = line.split_once(&format!(" {name}=\""))?;
            value.split('"').next()
        };
        let of = value("channel").zip(value("cpu").and_then(|cpu| cpu.parse().ok()));
        let (channel, cpu) = of.unwrap_or_else(|| panic!("{line}"));
        let stream = streams.get_mut(&(channel.to_owned(), cpu));
        let stream = stream.unwrap_or_else(|| panic!("the capture has no such stream: {line}"));
        assert!(
            !stream.is_empty(),
            "the capture has no more of {channel} of cpu {cpu}: {line}"
        );
        let record = stream.pop_front().expect("it is not empty");
        assert_eq!(message_told, message(&record), "{record}");
        let written = record["ts_ns"].as_u64().expect("each has a time") / 1000;
        shifts.push((time + 86_400_000_000 - written % 86_400_000_000) % 86_400_000_000);
        times.push(time);
    }
    let (least, most) = (shifts.iter().min(), shifts.iter().max());
    let same = least
        .zip(most)
        .is_some_and(|(least, most)| most - least <= 1);
    assert!(
        same,
        "times are those of the capture: {least:?} to {most:?}"
    );
    for ((channel, cpu), rest) in &streams {
        let first = rest.front().and_then(|record| record["ts_ns"].as_u64());
        let is_later = first.is_none_or(|first| first > asked);
        assert!(
            is_later,
            "{channel} of cpu {cpu}: {:?} was not told",
            rest.front()
        );
    }
    // How many those are the kernel says, of packets that are complete by then.
    let said = records(folder, "klog").into_iter();
    let said = said.filter_map(|record| {
        let text = record["fields"]["message"]
            .as_str()
            .or(record["msg"].as_str())?;
        let (count, _) = text
            .strip_prefix("syslog was not told of ")?
            .split_once(' ')?;
        Some((record["ts_ns"].as_u64()?, count.parse::<usize>().ok()?))
    });
    let said: Vec<_> = said.collect();
    let [(when, count)] = said[..] else {
        panic!("it is said once: {said:?}");
    };
    let rest = streams.values().flatten();
    let before = rest.filter(|record| record["ts_ns"].as_u64() < Some(when));
    let before = before.count();
    assert!(count <= before, "{count} of {before}");
    told.len()
}

#[test]
fn syslog_is_told_what_the_capture_has() {
    let folder = tempfile::tempdir().expect("there is room");
    let programs = "talk,300;talk,40,1000;hello,0;tracectl";
    let large = ["--set", "user-size=262144"];
    let (run, told) = run_with_syslog(folder.path(), 4, programs, &large);
    let count = assert_told(&folder.path().join("capture"), &told);
    assert!(count > 350, "{count}");
    let passed = run.summary()["run"]["syslog"]["passed"].as_u64();
    assert_eq!(passed, Some(count as u64));
}

/// How often it dies here: more by hand.
const DEATHS: u64 = 50;

#[test]
fn a_record_is_told_once_however_often_logd_dies() {
    let folder = tempfile::tempdir().expect("there is room");
    let deaths = std::env::var("RELAY_DEATHS").ok();
    let deaths = deaths.map_or(DEATHS, |text| {
        text.parse().expect("RELAY_DEATHS is a number")
    });
    // What is written at once lies in large packets: it dies in the middle of telling one.
    let talks = "talk,10000;talk,10000;talk,400,1000;talk,300,2000";
    let programs = format!("kill=logd,{deaths},11;{talks};spin,300");
    let large = ["--set", "user-size=8388608", "--set", "evlog-size=1048576"];
    let (_, told) = run_with_syslog(folder.path(), 4, &programs, &large);
    let count = assert_told(&folder.path().join("capture"), &told);
    assert!(count > 20_700, "{count}");
    let restarts = records(&folder.path().join("capture"), "evlog");
    let restarts = restarts
        .iter()
        .filter(|event| event["event"] == "service_restarted");
    let times = restarts
        .filter_map(|event| event["fields"]["times"].as_u64())
        .max();
    // One that is dying already may be ended once more.
    let times = times.unwrap_or_default();
    assert!((1..=deaths).contains(&times), "it has died {times} times");
}
