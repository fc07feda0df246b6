//! Folded stacks, speedscope and JSON, and what others make of them.

use super::*;

#[test]
fn folded_stacks_are_these_lines() {
    let out = known("folded");
    let left = with_elf("export", &out, &["--format", "folded"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert_eq!(
        left.out,
        "profile::outer 1
profile::outer;0xdead 1
profile::outer;profile::hot 3
profile::outer;profile::recurse;profile::recurse;profile::recurse 2
"
    );
    assert!(
        left.err.contains("lost: 5 of 13 records (full 5)"),
        "{}",
        left.err
    );
    let file = out.join("profile.folded");
    let name = file.to_str().expect("it is text");
    let only = [
        "-f",
        "folded",
        "-o",
        name,
        "--cpu",
        "0",
        "--channel",
        "profile",
    ];
    let left = with_elf("export", &out, &only);
    assert_eq!((left.code, left.out.as_str()), (Some(0), ""));
    let text = fs::read_to_string(&file).expect("it was written");
    assert_eq!(text, "profile::outer 1\nprofile::outer;profile::hot 3\n");
    // What cannot be exported takes nothing away.
    let args = ["-f", "folded", "--channel", "klog", "-o", name];
    let left = with_elf("export", &out, &args);
    assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
    assert_eq!(fs::read_to_string(&file).expect("it is there"), text);
    let left = with_elf(
        "export",
        &out,
        &["-f", "folded", "--since", "1", "-o", name],
    );
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "");
    let left = with_elf("export", &out, &["-f", "folded", "-o", "/nonexistent/x"]);
    assert_eq!(left.code, Some(3), "{}", left.err);
    let left = with_elf("export", &out, &["-f", "svg"]);
    assert_eq!(left.code, Some(2));
    assert!(
        left.err.contains("folded, jsonl, speedscope"),
        "{}",
        left.err
    );
    let left = with_elf("export", &out, &["-f", "folded", "--since", "1"]);
    assert_eq!((left.code, left.out.as_str()), (Some(1), ""));
}

/// The programs of others that draw folded stacks, where they are installed: flame graphs in SVG,
/// whose titles say how many samples a function has.
const READERS: [&str; 3] = [
    "inferno-flamegraph",
    "flamegraph.pl",
    // Debian's package libdevel-nytprof-perl.
    "/usr/share/perl5/Devel/NYTProf/flamegraph.pl",
];

#[test]
fn others_read_folded_stacks() {
    let folded = with_elf("export", &known("readers"), &["-f", "folded"]).out;
    let mut read = 0;
    for reader in READERS {
        let Some(svg) = piped(reader, &folded) else {
            continue;
        };
        // It names a DTD, which is not read.
        let options = roxmltree::ParsingOptions {
            allow_dtd: true,
            ..roxmltree::ParsingOptions::default()
        };
        let document = roxmltree::Document::parse_with_options(&svg, options);
        let document = document.expect("it draws XML");
        let titles = document
            .descendants()
            .filter(|node| node.has_tag_name("title"));
        let mut titles: Vec<_> = titles
            .filter_map(|node| node.text()?.split_once(" samples, "))
            .map(|(title, _)| title)
            .collect();
        titles.sort_unstable();
        assert_eq!(
            titles,
            [
                "0xdead (1",
                "all (7",
                "profile::hot (3",
                "profile::outer (7",
                "profile::recurse (2",
                "profile::recurse (2",
                "profile::recurse (2"
            ],
            "{reader}"
        );
        read += 1;
    }
    if read == 0 {
        eprintln!(
            "NOT TESTED: nobody else has read folded stacks: none of {READERS:?} is installed"
        );
    }
}

/// What a program makes of a text, if the program is there.
fn piped(program: &str, text: &str) -> Option<String> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program}: {}", output.status);
    Some(String::from_utf8(output.stdout).expect("it writes UTF-8"))
}

#[test]
fn speedscope_gets_a_profile_for_each_cpu() {
    let out = known("speedscope");
    let left = with_elf("export", &out, &["--format", "speedscope"]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let ms = 1_000_000;
    let stack = |text: &str| (text.to_owned(), ms);
    let hot = stack("profile::outer;profile::hot");
    let recurse = "profile::outer;profile::recurse;profile::recurse;profile::recurse";
    assert_eq!(
        speedscope(&left.out),
        [
            (
                "cpu 0".to_owned(),
                vec![hot.clone(), hot.clone(), hot, stack("profile::outer")]
            ),
            (
                "cpu 1".to_owned(),
                vec![
                    stack(recurse),
                    stack(recurse),
                    stack("profile::outer;0xdead")
                ]
            ),
        ]
    );
    assert!(left.out.contains("\"unit\":\"nanoseconds\""));
    let left = with_elf("export", &out, &["-f", "speedscope", "--cpu", "1"]);
    // What takes them is told by the other CPU, for all.
    let unit = "\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":3000000";
    assert!(left.out.contains(unit), "{}", left.out);
    speedscope(&left.out);
    // Nobody has told it.
    let mut stream = Stream::new(PROFILE, 0, 0);
    stream.sample(MS, (0xdead, TASK, 1, &[]));
    let out = made("untold", 1, CLASSES, vec![stream]);
    let left = with_elf("export", &out, &["-f", "speedscope"]);
    let unit = "\"unit\":\"none\",\"startValue\":0,\"endValue\":1";
    assert!(left.out.contains(unit), "{}", left.out);
}

#[test]
fn jsonl_is_what_cat_shows() {
    let out = known("jsonl");
    let path = out.to_str().expect("it is text");
    let cat = relayctl(&["cat", "--json", path]);
    assert_eq!(cat.out.lines().count(), 8);
    let left = relayctl(&["export", "-f", "jsonl", path]);
    assert_eq!(
        (left.code, left.out, left.err),
        (cat.code, cat.out, cat.err)
    );
    let filtered = ["--cpu", "1", "--since", "0.003", path];
    let cat = relayctl(&[&["cat", "--json"][..], &filtered].concat());
    let left = relayctl(&[&["export", "-f", "jsonl"][..], &filtered].concat());
    assert_eq!((cat.out.lines().count(), left.out), (2, cat.out));
}
