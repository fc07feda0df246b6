use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// What the reference kernel tells: `cargo test -p kernel` compares it.
const SAMPLE: &str = include_str!("../../tests/settings.json");

fn sample() -> Settings {
    serde_json::from_str(SAMPLE).expect("it is what the kernel tells")
}

fn check(scenario: &str, words: &[&str]) -> Result<(), String> {
    let checked = sample().check(scenario, words.iter().copied(), Some(32));
    checked.map_err(|error| error.to_string())
}

#[test]
fn what_the_kernel_takes_is_taken() {
    for (scenario, words) in [
        ("smoke", &[][..]),
        (
            "smoke",
            &[
                "log=trace,virtio=off",
                "trace=irq*",
                "tsc_hz=0x3b9aca00",
                "lose=31",
            ],
        ),
        ("flood", &["records=0", "records=18446744073709551615"]),
        ("flood", &["subbuf=256", "count=0x8000", "seconds=1"]),
        ("panic", &["kind=relay", "cpu=0"]),
        ("smoke", &["serial=all", "serial=off", "line=com3"]),
        ("smoke", &["serial=klog", "serial=flood,klog@warn"]),
    ] {
        assert_eq!(check(scenario, words), Ok(()), "{scenario} {words:?}");
    }
}

#[test]
fn everything_else_is_refused_with_what_there_is() {
    let general = sample().general;
    let general: Vec<_> = general.iter().map(|setting| &*setting.key).collect();
    let general = general.join(", ");
    for (scenario, word, what) in [
        (
            "flod",
            "",
            "there is no scenario 'flod'; the scenarios are init, smoke, idle, panic, hang, flood, \
             stress, recorder, drain, cost, types, pattern, clients, hot. Did you mean 'flood'?",
        ),
        (
            "smoke",
            "nonsense=1",
            "the scenario smoke has no setting 'nonsense'; it has GENERAL",
        ),
        (
            "smoke",
            "records=1",
            "the scenario smoke has no setting 'records', as flood, stress would; it has \
             GENERAL",
        ),
        (
            "flood",
            "record=1",
            "the scenario flood has no setting 'record'; it has records, seconds, subbuf, \
             count, mode, spares, GENERAL. Did you mean 'records'?",
        ),
        (
            "flood",
            "records=abc",
            "records=abc: the value must be a number from 0 to 18446744073709551615",
        ),
        (
            "flood",
            "count=3",
            "count=3: the value must be a power of two from 2 to 32768",
        ),
        (
            "flood",
            "subbuf=64",
            "subbuf=64: the value must be a power of two from 256 to 1073741824 bytes",
        ),
        (
            "panic",
            "kind=overlow",
            "kind=overlow: the value must be one of panic, fault, overflow, double, triple, \
             together, halfway, relay, heap, irq, nmi, drain, resize, swap, reserved, switch, \
             delivery. Did you mean 'overflow'?",
        ),
        (
            "stress",
            "contexts=irq,nni",
            "contexts=irq,nni: the value must be some of task irq ipi nmi with commas between them",
        ),
        (
            "smoke",
            "serial=klogg",
            "serial=klogg: the value must be all, off, or some of klog[@LEVEL] flood trace evlog \
             user profile with commas between them (LEVEL: error, warn, info, debug, trace). Did you mean 'klog'?",
        ),
    ] {
        let what = what.replace("GENERAL", &general);
        assert_eq!(check(scenario, &[word]), Err(what));
    }
    for words in ["contexts=task", "contexts=nmi,irq,ipi"] {
        assert_eq!(check("stress", &[words]), Ok(()));
    }
    for word in ["contexts=", "contexts=irq,", "contexts=nmi,nmi"] {
        assert!(check("stress", &[word]).is_err(), "{word}");
    }
    for word in [
        "serial=",
        "serial=klog,",
        "serial=klog,klog",
        "serial=klog@",
        "serial=klog@loud",
        "serial=flood@info",
        "serial=all,klog",
        "line=com5",
        "lose=-1",
        "lose=+1",
        "lose=0x+1",
        "lose=",
        "lose=0",
        "lose=32",
    ] {
        assert!(check("smoke", &[word]).is_err(), "{word}");
    }
}

#[test]
fn a_cpu_is_one_that_the_machine_has() {
    let check = |scenario, word, cpus| {
        let checked = sample().check(scenario, [word], cpus);
        checked.map_err(|error| error.to_string())
    };
    assert_eq!(check("panic", "cpu=7", Some(8)), Ok(()));
    assert_eq!(check("panic", "cpu=7", None), Ok(()));
    let wrong = "cpu=7: the value must be the number of a CPU from 0 to 6";
    assert_eq!(check("panic", "cpu=7", Some(7)), Err(wrong.to_owned()));
    let wrong = "lose=1: the value must be the number of a CPU, and the machine has too few";
    assert_eq!(check("smoke", "lose=1", Some(1)), Err(wrong.to_owned()));
}

#[test]
fn help_names_everything() {
    let settings = sample();
    let text = settings.to_string();
    for scenario in &settings.scenarios {
        assert!(text.contains(&format!("\n  {:<9} {}\n", scenario.name, scenario.about)));
        for setting in scenario.settings.iter().chain(&settings.general) {
            assert!(text.contains(&format!("\n    {:<9} {}", setting.key, setting.about)));
        }
    }
    assert!(text.contains("power of two from 256 to 1073741824 bytes; default: 16384\n"));
    assert!(text.contains("  together  an explicit panic on every CPU at once\n"));
    assert!(text.lines().all(|line| line.len() <= 120), "{text}");
}

#[test]
fn a_kernel_without_the_section_takes_everything() {
    let own = std::env::current_exe().expect("a test has an executable");
    assert!(matches!(Settings::of(&own), Ok(None)));
    let text = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert!(matches!(Settings::of(text), Ok(None)));
    assert!(matches!(
        Settings::of(Path::new("/nonexistent")),
        Err(SettingsError::Io(_))
    ));
}

/// An ELF file with one section: the header, its data, the names, the section headers.
fn elf(name: &str, data: &[u8]) -> Vec<u8> {
    let names = format!("\0{name}\0.shstrtab\0");
    let (data_at, names_at) = (64, 64 + data.len());
    let headers_at = names_at + names.len();
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    let mut put = |size: usize, value: usize| {
        elf.extend_from_slice(&value.to_le_bytes()[..size]);
    };
    // Type, machine, version, entry, program headers, section headers, flags, sizes and counts.
    for (size, value) in [
        (2, 2),
        (2, 0x3e),
        (4, 1),
        (8, 0),
        (8, 0),
        (8, headers_at),
        (4, 0),
    ] {
        put(size, value);
    }
    for value in [64, 56, 0, 64, 3, 2] {
        put(2, value);
    }
    elf.extend_from_slice(data);
    elf.extend_from_slice(names.as_bytes());
    let last = name.len() + 2;
    for (name, kind, at, size) in [
        (0, 0, 0, 0),
        (1, 1, data_at, data.len()),
        (last, 3, names_at, names.len()),
    ] {
        for (bytes, value) in [(4, name), (4, kind), (8, 0), (8, 0), (8, at), (8, size)] {
            elf.extend_from_slice(&usize::to_le_bytes(value)[..bytes]);
        }
        // Link, info, alignment, size of entries.
        elf.extend_from_slice(&[0; 24]);
    }
    elf
}

fn within(bytes: &[u8]) -> Result<Option<Settings>, SettingsError> {
    Settings::within(&ReadCache::new(Cursor::new(bytes.to_vec())))
}

#[test]
fn the_section_is_found_and_damage_is_told() {
    let found = within(&elf(SECTION, SAMPLE.as_bytes()));
    assert!(found.is_ok_and(|found| found.is_some_and(|found| found.scenarios.len() == 14)));
    assert!(within(&elf(".other", SAMPLE.as_bytes())).is_ok_and(|found| found.is_none()));
    let cut = within(&elf(SECTION, &SAMPLE.as_bytes()[..99]));
    assert!(matches!(cut, Err(SettingsError::Text(_))));
    let long = within(&elf(SECTION, &vec![b' '; 1 << 21]));
    assert!(matches!(long, Err(SettingsError::TooLong(size)) if size == 1 << 21));
}

proptest! {
    /// A damaged file gives something or an error, never a panic.
    #[test]
    fn a_damaged_file_does_no_harm(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)
    ) {
        let mut bytes = elf(SECTION, SAMPLE.as_bytes());
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = within(&bytes);
    }
}
