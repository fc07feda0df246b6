//! Machines whose clocks are not QEMU's usual ones.

use e2e::boot;
use relay_format::Severity;

/// Boots a machine with these QEMU arguments and without ports; what it says of its clock: the time
/// stamp counter's rate, and where that is from.
fn clock(qemu: &[&str]) -> (u64, String) {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("its name is UTF-8");
    let out = ["--out", out, "--force"];
    let args = ["--smp", "2", "--transport", "none"];
    let run = boot(&[&args[..], &out[..], &["--"], qemu].concat());
    run.assert_code(0);
    let said = run.record("clock: ").message.to_owned();
    let rate = said.strip_prefix("clock: TSC ").and_then(|rest| {
        let (hz, rest) = rest.split_once(" Hz, local APIC timer ")?;
        let (_, from) = rest.split_once(" Hz, ")?;
        Some((hz.parse().ok()?, from.to_owned()))
    });
    let rate = rate.unwrap_or_else(|| panic!("{said:?}"));
    if rate.1 == "which is an assumption" {
        assert!(run.has(Severity::Warn, "how fast time passes is unknown"));
    }
    rate
}

/// A machine without PCI and ACPI timers, and without the port that gates the PIT.
fn microvm(pit: &str) -> (u64, String) {
    let machine = format!("microvm,pit={pit},pic={pit},isa-serial=on,acpi=on");
    clock(&["-M", &machine, "-accel", "tcg,thread=multi"])
}

#[test]
fn every_clock_gives_the_same_rate_and_none_an_assumption_that_is_said() {
    let (hz, from) = clock(&[]);
    assert_eq!(from, "measured against the HPET");
    let without_hpet = clock(&["-machine", "hpet=off"]);
    let with_a_pit_alone = microvm("on");
    for ((other, from), clock) in [(without_hpet, "ACPI timer"), (with_a_pit_alone, "PIT")] {
        assert_eq!(from, format!("measured against the {clock}"));
        // Nonsense is 4 % and more, up to a hundred times.
        assert!(
            hz.abs_diff(other) < hz / 50,
            "{other} Hz by the {clock}, not {hz}"
        );
    }
    let (_, from) = microvm("off");
    assert_eq!(from, "which is an assumption");
}
