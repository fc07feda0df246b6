//! What the table counts, and what is told beside it.

use super::*;

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
    let file = "relayctl/tests/profile/main.rs";
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
    let source = include_str!("main.rs");
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
