//! Clients and machines that behave, and that do not.

use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use relay_decode::capture::Scratch;
use relay_format::control::Request;

use super::*;
use crate::control::{AskError, Client, Reply};

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine that answers each request with its text, in two pieces, or refuses it.
fn answer_all(machine: UnixStream) {
    let mut output = machine.try_clone().expect("it is open");
    let mut frames = Frames::<MAX_BODY>::new();
    for byte in BufReader::new(machine).bytes() {
        let Ok(byte) = byte else { return };
        let Some(contents) = frames.push(byte) else {
            continue;
        };
        let request = Message::read(contents).expect("the desk passes on messages");
        let text = request.text.to_vec();
        let number = request.number;
        let is_good = !text.starts_with(b"bad");
        let (front, back) = text.split_at(text.len() / 2);
        let end = match is_good {
            true => End::Done,
            false => End::Refused,
        };
        for (piece, end, text) in [(0, None, front), (1, Some(end), back)] {
            let answer = Answer {
                number,
                piece,
                end,
                text,
            };
            let mut frame = [0; MAX_FRAME];
            let size = answer.message().frame(&mut frame).expect("it fits");
            if output.write_all(&frame[..size]).is_err() {
                return;
            }
        }
    }
}

/// A desk with a machine; the other end of the wire.
fn desk_with_machine() -> (Scratch, Desk, UnixStream) {
    let scratch = Scratch::new().expect("it is writable");
    let desk = Desk::open(scratch.path()).expect("there are sockets");
    let (machine, port) = UnixStream::pair().expect("there are sockets");
    let wire = desk.wire();
    wire.attach(port.try_clone().expect("it is open"));
    thread::spawn(move || wire.read(port));
    (scratch, desk, machine)
}

fn done(text: &str) -> Reply {
    Reply::Done(text.to_owned())
}

#[test]
fn many_clients_get_their_own_answers() {
    let (scratch, _desk, machine) = desk_with_machine();
    thread::spawn(move || answer_all(machine));
    thread::scope(|scope| {
        for client in 0..8 {
            let folder = scratch.path();
            scope.spawn(move || {
                let mut own = Client::connect(folder).expect("it is open");
                for round in 0..50 {
                    let name = format!("client{client}.{round}");
                    let request = Request::Get { name: &name };
                    let reply = own.ask(&request, PATIENCE).expect("it is answered");
                    assert_eq!(reply, done(&name));
                }
                let bad = own.ask(&Request::Get { name: "bad" }, PATIENCE);
                let refused = Reply::Refused("bad".to_owned());
                assert_eq!(bad.expect("it is answered"), refused);
            });
        }
    });
}

#[test]
fn noise_of_clients_and_machines_does_no_harm() {
    let (scratch, desk, mut machine) = desk_with_machine();
    // Answers that nobody has asked for, and worse.
    for number in 0..5000_u32 {
        let answer = Answer {
            number,
            piece: 7,
            end: Some(End::Done),
            text: b"x",
        };
        let mut frame = [0; MAX_FRAME];
        let size = answer.message().frame(&mut frame).expect("it fits");
        machine.write_all(&frame[..size]).expect("it is read");
        machine
            .write_all(&number.to_le_bytes())
            .expect("it is read");
    }
    machine.write_all(&[0]).expect("it is read");
    thread::spawn(move || answer_all(machine));
    let mut noisy: Vec<_> = (0..10)
        .map(|_| socket::connect(scratch.path()).expect("it is open"))
        .collect();
    for (round, client) in noisy.iter_mut().enumerate() {
        let noise = vec![round as u8; 100_000];
        client.write_all(&noise).expect("it is read");
    }
    let mut client = Client::connect(scratch.path()).expect("it is open");
    let reply = client.ask(&Request::Get { name: "log" }, PATIENCE);
    assert_eq!(reply.expect("it is answered"), done("log"));
    drop(desk);
    assert!(matches!(
        client.ask(&Request::List, PATIENCE),
        Err(AskError::Closed)
    ));
    assert!(Client::connect(scratch.path()).is_err());
}

#[test]
fn clients_that_ask_without_an_end_and_take_no_answers_are_sent_away() {
    let (scratch, _desk, machine) = desk_with_machine();
    thread::spawn(move || answer_all(machine));
    let mut flood = socket::connect(scratch.path()).expect("it is open");
    let mut room = [0; relay_format::control::MAX_TEXT];
    let name = "x".repeat(400);
    let request = Request::Get { name: &name };
    let request = request.message(1, &mut room).expect("it fits");
    let mut frame = [0; MAX_FRAME];
    let size = request.frame(&mut frame).expect("it fits");
    flood.set_write_timeout(Some(PATIENCE)).expect("it is open");
    let begin = Instant::now();
    // Until the desk closes it.
    while flood.write_all(&frame[..size]).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "it is never sent away");
    }
    let mut client = Client::connect(scratch.path()).expect("it is open");
    let reply = client.ask(&Request::Get { name: "log" }, PATIENCE);
    assert_eq!(reply.expect("it is answered"), done("log"));
}

#[test]
fn a_machine_that_does_not_listen_is_told_of() {
    let scratch = Scratch::new().expect("it is writable");
    let desk = Desk::open(scratch.path()).expect("there are sockets");
    let mut client = Client::connect(scratch.path()).expect("it is open");
    let mut ask = |patience| client.ask(&Request::List, patience);
    let Err(AskError::Undelivered(why)) = ask(PATIENCE) else {
        panic!("there is no machine");
    };
    assert!(why.contains("no way to the machine"), "{why}");
    // One that takes nothing: its queue is full in the end.
    let (machine, port) = UnixStream::pair().expect("there are sockets");
    desk.wire().attach(port);
    let mut last = None;
    for _ in 0..10_000 {
        match ask(Duration::from_millis(1)) {
            Err(AskError::Silent(_)) => {}
            other => {
                last = Some(other);
                break;
            }
        }
    }
    let Some(Err(AskError::Undelivered(why))) = last else {
        panic!("{last:?}");
    };
    assert!(why.contains("takes no requests"), "{why}");
    drop(machine);
    // Another one comes.
    let (machine, port) = UnixStream::pair().expect("there are sockets");
    let wire = desk.wire();
    wire.attach(port.try_clone().expect("it is open"));
    thread::spawn(move || wire.read(port));
    thread::spawn(move || answer_all(machine));
    assert_eq!(ask(PATIENCE).expect("it is answered"), done(""));
}

#[test]
fn no_more_clients_are_taken_than_there_is_room_for() {
    let (scratch, _desk, machine) = desk_with_machine();
    thread::spawn(move || answer_all(machine));
    let ask = |client: &mut Client| client.ask(&Request::List, PATIENCE);
    let mut clients = Vec::new();
    let sent_away = loop {
        let mut client = Client::connect(scratch.path()).expect("it is open");
        match ask(&mut client) {
            Ok(_) => clients.push(client),
            Err(error) => break error,
        }
        assert!(clients.len() <= MAX_CLIENTS);
    };
    assert!(matches!(sent_away, AskError::Closed), "{sent_away:?}");
    assert_eq!(clients.len(), MAX_CLIENTS);
    assert!(clients.iter_mut().all(|client| ask(client).is_ok()));
    // When one goes, another may come; the desk hears of that a little later.
    clients.pop();
    let begin = Instant::now();
    while Client::connect(scratch.path()).is_ok_and(|mut client| ask(&mut client).is_err()) {
        assert!(begin.elapsed() < PATIENCE, "nobody is taken any more");
    }
}
