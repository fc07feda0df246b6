//! What the trace costs, with everything in it switched on: in instructions of the guest, which
//! `--accel icount` counts.

use e2e::boot_once;

/// Runs of each kind: bring-up measures its clocks until two results agree, so that a run may have
/// more instructions than another one. The least of them says what it takes.
const RUNS: usize = 4;

/// What a run says of the instructions of the whole boot.
fn instructions(scenario: &str, trace: &str) -> u64 {
    let trace = format!("trace={trace}");
    let args = [
        "--smp",
        "1",
        "--accel",
        "icount",
        "--scenario",
        scenario,
        "--set",
        &trace,
        "--set",
        "tsc_hz=1000000000",
        "--set",
        "log=info,scenario=debug",
    ];
    let run = boot_once(&args);
    run.assert_code(0);
    let said = run.record("cpu 0 was busy for ").message;
    let (_, all) = said.split_once(" ticks, ").expect("it says both");
    let all = all.split(' ').next().and_then(|number| number.parse().ok());
    all.expect("it is a number")
}

#[test]
fn all_of_the_trace_costs_three_hundredths_at_most() {
    for scenario in ["smoke", "flood"] {
        let least = |trace| (0..RUNS).map(|_| instructions(scenario, trace)).min();
        let [off, all] = ["off", "all"].map(|trace| least(trace).expect("there were some"));
        assert!(
            all > off,
            "{scenario}: {all} with the trace, {off} without: it was not on"
        );
        assert!(
            all * 100 <= off * 103,
            "{scenario}: {all} with the trace, {off} without"
        );
    }
}
