//! All clients at once, each in its own channel, mode and size: what one of them loses costs no
//! other. And what evlog says, whoever reads it.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{babeltrace, boot, relayctl};
use serde_json::Value;

/// The clients, with the settings that make rings without room for a burst.
const LOSERS: [(&str, &[&str]); 5] = [
    ("klog", &["log-size=2048"]),
    ("evlog", &["evlog-size=2048"]),
    ("trace", &["trace-size=2048"]),
    ("profile", &["profile-size=2048", "profile=10000"]),
    ("flood", &["subbuf=1024", "count=2"]),
];

/// Others that hold all that is written while a port takes nothing for a moment.
const ROOM: [&str; 6] = [
    "log-size=262144",
    "evlog-size=65536",
    "trace-size=4194304",
    "profile-size=4194304",
    "profile=1000",
    "subbuf=16384",
];

/// What a command of relayctl says of a capture; it is content with it.
fn says(args: &[&str], capture: &Path) -> String {
    let output = Command::new(relayctl())
        .args(args)
        .arg(capture)
        .output()
        .expect("relayctl starts");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it is UTF-8")
}

/// Each line of it as JSON.
fn lines(args: &[&str], capture: &Path) -> Vec<Value> {
    let text = says(args, capture);
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("it is JSON")
}

/// A channel's sums over its streams: records that were read, lost, and overwritten.
fn sums(stat: &Value, channel: &str) -> [u64; 3] {
    let channels = stat["channels"].as_array().expect("a list");
    let mut named = channels.iter().filter(|found| found["name"] == channel);
    let cpus = named.next().expect("it is there")["cpus"].as_array();
    let mut sums = [0; 3];
    for cpu in cpus.expect("a list") {
        let number = |value: &Value| value.as_u64().expect("a number");
        let lost = cpu["lost"].as_object().expect("reasons");
        sums[0] += number(&cpu["delivered"]);
        sums[1] += lost.values().map(number).sum::<u64>();
        sums[2] += number(&cpu["overwritten"]);
    }
    sums
}

/// How many records of a channel babeltrace2 finds, without fillers.
fn theirs(capture: &Path, channel: &str) -> u64 {
    let own = tempfile::tempdir().expect("there is room");
    for entry in fs::read_dir(capture.join("trace")).expect("a trace") {
        let path = entry.expect("a file").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("it is UTF-8");
        if name == "metadata"
            || name
                .strip_prefix(channel)
                .is_some_and(|rest| rest.starts_with('_'))
        {
            fs::copy(&path, own.path().join(name)).expect("it can be copied");
        }
    }
    let text = babeltrace(own.path(), &["--names", "none"]);
    let text = String::from_utf8(text).expect("it is UTF-8");
    let records = text.lines().filter(|line| !line.contains(" filler_"));
    records.count() as u64
}

/// Boots the scenario, and checks that every channel is accounted for, by its claims and by both
/// readers; its `stat`.
fn run(settings: &[&str], capture: &Path) -> Value {
    let out = capture.to_str().expect("it is UTF-8");
    let mut args = vec!["--scenario", "clients", "--out", out, "--force"];
    // Of what is set twice the last counts.
    for setting in ROOM
        .iter()
        .filter(|room| !is_set(settings, room))
        .chain(settings)
    {
        args.extend(["--set", setting]);
    }
    let run = boot(&args);
    run.assert_code(0);
    assert!(says(&["verify"], capture).ends_with("complete\n"));
    let verified = &lines(&["verify", "--json"], capture)[0];
    assert_eq!(verified["total"]["unaccounted"], 0);
    // Of each CPU, of each channel that is there but that of the claims, from each context.
    assert_eq!(verified["claims"], 8 * 6 * 3);
    let stat = lines(&["stat", "--json"], capture).remove(0);
    for channel in [
        "klog", "evlog", "trace", "profile", "user", "flood", "claims",
    ] {
        assert_eq!(
            theirs(capture, channel),
            sums(&stat, channel)[0],
            "{channel}"
        );
    }
    // Of all channels together it has nothing to complain of, but of losses.
    let _ = babeltrace(&capture.join("trace"), &[]);
    stat
}

/// Whether the settings have another value for this one.
fn is_set(settings: &[&str], other: &str) -> bool {
    let key = |setting: &str| setting.split('=').next().map(str::to_owned);
    settings.iter().any(|setting| key(setting) == key(other))
}

#[test]
fn what_one_client_loses_costs_no_other() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    for (loser, settings) in LOSERS {
        let stat = run(settings, &capture);
        for (channel, _) in LOSERS {
            let [records, lost, overwritten] = sums(&stat, channel);
            assert!(records > 0 && overwritten == 0, "{channel}");
            assert_eq!(lost > 0, channel == loser, "{loser}: {channel} lost {lost}");
        }
    }
}

#[test]
fn a_flight_recorder_among_them_overwrites_its_own_records_only() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let stat = run(&["evlog-mode=continuous", "evlog-size=2048"], &capture);
    for (channel, _) in LOSERS {
        let [records, lost, overwritten] = sums(&stat, channel);
        assert!(records > 0, "{channel}");
        assert_eq!(
            overwritten > 0,
            channel == "evlog",
            "{channel}: {overwritten}"
        );
        assert!(lost == 0 || channel == "evlog", "{channel} lost {lost}");
    }
}

#[test]
fn operators_are_told_what_happens_by_facility_type_and_thread() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let run = boot(&["--smp", "4", "--set", "lose=2", "--out", out]);
    run.assert_code(1);
    let told: Vec<_> = lines(&["cat", "--json", "--channel", "evlog"], &capture)
        .iter()
        .map(|record| {
            let of = |key: &str| record[key].clone();
            assert_eq!((of("process"), of("thread")), (0.into(), 1.into()));
            (of("facility"), of("type"), of("severity"), of("msg"))
        })
        .collect();
    let wanted = [
        ("cpu", 1, "ERROR", "cpu 2 did not start"),
        ("boot", 2, "NOTICE", "3 CPUs are up, 1 are missing"),
        ("scenario", 1, "NOTICE", "scenario smoke begins"),
        ("scenario", 3, "ERROR", "scenario smoke: FAIL"),
    ];
    let wanted = wanted.map(|(facility, kind, severity, sentence)| {
        let text = Value::from;
        (text(facility), kind.into(), text(severity), text(sentence))
    });
    assert_eq!(told, wanted);

    // As text, and in a form of one's own.
    let shown = says(&["cat", "--channel", "evlog", "--color", "never"], &capture);
    let line = " task ERROR evlog cpu/1 0:1 cpu_missing: cpu 2 did not start";
    assert_eq!(
        shown.lines().filter(|shown| shown.ends_with(line)).count(),
        1,
        "{shown}"
    );
    let form = "{facility}.{type} {severity} {process}/{thread} {msg}";
    let shown = says(
        &["cat", "--channel", "evlog", "--log-format", form],
        &capture,
    );
    assert!(
        shown.starts_with("cpu.1 ERROR 0/1 cpu 2 did not start\n"),
        "{shown}"
    );

    // Codes and types are in the metadata: that of `boot` is a checksum, that of Python's binascii.
    let metadata = fs::read_to_string(capture.join("trace/metadata")).expect("it is there");
    assert!(
        metadata.contains("&facility=boot&code=1189981892&type=2&text="),
        "{metadata}"
    );
    assert!(
        metadata.contains("&facility=kern&code=0&type=1&text="),
        "{metadata}"
    );
}

#[test]
fn a_panic_is_told_to_operators_too() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let run = boot(&["--scenario", "panic", "--smp", "2", "--out", out]);
    run.assert_code(1);
    let told = lines(&["cat", "--json", "--channel", "evlog"], &capture);
    let panicked: Vec<_> = told
        .iter()
        .filter(|record| record["event"] == "panicked")
        .collect();
    let [record] = panicked[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (&record["severity"], &record["facility_code"]),
        (&"EMERG".into(), &0.into())
    );
    let what = record["fields"]["what"].as_str().expect("a text");
    assert!(what.contains("panicked at"), "{what}");
}
