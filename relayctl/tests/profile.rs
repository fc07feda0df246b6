//! `profile` and `export`: known stacks in this test's own executable give exactly these tables and
//! files.

mod synthetic;

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::{Value, json};
use synthetic::profiled::{CLASSES, PROFILE, Sample, with_profile, with_programs};
use synthetic::{
    IRQ, Left, NMI, Stream, TASK, capture, metadata_packets, other_boot, recorded, relayctl,
};

/// Ticks in a millisecond, by the metadata.
const MS: u64 = 2_611_200;

/// Functions whose addresses are in the samples. None has an inlined one where it begins.
#[inline(never)]
fn outer(n: u64) -> u64 {
    n ^ 1
}

#[inline(never)]
fn hot(n: u64) -> u64 {
    n ^ 2
}

#[inline(never)]
fn recurse(n: u64) -> u64 {
    n ^ 4
}

/// Where a function begins in this executable's file.
fn address(function: fn(u64) -> u64) -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").expect("maps are readable");
    let first = maps.split('-').next().expect("there is a mapping");
    let base = u64::from_str_radix(first, 16).expect("a mapping starts with its address");
    std::hint::black_box(function) as usize as u64 - base
}

/// The executable.
fn elf() -> String {
    let path = std::env::current_exe().expect("a test has an executable");
    path.to_str().expect("it is text").to_owned()
}

/// A capture of two CPUs with samples of three functions, and with losses.
fn known(name: &str) -> PathBuf {
    let [outer, hot, recurse] = [outer, hot, recurse].map(address);
    // Return addresses are behind a call.
    let (back, again) = (outer + 1, recurse + 1);
    let [mut first, mut second] = [0, 1].map(|cpu| Stream::new(PROFILE, cpu, 0));
    first.source(MS, "hpet", 1000);
    for n in 2..5 {
        first.sample(n * MS, (hot, TASK, 1, &[back]));
    }
    first.sample(5 * MS, (outer, IRQ, 1, &[]));
    for n in 2..4 {
        second.sample(n * MS, (recurse, TASK, -2, &[again, again, back]));
    }
    second.lost[0] = 5;
    second.sample(4 * MS, (0xdead, NMI, 3, &[back]));
    made(name, 2, CLASSES, vec![first, second])
}

/// A capture with these streams of samples, each in one packet.
fn made(name: &str, cpus: u32, classes: &str, streams: Vec<Stream>) -> PathBuf {
    let mut packets = metadata_packets(&with_profile(cpus, classes), 1 << 12);
    for mut stream in streams {
        packets.push(stream.packet(1000 * MS, 1));
    }
    capture(name, &packets)
}

/// Runs a command on a capture, with this test's executable as the kernel.
fn with_elf(command: &str, out: &Path, args: &[&str]) -> Left {
    let (path, elf) = (out.to_str().expect("it is text"), elf());
    relayctl(&[&[command, path, "--elf", &elf], args].concat())
}

/// What `profile --json` says.
fn profiled(out: &Path, args: &[&str]) -> Value {
    let left = with_elf("profile", out, &[args, &["--json"]].concat());
    assert_eq!(left.code, Some(0), "{}", left.err);
    serde_json::from_str(&left.out).expect("it is JSON")
}

/// Name, own and total samples of each row.
fn rows(profile: &Value) -> Vec<(String, Option<u64>, u64)> {
    let rows = profile["rows"].as_array().expect("it has rows");
    let row = |row: &Value| {
        let name = row["name"].as_str().expect("it has a name").to_owned();
        let total = row["total"].as_u64().expect("it has a number");
        (
            name,
            row.get("self").map(|own| own.as_u64().expect("a number")),
            total,
        )
    };
    rows.iter().map(row).collect()
}

fn owned(rows: &[(&str, Option<u64>, u64)]) -> Vec<(String, Option<u64>, u64)> {
    let rows = rows.iter();
    rows.map(|(name, own, total)| ((*name).to_owned(), *own, *total))
        .collect()
}

#[test]
fn known_stacks_make_this_table() {
    let out = known("table");
    let left = with_elf("profile", &out, &[]);
    assert_eq!(
        left.out,
        "7 samples of 2 CPUs, 0.002000 to 0.005000; by hpet at 1000 Hz; came at 1000.0 to 1000.0 Hz
lost: 5 of 13 records (full 5)
self     %    +-  total      %  function
   3  42.9  29.6      3   42.9  profile::hot
   2  28.6  27.9      2   28.6  profile::recurse
   1  14.3  24.4      7  100.0  profile::outer
   1  14.3  24.4      1   14.3  0xdead
"
    );
    assert_eq!(left.code, Some(0));
    assert!(
        left.err
            .contains("does not tell which kernel ran: that it was"),
        "{}",
        left.err
    );
    let total = with_elf("profile", &out, &["--sort", "total", "--top", "1"]).out;
    let lines: Vec<_> = total.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "self     %    +-  total      %  function",
            "   1  14.3  24.4      7  100.0  profile::outer",
            "and 3 more: --top 0 shows all"
        ]
    );
}

#[test]
fn samples_are_counted_by_what_is_asked_for() {
    let out = known("by");
    let by = |by| rows(&profiled(&out, &["--by", by]));
    let one = |name, count| (name, Some(count), count);
    assert_eq!(by("cpu"), owned(&[one("cpu 0", 4), one("cpu 1", 3)]));
    assert_eq!(
        by("context"),
        owned(&[one("task", 5), one("irq", 1), one("nmi", 1)])
    );
    assert_eq!(
        by("thread"),
        owned(&[one("thread 1", 4), one("thread -2", 2), one("thread 3", 1)])
    );
    let file = "relayctl/tests/profile.rs";
    let files = by("file");
    assert_eq!(files[0].1, Some(6), "{files:?}");
    assert!(files[0].0.ends_with(file), "{files:?}");
    assert_eq!((files[1].0.as_str(), files[1].2), ("unknown", 1));
    let lines = profiled(&out, &["--by", "line"]);
    let lines = lines["rows"].as_array().expect("rows");
    let hot = lines
        .iter()
        .find(|row| row["name"] == "profile::hot")
        .expect("it ran");
    let source = include_str!("profile.rs");
    let begins = source.lines().position(|line| line.starts_with("fn hot("));
    let begins = begins.expect("it is here") as u64 + 1;
    let line = hot["line"].as_u64().expect("its line is known");
    assert!((begins..=begins + 1).contains(&line), "{hot}");

    let only = |args: &[&str]| profiled(&out, args)["samples"].as_u64();
    assert_eq!(only(&["--cpu", "1"]), Some(3));
    assert_eq!(only(&["--context", "irq", "--context", "nmi"]), Some(2));
    assert_eq!(only(&["--since", "0.003", "--until", "0.004"]), Some(4));
}

#[test]
fn callers_and_callees_are_next_to_a_function() {
    let out = known("around");
    let next = |args: &[&str]| {
        let profile = profiled(&out, args);
        (
            rows(&profile),
            profile["samples"].as_u64().expect("a number"),
        )
    };
    let one = |name, count| (name, None, count);
    let of = |rows: &[(&str, Option<u64>, u64)], all| (owned(rows), all);
    let (hot, recurse, outer) = ("profile::hot", "profile::recurse", "profile::outer");
    assert_eq!(next(&["--callers", "hot"]), of(&[one(outer, 3)], 3));
    assert_eq!(
        next(&["--callers", recurse]),
        of(&[one(outer, 2), one(recurse, 2)], 2)
    );
    assert_eq!(
        next(&["--callees", "recurse"]),
        of(&[one(recurse, 2), one("(itself)", 2)], 2)
    );
    assert_eq!(
        next(&["--callees", "outer"]),
        of(
            &[
                one(hot, 3),
                one(recurse, 2),
                one("0xdead", 1),
                one("(itself)", 1)
            ],
            7
        )
    );
    assert_eq!(
        next(&["--callers", "outer", "--cpu", "1"]),
        of(&[one("(nobody that is known)", 3)], 3)
    );
    let left = with_elf("profile", &out, &["--callers", "hot"]);
    let table = "callers of profile::hot, which is in 3 samples:
samples      %    +-  caller
      3  100.0  28.1  profile::outer
";
    assert!(left.out.ends_with(table), "{}", left.out);
    let left = with_elf("profile", &out, &["--callees", "ot"]);
    assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
    assert!(
        left.err.contains("no sample has a function 'ot'"),
        "{}",
        left.err
    );
}

#[test]
fn what_is_known_beside_the_samples_is_told() {
    let out = known("facts");
    let profile = profiled(&out, &["--cpu", "1"]);
    assert_eq!(profile["cpus"].as_array().expect("a list").len(), 1);
    let cpu = &profile["cpus"][0];
    assert_eq!((&cpu["cpu"], &cpu["samples"]), (&json!(1), &json!(3)));
    assert_eq!(
        (&cpu["attempted"], &cpu["lost"]["full"]),
        (&json!(8), &json!(5))
    );
    assert_eq!(cpu["hertz"], json!(1000.0));
    let sources = profiled(&out, &[])["sources"].clone();
    assert_eq!(
        sources,
        json!([{"ns": 1_000_000, "source": "hpet", "hertz": 1000}])
    );
    // Full stacks, and a CPU without samples.
    let deep = [0x10; 32];
    let mut stream = Stream::new(PROFILE, 1, 0);
    stream.sample(MS, (0x20, 7, 0, &deep));
    stream.sample(MS, (0x20, TASK, 0, &deep[1..]));
    let out = made("full", 3, CLASSES, vec![stream]);
    let left = with_elf("profile", &out, &["--by", "context"]);
    assert_eq!(
        left.out,
        "2 samples of 1 CPUs, 0.001000 to 0.001000; what took them is not told
lost: none of 2 records
no sample of CPU 0,2
1 samples have 32 return addresses, the most that there can be: who called them may be missing
samples     %    +-  context
      1  50.0  40.5  unknown
      1  50.0  40.5  task
"
    );
}

#[test]
fn a_wrong_elf_is_not_believed() {
    let out = known("elf");
    let path = out.to_str().expect("it is text");
    // Nobody says which it is.
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0));
    assert!(
        left.err
            .contains("the capture does not tell which kernel ran; --elf PATH")
    );
    let hot = format!("{:#x}", address(hot));
    assert!(
        left.out.contains(&hot) && !left.out.contains("hot"),
        "{}",
        left.out
    );

    // What the capture says of it.
    let tell = |told: Value| {
        let file = out.join("run.json");
        let text = fs::read(&file).expect("it is kept");
        let mut run: Value = serde_json::from_slice(&text).expect("it is JSON");
        let all = run.as_object_mut().expect("it is an object");
        all.extend(told.as_object().expect("an object").clone());
        run["capture"]["files"] = json!([]);
        fs::write(file, run.to_string()).expect("it is writable");
    };
    let packets = fs::read_to_string(out.join("packets")).expect("it is kept");
    let lines = packets
        .lines()
        .filter(|line| !line.starts_with("run.json "));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(out.join("packets"), lines).expect("it is writable");
    tell(json!({ "kernel": elf() }));
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(left.err.contains("does not tell what"), "{}", left.err);
    assert!(!left.out.contains("hot"), "{}", left.out);

    let (bytes, crc) = image(&fs::read(elf()).expect("it is readable"));
    let right = json!({ "bytes": bytes, "crc32c": format!("{crc:08x}") });
    tell(json!({ "kernel_image": right }));
    let left = relayctl(&["profile", path]);
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
    assert!(left.out.contains("profile::hot"), "{}", left.out);
    assert_eq!(with_elf("profile", &out, &[]).err, "");

    let wrong = json!({ "bytes": bytes, "crc32c": format!("{:08x}", crc ^ 1) });
    tell(json!({ "kernel_image": wrong }));
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let other = "is not the kernel that ran";
    assert!(
        left.err.contains(other) && left.err.contains("--elf PATH"),
        "{}",
        left.err
    );
    assert!(!left.out.contains("hot"), "{}", left.out);
    let left = with_elf("profile", &out, &[]);
    assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
    assert!(left.err.contains(other), "{}", left.err);
    for name in ["/dev/zero", "/nonexistent", path, file!()] {
        let left = relayctl(&["profile", path, "--elf", name]);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""), "{name}");
    }
    tell(json!({ "kernel": "/dev/zero" }));
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0));
    assert!(left.err.contains("not a plain file"), "{}", left.err);
}

/// The bytes that an ELF file of 64 bits loads, and the checksum over its segments.
fn image(elf: &[u8]) -> (u64, u32) {
    let number = |at: usize, length: usize| {
        let bytes = elf[at..at + length].iter().rev();
        bytes.fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let (mut bytes, mut all) = (0, Vec::new());
    for at in (0..count).map(|n| (table + n * size) as usize) {
        let (offset, length) = (number(at + 8, 8) as usize, number(at + 32, 8));
        if number(at, 4) == 1 && length > 0 {
            all.extend(number(at + 16, 8).to_le_bytes());
            all.extend(length.to_le_bytes());
            all.extend(&elf[offset..offset + length as usize]);
            bytes += length;
        }
    }
    (bytes, synthetic::crc32c(&all))
}

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

/// Checks a document against what speedscope's file format asks for, and gives the stacks and
/// weights of each profile, by its name.
fn speedscope(text: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let document: Value = serde_json::from_str(text).expect("it is JSON");
    assert_eq!(
        document["$schema"],
        "https://www.speedscope.app/file-format-schema.json"
    );
    let frames = document["shared"]["frames"].as_array().expect("a list");
    let names: Vec<_> = frames
        .iter()
        .map(|frame| frame["name"].as_str().expect("a frame has a name"))
        .collect();
    let keys = |value: &Value| {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect::<HashSet<_>>()
    };
    for frame in frames {
        let known = ["name", "file", "line", "col"].map(str::to_owned);
        assert!(keys(frame).is_subset(&known.into()), "{frame}");
    }
    let profiles = document["profiles"].as_array().expect("a list");
    let profiles = profiles.iter().map(|profile| {
        let wanted = [
            "type",
            "name",
            "unit",
            "startValue",
            "endValue",
            "samples",
            "weights",
        ];
        assert_eq!(keys(profile), wanted.map(str::to_owned).into());
        assert_eq!(profile["type"], "sampled");
        let units = [
            "none",
            "nanoseconds",
            "microseconds",
            "milliseconds",
            "seconds",
            "bytes",
        ];
        assert!(units.contains(&profile["unit"].as_str().expect("a unit")));
        let samples = profile["samples"].as_array().expect("a list");
        let weights = profile["weights"].as_array().expect("a list");
        assert_eq!(samples.len(), weights.len());
        let weights = weights
            .iter()
            .map(|weight| weight.as_u64().expect("a number"));
        let sum: u64 = weights.clone().sum();
        let from = profile["startValue"].as_u64().expect("a number");
        assert_eq!(profile["endValue"], from + sum);
        let stacks = samples.iter().map(|stack| {
            let stack = stack.as_array().expect("a list").iter();
            let stack = stack.map(|at| names[at.as_u64().expect("a place") as usize]);
            stack.collect::<Vec<_>>().join(";")
        });
        let name = profile["name"].as_str().expect("a text").to_owned();
        (name, stacks.zip(weights).collect())
    });
    profiles.collect()
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
fn what_takes_the_samples_is_told_whatever_is_wanted() {
    let [mut first, mut second] = [0, 1].map(|cpu| Stream::new(PROFILE, cpu, 0));
    first.source(MS, "timer", 100);
    first.source(3 * MS, "hpet", 1000);
    for n in 2..8 {
        second.sample(n * MS, (0xdead, (n % 2) as u8, 1, &[]));
    }
    let out = made("sources", 2, CLASSES, vec![first, second]);
    let told = |args: &[&str]| {
        let profile = profiled(&out, args);
        let sources = profile["sources"].as_array().expect("a list").iter();
        let names = sources.map(|it| it["source"].as_str().expect("a name").to_owned());
        (names.collect::<Vec<_>>(), profile["samples"].as_u64())
    };
    let both = ["timer", "hpet"].map(str::to_owned).to_vec();
    assert_eq!(told(&[]), (both.clone(), Some(6)));
    assert_eq!(told(&["--cpu", "1"]), (both.clone(), Some(6)));
    assert_eq!(told(&["--where", "from == irq"]), (both.clone(), Some(3)));
    assert_eq!(told(&["--since", "0.0025"]), (both.clone(), Some(5)));
    // Only what took them then.
    assert_eq!(told(&["--since", "0.003"]), (both[1..].to_vec(), Some(5)));
    assert_eq!(told(&["--until", "0.002"]), (both[..1].to_vec(), Some(1)));
    // A field that is misspelt is told.
    for command in [&["profile"][..], &["export", "-f", "folded"]] {
        let args = [command, &["--where", "form == irq"]].concat();
        let left = with_elf(args[0], &out, &args[1..]);
        assert_eq!(left.code, Some(1), "{}", left.err);
        let wanted = "no record of this boot has form:";
        assert!(left.err.contains(wanted), "{}", left.err);
    }
}

#[test]
fn what_programs_do_is_shown_with_their_names() {
    let [outer, hot] = [outer, hot].map(address);
    let back = outer + 1;
    let in_kernel = 0xffff_8000_0000_1000;
    let mut stream = Stream::new(PROFILE, 0, 0);
    for n in 2..4 {
        stream.sample_of(n * MS, (3, "prog"), (hot, TASK, 12, &[back]));
    }
    // In a call: the kernel's functions, then the program's.
    let called = (in_kernel, TASK, 12, &[hot + 1, back][..]);
    stream.sample_of(4 * MS, (3, "prog"), called);
    stream.sample_of(5 * MS, (0, "cpu/0"), (in_kernel, TASK, 1, &[]));
    // One whose file is not there.
    stream.sample_of(6 * MS, (4, "../prog"), (hot, TASK, 13, &[]));
    let out = made("programs", 1, &with_programs(), vec![stream]);
    let programs = synthetic::folder("programs");
    std::os::unix::fs::symlink(elf(), programs.join("prog")).expect("it is writable");
    let named = ["--programs", programs.to_str().expect("it is text")];

    let folded = |args: &[&str]| {
        let left = with_elf("export", &out, &[&["-f", "folded"], args].concat());
        assert_eq!(left.code, Some(0), "{}", left.err);
        left.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        folded(&named),
        [
            format!("../prog;../prog {hot:#x} 1"),
            "0xffff800000001000 1".to_owned(),
            "prog;profile::outer;profile::hot 2".to_owned(),
            "prog;profile::outer;profile::hot;0xffff800000001000 1".to_owned(),
        ]
    );
    // They are not beside the kernel.
    let unnamed = folded(&[]);
    let line = format!("prog;prog {back:#x};prog {hot:#x} 2");
    assert!(unnamed.contains(&line), "{unnamed:?}");
    let by = rows(&profiled(&out, &["--by", "program"]));
    let one = |name, count| (name, Some(count), count);
    assert_eq!(
        by,
        owned(&[
            one("prog (process 3)", 3),
            one("kernel", 1),
            one("../prog (process 4)", 1)
        ])
    );
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

#[test]
fn what_has_no_samples_says_so() {
    let (metadata, packets) = synthetic::machine();
    let out = capture("without", &[metadata, packets].concat());
    for command in [&["profile"][..], &["export", "-f", "folded"]] {
        let args = [command, &[out.to_str().expect("it is text")]].concat();
        let left = relayctl(&args);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
        assert!(
            left.err.contains("the capture has no channel 'profile'"),
            "{}",
            left.err
        );
        assert!(left.err.contains("--set profile=1000"), "{}", left.err);
    }
    let out = made("empty", 1, CLASSES, vec![Stream::new(PROFILE, 0, 0)]);
    let left = with_elf("profile", &out, &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.out.starts_with("0 samples of 0 CPUs;"), "{}", left.out);
}

#[test]
fn what_is_damaged_fails_and_the_rest_is_shown() {
    let mut stream = Stream::new(PROFILE, 0, 0);
    let mut packets = metadata_packets(&with_profile(1, CLASSES), 1 << 12);
    for n in 1..4 {
        stream.sample(n * MS, (n, TASK, 0, &[]));
        packets.push(stream.packet(n * MS, u32::from(n == 3)));
    }
    let out = capture("damaged", &packets);
    assert_eq!(with_elf("profile", &out, &[]).code, Some(0));
    let file = out.join("trace/profile_0");
    let mut bytes = fs::read(&file).expect("it is there");
    // In the second packet.
    let at = bytes.len() / 3 + 170;
    bytes[at] ^= 0x10;
    fs::write(&file, bytes).expect("it is writable");
    let left = with_elf("profile", &out, &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(
        left.out.contains("  0x1\n") && left.out.contains("  0x3\n"),
        "{}",
        left.out
    );
    assert!(left.err.contains("profile_0 at"), "{}", left.err);
    let left = with_elf("export", &out, &["-f", "folded"]);
    assert_eq!((left.code, left.out.as_str()), (Some(1), "0x1 1\n0x3 1\n"));
}

#[test]
fn boots_are_profiles_of_their_own() {
    let packets = |samples: u64| {
        let mut stream = Stream::new(PROFILE, 0, 0);
        for n in 1..=samples {
            stream.sample(n * MS, (0x10, TASK, 0, &[]));
        }
        let mut packets = metadata_packets(&with_profile(1, CLASSES), 1 << 12);
        packets.push(stream.packet(1000 * MS, 1));
        packets
    };
    let both = [other_boot(1, &packets(2)), other_boot(2, &packets(3))].concat();
    let out = capture("boots", &both);
    let left = with_elf("profile", &out, &["--json"]);
    let samples: Vec<_> = left
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"))
        .map(|boot| (boot["boot"].as_u64(), boot["samples"].as_u64()))
        .collect();
    assert_eq!(samples, [(Some(1), Some(2)), (Some(2), Some(3))]);
    let left = with_elf("profile", &out, &[]);
    assert!(left.out.contains("boot 2 of 2: "), "{}", left.out);
    let left = with_elf("export", &out, &["-f", "folded"]);
    assert_eq!((left.code, left.out.as_str()), (Some(0), "0x10 5\n"));
    let left = with_elf("export", &out, &["-f", "folded", "--boot", "last"]);
    assert_eq!(left.out, "0x10 3\n");
    let left = with_elf("export", &out, &["-f", "speedscope"]);
    let names: Vec<_> = speedscope(&left.out).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["boot 1, cpu 0", "boot 2, cpu 0"]);
}

#[test]
fn a_class_of_another_form_is_told() {
    let cases = [
        (
            "_ip;",
            "_pi;",
            "its field 'ip' should be an integer without sign",
        ),
        (
            "_from;",
            "_form;",
            "its field 'from' should be an enumeration of contexts",
        ),
        ("int32_t _tid", "uint32_t _dit", "its field 'tid' should be"),
        (
            "_stack[___stack_length]",
            "_more[___stack_length]",
            "its field 'stack' should be",
        ),
        (
            "_hertz;",
            "_rate;",
            "profile_source: its field 'hertz' should be",
        ),
        (
            "utf8_t _source",
            "uint8_t _source",
            "profile_source: its field 'source' should be",
        ),
    ];
    for (from, to, told) in cases {
        assert!(CLASSES.contains(from), "{from}");
        let mut stream = Stream::new(PROFILE, 0, 0);
        stream.source(1, "hpet", 1);
        stream.sample(2, (1, TASK, 0, &[2]));
        let out = made("form", 1, &CLASSES.replace(from, to), vec![stream]);
        let left = with_elf("profile", &out, &[]);
        assert_eq!(left.code, Some(1), "{from}: {}", left.err);
        assert!(
            left.err.contains("1 records cannot be used: "),
            "{}",
            left.err
        );
        assert!(left.err.contains(told), "{from}: {}", left.err);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever addresses, contexts and threads a kernel sends: each sample is counted once, and
    /// every export is as it should be.
    #[test]
    fn any_samples_do_no_harm(
        samples in prop::collection::vec(
            (any::<u64>(), any::<u8>(), any::<i32>(),
                prop::collection::vec(any::<u64>(), 0..40), any::<bool>()), 1..40),
        hertz in any::<u32>(), source in "\\PC{0,8}"
    ) {
        let mut stream = Stream::new(PROFILE, 0, 0);
        stream.source(0, &source, hertz);
        let near = address(hot);
        for (ip, from, thread, stack, is_near) in &samples {
            let place = |at: &u64| if *is_near { near.wrapping_add(at % 4096) } else { *at };
            let stack: Vec<_> = stack.iter().map(place).collect();
            let sample: Sample<'_> = (place(ip), *from, *thread, &stack);
            stream.sample(MS, sample);
        }
        let mut packets = metadata_packets(&with_profile(1, CLASSES), 1 << 12);
        packets.push(stream.packet(2 * MS, 1));
        let (out, _) = recorded("any", &packets);
        let profile = profiled(&out, &[]);
        prop_assert_eq!(profile["samples"].as_u64(), Some(samples.len() as u64));
        let own: u64 = rows(&profile).iter().filter_map(|(_, own, _)| *own).sum();
        prop_assert_eq!(own, samples.len() as u64);
        let text = with_elf("profile", &out, &["--by", "line"]);
        prop_assert_eq!(text.code, Some(0));
        let folded = with_elf("export", &out, &["-f", "folded"]).out;
        let mut sum = 0;
        for line in folded.lines() {
            let (stack, count) = line.rsplit_once(' ').expect("a count is behind the stack");
            prop_assert!(stack.split(';').all(|name| !name.is_empty()));
            sum += count.parse::<u64>().expect("it is a number");
        }
        prop_assert_eq!(sum, samples.len() as u64);
        let document = with_elf("export", &out, &["-f", "speedscope"]).out;
        let stacks: usize = speedscope(&document).iter().map(|(_, stacks)| stacks.len()).sum();
        prop_assert_eq!(stacks, samples.len());
        fs::remove_dir_all(out.parent().expect("a folder")).expect("it can be removed");
    }
}
