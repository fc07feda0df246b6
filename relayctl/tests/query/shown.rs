//! What `cat` and `stat` show of what a query asks for.

use super::*;

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
