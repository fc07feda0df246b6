//! Queries: what `cat --where` and `stat --where` show, and what `watch` tells and runs.

mod live;
mod operators;
mod shown;
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod watch;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use relay_decode::capture::{Capture, Options, Port};
use relay_decode::wire::Kind;
use serde_json::{Value, json};
use synthetic::typed::{Payload, SCHED, event, others, with_classes};
use synthetic::{Left, Stream, capture, folder, metadata, metadata_packets, relayctl, small};

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks in a millisecond, by the metadata.
const MS: u64 = 2_611_200;

/// Runs a command on a capture.
fn on(out: &Path, command: &str, args: &[&str]) -> Left {
    let path = out.to_str().expect("it is text");
    relayctl(&[&[command], args, &[path]].concat())
}

/// What `cat` shows of a sound capture.
fn cat(out: &Path, args: &[&str]) -> Vec<String> {
    let left = on(out, "cat", args);
    assert_eq!(left.code, Some(0), "{}", left.err);
    left.out.lines().map(str::to_owned).collect()
}

/// A capture with events of a disk: so many, one each millisecond.
fn disk(name: &str, count: u64) -> PathBuf {
    let class = event(
        300,
        "disk_slow",
        "&facility=disk&text=lba {lba} took {us} us",
        "uint64_t _lba; uint32_t _us;",
    );
    let mut packets = metadata_packets(&with_classes(&class), 1 << 12);
    packets.extend(others(0, count));
    packets.push(Stream::new(1, 0, 0).packet(1, 1));
    let mut stream = Stream::new(SCHED, 0, 0);
    for n in 0..count {
        let fields = [&(100 + n).to_le_bytes()[..], &(n as u32 * 10).to_le_bytes()].concat();
        stream.record(300, (n + 1) * MS, synthetic::TASK, &fields);
    }
    packets.push(stream.packet((count + 1) * MS, 1));
    capture(name, &packets)
}

/// What was told: lines of JSON.
fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("it is JSON"));
    lines.collect()
}

/// A capture that is being made: nothing has come yet.
fn growing(name: &str) -> (PathBuf, Capture, Port) {
    let out = folder(name).join("capture");
    let capture = Capture::create(&Options {
        announce: |what| panic!("{what}"),
        ..Options::new(&out, Kind::Live)
    });
    let capture = capture.expect("the target folder is writable");
    let port = capture.port(0);
    (out, capture, port)
}

/// The metadata, and a packet of the log with these messages.
fn log(messages: &[&str]) -> Vec<u8> {
    let metadata = metadata_packets(&metadata(2), 1 << 20).concat();
    [metadata, more(&mut Stream::new(1, 0, 0), messages)].concat()
}

/// The next packet of the log.
fn more(klog: &mut Stream, messages: &[&str]) -> Vec<u8> {
    let ticks = klog.number * 1000;
    for (message, at) in messages.iter().zip(ticks..) {
        klog.klog(at, 0, 3, 1, ["m", "f", message]);
    }
    klog.packet(ticks + 999, 0)
}
