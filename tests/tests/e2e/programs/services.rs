//! Services in ring 3: the drain as a program, which dies and is started again without losing a packet.

use std::path::Path;

use e2e::{Run, boot, ramdisk};
use serde_json::Value;

use super::{records, run};
use crate::salvage::{json, panics_with};

/// Runs a scenario with these settings.
fn scenario(folder: &Path, smp: u32, name: &str, sets: &[&str]) -> Run {
    let smp = smp.to_string();
    let ramdisk = ramdisk().to_str().expect("it is UTF-8");
    let out = folder.to_str().expect("it is UTF-8");
    let mut args = vec!["--scenario", name, "--smp", &smp, "--out", out, "--force"];
    args.extend(["--ramdisk", ramdisk]);
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    boot(&args)
}

/// How many packets somebody has sent, as the operators are told.
fn sent(folder: &Path, who: &str) -> u64 {
    let told = records(folder, "evlog");
    let of_it = |record: &&Value| record["event"] == "drained" && record["fields"]["by"] == who;
    let packets = told
        .iter()
        .find(of_it)
        .map(|record| record["fields"]["packets"].as_u64());
    packets.map_or(0, |packets| packets.expect("it is a number"))
}

/// What the operators are told of services, by the name of the event: the number in each.
fn told(folder: &Path, event: &str, service: &str) -> Vec<u64> {
    let told = records(folder, "evlog");
    let of_it = told
        .iter()
        .filter(|record| record["event"] == event && record["fields"]["service"] == service);
    of_it
        .map(|record| record["fields"]["times"].as_u64().expect("it is a number"))
        .collect()
}

/// Asserts that nothing is missing in a capture, nor twice, nor in another order.
fn assert_complete(run: &Run, folder: &Path) {
    let summary = run.summary();
    assert_eq!(summary["run"]["problems"], serde_json::json!([]));
    let verified = json(&["verify", "--json"], folder);
    assert_eq!(verified["verdict"], "complete", "{verified:#}");
    let total = json(&["stat", "--json"], folder)["total"].clone();
    assert_eq!(total["unaccounted"], 0, "{total}");
}

#[test]
fn a_program_drains_by_default() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 4, "hello,0;spin,300", &[]);
    run.assert_code(0);
    assert_complete(&run, folder.path());
    assert!(sent(folder.path(), "draind") > 0);
    // Before there were programs, and when there were none any more.
    assert!(sent(folder.path(), "kernel") > 0);
}

#[test]
fn who_wants_the_kernel_to_drain_has_it() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 2, "hello,0", &["--set", "drain=kernel"]);
    run.assert_code(0);
    assert_complete(&run, folder.path());
    let events = records(folder.path(), "evlog");
    assert!(
        !events
            .iter()
            .any(|event| event["fields"]["program"] == "draind")
    );
    // That it is the kernel needs no saying.
    assert_eq!(sent(folder.path(), "kernel"), 0);
}

#[test]
fn a_flood_is_drained_by_a_program() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = scenario(folder.path(), 4, "flood", &["drain=user", "seconds=2"]);
    run.assert_code(0);
    assert_complete(&run, folder.path());
    let [program, kernel] = ["draind", "kernel"].map(|who| sent(folder.path(), who));
    assert!(
        program > kernel,
        "{program} by draind, {kernel} by the kernel"
    );
}

/// Ended and started again while all CPUs write, at moments of a seed: what it had goes to the
/// next one, or to the kernel in between. `RELAY_RESTARTS=1000` does it more often.
#[test]
fn a_drain_that_is_killed_loses_nothing_and_sends_nothing_twice() {
    let folder = tempfile::tempdir().expect("there is room");
    let times = std::env::var("RELAY_RESTARTS").ok();
    let times: u64 = times.map_or(100, |times| times.parse().expect("it is a number"));
    let seconds = format!("seconds={}", 4 + times / 7);
    let programs = format!("programs=kill=draind,{times},19");
    // Small packets, and few: they change hands more often, and make a smaller capture.
    let sets = [&*programs, &*seconds, "subbuf=2048", "count=4"];
    let run = scenario(folder.path(), 4, "flood", &sets);
    run.assert_code(0);
    assert_complete(&run, folder.path());
    let restarts = told(folder.path(), "service_restarted", "draind");
    assert!((1..=restarts.len() as u64).eq(restarts.iter().copied()));
    // However slow the host is.
    assert!(restarts.len() as u64 > times / 10, "{}", restarts.len());
    assert!(told(folder.path(), "service_given_up", "draind").is_empty());
    assert!(sent(folder.path(), "draind") > 0 && sent(folder.path(), "kernel") > 0);
}

#[test]
fn a_service_that_dies_too_often_is_given_up_and_said_to_be() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(
        folder.path(),
        2,
        "stay;window=3600;-draind;+crash,null-read",
        &[],
    );
    // That is no good end.
    run.assert_code(1);
    assert_complete(&run, folder.path());
    let restarts = told(folder.path(), "service_restarted", "crash");
    assert_eq!(restarts, (1..=20).collect::<Vec<_>>());
    assert_eq!(told(folder.path(), "service_given_up", "crash"), [20]);
    assert_eq!(sent(folder.path(), "draind"), 0);
}

/// How the machine fails here: in other ways by hand.
const KINDS: &str = "panic,drain,together";

#[test]
fn a_panic_finds_what_a_program_was_draining() {
    let kinds = std::env::var("RELAY_PANICS").unwrap_or_else(|_| KINDS.to_owned());
    for kind in kinds.split(',') {
        let folder = tempfile::tempdir().expect("there is room");
        let ramdisk = ramdisk().to_str().expect("it is UTF-8");
        let kind = format!("kind={kind}");
        let args = ["--ramdisk", ramdisk, "--set", "drain=user", "--set", &kind];
        let run = panics_with(&args, folder.path());
        let drained = run
            .console
            .iter()
            .any(|line| line.starts_with("-- draind has sent ") && !line.contains(" 0 packets"));
        assert!(drained, "no program has drained: {:#?}", run.console.last());
    }
}

/// A program that takes over a stream, and lets its packets lie, keeps them for ten seconds.
#[test]
fn who_lets_packets_lie_drains_no_more() {
    let folder = tempfile::tempdir().expect("there is room");
    let programs = "+draind,klog;+hold,klog;spin,14000";
    let run = run(folder.path(), 2, programs, &[]);
    run.assert_code(0);
    assert_complete(&run, folder.path());
    let told = records(folder.path(), "klog");
    let said = |what: &str| {
        let mut texts = told.iter().filter_map(|record| record["msg"].as_str());
        texts.any(|text| text.contains(what))
    };
    assert!(
        said("a program had /klog of cpu 0 and sent nothing of it for 10 s"),
        "{told:?}"
    );
    // It had no other stream.
    assert!(!said("a program had /user") && !said("a program had /evlog"));
}
