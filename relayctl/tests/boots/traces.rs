//! Boots that follow each other.

use super::*;

#[test]
fn boots_that_follow_each_other_are_traces_of_their_own() {
    let (first, second) = (other_boot(1, &small()), other_boot(2, &other()));
    let (out, left) = recorded("two", &[first, second.clone()].concat());
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.err.contains("2 boots, "), "{left:?}");
    // Each is judged by itself.
    let left = on(&["verify", "--json"], &out);
    assert_eq!(left.code, Some(0), "{left:?}");
    let judged = lines(&left);
    assert_eq!(judged.len(), 3);
    for (number, claims, total) in [(1, 10, SMALL), (2, 1, OTHER)] {
        let boot = &judged[number - 1];
        assert_eq!(boot["boot"], number);
        assert_eq!(boot["uuid"], text_of(boot_uuid(number as u16)));
        assert_eq!(
            (&boot["verdict"], &boot["claims"]),
            (&"complete".into(), &claims.into())
        );
        assert_eq!(sums(&boot["total"]), total);
    }
    assert_eq!(
        judged[2],
        json!({ "boot": "all", "verdict": "complete", "problems": [] })
    );
    let text = on(&["verify"], &out).out;
    let titles: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("boot"))
        .collect();
    assert_eq!(
        titles,
        [1, 2].map(|n| format!("boot {n} of 2: {}", text_of(boot_uuid(n))))
    );
    assert!(text.ends_with("\ncomplete\n2 boots: complete\n"), "{text}");
    // And counted.
    let left = on(&["stat", "--json"], &out);
    let counted = lines(&left);
    assert_eq!((left.code, counted.len()), (Some(0), 2));
    assert_eq!(sums(&counted[0]["total"]), SMALL);
    assert_eq!(sums(&counted[1]["total"]), OTHER);
    assert_eq!(counted[1]["boot"], 2);
    let klog = &counted[1]["channels"][0]["cpus"][0];
    for (key, count) in [
        ("packets", 2),
        ("records", 6),
        ("attempted", 8),
        ("overwritten", 0),
    ] {
        assert_eq!(klog[key], count, "{key}");
    }
    assert_eq!(
        (&klog["lost"]["full"], &klog["lost"]["missing"]),
        (&2.into(), &0.into())
    );
    assert_eq!(klog["verdict"], "complete");
    assert_eq!(on(&["stat"], &out).out.matches("boot 2 of 2: ").count(), 1);
    // And shown, one after the other.
    let shown = on(&["cat"], &out);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let title = format!("-- boot 2 of 2: {}\n", text_of(boot_uuid(2)));
    let (before, after) = shown.out.split_once(&title).expect("its title");
    assert!(before.starts_with("-- boot 1 of 2: "), "{before}");
    let records = |text: &str| text.lines().filter(|line| line.starts_with('[')).count();
    assert_eq!((records(before), records(after)), (33, 7));
    let boots: Vec<_> = lines(&on(&["cat", "--json"], &out))
        .iter()
        .map(|record| record["boot"].as_u64().expect("a number"))
        .collect();
    assert_eq!(boots, [vec![1; 33], vec![2; 7]].concat());
    // As other readers see it.
    // It shows fillers, too.
    babeltrace_reads(&out.join("trace"), 33 + 6);
    babeltrace_reads(&out.join("boot.2/trace"), 7);
    // Packed, it is one capture.
    let archive = out.with_file_name("packed.tar.gz");
    let tar = Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .arg("-C")
        .arg(out.parent().expect("a folder"))
        .arg("capture")
        .status();
    assert!(tar.is_ok_and(|status| status.success()));
    for command in [
        &["cat"][..],
        &["verify", "--json"],
        &["stat", "--boot", "2"],
    ] {
        let packed = on(command, &archive);
        let left = on(command, &out);
        assert_eq!(
            (packed.code, packed.out),
            (left.code, left.out),
            "{command:?}"
        );
    }
    // A boot's folder is a capture itself.
    let (alone, _) = recorded("alone", &second);
    for command in [&["cat"][..], &["cat", "--json"], &["verify"], &["stat"]] {
        let within = on(command, &out.join("boot.2"));
        assert_eq!(within.out, on(command, &alone).out, "{command:?}");
        assert_eq!(within.code, Some(0));
    }
}

#[test]
fn boots_are_picked_by_their_numbers() {
    let all = [
        other_boot(1, &small()),
        other_boot(2, &other()),
        other_boot(3, &small()),
    ]
    .concat();
    let (out, _) = recorded("pick", &all);
    for (boot, records) in [("1", 33), ("2", 7), ("3", 33), ("last", 33), ("all", 73)] {
        let left = on(&["cat", "--json", "--boot", boot], &out);
        assert_eq!(
            (left.code, left.out.lines().count()),
            (Some(0), records),
            "{boot}"
        );
    }
    let judged = lines(&on(&["verify", "--json", "--boot", "last"], &out));
    assert_eq!((judged.len(), &judged[0]["boot"]), (1, &3.into()));
    let counted = lines(&on(&["stat", "--json", "--boot", "2"], &out));
    assert_eq!((counted.len(), sums(&counted[0]["total"])), (1, OTHER));
    for command in ["cat", "stat", "verify"] {
        let left = on(&[command, "--boot", "4"], &out);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""), "{command}");
        assert!(
            left.err
                .contains("there is no boot 4: the capture has boots 1 to 3"),
            "{left:?}"
        );
        assert_eq!(on(&[command, "--boot", "0"], &out).code, Some(2));
    }
    // It goes as a whole.
    let forced = relayctl(&[
        "record",
        "--force",
        "--from",
        out.with_file_name("raw").to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    fs::write(out.join("boot.3/precious"), "x").expect("it is writable");
    let kept = relayctl(&[
        "record",
        "--force",
        "--from",
        out.with_file_name("raw").to_str().expect("UTF-8"),
        "--out",
        out.to_str().expect("UTF-8"),
    ]);
    assert_eq!(kept.code, Some(2), "{kept:?}");
    assert!(out.join("boot.3/precious").exists());
}

#[test]
fn the_worst_boot_decides() {
    let all = [other_boot(1, &small()), other_boot(2, &other())].concat();
    let (out, _) = recorded("worst", &all);
    let verdicts = |out: &Path| -> (Option<i32>, Vec<String>) {
        let left = on(&["verify", "--json"], out);
        let verdict = |line: &Value| line["verdict"].as_str().expect("a word").to_owned();
        (left.code, lines(&left).iter().map(verdict).collect())
    };
    let expect = |code, verdicts: [&str; 3]| (Some(code), verdicts.map(str::to_owned).to_vec());
    let stream = out.join("boot.2/trace/klog_0");
    let bytes = fs::read(&stream).expect("it is there");
    let mut changed = bytes.clone();
    changed[200] ^= 1;
    fs::write(&stream, &changed).expect("it is writable");
    assert_eq!(verdicts(&out), expect(1, ["complete", "broken", "broken"]));
    assert_eq!(on(&["verify", "--boot", "1"], &out).code, Some(0));
    let shown = on(&["cat"], &out);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.out.contains("was changed"), "{shown:?}");
    assert_eq!(on(&["cat", "--boot", "1"], &out).code, Some(0));
    fs::write(&stream, &bytes).expect("it is writable");
    // Without its metadata the other is still shown.
    for (path, one, two) in [
        ("boot.2/trace/metadata", "complete", "broken"),
        ("trace/metadata", "broken", "complete"),
    ] {
        let text = fs::read(out.join(path)).expect("it is there");
        fs::remove_file(out.join(path)).expect("it is writable");
        assert_eq!(verdicts(&out), expect(1, [one, two, "broken"]));
        let shown = on(&["cat", "--json"], &out);
        let records = if one == "complete" { 33 } else { 7 };
        assert_eq!(
            (shown.code, shown.out.lines().count()),
            (Some(1), records),
            "{shown:?}"
        );
        let counted = on(&["stat", "--json"], &out);
        assert_eq!((counted.code, counted.out.lines().count()), (Some(3), 1));
        fs::write(out.join(path), text).expect("it is writable");
    }
    // The making of the second was not brought to its end.
    let run = fs::read(out.join("boot.2/run.json")).expect("it is there");
    fs::remove_file(out.join("boot.2/run.json")).expect("it is writable");
    assert_eq!(verdicts(&out), expect(1, ["complete", "broken", "broken"]));
    fs::write(out.join("boot.2/run.json"), run).expect("it is writable");
    assert_eq!(verdicts(&out), expect(0, ["complete"; 3]));
    // A boot that is gone is missed.
    fs::rename(out.join("boot.2"), out.with_file_name("gone")).expect("it is writable");
    let left = on(&["verify"], &out);
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(
        left.out.contains("broken: boot 2: its folder is gone"),
        "{left:?}"
    );
    assert!(left.out.ends_with("\nbroken\n"), "{left:?}");
}
