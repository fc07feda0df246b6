//! Sending without interrupts: what a panic does.

use super::*;

/// Bytes of a packet's header.
const HEADER: usize = 64;

/// A device whose port 1 is polled.
fn polled() -> (Fake, Driver<Fake>, Polled<Fake, HEADER>) {
    let fake = Fake::new(&[(1, "relay.panic", true)]);
    let mut console = start(&fake).unwrap();
    let port: Port<Fake, Piece<HEADER>> = console.open(1, None).unwrap();
    let header = Box::leak(Box::new([0; HEADER]));
    (fake, console, Polled::new(port, header))
}

/// The header of packet `number`.
fn header(number: u8) -> [u8; HEADER] {
    [number; HEADER]
}

#[test]
fn who_polls_sends_packets_one_after_the_other() {
    let (fake, _console, mut port) = polled();
    let sent = std::cell::RefCell::new(Vec::new());
    let is_over = || {
        sent.borrow_mut().extend(fake.consume(1));
        false
    };
    let mut expected = Vec::new();
    for number in 0..200_u8 {
        let runs: [&'static [u8]; 2] = [b"committed", b"records"];
        let runs = runs.into_iter().take(usize::from(number % 3));
        let padding = usize::from(number % 8);
        expected.extend(header(number));
        expected.extend(runs.clone().flatten());
        expected.extend(vec![0; padding]);
        assert_eq!(port.send(&header(number), runs, padding, is_over), Ok(()));
    }
    assert_eq!(sent.into_inner(), expected);
}

#[test]
fn more_pieces_than_descriptors_are_sent_in_parts() {
    let fake = Fake::new(&[(1, "relay.panic", true)]);
    fake.state().sizes[5] = 8;
    let mut console = start(&fake).unwrap();
    let port: Port<Fake, Piece<HEADER>> = console.open(1, None).unwrap();
    let mut port = Polled::new(port, Box::leak(Box::new(header(0))));
    let sent = std::cell::RefCell::new(Vec::new());
    let runs = (0..20).map(|_| -> &'static [u8] { b"a run" });
    let result = port.send(&header(7), runs, 4, || {
        sent.borrow_mut().extend(fake.consume(1));
        false
    });
    assert_eq!(result, Ok(()));
    assert_eq!(sent.into_inner().len(), HEADER + 20 * 5 + 4);
}

#[test]
fn who_polls_does_not_wait_for_ever() {
    // It takes nothing.
    let (_fake, _console, mut port) = polled();
    let looks = std::cell::Cell::new(0);
    let is_over = || {
        looks.set(looks.get() + 1);
        looks.get() > 10
    };
    let result = port.send(&header(1), std::iter::empty(), 0, is_over);
    assert_eq!(result, Err(Stuck::Silent));
    // The header is still the device's: nothing more can be sent.
    let result = port.send(&header(2), std::iter::empty(), 0, is_over);
    assert_eq!((result, looks.get()), (Err(Stuck::Silent), 11));

    // It is done with something else.
    let (fake, _console, mut port) = polled();
    let result = port.send(&header(1), std::iter::empty(), 0, || {
        fake.transmit(1, |queue| queue.push(99, 0));
        false
    });
    let fault = Dead::Fault(QueueFault::NotInFlight { id: 99 });
    assert_eq!(result, Err(Stuck::Refused(Refusal::Dead(fault))));

    // The host does not have it open.
    let fake = Fake::new(&[(1, "relay.panic", false)]);
    let mut console = start(&fake).unwrap();
    let port: Port<Fake, Piece<HEADER>> = console.open(1, None).unwrap();
    let mut port = Polled::new(port, Box::leak(Box::new(header(0))));
    for _ in 0..2 {
        let result = port.send(&header(1), std::iter::empty(), 0, || true);
        assert_eq!(result, Err(Stuck::Refused(Refusal::HostClosed)));
    }
}
