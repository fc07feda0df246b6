//! What `watch` tells of a capture that is there, and runs for it.

use super::*;

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
