//! Tests of watching a guest: when it is given up, and what its end means.

use std::thread;
use std::time::{Duration, Instant};

use relay_decode::capture::Options;
use relay_machine::guest::GuestEnd;

use super::end::{End, PATIENCE};
use super::*;
use crate::commands::run::args::tests::parse;

/// Watches a shell that takes QEMU's place: what happened, and how long it took.
fn watch(script: &str, patience: Duration) -> (End, Watch) {
    watch_capturing(script, patience, None)
}

/// The same, with a capture.
fn watch_capturing(script: &str, patience: Duration, capture: Option<Capture>) -> (End, Watch) {
    // The runner is started as `RUNNER KERNEL WORDS...`.
    let config = GuestConfig {
        runner: "/bin/sh".into(),
        kernel: "-c".into(),
        ramdisk: None,
        words: vec![script.to_owned()],
        smp: 1,
        memory: 32,
        accel: Accel::Tcg,
        seed: 1,
        gdb: false,
        qemu_args: Vec::new(),
        wires: Wires::None,
    };
    let (sender, events) = mpsc::sync_channel(QUEUE);
    let mut guest = Guest::start(&config, sender).expect("there is a shell");
    let args = parse(&["--quiet"]);
    let mut watch = Watch::new(&args);
    assert_eq!(watch.patience.replace(patience), Some(PATIENCE));
    watch.capture = capture;
    let end = watch
        .until_end(&mut guest, &events)
        .expect("nothing can go wrong here");
    assert!(guest.has_ended().expect("it can be asked"));
    (end, watch)
}

#[test]
fn a_silent_guest_is_given_up() {
    let begin = Instant::now();
    let (end, watch) = watch("echo begin; exec sleep 1000", Duration::from_millis(400));
    assert_eq!(end, End::NoProgress);
    assert!(begin.elapsed() >= Duration::from_millis(400));
    assert_eq!(watch.first_line, None);
}

#[test]
fn progress_is_output() {
    let script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done; exit 33";
    let (end, _) = watch(script, Duration::from_millis(1500));
    assert_eq!(end, End::Guest(GuestEnd::Pass));
}

#[test]
fn progress_is_what_ports_send() {
    let folder = tempfile::tempdir().expect("there is room");
    let capture = Capture::create(&Options::new(&folder.path().join("capture"), Kind::Live));
    let capture = capture.expect("there is room");
    let mut port = capture.port(0);
    let sender = thread::spawn(move || {
        for _ in 0..30 {
            port.push(&[0x55; 512]);
            thread::sleep(Duration::from_millis(100));
        }
    });
    let patience = Duration::from_millis(1500);
    let (end, _) = watch_capturing("sleep 2.5; exit 33", patience, Some(capture));
    assert_eq!(end, End::Guest(GuestEnd::Pass));
    sender.join().expect("it only sends");
}

#[test]
fn exit_codes_follow_the_end_and_the_records() {
    let exit = |end: End, endless, sound| end.exit(endless, sound).code();
    let guest = End::Guest;
    assert_eq!(exit(guest(GuestEnd::Pass), false, true), 0);
    assert_eq!(exit(guest(GuestEnd::Pass), false, false), 1);
    assert_eq!(exit(guest(GuestEnd::Fail), false, true), 1);
    for end in [
        GuestEnd::Status(0),
        GuestEnd::Status(1),
        GuestEnd::Killed(9),
    ] {
        assert_eq!(exit(guest(end), false, true), 3);
    }
    for endless in [false, true] {
        assert_eq!(exit(End::Timeout, endless, true), 3);
        assert_eq!(exit(End::NoProgress, endless, true), 3);
    }
    assert_eq!(exit(End::Interrupted, true, true), 0);
    assert_eq!(exit(End::Interrupted, true, false), 1);
    assert_eq!(exit(End::Interrupted, false, true), 3);
}
