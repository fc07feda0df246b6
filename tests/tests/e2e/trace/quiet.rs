//! The trace leaves the machine by what it traces, and feeds on that not at all.

use std::path::Path;

use serde_json::Value;

use super::{assert_judged, number, records, run, said, text};

const SMP: u64 = 4;
/// How long the machine idles, in seconds: it says so once in each.
const SECONDS: u64 = 8;

/// Packets of a channel that came, and records in them.
fn packets(capture: &Path, channel: &str) -> (u64, u64) {
    let stat: Value =
        serde_json::from_str(&said(&["stat", "--json"], capture)).expect("it prints JSON");
    let channels = stat["channels"].as_array().expect("a list");
    let channel = channels.iter().find(|it| it["name"] == channel);
    let cpus = channel.expect("it is there")["cpus"].as_array();
    let cpus = cpus.expect("a list");
    let sum = |what: &str| cpus.iter().map(|cpu| number(&cpu[what])).sum();
    (sum("packets"), sum("delivered"))
}

fn idle(trace: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    let seconds = format!("seconds={SECONDS}");
    let smp = SMP.to_string();
    let run = run(folder.path(), "idle", &[trace, &seconds], &["--smp", &smp]);
    run.assert_code(0);
    assert_judged(folder.path(), "complete");
    folder
}

/// What the way of packets gives rise to, and nothing else: the log has a line a second, so that
/// there are a few packets of the trace in each, however many of them there were before.
#[test]
fn packets_of_the_trace_are_no_reason_for_others() {
    let folder = idle("trace=irq_handler*,virtio,drain");
    let (log, _) = packets(folder.path(), "klog");
    let (trace, _) = packets(folder.path(), "trace");
    assert!(
        trace <= 2 * log + 3 * SMP,
        "{trace} packets of the trace for {log} of the log"
    );
    let events = records("trace", folder.path());
    let told = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert!(told("drain_take") > 0 && told("drain_submit") > 0 && told("drain_return") > 0);
    assert!(told("virtio_used") > 0 && told("virtio_notify") > 0);
    // None is about a packet of the trace itself. Those are counted.
    let own: u64 = events
        .iter()
        .filter(|event| text(&event["event"]).starts_with("drain_"))
        .inspect(|event| assert_ne!(event["fields"]["stream"], 5, "{event}"))
        .filter_map(|event: &Value| event["fields"]["own"].as_u64())
        .sum();
    assert!(own > 0, "nothing tells of the packets of the trace");
}

/// With all that there is a tick writes eight events or so, and each hundred ms a packet leaves.
#[test]
fn an_idle_machine_traces_no_more_than_its_ticks() {
    let folder = idle("trace=all");
    let (packets, records) = packets(folder.path(), "trace");
    let most = SMP * (SECONDS + 1) * (1000 / 100);
    assert!(packets <= most, "{packets} packets, {most} would be right");
    // A hundred ticks a second, and as many wake-ups again.
    let most = SMP * (SECONDS + 1) * 100 * 2 * 8;
    assert!(records <= most, "{records} events, {most} would be many");
}
