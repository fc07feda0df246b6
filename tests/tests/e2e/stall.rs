//! Hosts that stall and fail while all CPUs write as fast as they can: the machine goes on, what is
//! lost is counted, and the log goes on when the host does.

mod asked;
mod host;
mod noise;

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::{Session, relayctl};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use host::{Host, Reading};
use noise::Noise;

/// CPUs of the machine.
const SMP: usize = 8;
/// What is written: more than rings and sockets hold.
const FLOOD: [&str; 2] = ["scenario=flood", "records=20000"];
/// Records of each CPU, at least: its last timer interrupt may add some.
const RECORDS: u64 = 20_000;
/// Bytes of a port that are read before its host stalls: the metadata, which comes first, and more.
const SOME: usize = 256 * 1024;

/// What a command says of a capture, or of bytes.
fn json(command: &str, path: &Path) -> Value {
    let left = Command::new(relayctl())
        .args([command, "--json"])
        .arg(path)
        .output()
        .expect("relayctl starts");
    serde_json::from_slice(&left.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&left.stderr)))
}

/// One stream's ledger: its channel's name and its CPU.
fn stream<'a>(stat: &'a Value, name: &str, cpu: usize) -> &'a Value {
    let channels = stat["channels"].as_array().expect("a list");
    let channel = channels.iter().find(|channel| channel["name"] == name);
    let cpus = channel.expect("it is there")["cpus"].as_array();
    let mut cpus = cpus.expect("a list").iter();
    cpus.find(|it| it["cpu"] == cpu).expect("it has a stream")
}

/// Records that were tried in a stream.
fn attempted(stream: &Value) -> u64 {
    stream["attempted"].as_u64().expect("a number")
}

/// Records that a stream has lost.
fn lost(stream: &Value) -> u64 {
    let reasons = stream["lost"].as_object().expect("reasons");
    reasons.values().filter_map(Value::as_u64).sum()
}

/// Checks that nothing of a capture is unaccounted for, whatever else is said of it.
#[track_caller]
fn assert_accounted(judged: &Value) {
    assert_eq!(judged["total"]["unaccounted"], 0, "{judged:#}");
}

/// A port that is not read, or read late, or slowly, or closed, is nobody else's business.
#[test]
fn each_port_waits_for_its_own_host_alone() {
    let readings = |cpu| match cpu {
        1 => Reading::Never,
        2 => Reading::StopsAfter(SOME),
        3 => Reading::ByteByByte,
        4 => Reading::ClosesAfter(SOME),
        _ => Reading::All,
    };
    let host = Host::with_ports(SMP, &FLOOD, readings);
    let left = host.end();
    // Two ports have not got all: the machine says so, and fails.
    left.assert_fails();
    for cpu in 0..SMP {
        assert_eq!(left.names_port(cpu), [1, 4].contains(&cpu), "{cpu}");
    }
    assert!(left.says("; the host does not read)"), "{}", left.console);
    assert!(left.says("-- cpu 4: /flood was not sent to its end (port relay.4: "));
    let judged = json("verify", &left.bytes());
    assert_accounted(&judged);
    assert_eq!(judged["verdict"], "open", "{judged:#}");
    let stat = json("stat", &left.bytes());
    for cpu in [0, 2, 3, 5, 6, 7] {
        for channel in ["klog", "flood", "claims"] {
            let stream = stream(&stat, channel, cpu);
            assert_eq!(stream["verdict"], "complete", "{channel} {cpu}: {stream}");
        }
        assert!(
            attempted(stream(&stat, "flood", cpu)) >= RECORDS,
            "cpu {cpu}"
        );
        assert_eq!(lost(stream(&stat, "klog", cpu)), 0, "cpu {cpu}");
    }
    // While its host stood still it had nowhere to put them.
    assert!(lost(stream(&stat, "flood", 2)) > 0);
    assert!(stream(&stat, "flood", 2)["delivered"].as_u64() > Some(1000));
}

/// Nobody ever reads: a write takes as many instructions as if somebody did, and what finds no room
/// is counted.
#[test]
fn a_write_costs_the_same_whether_anybody_reads_or_not() {
    let costs = [Reading::All, Reading::Never].map(|reading| {
        // To wait for who never reads takes many instructions.
        let host = Host::that_counts(&["scenario=cost"], reading);
        let left = host.end_when_it_says("scenario cost: pass");
        // "30000 records of flood tried, 17000 found no room"
        let (full, _) = left.after("records of flood tried, ").expect("it is told");
        let [room, none] = [
            "a record of flood that finds room: ",
            "a record of flood that finds none: ",
        ]
        .map(|what| left.after(what));
        // "171 instructions, 891 at the most"
        (full, room.expect("some find room"), none)
    });
    let [(few, read, _), (many, unread, none)] = costs;
    assert!(
        few < many,
        "{few} found no room although all was read, {many} as nothing was"
    );
    assert_eq!(read.0, unread.0, "instructions of a record that finds room");
    // One that opens a packet looks how much is unread.
    assert!(
        unread.1 <= read.1 + 100,
        "{} at the most, {} as nothing was read",
        read.1,
        unread.1
    );
    let none = none.expect("some find no room");
    assert!(none.1 <= unread.1, "{none:?}");
}

/// A host that has gone and come back finds the log go on, and is told what it has missed.
#[test]
fn a_port_that_was_closed_goes_on_when_it_is_opened() {
    let words = ["scenario=flood", "records=200000"];
    let host = Host::that_comes_back(SMP, &words, 2, SOME);
    let left = host.end();
    left.assert_fails();
    assert!(
        left.says("the other side has come back (port relay.2"),
        "{}",
        left.console
    );
    let judged = json("verify", &left.bytes());
    assert_accounted(&judged);
    assert_eq!(judged["verdict"], "broken", "{judged:#}");
    // QEMU 7.2 drops the packet that it was writing, and never gives it back: what comes round to
    // it is lost.
    let is_stuck = left.says("-- cpu 2: /flood was not sent to its end (port relay.2: ");
    for problem in judged["problems"].as_array().expect("a list") {
        let problem = problem.as_str().expect("a text");
        assert!(problem.contains("_2 at "), "{problem}");
        let is_known = problem.ends_with(" are missing before it")
            || is_stuck && problem.ends_with(": its last packets are missing");
        assert!(is_known, "{problem}");
    }
    let stat = json("stat", &left.bytes());
    assert!(stream(&stat, "flood", 2)["lost"]["missing"].as_u64() > Some(0));
    // The log has gone on to its end.
    for channel in ["klog", "claims"] {
        let stream = stream(&stat, channel, 2);
        assert_eq!(
            stream["delivered"], stream["attempted"],
            "{channel}: {stream}"
        );
    }
}

/// A line that stands still for a while, or is read byte by byte, loses nothing but what it counts.
#[test]
fn a_line_waits_for_its_host() {
    for reading in [Reading::StopsAfter(SOME / 4), Reading::ByteByByte] {
        let left = Host::with_line(SMP, &FLOOD, reading, Noise::none()).end();
        left.assert_passes();
        let judged = json("verify", &left.bytes());
        assert_eq!(judged["verdict"], "complete", "{reading:?}: {judged:#}");
        let stat = json("stat", &left.bytes());
        for cpu in 0..SMP {
            let flood = stream(&stat, "flood", cpu);
            assert!(attempted(flood) >= RECORDS, "{flood}");
            assert!(lost(flood) > 0, "{flood}");
            assert_eq!(lost(stream(&stat, "klog", cpu)), 0, "cpu {cpu}");
        }
    }
}

/// Nobody reads the line: the machine ends nevertheless.
#[test]
fn a_machine_whose_line_nobody_reads_ends() {
    let left = Host::with_line(SMP, &FLOOD, Reading::Never, Noise::none()).end();
    left.assert_fails();
    assert!(left.says("scenario flood: pass"), "{}", left.console);
    assert!(left.says("/flood was not sent to its end (COM2: sent "));
    // What the socket has taken is not even a packet.
    let judged = json("verify", &left.bytes());
    assert!(
        judged["problems"]
            .to_string()
            .contains("no metadata in its ")
    );
}

/// Noise on the line costs the packets that it hits, each is told, and none is made up.
#[test]
fn a_noisy_line_costs_what_it_hits() {
    let left = Host::with_line(SMP, &FLOOD, Reading::All, Noise::of(7)).end();
    left.assert_passes();
    let clean = json("verify", &left.clean());
    assert_eq!(clean["verdict"], "complete", "{clean:#}");
    let noisy = json("verify", &left.bytes());
    assert_eq!(noisy["verdict"], "broken", "{noisy:#}");
    assert!(noisy["line"]["damaged"].as_u64() > Some(0), "{noisy:#}");
    assert_accounted(&noisy);
    let number = |of: &Value, name: &str| of["total"][name].as_u64().expect("a number");
    // What is lost at the end, with the claims that tell of it, nobody knows of.
    let unknown = number(&clean, "attempted") - number(&noisy, "attempted");
    let missing = number(&clean, "delivered") - number(&noisy, "delivered");
    assert!(missing > 0);
    let lost = number(&noisy, "lost") + unknown - number(&clean, "lost");
    assert_eq!(lost, missing);
    // No record is another than it was.
    let (clean, noisy) = (left.clean_records(), left.records());
    assert!(
        noisy.is_subset(&clean),
        "{:?}",
        noisy.difference(&clean).next()
    );
}

/// The machine does not run for a while, and does not notice.
#[test]
fn a_machine_that_was_stopped_goes_on() {
    let mut session = Session::start(&["--scenario", "flood", "--set", "seconds=1"]);
    session.wait_for("scenario flood: every CPU");
    let machine = session.children();
    assert_eq!(machine.len(), 1, "one QEMU");
    kill(machine[0], Signal::SIGSTOP).expect("it runs");
    thread::sleep(Duration::from_millis(700));
    kill(machine[0], Signal::SIGCONT).expect("it is stopped");
    let run = session.end();
    run.assert_code(0);
    run.assert_complete(SMP as u32);
    assert_eq!(run.summary()["run"]["capture"]["verdict"], "complete");
}
