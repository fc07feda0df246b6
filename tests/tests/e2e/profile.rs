//! The profiler: what it says of a CPU that works in known functions for known shares of its time,
//! by each source of its interrupts, and beside other users of NMIs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{Run, Session, Turn, boot, boot_once, kernel, relayctl, workspace};
use object::{Object, ObjectSymbol, SymbolKind};
use relay_format::Severity;
use serde_json::Value;

/// A ring that holds all samples of a run.
const LARGE: &str = "profile-size=4194304";

/// The functions of the kernel, by address.
struct Functions(BTreeMap<u64, String>);

impl Functions {
    fn of(kernel: &Path) -> Self {
        let bytes = fs::read(kernel).expect("the kernel can be read");
        let elf = object::File::parse(&*bytes).expect("it is an ELF file");
        let functions = elf
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text);
        let functions = functions.filter_map(|symbol| {
            let name = symbol.name().ok()?;
            Some((symbol.address(), name.to_owned()))
        });
        Self(functions.collect())
    }

    /// Where a function of `hot` begins.
    fn address_of(&self, name: &str) -> u64 {
        let mut addresses = self.0.keys();
        let address = addresses.find(|address| self.at(**address) == name);
        *address.expect("there is such a function")
    }

    /// The last part of the path of the function at `address`, as `hot::most`, whose names begin with
    /// their lengths.
    fn at(&self, address: u64) -> &str {
        let known = self.0.range(..=address).next_back();
        let name = known.map_or("?", |(_, name)| name);
        let names = [
            "most",
            "outer",
            "middle",
            "inner",
            "recursive",
            "closed",
            "seldom",
            "in_interrupt",
            "take_part",
            "many",
            "brief",
            "on_timer",
        ];
        let is = |short: &&&str| name.contains(&format!("3hot{}{short}17h", short.len()));
        match names.iter().find(is) {
            Some(short) => short,
            None if name.contains("18wait_for_interrupt17h") => "wait_for_interrupt",
            None => name,
        }
    }
}

/// A sample.
#[derive(Debug)]
struct Sample {
    cpu: u64,
    ip: u64,
    from: String,
    tid: i64,
    function: String,
    /// The functions of its callers, the innermost first.
    callers: Vec<String>,
}

impl Sample {
    /// Whether its callers begin with these.
    fn is_called_by(&self, callers: &[&str]) -> bool {
        self.callers.iter().take(callers.len()).eq(callers)
    }
}

/// What a capture's profile has: where samples came from, and the samples.
struct Profile {
    sources: Vec<(String, u64)>,
    samples: Vec<Sample>,
}

impl Profile {
    fn read(capture: &Path) -> Self {
        let functions = Functions::of(kernel());
        let output = Command::new(relayctl())
            .args(["cat", "--json", "--channel", "profile"])
            .arg(capture)
            .output()
            .expect("relayctl starts");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("it is UTF-8");
        let mut profile = Self {
            sources: Vec::new(),
            samples: Vec::new(),
        };
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let fields = &record["fields"];
            let number = |value: &Value| value.as_u64().expect("a number");
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            if record["event"] == "profile_source" {
                let source = (text(&fields["source"]), number(&fields["hertz"]));
                profile.sources.push(source);
                continue;
            }
            assert_eq!(record["event"], "profile_sample");
            let stack = fields["stack"].as_array().expect("a list");
            assert!(stack.len() <= 32, "{} callers", stack.len());
            let ip = number(&fields["ip"]);
            profile.samples.push(Sample {
                cpu: number(&record["cpu"]),
                ip,
                from: text(&fields["from"]),
                tid: fields["tid"].as_i64().expect("a number"),
                function: functions.at(ip).to_owned(),
                callers: stack
                    .iter()
                    .map(|address| functions.at(number(address) - 1).to_owned())
                    .collect(),
            });
        }
        profile
    }

    /// The samples in a function.
    fn within<'a>(&'a self, function: &str) -> Vec<&'a Sample> {
        let samples = self.samples.iter();
        samples.filter(|it| it.function == function).collect()
    }
}

/// Boots the scenario `hot`, and reads its profile; every record of it is accounted for.
fn hot(cpus: u32, words: &[&str]) -> (Run, Profile) {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("it is UTF-8");
    let cpus_word = cpus.to_string();
    let args = [
        "--smp",
        &cpus_word,
        "--scenario",
        "hot",
        "--out",
        out,
        "--force",
        "--kernel",
        kernel().to_str().expect("it is UTF-8"),
    ];
    let run = boot(&[&args, words].concat());
    run.assert_code(0);
    run.assert_complete(cpus);
    let profile = Profile::read(folder.path());
    (run, profile)
}

/// What each function did, in rounds that cost the same in all of them.
fn rounds(run: &Run) -> BTreeMap<String, f64> {
    let records = run.records();
    let rounds = records.iter().filter_map(|record| {
        let (name, rest) = record.message.split_once(" did ")?;
        let rounds = rest.strip_suffix(" rounds")?.parse().ok()?;
        Some((name.to_owned(), rounds))
    });
    rounds.collect()
}

/// What holds of every sample in the functions of `hot`, whatever takes it: who called whom.
fn check_callers(profile: &Profile) {
    for sample in &profile.samples {
        let (context, is_right) = match sample.function.as_str() {
            "brief" => ("task", sample.is_called_by(&["many", "take_part"])),
            "most" | "outer" | "closed" | "seldom" | "many" => {
                ("task", sample.is_called_by(&["take_part"]))
            }
            "middle" => ("task", sample.is_called_by(&["outer", "take_part"])),
            "inner" => (
                "task",
                sample.is_called_by(&["middle", "outer", "take_part"]),
            ),
            "recursive" => {
                let callers = sample.callers.iter();
                let depth = callers.take_while(|it| *it == "recursive").count();
                ("task", depth < 8 && sample.callers[depth] == "take_part")
            }
            "in_interrupt" => {
                // The handler, then what it has interrupted, then who called that.
                let callers = sample.callers.iter();
                let of_task = callers
                    .skip_while(|it| !it.contains("8dispatch17h"))
                    .skip(1);
                let mut of_task = of_task.skip_while(|it| *it != "take_part");
                let is_whole = of_task.next().is_some();
                ("irq", is_whole && sample.is_called_by(&["on_timer"]))
            }
            // Nobody else is idle, but who comes in between: it is no interrupt yet, or no more.
            "wait_for_interrupt" => continue,
            name if name.contains("4arch5traps") || name.contains("8IrqLevel") => continue,
            _ if sample.from == "task" => ("task", sample.tid != 0),
            _ => continue,
        };
        assert!(is_right && sample.from == context, "{sample:#x?}");
        assert_eq!(sample.tid, sample.cpu as i64 + 1, "{sample:#x?}");
    }
}

#[test]
fn shares_are_those_of_what_was_done_where_a_clock_counts_instructions() {
    let words = [
        "--accel",
        "icount",
        "--set",
        "profile=10000",
        "--set",
        LARGE,
    ];
    let (run, profile) = hot(1, &words);
    assert_eq!(profile.sources, [("hpet".to_owned(), 10_000)]);
    check_callers(&profile);
    let functions = Functions::of(kernel());
    let rounds = rounds(&run);
    assert_eq!(rounds.len(), 8, "{:?}", run.records());
    let all: f64 = rounds.values().sum();
    let count = |name: &String| profile.within(name).len() as f64;
    let samples: f64 = rounds.keys().map(count).sum();
    assert!(samples > 3_000.0, "{samples} samples");
    for (name, rounds) in &rounds {
        // Each sample falls into this function with this probability: a count is further from what
        // is expected than six standard deviations once in five hundred million times.
        let share = rounds / all;
        let expected = samples * share;
        let bound = 6.0 * (expected * (1.0 - share)).sqrt();
        let count = count(name);
        eprintln!("{name}: {count} of {samples} samples, {expected:.0} +- {bound:.0} expected");
        assert!(
            (count - expected).abs() <= bound,
            "{name}: {count}, not {expected:.0}"
        );
    }
    // At all depths, and at many instructions: interrupts come anywhere.
    let depths = profile.within("recursive").into_iter();
    let mut depths: Vec<_> = depths.map(|it| it.callers.len()).collect();
    depths.sort_unstable();
    depths.dedup();
    assert_eq!(depths.len(), 8);
    let mut places: Vec<_> = profile.within("most").iter().map(|it| it.ip).collect();
    places.sort_unstable();
    places.dedup();
    assert!(places.len() >= 9, "{places:#x?}");
    // Also where a function has no frame yet: at its first two instructions, of one byte and three.
    let entry = functions.address_of("brief");
    for offset in [0, 1] {
        let mut brief = profile.within("brief").into_iter();
        assert!(brief.any(|it| it.ip == entry + offset), "{offset}");
    }
    // As many as there should be; some in the time of no task.
    let records = run.records();
    let told = records
        .iter()
        .rfind(|it| it.message.starts_with("profile: "));
    let told = told.expect("it is said at the end");
    let numbers = told.message.split(|letter: char| !letter.is_ascii_digit());
    let numbers: Vec<f64> = numbers.filter_map(|word| word.parse().ok()).collect();
    let [taken, _cpus, _micros, due, ..] = numbers[..] else {
        panic!("{}", told.message);
    };
    assert_eq!(taken, profile.samples.len() as f64);
    assert!((taken / due - 1.0).abs() < 0.02, "{}", told.message);
    let mut idle = profile.within("wait_for_interrupt").into_iter();
    assert!(idle.any(|sample| sample.tid == 0));
}

#[test]
fn every_source_says_which_it_is_and_what_it_cannot_see() {
    let set = ["--set", "profile=1000", "--set", LARGE];
    // The HPET is preferred; without it CPU 0 sends NMIs; interrupts are asked for.
    let (_, profile) = hot(8, &set);
    assert_eq!(profile.sources, [("hpet".to_owned(), 1_000)]);
    check_callers(&profile);
    assert!(!profile.samples.is_empty());
    for words in [
        &["--set", "profile-source=ipi"][..],
        &["--", "-machine", "hpet=off"],
    ] {
        let (_, profile) = hot(8, &[&set[..], words].concat());
        assert_eq!(profile.sources, [("ipi".to_owned(), 1_000)]);
        check_callers(&profile);
        assert!(!profile.samples.is_empty());
        let closed = profile.within("closed");
        assert!(
            closed.iter().all(|sample| sample.cpu != 0),
            "interrupts were off"
        );
    }
    let (_, profile) = hot(2, &[&set[..], &["--set", "profile-source=timer"]].concat());
    assert_eq!(profile.sources, [("timer".to_owned(), 1_000)]);
    check_callers(&profile);
    assert!(!profile.samples.is_empty());
    for sample in &profile.samples {
        assert_ne!(sample.function, "closed", "interrupts were off");
        assert_eq!(
            sample.from, "task",
            "interrupts do not interrupt interrupts"
        );
    }
}

#[test]
fn a_source_that_is_not_there_is_a_failure_and_none_is_asked_for_nothing() {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("it is UTF-8");
    let kernel = kernel().to_str().expect("it is UTF-8");
    // QEMU's translator has no counters.
    for words in [
        &["--set", "profile-source=pmu"][..],
        &["--set", "profile-source=hpet", "--", "-machine", "hpet=off"],
    ] {
        let args = ["--smp", "1", "--set", "profile=100", "--kernel", kernel];
        let run = boot_once(&[&args[..], &["--out", out, "--force"], words].concat());
        run.assert_code(1);
        assert!(run.has(Severity::Error, "nothing that could interrupt its CPUs so"));
        run.assert_complete(1);
    }
    let (run, profile) = hot(1, &["--set", "turns=1"]);
    assert!(profile.sources.is_empty() && profile.samples.is_empty());
    assert!(
        !run.records()
            .iter()
            .any(|it| it.message.starts_with("profile: "))
    );
}

#[test]
fn samples_that_find_no_room_are_counted() {
    let words = [
        "--accel",
        "icount",
        "--set",
        "profile=10000",
        "--set",
        "profile-size=2048",
    ];
    let (run, profile) = hot(1, &words);
    let summary = run.summary();
    let channels = &summary["run"]["capture"]["channels"];
    let mut channels = channels.as_array().expect("a list").iter();
    let total = channels.find(|it| it["name"] == "profile");
    let total = total.expect("there is a channel profile");
    let number = |name: &str| total[name].as_u64().expect("a number");
    let kept = (profile.samples.len() + profile.sources.len()) as u64;
    assert_eq!(number("delivered"), kept, "{total}");
    assert!(number("lost") > 1_000, "{total}");
    assert_eq!(number("attempted"), kept + number("lost"), "{total}");
}

#[test]
fn others_get_their_nmis_all_the_same() {
    // Smoke waits until each CPU has had four that were sent to it.
    for source in ["hpet", "ipi"] {
        let source = format!("profile-source={source}");
        let run = boot(&["--set", "profile=10000", "--set", &source]);
        run.assert_code(0);
        run.assert_complete(8);
        for cpu in 0..8 {
            let records = run.records();
            let mine = records.iter().filter(|it| it.cpu == cpu);
            assert_eq!(mine.filter(|it| it.message.starts_with("NMI ")).count(), 4);
        }
        // The heartbeat logs each NMI that it gets: none was sent.
        let idle = ["--smp", "2", "--scenario", "idle", "--set", "seconds=1"];
        let run = boot(&[&idle[..], &["--set", "profile=1000", "--set", &source]].concat());
        run.assert_code(0);
        run.assert_complete(2);
        assert!(!run.records().iter().any(|it| it.message == "NMI"));
    }
}

#[test]
fn a_stop_is_never_taken_for_a_sample() {
    for (kind, source) in [
        ("panic", "hpet"),
        ("together", "ipi"),
        ("nmi", "hpet"),
        ("overflow", "ipi"),
    ] {
        let (kind, source) = (format!("kind={kind}"), format!("profile-source={source}"));
        let args = ["--scenario", "panic", "--set", &kind, "--set", &source];
        let run = boot(&[&args[..], &["--set", "profile=10000"]].concat());
        run.assert_code(1);
        let summary = run.summary();
        assert_eq!(summary["run"]["result"], "fail");
        assert_eq!(summary["run"]["problems"], serde_json::json!([]));
        assert_eq!(summary["total"]["unaccounted"], 0);
        let mut lines = run.console.iter();
        let late = lines.find(|line| line.contains("did not stop"));
        assert_eq!(late, None, "{kind} {source}");
    }
}

#[test]
fn stress_and_samples_at_once_are_accounted_for_and_the_same_each_time() {
    let keep = tempfile::tempdir().expect("the temporary folder is writable");
    let turn = Turn::wait();
    let mut command = Command::new(relayctl());
    command
        .args(["stress", "--seeds", "1..3", "--twice", "--json"])
        .args(["--set", "records=300", "--set", "profile=10000"])
        .args(["--set", "extend=0", "--keep"])
        .arg(keep.path())
        .current_dir(&workspace().root);
    let run = Session::spawn(command, turn).end();
    run.assert_code(0);
    assert_eq!(run.summary()["failed"], serde_json::json!([]));
}

#[test]
fn a_thousand_samples_a_second_cost_less_than_a_hundredth() {
    let run = boot_once(&[
        "--smp",
        "1",
        "--scenario",
        "cost",
        "--accel",
        "icount",
        "--set",
        "profile=1000",
        "--set",
        LARGE,
    ]);
    run.assert_code(0);
    let mut told = 0;
    for record in run.records() {
        let Some((name, cost)) = record.message.split_once(" instructions, ") else {
            continue;
        };
        let Some((name, cost)) = name.rsplit_once(": ").filter(|_| cost.contains(" of ")) else {
            continue;
        };
        let cost: u64 = cost.parse().expect("a number");
        eprintln!("{name}: {cost}");
        // The clock counts a thousand million instructions a second.
        assert!((100..10_000).contains(&cost), "{name}: {cost}");
        told += 1;
    }
    assert_eq!(told, 2, "{:?}", run.records());
}
