//! Messages against receivers of this process.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::mpsc;

use relay_decode::capture::Scratch;

use super::*;

/// Message number `n`.
fn message(n: usize) -> String {
    format!("<14>1 2026-11-30T19:05:15.123456Z relay m 1 - [relay@32473 number=\"{n}\"] text")
}

/// What a machine says that has these messages.
fn said(numbers: impl Iterator<Item = usize>) -> Vec<u8> {
    let frame = |n| format!("{} {}", message(n).len(), message(n)).into_bytes();
    numbers.flat_map(frame).collect()
}

/// The messages in a stream.
fn heard(stream: &[u8]) -> Vec<String> {
    let mut frames = Frames::new();
    let mut messages = Vec::new();
    frames.push(stream, |message| {
        messages.push(String::from_utf8_lossy(message).into_owned());
    });
    frames.finish();
    assert_eq!(frames.faults(), None);
    messages
}

fn messages(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(message).collect()
}

fn start(to: &str) -> Syslog {
    let to = to.parse().expect("it is right");
    Syslog::start(to, |_| {}).expect("it is writable")
}

/// Passes on what a machine says, all at once.
fn pass_on(to: &str, said: &[u8]) -> Told {
    let syslog = start(to);
    syslog.intake().read(said);
    syslog.finish()
}

/// Everything passed on, and nothing to complain about.
fn assert_all(told: &Told, count: u64) {
    assert_eq!((told.came, told.passed, told.not_passed), (count, count, 0));
    assert_eq!((&told.why, told.malformed, told.broken), (&None, 0, 0));
    assert_eq!(told.faults, None);
}

#[test]
fn a_file_gets_a_line_for_each() {
    let folder = Scratch::new().expect("it is writable");
    let path = folder.path().join("syslog");
    fs::write(&path, "what was there\n").expect("it is writable");
    let to = path.to_str().expect("it is UTF-8");
    assert_all(&pass_on(to, &said(0..3)), 3);
    let mut bad = said(3..4);
    bad.extend(b"9 <14>1 a\nb11 <14>1 \xff\0\x1b[mrubbish");
    bad.extend(said(4..5));
    let told = pass_on(to, &bad);
    assert_eq!(
        told.to_string(),
        format!(
            "4 messages passed to {to}; control characters of 2 were escaped; 7 bytes that came at \
             1 place are no messages, first at byte {}: no length, as in '123 <14>1 '",
            said(3..4).len() + 25
        )
    );
    let lines = fs::read_to_string(&path).expect("it is UTF-8");
    let wanted = [
        &["what was there".to_owned()][..],
        &messages(0..4),
        &[
            r"<14>1 a\x0ab".to_owned(),
            r"<14>1 \xff\x00\x1b[m".to_owned(),
        ],
        &messages(4..5),
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), wanted.concat());
}

#[test]
fn a_file_that_cannot_be_made_is_refused() {
    let folder = Scratch::new().expect("it is writable");
    for path in [folder.path().to_owned(), folder.path().join("no/file")] {
        assert!(Syslog::start(Destination::File(path), |_| {}).is_err());
    }
}

/// Passes on more than a connection holds; `accept` takes it at the other end.
fn check_stream<R: Read>(to: &str, accept: impl FnOnce() -> R + Send) {
    let count = 100_000;
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut bytes = Vec::new();
            accept().read_to_end(&mut bytes).expect("it is readable");
            bytes
        });
        assert_all(&pass_on(to, &said(0..count)), count as u64);
        let bytes = reader.join().expect("it reads");
        assert!(heard(&bytes) == messages(0..count), "{to}");
    });
}

#[test]
fn a_stream_gets_frames() {
    let folder = Scratch::new().expect("it is writable");
    let path = folder.path().join("socket");
    let unix = UnixListener::bind(&path).expect("it is writable");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = tcp.local_addr().expect("it has one").port();
    check_stream(&format!("unix:{}", path.display()), || {
        unix.accept().expect("it connects").0
    });
    check_stream(&format!("tcp:127.0.0.1:{port}"), || {
        tcp.accept().expect("it connects").0
    });
}

#[test]
fn datagrams_hold_a_message_each() {
    let folder = Scratch::new().expect("it is writable");
    let path = folder.path().join("socket");
    let unix = UnixDatagram::bind(&path).expect("it is writable");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    let port = udp.local_addr().expect("it has one").port();
    let mut room = [0; 1000];
    for n in 0..50 {
        // A socket of datagrams may hold no more than ten.
        let syslog = start(&format!("unix:{}", path.display()));
        syslog.intake().read(&*said(n..n + 3));
        assert_all(&syslog.finish(), 3);
        for n in n..n + 3 {
            let length = unix.recv(&mut room).expect("it has come");
            assert_eq!(room[..length], *message(n).as_bytes());
        }
        assert_all(
            &pass_on(&format!("udp:localhost:{port}"), &said(n..n + 3)),
            3,
        );
        for n in n..n + 3 {
            let length = udp.recv(&mut room).expect("it has come");
            assert_eq!(room[..length], *message(n).as_bytes());
        }
    }
}

#[test]
fn a_message_that_is_too_long_for_a_datagram_costs_no_other() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    let port = udp.local_addr().expect("it has one").port();
    let long = format!("65536 <14>1 {}", "x".repeat(65530)).into_bytes();
    let told = pass_on(
        &format!("udp:127.0.0.1:{port}"),
        &[said(0..1), long, said(1..2)].concat(),
    );
    let why = "Message too long (os error 90)";
    assert_eq!((told.came, told.passed, told.not_passed), (3, 2, 1));
    assert_eq!(told.why.as_deref(), Some(why));
    let mut room = [0; 1000];
    for n in 0..2 {
        let length = udp.recv(&mut room).expect("it has come");
        assert_eq!(room[..length], *message(n).as_bytes());
    }
}

#[test]
fn who_cannot_be_reached_is_told_of_and_not_waited_for() {
    let folder = Scratch::new().expect("it is writable");
    let path = folder.path().join("socket");
    // A port that nobody has: it is taken by a socket that does not listen.
    let tcp = UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    let port = tcp.local_addr().expect("it has one").port();
    let refused = "Connection refused (os error 111)";
    let absent = "No such file or directory (os error 2)";
    for (to, why) in [
        (format!("tcp:127.0.0.1:{port}"), refused),
        ("udp:127.0.0.1:1".to_owned(), refused),
        (format!("unix:{}", path.display()), absent),
    ] {
        let (sender, told) = mpsc::channel();
        let tell = move |what: &str| sender.send(what.to_owned()).expect("it is read");
        let syslog = Syslog::start(to.parse().expect("it is right"), tell).expect("it may come");
        syslog.intake().read(&*said(0..1000));
        assert_eq!(
            syslog.finish().to_string(),
            format!("0 messages passed to {to}, 1000 not passed on: {why}")
        );
        let told: Vec<_> = told.iter().collect();
        assert_eq!(told, [format!("syslog: {to}: {why}; trying again")]);
    }
}

#[test]
fn who_comes_late_gets_everything() {
    let folder = Scratch::new().expect("it is writable");
    let path = folder.path().join("socket");
    let (sender, told) = mpsc::channel();
    let tell = move |what: &str| sender.send(what.to_owned()).expect("it is read");
    let syslog = Syslog::start(Destination::Unix(path.clone()), tell).expect("it may come");
    syslog.intake().read(&*said(0..5));
    let first = told.recv().expect("it fails");
    assert!(first.ends_with("trying again"), "{first}");
    let unix = UnixDatagram::bind(&path).expect("it is writable");
    let mut room = [0; 1000];
    for n in 0..5 {
        let length = unix.recv(&mut room).expect("it comes");
        assert_eq!(room[..length], *message(n).as_bytes());
    }
    let second = told.recv().expect("it is told");
    assert!(second.ends_with("takes messages again"), "{second}");
    assert_all(&syslog.finish(), 5);
}

#[test]
fn a_connection_that_was_closed_is_made_anew() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = tcp.local_addr().expect("it has one").port();
    let syslog = start(&format!("tcp:127.0.0.1:{port}"));
    let (machine, port) = std::os::unix::net::UnixStream::pair().expect("there are sockets");
    let intake = syslog.intake();
    let reader = thread::spawn(move || intake.read(port));
    for n in 0..20 {
        (&machine).write_all(&said(n..n + 1)).expect("it is read");
        let mut stream = tcp.accept().expect("it connects").0;
        let mut bytes = vec![0; said(n..n + 1).len()];
        stream.read_exact(&mut bytes).expect("it comes");
        assert_eq!(bytes, said(n..n + 1));
    }
    drop(machine);
    reader.join().expect("it reads");
    let told = syslog.finish();
    assert_eq!((told.came, told.passed), (20, 20));
    assert_eq!(told.broken, 19, "{told}");
}

#[test]
fn what_a_connection_cut_is_said_again_from_its_beginning() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = tcp.local_addr().expect("it has one").port();
    let count = 100_000;
    let syslog = start(&format!("tcp:127.0.0.1:{port}"));
    let intake = syslog.intake();
    let said = said(0..count);
    let reader = thread::spawn(move || intake.read(&*said));
    // It reads a bit, and leaves the rest: the connection is reset in the middle of a message.
    let mut stream = tcp.accept().expect("it connects").0;
    let mut bytes = vec![0; 5000];
    stream.read_exact(&mut bytes).expect("it comes");
    drop(stream);
    let mut stream = tcp.accept().expect("it connects").0;
    let end = thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("it is readable");
        bytes
    });
    reader.join().expect("it reads");
    let told = syslog.finish();
    let heard = heard(&end.join().expect("it reads"));
    // What was under way when it broke is missing; what follows is whole, and has no hole.
    let first = count - heard.len();
    assert!(first > 0 && first < count, "{first}");
    assert!(heard == messages(first..count), "from {first} on");
    assert_eq!(
        (told.came, told.passed, told.broken),
        (count as u64, count as u64, 1)
    );
}

#[test]
fn a_receiver_that_reads_nothing_holds_nobody_up() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = tcp.local_addr().expect("it has one").port();
    // Much more than the queue and the connection hold.
    let told = pass_on(&format!("tcp:127.0.0.1:{port}"), &said(0..300_000));
    assert_eq!(told.came, 300_000);
    assert!(told.not_passed > 100_000 && told.passed > 0, "{told}");
    assert_eq!(told.why.as_deref(), Some("they are taken too slowly"));
}
