//! What comes through the ports becomes a capture.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::pretended::*;
use super::synthetic;

/// A run whose pretended QEMU has ports: `fill` gets QEMU's arguments and the ports, that for
/// panics last, then QEMU prints the good text and does `end`. Returns what is left, the text that
/// was shown, and the capture.
fn run_with_ports(
    smp: usize,
    end: &str,
    fill: impl FnOnce(&[String], &mut Vec<UnixStream>),
) -> (Left, String, PathBuf) {
    run_printing(&(print_good() + end), smp, fill)
}

/// The same with a QEMU that does only `end`.
fn run_printing(
    end: &str,
    smp: usize,
    fill: impl FnOnce(&[String], &mut Vec<UnixStream>),
) -> (Left, String, PathBuf) {
    run_changed(|command| command, &[], end, smp, fill)
}

/// The same of a relayctl that `change` has changed.
pub(super) fn run_changed(
    change: impl FnOnce(Command) -> Command,
    args: &[&str],
    end: &str,
    smp: usize,
    fill: impl FnOnce(&[String], &mut Vec<UnixStream>),
) -> (Left, String, PathBuf) {
    run_shown(change, args, (end, None), smp, fill)
}

/// The same; QEMU does not go on to `end` before a line with a text is shown, if one is named.
fn run_shown(
    change: impl FnOnce(Command) -> Command,
    args: &[&str],
    (end, awaited): (&str, Option<&str>),
    smp: usize,
    fill: impl FnOnce(&[String], &mut Vec<UnixStream>),
) -> (Left, String, PathBuf) {
    let out = capture();
    let done = out.with_extension("done");
    // Prints QEMU's arguments, then waits like a machine that runs.
    let script = format!(
        "for arg; do echo \"$arg\"; done; echo ready
         until [ -e '{}' ]; do sleep 0.05; done; {end}",
        done.display(),
    );
    let folder = out.to_str().expect("it is text");
    let cpus = smp.to_string();
    let args = [&["--smp", &cpus, "--out", folder], args].concat();
    let mut child = change(relayctl(&script, &args))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("relayctl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
    let arguments: Vec<String> = lines
        .by_ref()
        .map(|line| line.expect("it is text"))
        .take_while(|line| line != "ready")
        .collect();
    let mut ports = Vec::new();
    for port in 0..=smp {
        let start = format!("socket,id=relay{port},path=");
        let path = arguments.iter().find_map(|arg| arg.strip_prefix(&start));
        let path = path.unwrap_or_else(|| panic!("{arguments:?}"));
        ports.push(UnixStream::connect(path).expect("relayctl listens"));
    }
    fill(&arguments, &mut ports);
    drop(ports);
    let mut shown = String::new();
    if let Some(awaited) = awaited {
        for line in lines.by_ref() {
            shown += &(line.expect("it is text") + "\n");
            if shown.contains(awaited) {
                break;
            }
        }
    }
    fs::write(&done, "").expect("it is writable");
    let rest = lines.map(|line| line.expect("it is text") + "\n");
    shown.extend(rest);
    let left = child.wait_with_output().expect("relayctl ends").into();
    (left, shown, out)
}

/// Runs `verify`, and returns the exit code and the judgement.
pub(super) fn verify(folder: &std::path::Path) -> (Option<i32>, String) {
    let left = synthetic::relayctl(&["verify".as_ref(), folder.as_os_str()]);
    let last = left.out.lines().last().unwrap_or_default().to_owned();
    (left.code, last)
}

#[test]
fn every_port_is_captured() {
    let end = print_good() + "exit 33";
    let end = (end.as_str(), Some("f:1: last"));
    let (left, shown, out) = run_shown(
        |command| command,
        &[],
        end,
        2,
        |arguments, ports| {
            let device = "virtio-serial-pci,max_ports=5,";
            assert!(
                arguments.iter().any(|arg| arg.starts_with(device)),
                "{arguments:?}"
            );
            let devices = arguments
                .iter()
                .filter(|arg| arg.starts_with("virtserialport,"));
            assert_eq!(
                devices.collect::<Vec<_>>(),
                [
                    "virtserialport,chardev=relay0,name=relay.0,nr=1",
                    "virtserialport,chardev=relay1,name=relay.1,nr=2",
                    "virtserialport,chardev=relay2,name=relay.panic,nr=3",
                    "virtserialport,chardev=ctl,name=relay.ctl,nr=4"
                ]
            );
            // The streams of CPU 1 come on port 1, before the metadata on port 0.
            let packets = synthetic::small();
            let on_port_1 = |packet: &&Vec<u8>| packet[20] != 0 && packet[80] == 1;
            for packet in packets.iter().filter(on_port_1) {
                ports[1].write_all(packet).expect("relayctl reads");
            }
            thread::sleep(Duration::from_millis(100));
            for packet in packets.iter().filter(|packet| !on_port_1(packet)) {
                ports[0].write_all(packet).expect("relayctl reads");
            }
            ports[0]
                .write_all(b"the end of a packet")
                .expect("relayctl reads");
        },
    );
    assert_eq!(left.code, Some(0), "{}", left.err);
    // The log is what the packets say. The console's records are the same by their numbers, so that
    // only its notices are added: behind its last record.
    let cat = [
        "cat",
        "--channel",
        "klog",
        out.to_str().expect("it is text"),
    ];
    let (records, notices) = GOOD.split_at(GOOD.find("-- ").expect("there are notices"));
    assert_eq!(
        shown.replacen(notices, "", 1),
        synthetic::relayctl(&cat).out
    );
    let at = shown.find(notices).expect("they stand together");
    let last = records.rfind("] ").expect("there are records") + 2;
    let last = records[last..].split(' ').next().expect("it has a number");
    assert!(
        shown[..at].contains(&format!("] {last} ")),
        "{last}: {shown}"
    );
    assert!(
        left.err.contains(": complete, 33 records in 12 packets"),
        "{}",
        left.err
    );
    let log = fs::read_to_string(out.join("console.log")).expect("it is kept");
    assert!(log.ends_with(GOOD), "{log}");
    let fragment = fs::read(out.join("fragments/0")).expect("it is kept");
    assert_eq!(fragment, b"the end of a packet");
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
    assert_eq!(
        (&run["result"], &run["verdict"]),
        (&"pass".into(), &"complete".into())
    );
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
}

#[test]
fn a_machine_with_other_cpus_than_were_asked_for_is_a_failure() {
    let fill = |_: &[String], ports: &mut Vec<UnixStream>| {
        let bytes = synthetic::small().concat();
        ports[0].write_all(&bytes).expect("relayctl reads");
    };
    let (left, _, out) = run_with_ports(3, "exit 33", fill);
    assert_eq!(left.code, Some(1), "{}", left.err);
    let problem = "problem: the machine was to have 3 CPUs, and the kernel found 2\n";
    assert!(left.err.contains(problem), "{}", left.err);
    assert!(left.err.contains("smoke on 2 CPUs: pass"), "{}", left.err);
    // The capture itself is whole.
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
}

#[test]
fn a_broken_capture_is_a_failure() {
    let (left, _, out) = run_with_ports(1, "exit 33", |_, ports| {
        let mut packets = synthetic::small();
        packets.remove(6);
        ports[0]
            .write_all(&packets.concat())
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(
        left.err.contains("problem: capture: klog_0 at "),
        "{}",
        left.err
    );
    assert_eq!(verify(&out), (Some(1), "broken".to_owned()));
}

#[test]
fn a_guest_that_is_killed_leaves_an_open_capture() {
    let (left, _, out) = run_with_ports(1, "kill -9 $$", |_, ports| {
        // In the middle of CPU 1's second packet of the log.
        let bytes = synthetic::small()[..13].concat();
        ports[0]
            .write_all(&bytes[..bytes.len() - 50])
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("killed by signal 9"), "{}", left.err);
    assert!(left.err.contains(": open, "), "{}", left.err);
    assert_eq!(verify(&out), (Some(0), "open".to_owned()));
    assert!(out.join("fragments/0").is_file());
}

#[test]
fn what_a_panic_sends_is_captured_behind_what_came_before() {
    let (left, _, out) = run_with_ports(1, "exit 35", |_, ports| {
        let mut packets = synthetic::small();
        // The last two packets of klog_0 are salvaged, and so is the one before, which comes once
        // more: first of all.
        let klog: Vec<usize> = (0..packets.len())
            .filter(|&at| (packets[at][20], packets[at][80]) == (1, 0))
            .collect();
        for &at in &klog {
            ports[1]
                .write_all(&synthetic::salvaged(&packets[at]))
                .expect("relayctl reads");
        }
        thread::sleep(Duration::from_millis(100));
        packets.remove(klog[2]);
        packets.remove(klog[1]);
        ports[0]
            .write_all(&packets.concat())
            .expect("relayctl reads");
    });
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(
        left.err.contains(": complete, 33 records in 12 packets"),
        "{}",
        left.err
    );
    assert_eq!(verify(&out), (Some(0), "complete".to_owned()));
    let run = fs::read_to_string(out.join("run.json")).expect("it is kept");
    let run: serde_json::Value = serde_json::from_str(&run).expect("it is JSON");
    let made = &run["capture"];
    assert_eq!(
        (&made["salvaged"], &made["doubles"]),
        (&2.into(), &1.into())
    );
    assert!(!out.join("salvaged").exists());
    assert!(!out.join("fragments").exists());
}

#[test]
fn without_a_transport_there_are_no_ports() {
    let script = "for arg; do echo \"$arg\"; done; exit 33";
    let left = run(script, &["--transport", "none"]);
    assert!(!left.out.contains("virtio-serial"), "{}", left.out);
    assert!(
        left.err
            .contains("no records came beside the console's text"),
        "{}",
        left.err
    );
}

#[test]
fn an_existing_folder_is_not_written_to() {
    let out = capture();
    fs::create_dir_all(out.join("trace")).expect("it is writable");
    let left = run("exit 33", &["--out", out.to_str().unwrap()]);
    assert_eq!(left.code, Some(2), "{}", left.err);
    assert!(left.err.contains("--force"), "{}", left.err);
}

#[test]
fn the_runner_refuses_ports_that_end_nowhere() {
    for (ports, socket) in [
        ("1", ""),
        ("1", "/nonexistent"),
        ("31", "/dev/null"),
        ("x", ""),
    ] {
        let mut runner = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu-runner.sh"));
        runner.arg(kernel()).env("RELAY_QEMU", "true");
        runner
            .env("RELAY_PORTS", ports)
            .env("RELAY_PORTS_SOCKET", socket);
        let left: Left = runner.output().expect("there is a shell").into();
        assert_eq!(left.code, Some(3), "{ports} {socket}");
        assert!(left.err.contains("RELAY_PORTS"), "{}", left.err);
    }
}

#[test]
fn what_the_console_skipped_has_to_be_in_the_capture() {
    // CPU 1 has five records; the console printed two, and skipped three or four.
    for (skipped, code) in [(3, 0), (4, 1)] {
        let text = format!(
            "[    0.000120] 1:0 task INFO  m f.rs:1: x\n\
             -- cpu 1: {skipped} records skipped before 1:{0}: the console is too slow\n\
             [    0.000120] 1:{0} task INFO  m f.rs:1: x\n\
             -- cpu 1: end of stream: attempted {1}, delivered 2, skipped {skipped}, lost 0 (full 0)\n",
            skipped + 1,
            skipped + 2,
        );
        let end = format!("cat <<'END'\n{text}END\nexit 33");
        let end = (end.as_str(), Some("f:1: last"));
        let (left, shown, _) = run_shown(
            |command| command,
            &[],
            end,
            2,
            |_, ports| {
                let bytes = synthetic::small().concat();
                ports[0].write_all(&bytes).expect("relayctl reads");
            },
        );
        assert_eq!(left.code, Some(code), "{}", left.err);
        let problem =
            "problem: cpu 1: the console printed 2 records and skipped 4, the capture has 5";
        assert_eq!(left.err.contains(problem), code == 1, "{}", left.err);
        assert!(
            left.err.contains("the console was too slow for "),
            "{}",
            left.err
        );
        // Packets show what the console skipped, so that nobody needs to be told.
        assert!(!shown.contains("records skipped") || code == 1, "{shown}");
        assert_eq!(
            shown.matches("] 1:").count(),
            5 + usize::from(code == 1),
            "{shown}"
        );
    }
}

#[test]
fn what_comes_on_the_console_only_is_shown_in_its_place() {
    // The ports stay silent after CPU 0's first record: the console has the panic. Its notices
    // stand where they were.
    let first = |number| format!("[    0.000{number}00] 0:{number} task INFO  m f.rs:1: x\n");
    let text = first(0)
        + "-- a notice\n"
        + &first(1)
        + "            | more\n"
        + "-- cpu 0: 3 records lost before 0:2 (full 3)\n"
        + &first(2)
        + "!! the last resort\n";
    let end = format!("cat <<'END'\n{text}END\nexit 35");
    // The packets are known before the console says anything.
    let end = (end.as_str(), Some("from its packet"));
    let (left, shown, _) = run_shown(
        |command| command,
        &[],
        end,
        1,
        |_, ports| {
            let mut packets = synthetic::metadata_packets(&synthetic::metadata(1), 1 << 20);
            let mut klog = synthetic::Stream::new(1, 0, 0);
            klog.klog(100_000_000, 0, 3, 1, ["m", "f.rs", "from its packet"]);
            packets.push(klog.packet(100_000_001, 0));
            ports[0]
                .write_all(&packets.concat())
                .expect("relayctl reads");
        },
    );
    assert_eq!(left.code, Some(1), "{}", left.err);
    let (packet, rest) = shown.split_once('\n').expect("there are lines");
    assert!(
        packet.ends_with("0:0 task INFO  m f.rs:1: from its packet"),
        "{shown}"
    );
    let late = "-- klog cpu 0: what follows came too late for its place, before 0.038296\n";
    let expected = text.replacen(&first(0), "", 1);
    assert_eq!(
        rest,
        expected.replacen(&first(1), &(late.to_owned() + &first(1)), 1)
    );
}

#[test]
fn a_capture_that_grows_no_more_is_followed_by_the_console() {
    let lines = (0..2000).map(|n| format!("[    0.{n:06}] 0:{n} task INFO  m f.rs:1: x\n"));
    let text: String = lines.collect();
    let file = capture().with_extension("text");
    fs::write(&file, &text).expect("it is writable");
    let end = format!("cat '{}'; exit 33", file.display());
    let args = ["--max-size", "20K"];
    let end = (end.as_str(), Some("from its packet"));
    let (left, shown, _) = run_shown(
        |command| command,
        &args,
        end,
        1,
        |_, ports| {
            let mut packets = synthetic::metadata_packets(&synthetic::metadata(1), 1 << 20);
            let mut klog = synthetic::Stream::new(1, 0, 0);
            for number in 0..2000 {
                klog.klog(number, 0, 3, 1, ["m", "f.rs", "from its packet"]);
                packets.push(klog.packet(number, 0));
            }
            ports[0]
                .write_all(&packets.concat())
                .expect("relayctl reads");
        },
    );
    assert!(
        left.err.contains("the capture has its largest size"),
        "{}",
        left.err
    );
    // As far as packets go, and then the rest.
    let packets = shown.matches("f.rs:1: from its packet\n").count();
    assert!((10..500).contains(&packets), "{packets}");
    let rest: Vec<_> = text.lines().skip(packets).collect();
    let shown: Vec<_> = shown.lines().skip(packets).collect();
    assert_eq!(shown, rest);
}
