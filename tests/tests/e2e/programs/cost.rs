//! What the trace of programs costs, with everything in it switched on: in instructions of the guest,
//! which `--accel icount` counts.

use super::{run, said};

/// How long each of the two programs works for each message, in instructions: a nanosecond each.
const WORK: u64 = 10_000;

/// The most that the trace may add to a round of work, call, work and answer, in hundredths.
///
/// It writes 13 records in a round (docs/PERFORMANCE.md): the 4 that were aimed at are not reached.
const MOST: u64 = 10;

/// Ticks of a call and its answer, with what the server works, the least of many.
fn ticks(trace: &str) -> u64 {
    let folder = tempfile::tempdir().expect("there is room");
    let programs = format!("pingpong,server,{WORK};pingpong,client,1000,{WORK}");
    let trace = format!("trace={trace}");
    let set = [
        "--accel",
        "icount",
        "--set",
        "tsc_hz=1000000000",
        "--set",
        &trace,
    ];
    let set = [&set[..], &["--set", "trace-size=4194304"]].concat();
    let run = run(folder.path(), 1, &programs, &set);
    run.assert_code(0);
    let said = said(folder.path());
    let told = said.iter().find_map(|(_, text)| text.split_once(" least "));
    let (_, least) = told.expect("the client says it");
    least.trim().parse().expect("a number")
}

#[test]
fn all_of_the_trace_costs_a_tenth_at_most_of_what_programs_do_that_call_each_other() {
    let [off, all] = ["off", "all"].map(ticks);
    assert!(
        all > off,
        "{all} with the trace, {off} without: it was not on"
    );
    let (off, all) = (off + WORK, all + WORK);
    eprintln!("{all} instructions a round with the trace, {off} without");
    assert!(
        (all - off) * 100 <= off * MOST,
        "{all} with the trace, {off} without"
    );
}
