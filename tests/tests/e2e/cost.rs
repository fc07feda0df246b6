//! The counting of instructions in the guest.

use e2e::{Run, boot_once};
use relay_format::Severity;

const COST: [&str; 4] = ["--smp", "1", "--scenario", "cost"];

/// What was measured: of what, and the least number of instructions that it took.
fn costs(run: &Run) -> Vec<(String, u64)> {
    let cost = |message: &str| {
        let (name, cost) = message.split_once(": ")?;
        let cost = cost.split_once(" instructions, ")?.0.parse().ok()?;
        Some((name.to_owned(), cost))
    };
    let records = run.records();
    records.iter().filter_map(|it| cost(it.message)).collect()
}

#[test]
fn costs_are_counted_and_the_same_on_one_cpu_and_on_eight() {
    let [one, eight] = ["1", "8"].map(|cpus| {
        let run = boot_once(&["--smp", cpus, "--scenario", "cost", "--accel", "icount"]);
        run.assert_code(0);
        let mut costs = costs(&run);
        // Records of flood come last; whether any finds no room depends on the host.
        assert!([14, 15].contains(&costs.len()), "{:?}", run.records());
        costs.truncate(14);
        costs
    });
    for (name, cost) in &one {
        assert!((1..50_000).contains(cost), "{name}: {cost}");
    }
    let mut disabled = one
        .iter()
        .filter(|(name, _)| name.starts_with("a disabled "));
    assert_eq!(disabled.clone().count(), 3);
    // A load and a branch: three instructions, and one or two where the code around differs from
    // that without anything.
    assert!(disabled.all(|(_, cost)| *cost <= 5), "{one:?}");
    let of = |name: &str| one.iter().find(|(it, _)| it == name).map(|(_, cost)| *cost);
    let (deferred, in_place) = (
        of("relay::info! with two arguments"),
        of("log::info! with two arguments"),
    );
    assert!(deferred < in_place, "{one:?}");
    assert_eq!(one, eight, "a record costs more where there are more cpus");
}

#[test]
fn costs_are_refused_where_it_does_not() {
    let run = boot_once(&COST);
    run.assert_code(1);
    assert!(
        run.has(Severity::Error, "does not count instructions"),
        "{:?}",
        run.records()
    );
}
