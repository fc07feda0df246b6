//! The counting of instructions in the guest.

use e2e::boot_once;
use relay_format::Severity;

const COST: [&str; 4] = ["--smp", "1", "--scenario", "cost"];

#[test]
fn costs_are_counted_where_the_clock_counts_instructions() {
    let run = boot_once(&[&COST[..], &["--accel", "icount"]].concat());
    run.assert_code(0);
    let costs: Vec<u64> = run
        .records()
        .iter()
        .filter_map(|record| {
            let (_, cost) = record.message.split_once(": ")?;
            cost.split_once(" instructions, ")?.0.parse().ok()
        })
        .collect();
    // Records of flood come last; whether any finds no room depends on the host.
    assert!([11, 12].contains(&costs.len()), "{:?}", run.records());
    assert!(
        costs.iter().all(|cost| (1..50_000).contains(cost)),
        "{costs:?}"
    );
    assert_eq!(
        costs.iter().min(),
        costs.get(9),
        "what is disabled costs least"
    );
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
