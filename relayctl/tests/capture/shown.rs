//! What `cat` shows of a capture.

use super::*;

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
