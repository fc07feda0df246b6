//! Captures made of synthetic packets: written, shown, counted and judged.

mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};

use synthetic::{
    Stream, TASK, capture, folder, metadata, metadata_packets, record, recorded, relayctl, small,
};

/// Runs `verify` and returns the exit code and the judgement.
fn verify(folder: &Path) -> (Option<i32>, String) {
    let left = relayctl(&["verify".as_ref(), folder.as_os_str()]);
    let last = left.out.lines().last().unwrap_or_default().to_owned();
    (left.code, last)
}

/// What `verify` finds wrong.
fn problems(folder: &Path) -> String {
    relayctl(&["verify".as_ref(), folder.as_os_str()]).out
}

#[test]
fn a_whole_capture_is_complete() {
    let out = capture("whole", &small());
    let left = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.out.ends_with("complete\n"), "{left:?}");
    // klog 4 + 5, 2 * 7 lost, flood 14, claims 10.
    assert!(
        left.out
            .contains("attempted 47 = delivered 33 + lost 14 (missing 0)"),
        "{left:?}"
    );
    assert!(left.out.contains("10 claims compared"), "{left:?}");
}

#[test]
fn stat_counts_everything() {
    let out = capture("stat", &small());
    let left = relayctl(&["stat".as_ref(), out.as_os_str(), "--json".as_ref()]);
    assert_eq!(left.code, Some(0), "{left:?}");
    let value: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
    let total = &value["total"];
    for (key, count) in [
        ("attempted", 47),
        ("delivered", 33),
        ("lost", 14),
        ("overwritten", 0),
        ("uncommitted", 0),
        ("unaccounted", 0),
    ] {
        assert_eq!(total[key], count, "{key}");
    }
    let klog = &value["channels"][0];
    assert_eq!(klog["name"], "klog");
    let cpu = &klog["cpus"][1];
    assert_eq!(
        (&cpu["cpu"], &cpu["packets"], &cpu["records"]),
        (&1.into(), &3.into(), &5.into())
    );
    assert_eq!(
        (&cpu["lost"]["full"], &cpu["lost"]["discarded"]),
        (&4.into(), &3.into())
    );
    assert_eq!(cpu["lost"]["missing"], 0);
    let table = relayctl(&["stat".as_ref(), out.as_os_str()]);
    assert_eq!(table.code, Some(0));
    assert_eq!(table.out.lines().count(), 2 + 6, "{}", table.out);
}

#[test]
fn cat_merges_by_time_and_shows_losses() {
    let out = capture("cat", &small());
    let left = relayctl(&["cat".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(0), "{left:?}");
    let lines: Vec<_> = left.out.lines().collect();
    let first = "] 0:0 task INFO  kernel::a smoke.rs:41: gr\u{fc}\u{df} \"quoted\" back\\slash";
    assert!(lines[2].ends_with(first), "{}", left.out);
    assert!(
        lines[0].starts_with("-- klog cpu 0: 3 records lost between 0.000000 and "),
        "{}",
        left.out
    );
    assert!(lines[0].ends_with("(discarded 3)"));
    assert!(
        left.out
            .contains(" 1:3 irq  TRACE m f:4294967295: two\n            | lines\n")
    );
    assert!(
        left.out
            .contains(" 1:6 nmi        flood flood: sequence=0 checksum=")
    );
    let times: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with('['))
        .map(|line| &line[..14])
        .collect();
    assert_eq!(times.len(), 33);
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn cat_shows_what_the_format_says() {
    let out = capture("format", &small());
    let cat = |args: &[&str]| relayctl(&[&["cat", out.to_str().unwrap()], args].concat());
    let format = |format: &str, more: &[&str]| {
        let left = cat(&[&["--log-format", format], more].concat());
        assert_eq!((left.code, left.err.as_str()), (Some(0), ""), "{format}");
        left.out
    };
    // The default is a format like any other.
    let default = "[{time:>12}] {cpu}:{number} {context:<4} {severity:<5} {origin}: {msg}";
    assert_eq!(format(default, &[]), cat(&[]).out);
    let only = ["--channel", "klog", "--cpu", "1", "--level", "info"];
    let shown = format(
        "{{{number:>3}|{severity:^8}|{module}|{file}|{line}|{msg}}}",
        &only,
    );
    let records: Vec<&str> = shown
        .lines()
        .filter(|line| !line.starts_with("--"))
        .collect();
    assert_eq!(
        records,
        [
            "{  0|  INFO  |kernel::a|smoke.rs|41|gr\u{fc}\u{df} \"quoted\" back\\slash}",
            "{  1| ERROR  |||7|}",
            "{  4|  WARN  |m|f|1|last}",
        ],
        "{shown}"
    );
    let flood = ["--channel", "flood", "--cpu", "0"];
    let shown = format(
        "{channel} {event} {packet} {context} {module}{line}<{severity}> {msg}",
        &flood,
    );
    let last = shown.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("flood flood 1 nmi <> sequence=0 checksum="),
        "{shown}"
    );
    // As JSON has them.
    let json = cat(&["--json", "--channel", "klog", "--cpu", "0"]).out;
    let records = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let expected: String = records
        .map(|r| format!("{} {} {}\n", r["ts_ns"], r["ticks"], r["number"]))
        .collect();
    let shown = format(
        "{ns} {ticks} {number}",
        &["--channel", "klog", "--cpu", "0"],
    );
    let shown: String = shown
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("--"))
        .collect();
    assert_eq!(shown, expected);
    // Every line has its own colour, and no more.
    let coloured = format(
        "{severity} {msg}",
        &["--color", "always", "--level", "error"],
    );
    let errors = coloured.matches("\x1b[1m\x1b[31mERROR\x1b[0m").count();
    assert_eq!(errors, 2, "{coloured:?}");
    let left = cat(&["--log-format", "{time} {tme}"]);
    assert_eq!(left.code, Some(2));
    assert!(
        left.err
            .contains("no field 'tme' (at character 9); the fields are time, "),
        "{left:?}"
    );
    assert_eq!(cat(&["--log-format", "x", "--json"]).code, Some(2));
}

#[test]
fn verbose_cat_shows_packets_ticks_and_data() {
    let out = capture("verbose", &small());
    let left = relayctl(&["cat".as_ref(), "-v".as_ref(), out.as_os_str()]);
    assert!(
        left.out
            .contains("(packet 1, 1099511627987 ticks) m f:4294967295: two\n"),
        "{left:?}"
    );
    assert!(left.out.contains(" data=0202020202\n"), "{left:?}");
}

#[test]
fn cat_filters() {
    let out = capture("filter", &small());
    let count = |args: &[&str]| {
        let mut all = vec!["cat", out.to_str().unwrap(), "--json"];
        all.extend(args);
        relayctl(&all).out.lines().count()
    };
    assert_eq!(count(&[]), 33);
    assert_eq!(count(&["--channel", "klog"]), 9);
    assert_eq!(count(&["--channel", "klog", "--channel", "claims"]), 19);
    assert_eq!(count(&["--cpu", "1"]), 17);
    assert_eq!(count(&["--cpu", "0-1"]), 33);
    assert_eq!(count(&["--level", "error"]), 2);
    assert_eq!(count(&["--level", "warn"]), 4);
    assert_eq!(count(&["--since", "200000"]), 0);
    assert_eq!(count(&["--until", "1"]), 0);
    assert_eq!(count(&["--since", "1", "--until", "200000"]), 33);
}

/// A capture of one CPU whose log is one packet with records at these times, in ticks.
fn one_packet(name: &str, begin: u64, times: &[u64], text: &str) -> PathBuf {
    let mut packets = metadata_packets(&metadata(1), 1 << 20);
    let mut klog = Stream::new(1, 0, begin);
    for time in times {
        klog.klog(*time, TASK, 3, 1, ["m", "f", text]);
    }
    let end = times.last().copied().unwrap_or(begin);
    packets.push(klog.packet(end, 1));
    capture(name, &packets)
}

/// The times that `cat` shows, in ticks.
fn ticks(out: &Path, args: &[&str]) -> Vec<u64> {
    let left = relayctl(&[&["cat", "--json", out.to_str().unwrap()], args].concat());
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
    let lines = left.out.lines();
    let records = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records
        .map(|record| record["ticks"].as_u64().unwrap())
        .collect()
}

#[test]
fn filters_by_time_reach_into_a_packet() {
    let second = 2_611_200_000;
    let out = one_packet("since", second, &[second, 3 * second], "x");
    assert_eq!(ticks(&out, &[]), [second, 3 * second]);
    assert_eq!(ticks(&out, &["--since", "2"]), [3 * second]);
    assert_eq!(ticks(&out, &["--until", "2"]), [second]);
    assert_eq!(ticks(&out, &["--since", "1", "--until", "3"]).len(), 2);
    assert_eq!(
        ticks(&out, &["--since", "1.000000001", "--until", "2.9"]),
        [0; 0]
    );
}

#[test]
fn times_may_pass_the_end_of_their_bits_within_a_packet() {
    // As long as a packet may be: a tick less than a lap. The bits end within it.
    let lap = 1 << 40;
    let begin = 5 * lap - 1000;
    let times = [
        begin,
        begin + 999,
        begin + 1000,
        begin + 1001,
        begin + lap - 1,
    ];
    let out = one_packet("lap", begin, &times, "x");
    assert_eq!(ticks(&out, &[]), times);
    assert_eq!(verify(&out).1, "open", "no claims: {}", problems(&out));
}

#[test]
fn characters_that_show_nothing_are_shown() {
    let out = one_packet(
        "hidden",
        0,
        &[1],
        "a\u{200b}\u{feff}\u{7f}\u{9b}\u{202e}\u{e0001}b",
    );
    let cat = |args: &[&str]| {
        let left = relayctl(&[&["cat", out.to_str().unwrap()], args].concat());
        assert_eq!((left.code, left.out.lines().count()), (Some(0), 1));
        assert!(
            left.out
                .trim_end()
                .chars()
                .all(|c| (' '..='~').contains(&c)),
            "{left:?}"
        );
        left.out
    };
    let text = r"a\u{200b}\u{feff}\x7f\u{9b}\u{202e}\u{e0001}b";
    assert!(cat(&[]).ends_with(&format!("m f:1: {text}\n")));
    assert!(cat(&["--log-format", "{fields}"]).contains(&format!("message=\"{text}\"")));
    let json = cat(&["--json"]);
    let text = r#""msg":"a\u200b\ufeff\u007f\u009b\u202e\udb40\udc01b""#;
    assert!(json.contains(text), "{json}");
}

#[test]
fn filters_that_name_nothing_are_usage_errors() {
    let out = capture("nothing", &small());
    let code = |args: &[&str], what: &str| {
        let mut all = vec!["cat", out.to_str().unwrap()];
        all.extend(args);
        for follow in [false, true] {
            if follow {
                all.push("--follow");
            }
            let left = relayctl(&all);
            assert_eq!(
                (left.code, left.out.as_str()),
                (Some(2), ""),
                "{args:?}: {left:?}"
            );
            assert!(left.err.contains(what), "{args:?}: {}", left.err);
        }
    };
    code(
        &["--channel", "klog", "--channel", "nope"],
        "no channel 'nope'; it has klog, claims, flood",
    );
    code(&["--cpu", "2,3"], "no CPU 2; it has CPUs 0-1");
    code(&["--cpu", "0,7-9"], "no CPU 7-9; it has CPUs 0-1");
    code(
        &["--channel", "flood", "--level", "warn"],
        "no level in the channel flood; --level is for klog",
    );
    code(
        &["--since", "2", "--until", "1"],
        "--until is before --since",
    );
    // What begins within is what is meant.
    let left = relayctl(&["cat", out.to_str().unwrap(), "--cpu", "1-31"]);
    assert_eq!(left.code, Some(0));
}

#[test]
fn raw_bytes_are_as_good_as_a_capture() {
    let packets = small();
    let out = capture("raw", &packets);
    let raw = folder("raw").join("raw");
    fs::write(&raw, packets.concat()).unwrap();
    let show = |path: &Path| relayctl(&["cat".as_ref(), path.as_os_str()]).out;
    assert_eq!(show(&raw), show(&out));
    assert_eq!(verify(&raw), (Some(0), "complete".to_owned()));
    let piped = std::process::Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "-"])
        .stdin(fs::File::open(&raw).unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), show(&out));
}

/// Runs `tar`, which packs what is in a folder.
fn tar(args: &[&str], folder: &Path) {
    let output = std::process::Command::new("tar")
        .args(args)
        .current_dir(folder)
        .output()
        .expect("there is tar");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_packed_capture_is_as_good_as_its_folder() {
    let out = capture("packed", &small());
    let home = out.parent().unwrap();
    let show = |path: &Path| relayctl(&["cat".as_ref(), path.as_os_str()]).out;
    for (args, name) in [
        (&["-cf", "a.tar", "capture"][..], "a.tar"),
        (&["-czf", "a.tar.gz", "capture"], "a.tar.gz"),
        (
            &["-czf", "named-like-nothing", "--format=posix", "./capture"],
            "named-like-nothing",
        ),
        (&["-cf", "within.tar", "-C", "capture", "."], "within.tar"),
    ] {
        tar(args, home);
        assert_eq!(
            verify(&home.join(name)),
            (Some(0), "complete".to_owned()),
            "{name}"
        );
        assert_eq!(show(&home.join(name)), show(&out), "{name}");
    }
    let piped = std::process::Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["verify", "-"])
        .stdin(fs::File::open(home.join("a.tar.gz")).unwrap())
        .output()
        .unwrap();
    assert!(piped.stdout.ends_with(b"complete\n"));
    // A raw stream, in gzip.
    let gzip = std::process::Command::new("gzip")
        .arg("-k")
        .arg(home.join("raw"))
        .status();
    assert!(gzip.expect("there is gzip").success());
    assert_eq!(
        verify(&home.join("raw.gz")),
        (Some(0), "complete".to_owned())
    );
    // Cut off.
    let whole = fs::read(home.join("a.tar")).unwrap();
    fs::write(home.join("cut.tar"), &whole[..whole.len() * 2 / 3]).unwrap();
    let left = relayctl(&["verify".as_ref(), home.join("cut.tar").as_os_str()]);
    assert_eq!(left.code, Some(1));
    assert!(left.out.contains("cut.tar: "), "{left:?}");
    // It does not grow.
    let left = relayctl(&[
        "cat".as_ref(),
        "-f".as_ref(),
        home.join("a.tar.gz").as_os_str(),
    ]);
    assert_eq!(left.code, Some(2), "{left:?}");
    assert!(left.err.contains("without --follow"), "{left:?}");
    fs::write(home.join("z"), b"\x28\xb5\x2f\xfd").unwrap();
    let left = relayctl(&["verify".as_ref(), home.join("z").as_os_str()]);
    assert_eq!(left.code, Some(3));
    assert!(left.err.contains("packed by zstd"), "{left:?}");
}

#[test]
fn a_trace_by_itself_is_open_at_best() {
    let out = capture("trace", &small());
    let show = |path: &Path| relayctl(&["cat".as_ref(), path.as_os_str()]).out;
    // The path of the trace within a capture means the capture.
    assert_eq!(verify(&out.join("trace")), (Some(0), "complete".to_owned()));
    let home = out.parent().unwrap();
    tar(&["-cf", "only.tar", "capture/trace"], home);
    tar(&["-cf", "files.tar", "-C", "capture/trace", "."], home);
    fs::create_dir(home.join("copied")).unwrap();
    tar(&["-xf", "only.tar", "-C", "copied"], home);
    for copy in [
        "copied/capture",
        "copied/capture/trace",
        "only.tar",
        "files.tar",
    ] {
        let copy = home.join(copy);
        let left = relayctl(&["verify".as_ref(), copy.as_os_str()]);
        assert_eq!(
            (left.code, left.out.lines().last()),
            (Some(0), Some("open")),
            "{left:?}"
        );
        assert!(
            left.out.starts_with("open: only the trace is there: "),
            "{left:?}"
        );
        assert_eq!(show(&copy), show(&out));
        for command in ["cat", "stat"] {
            let left = relayctl(&[command.as_ref(), copy.as_os_str()]);
            assert_eq!(left.code, Some(0));
            assert!(left.err.contains("only the trace is there"), "{left:?}");
        }
        let left = relayctl(&["verify".as_ref(), "--json".as_ref(), copy.as_os_str()]);
        let json: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
        assert_eq!(json["unproven"].as_array().map(Vec::len), Some(1));
    }
    // It proves what is wrong nevertheless.
    let klog = home.join("copied/capture/trace/klog_1");
    let mut bytes = fs::read(&klog).unwrap();
    bytes.drain(..bytes.len() / 2);
    fs::write(&klog, bytes).unwrap();
    assert_eq!(
        verify(&home.join("copied/capture/trace")),
        (Some(1), "broken".to_owned())
    );
}

#[test]
fn an_existing_folder_needs_force() {
    let out = capture("force", &small());
    let raw = out.with_file_name("raw");
    let left = record(&raw, &out);
    assert_eq!(left.code, Some(2));
    assert!(left.err.contains("--force"), "{left:?}");
    let forced = |out: &Path| {
        relayctl(&[
            "record",
            "--force",
            "--from",
            raw.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ])
    };
    assert_eq!(forced(&out).code, Some(0));
    assert_eq!(verify(&out).1, "complete");
    // Nothing that is no capture is removed.
    let other = folder("other");
    fs::write(other.join("precious"), "x").unwrap();
    assert_eq!(forced(&other).code, Some(2));
    assert!(other.join("precious").exists());
}

#[test]
fn a_full_capture_is_open() {
    let folder = folder("full");
    let raw = folder.join("raw");
    fs::write(&raw, small().concat()).unwrap();
    let out = folder.join("capture");
    let left = relayctl(&[
        "record",
        "--max-size",
        "2000",
        "--from",
        raw.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(left.code, Some(1), "something was left out");
    assert!(left.err.contains("--max-size"), "{left:?}");
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
}

#[test]
fn garbage_between_packets_becomes_a_fragment() {
    let mut packets = small();
    let half = packets[9][..100].to_vec();
    packets.insert(9, b"line noise".to_vec());
    packets.insert(7, half);
    let out = capture("garbage", &packets);
    let left = relayctl(&["verify".as_ref(), out.as_os_str()]);
    assert!(
        left.out
            .contains("110 bytes came that were no whole packet"),
        "{left:?}"
    );
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
    assert_eq!(fs::read(out.join("fragments/0")).unwrap().len(), 110);
}

#[test]
fn packets_before_the_metadata_wait_for_it() {
    let mut packets = small();
    let metadata = metadata_packets(&metadata(2), 1000).len();
    packets.rotate_left(metadata);
    assert_eq!(
        verify(&capture("early", &packets)),
        (Some(0), "complete".to_owned())
    );
    // Without it nothing is lost either, but nothing can be read.
    packets.truncate(packets.len() - metadata / 2);
    let (out, left) = recorded("early", &packets);
    assert_eq!(left.code, Some(1));
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
    assert_eq!(fs::read(out.join("fragments/0")).unwrap(), packets.concat());
}

#[test]
fn what_the_ledger_forbids_is_broken() {
    let metadata = metadata_packets(&metadata(1), 1 << 20);
    let judge = |change: &dyn Fn(&mut Stream), flags: u32, claims: &[(u16, u8, u64)]| {
        let mut packets = metadata.clone();
        let mut klog = Stream::new(1, 0, 100);
        klog.klog(110, 0, 3, 1, ["m", "f", "a"]);
        klog.lost[0] = 5;
        klog.overwritten = 0;
        packets.push(klog.packet(120, 0));
        klog.klog(130, 0, 3, 1, ["m", "f", "b"]);
        klog.klog(131, 1, 3, 1, ["m", "f", "c"]);
        change(&mut klog);
        packets.push(klog.packet(140, flags));
        let mut stream = Stream::new(2, 0, 0);
        for (channel, from, attempted) in claims {
            stream.claim(150, *channel, *from, *attempted);
        }
        packets.push(stream.packet(200, 1));
        packets.push(Stream::new(3, 0, 0).packet(1, 1));
        let out = capture("ledger", &packets);
        (verify(&out).1, problems(&out))
    };
    let same = |_: &mut Stream| {};
    assert_eq!(judge(&same, 1, &[(1, 0, 8)]).0, "complete");
    assert_eq!(judge(&same, 0, &[(1, 0, 8)]).0, "open");
    let is_broken = |(verdict, problems): (String, String), with: &str| {
        assert_eq!(verdict, "broken", "{problems}");
        assert!(problems.contains(with), "{problems}");
    };
    // The stream ends early, and its CPU counted more than it knows of.
    is_broken(
        judge(&same, 0, &[(1, 0, 80)]),
        "72 records that its CPU counted are not there",
    );
    is_broken(
        judge(&same, 0, &[(1, 0, 7)]),
        "the writers claim 7 attempts, the ledger has 8",
    );
    is_broken(judge(&same, 1, &[(1, 0, 9)]), "the writers claim 9");
    // Claims are closed, and this stream is not among them.
    is_broken(judge(&same, 1, &[]), "the writers claim 0 attempts");
    is_broken(
        judge(&same, 1, &[(1, 0, 9), (7, 0, 1)]),
        "channel 7, which there is not",
    );
    is_broken(judge(&|s| s.lost[0] = 4, 1, &[]), "full falls from 5 to 4");
    is_broken(
        judge(&|s| s.number = 5, 1, &[]),
        "packets 1 to 4 are missing",
    );
    is_broken(
        judge(&|s| s.number = 0, 1, &[]),
        "packet 0, where 1 should be",
    );
    is_broken(
        judge(&|s| s.ordinal = 0, 1, &[]),
        "begins with record 0, where 1 should be",
    );
    is_broken(
        judge(&|s| s.ordinal = 3, 1, &[]),
        "2 record numbers are skipped, 0 records are said",
    );
    is_broken(
        judge(&|s| s.overwritten = 3, 1, &[]),
        "0 record numbers are skipped, 3 records are said",
    );
    is_broken(
        judge(&|s| s.klog(200, 0, 1, 1, ["", "", ""]), 1, &[]),
        "time 200 is not between 131 and 140",
    );
    is_broken(
        judge(&|s| s.klog(120, 0, 1, 1, ["", "", ""]), 1, &[]),
        "time 120 is not between",
    );
    is_broken(
        judge(&|s| s.raw(1, 132, 0, &[1]), 1, &[]),
        "contents end within it",
    );
    is_broken(
        judge(&|s| s.raw(9, 132, 0, &[1]), 1, &[]),
        "knows no event 9",
    );
    is_broken(judge(&|s| s.raw(0x3FFD, 132, 3, &[]), 1, &[]), "context 3");
    is_broken(
        judge(&|s| s.raw(1, 132, 0, &[0; 11]), 1, &[]),
        "it has 3 records, its header says 2",
    );
    let overwritten = judge(&|s| (s.ordinal, s.overwritten) = (3, 2), 1, &[(1, 0, 10)]);
    assert_eq!(overwritten.0, "complete", "{}", overwritten.1);
}

/// Where rings overwrite, a packet that is not there may have had no record.
#[test]
fn a_packet_without_records_is_missing_unless_it_may_have_been_overwritten() {
    let plain = metadata(1);
    let name = "channel_3 = \"flood\";";
    let marked = plain.replace(name, &format!("{name} mode_3 = \"overwrite\";"));
    assert_ne!(plain, marked);
    for (text, is_sound) in [(plain, false), (marked, true)] {
        let mut packets = metadata_packets(&text, 1 << 20);
        let mut flood = Stream::new(3, 0, 100);
        flood.flood(110, 0, 0, 3);
        packets.push(flood.packet(120, 0));
        // This one nobody gets.
        let _ = flood.packet(130, 0);
        flood.flood(140, 0, 1, 3);
        packets.push(flood.packet(200, 1));
        let told = problems(&capture("mode", &packets));
        let is_missing = told.contains("packets 1 to 1 are missing");
        assert_eq!(is_missing, !is_sound, "{told}");
    }
}

#[test]
fn the_flood_is_checked_record_by_record() {
    let judge = |make: &dyn Fn(&mut Stream)| {
        let mut packets = metadata_packets(&metadata(1), 1 << 20);
        let mut flood = Stream::new(3, 0, 100);
        make(&mut flood);
        packets.push(flood.packet(200, 1));
        let out = capture("flood", &packets);
        problems(&out)
    };
    let good = judge(&|s| (0..3).for_each(|n| s.flood(110 + n, 0, n, 3)));
    assert!(!good.contains("broken"), "{good}");
    let gap = judge(&|s| [0, 2].into_iter().for_each(|n| s.flood(110 + n, 0, n, 3)));
    assert!(
        gap.contains("1 of the flood's numbers are skipped, but only 0"),
        "{gap}"
    );
    let lost = judge(&|s| {
        [0, 2].into_iter().for_each(|n| s.flood(110 + n, 0, n, 3));
        s.lost[2] = 1;
    });
    assert!(!lost.contains("broken"), "{lost}");
    let again = judge(&|s| [0, 0].into_iter().for_each(|n| s.flood(110 + n, 0, n, 3)));
    assert!(
        again.contains("flood 0 where at least 1 should be"),
        "{again}"
    );
    let mut payload = vec![0; 12];
    payload.extend([1, 0, 0]);
    let seal = judge(&|s| s.record(1, 110, 0, &payload));
    assert!(seal.contains("checksum 0x00000000"), "{seal}");
}

#[test]
fn the_newest_capture_is_the_default() {
    // Outside of the workspace, so that its captures stay as they are.
    let scratch = relay_decode::capture::Scratch::new().expect("there is room");
    let here = scratch.path();
    let run = |args: &[&str]| -> synthetic::Left {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_relayctl"));
        let output = command.args(args).current_dir(here).output();
        output.expect("relayctl starts").into()
    };
    let left = run(&["verify"]);
    assert_eq!(left.code, Some(3));
    assert!(left.err.contains("there is no capture yet"), "{left:?}");
    fs::write(here.join("raw"), small().concat()).unwrap();
    fs::write(here.join("part"), &small().concat()[..7500]).unwrap();
    for (file, verdict) in [("part", "open"), ("raw", "complete"), ("part", "open")] {
        assert_eq!(run(&["record", "--from", file]).code, Some(0));
        assert_eq!(run(&["verify"]).out.lines().last(), Some(verdict));
    }
    let entries = fs::read_dir(here.join("captures")).unwrap();
    assert_eq!(entries.count(), 4, "three captures and the link");
    let latest = || fs::read_link(here.join("captures/latest")).unwrap();
    let link = latest();
    for command in ["cat", "stat", "verify"] {
        let left = run(&[command]);
        let reads = format!("relayctl: reading captures/{}\n", link.display());
        assert!(left.err.starts_with(&reads), "{left:?}");
        let named = run(&[command, &format!("captures/{}", link.display())]);
        assert_eq!((named.code, named.out), (left.code, left.out));
        assert!(!named.err.contains("reading"), "{}", named.err);
    }
    // Nothing came: that is the newest one nevertheless, and none before it.
    fs::write(here.join("nothing"), "").unwrap();
    let left = run(&["record", "--from", "nothing"]);
    assert_eq!(
        (left.code, left.err.as_str()),
        (Some(1), "relayctl: nothing: nothing came\n")
    );
    assert_ne!(latest(), link);
    let left = run(&["verify"]);
    assert_eq!(
        (left.code, left.out.lines().last()),
        (Some(1), Some("broken"))
    );
    assert!(
        left.out.contains("nothing can be read without metadata"),
        "{left:?}"
    );
    let empty = latest();
    assert!(
        left.err.contains(&format!("captures/{}", empty.display())),
        "{left:?}"
    );
    assert_ne!(run(&["cat"]).code, Some(0));
    assert!(
        link.is_relative() && link.components().count() == 1,
        "{link:?}"
    );
}

#[test]
fn a_capture_whose_making_was_cut_off_is_open_at_best() {
    let out = capture("unlisted", &small());
    let list = fs::read_to_string(out.join("packets")).unwrap();
    // Behind the last packet's line is the one about run.json.
    let ends: Vec<usize> = list.match_indices('\n').map(|(at, _)| at + 1).collect();
    let [.., before, behind, _] = ends[..] else {
        panic!("{list}");
    };
    fs::write(
        out.join("packets"),
        [&list[..before], &list[behind..]].concat(),
    )
    .unwrap();
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
    fs::write(out.join("packets"), &list[..before]).unwrap();
    fs::remove_file(out.join("run.json")).unwrap();
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
    // With the list gone, too, this is a trace that somebody has copied.
    fs::remove_file(out.join("packets")).unwrap();
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
    fs::write(out.join("console.log"), "").unwrap();
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
    // Its records are shown nevertheless.
    let left = relayctl(&["cat".as_ref(), "--json".as_ref(), out.as_os_str()]);
    assert_eq!(left.out.lines().count(), 33);
    // Without its metadata it cannot be read.
    fs::remove_file(out.join("trace/metadata")).unwrap();
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
}

#[test]
fn verify_speaks_json() {
    let mut packets = small();
    let whole: serde_json::Value = {
        let out = capture("json", &packets);
        let left = relayctl(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
        serde_json::from_str(&left.out).expect("it is JSON")
    };
    assert_eq!(
        (&whole["verdict"], &whole["claims"]),
        (&"complete".into(), &10.into())
    );
    assert_eq!(whole["streams"][0]["last_packet"], 2);
    packets.remove(6);
    let out = capture("json", &packets);
    let left = relayctl(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(1));
    let broken: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
    assert_eq!(broken["verdict"], "broken");
    assert!(
        broken["problems"][0]
            .as_str()
            .unwrap()
            .starts_with("klog_0 at "),
        "{broken}"
    );
    assert!(broken["total"]["lost"].as_u64() > whole["total"]["lost"].as_u64());
    assert_eq!(broken["total"]["unaccounted"], 0);
}
