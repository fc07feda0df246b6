//! How a run ends, and that nothing is left behind.

use nix::sys::signal::Signal;

use super::pretended::*;

#[test]
fn the_time_limit_ends_the_guest() {
    let (child, qemu, _out) = start("echo $$; exec sleep 1000", &["--timeout", "1"]);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(3), "{}", left.err);
    assert!(left.err.contains("did not end within 1 s"), "{}", left.err);
    assert!(is_gone(qemu));
}

#[test]
fn what_qemu_says_of_the_signal_is_no_error() {
    let script = "trap 'echo qemu: terminating on signal 15 from pid 7 >&2; exit 0' TERM
        echo $$; echo its own >&2; while :; do sleep 0.05; done";
    let (child, _, _out) = start(script, &["--timeout", "1"]);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert!(left.err.contains("qemu: its own"), "{}", left.err);
    assert!(!left.err.contains("signal 15"), "{}", left.err);
    // From somebody else it is news.
    let left = run(
        &script.replace("while :; do sleep 0.05; done", "kill $$"),
        &[],
    );
    assert!(
        left.err.contains("terminating on signal 15"),
        "{}",
        left.err
    );
}

#[test]
fn an_interrupt_ends_the_guest() {
    for (scenario, signal, code) in [
        ("idle", Signal::SIGINT, 0),
        ("smoke", Signal::SIGINT, 3),
        ("idle", Signal::SIGTERM, 0),
    ] {
        let (child, qemu, _out) = start("echo $$; exec sleep 1000", &["--scenario", scenario]);
        send(&child, signal);
        let left: Left = child.wait_with_output().expect("relayctl ends").into();
        assert_eq!(left.code, Some(code), "{scenario}: {}", left.err);
        assert!(left.err.contains("interrupted"), "{}", left.err);
        assert!(
            left.err.contains(&format!("scenario {scenario} on 8 CPUs")),
            "{}",
            left.err
        );
        assert!(is_gone(qemu));
    }
}

#[test]
fn a_guest_that_does_not_want_to_end_is_killed() {
    let script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    let (child, qemu, _out) = start(script, &["--scenario", "idle"]);
    send(&child, Signal::SIGINT);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(is_gone(qemu));
}

#[test]
fn a_second_interrupt_ends_everything_at_once() {
    let script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    let (mut child, qemu, _out) = start(script, &["--scenario", "idle"]);
    // Two different ones: two of the same kind could arrive as one.
    send(&child, Signal::SIGINT);
    send(&child, Signal::SIGTERM);
    // Else it would wait, kill, and be content.
    assert_eq!(child.wait().expect("relayctl ends").code(), Some(3));
    assert!(is_gone(qemu));
}

#[test]
fn no_qemu_survives_relayctl() {
    let (mut child, qemu, _out) = start("echo $$; exec sleep 1000", &[]);
    send(&child, Signal::SIGKILL);
    child.wait().expect("relayctl ends");
    assert!(is_gone(qemu));
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    // A scenario that ends by itself goes on to its end.
    let script = format!("echo $$; sleep 0.3; {} sleep 0.2; exit 33", print_good());
    let (child, _, out) = start(&script, &[]);
    drop(out);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(left.err.contains("smoke on 8 CPUs: pass"), "{}", left.err);
    // An endless one has nobody left to run for.
    let script = "echo $$; while :; do echo more; sleep 0.1; done";
    let (child, qemu, out) = start(script, &["--scenario", "idle"]);
    drop(out);
    let left: Left = child.wait_with_output().expect("relayctl ends").into();
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(is_gone(qemu));
}
