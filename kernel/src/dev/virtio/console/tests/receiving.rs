//! What the host sends to a port.

use super::*;

/// A device with a port that is listened to.
fn listening() -> (Fake, Driver<Fake>, Receiver<Fake>) {
    let fake = Fake::new(&[(1, "klog-1", true), (4, "relay.ctl", true)]);
    let mut console = start(&fake).unwrap();
    let receiver = console.receive(4).unwrap();
    (fake, console, receiver)
}

/// All that has come.
fn take_all(receiver: &mut Receiver<Fake>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = [0; CHUNK];
    loop {
        match receiver.take(&mut bytes) {
            0 => return all,
            length => all.extend_from_slice(&bytes[..length]),
        }
    }
}

#[test]
fn bytes_come_in_order_and_a_host_that_sends_more_waits() {
    let (fake, _console, mut receiver) = listening();
    assert!(take_all(&mut receiver).is_empty());
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at * 7 / 3) as u8).collect();
    let (mut sent, mut came) = (0, Vec::new());
    while sent < bytes.len() {
        let now = fake.send(4, &bytes[sent..], None);
        assert!((1..=8 * CHUNK).contains(&now), "{now} at once");
        sent += now;
        if sent < bytes.len() {
            assert_eq!(fake.send(4, b"more", None), 0, "there is no buffer left");
        }
        came.extend(take_all(&mut receiver));
    }
    assert!(came == bytes);
    assert!(!receiver.is_dead() && receiver.bad_lengths() == 0);
}

#[test]
fn nobody_else_is_listened_to_and_nobody_twice() {
    let (fake, mut console, _receiver) = listening();
    assert_eq!(fake.send(1, b"x", None), 0, "it stays on the host");
    let error = |console: &mut Driver<Fake>, id| console.receive(id).unwrap_err();
    assert_eq!(error(&mut console, 4), OpenError::Taken { id: 4 });
    assert_eq!(error(&mut console, 7), OpenError::NoSuchPort { id: 7 });
    // The other half is as free as before.
    assert!(console.open::<Parcel>(4, None).is_ok());
    assert!(console.open::<Parcel>(1, None).is_ok());
}

#[test]
fn lengths_that_cannot_be_are_cut_and_counted() {
    let (fake, _console, mut receiver) = listening();
    for (round, claimed) in [CHUNK as u32 + 1, 1 << 31, u32::MAX]
        .into_iter()
        .enumerate()
    {
        assert_eq!(fake.send(4, b"abc", Some(claimed)), 3);
        let came = take_all(&mut receiver);
        assert_eq!((came.len(), &came[..3]), (CHUNK, &b"abc"[..]));
        assert_eq!(receiver.bad_lengths(), round as u64 + 1);
    }
    // A device that says to have written nothing, again and again, has not the last word.
    for _ in 0..100 {
        fake.send(4, &[9; 8 * CHUNK], Some(0));
        assert_eq!(receiver.take(&mut [0; CHUNK]), 0);
    }
    fake.send(4, b"end", None);
    assert_eq!(take_all(&mut receiver), b"end");
    assert!(!receiver.is_dead());
}

#[test]
fn a_device_that_breaks_the_rules_is_not_listened_to() {
    for id in [0, 5, 8, 0xffff] {
        let (fake, mut console, mut receiver) = listening();
        fake.send(4, b"before", None);
        // Of none of the buffers that it has, or twice of one.
        fake.receive(4, |queue| queue.push(id, 3));
        let came = take_all(&mut receiver);
        let is_fault = receiver.fault().is_some();
        assert!(is_fault == receiver.is_dead() && came.starts_with(b"before"));
        if id >= 8 {
            assert_eq!(
                receiver.fault(),
                Some(QueueFault::NotInFlight { id: id as u16 })
            );
            fake.send(4, b"after", None);
            assert!(take_all(&mut receiver).is_empty());
        }
        // The others go on.
        let mut port: Port<Fake, Parcel> = console.open(1, None).unwrap();
        send(&mut port, &Factory::default(), b"x");
        assert_eq!(fake.consume(1), b"x");
    }
}

#[test]
fn a_port_that_goes_is_heard_no_more() {
    let (fake, mut console, mut receiver) = listening();
    fake.state().say(4, event::DEVICE_REMOVE, 1, b"");
    talk(&fake, &mut console).unwrap();
    fake.send(4, b"late", None);
    assert!(receiver.is_dead() && take_all(&mut receiver).is_empty());
}

#[test]
fn a_reset_gives_all_memory_back() {
    let before = pages();
    let (fake, mut console, mut receiver) = listening();
    assert!(pages() > before);
    fake.send(4, b"x", None);
    console.reset().unwrap();
    assert!(receiver.is_dead() && take_all(&mut receiver).is_empty());
    drop((receiver, console));
    assert_eq!(pages(), before);

    // One that does not react keeps what it has.
    let (fake, mut console, receiver) = listening();
    fake.state().resets = false;
    assert!(console.reset().is_err());
    drop((receiver, console));
    assert!(pages() > before);
}

#[test]
fn a_device_without_receive_queues_sends_what_it_gets() {
    let fake = Fake::new(&[(1, "relay.ctl", true)]);
    fake.state().sizes[4] = 0;
    let mut console = start(&fake).unwrap();
    assert_eq!(
        console.receive(1).unwrap_err(),
        OpenError::Queue(QueueError::Missing { index: 4 })
    );
    fake.state().sizes[6] = 4;
    let mut port: Port<Fake, Letter<64>> = console.open(1, None).unwrap();
    let mut letter = Letter::new(Box::leak(Box::new([0; 64])));
    for text in ["hello", "a longer text"] {
        let is_filled = letter.fill(|room| {
            room[..text.len()].copy_from_slice(text.as_bytes());
            Ok::<_, ()>(text.len())
        });
        assert!(is_filled);
        port.submit(letter).unwrap();
        assert_eq!(fake.consume(1), text.as_bytes());
        letter = port.reclaim().unwrap().into_inner();
    }
    // One that could not be filled is empty, which no port takes.
    assert!(!letter.fill(|_| Err(())));
    let refusal = port.submit(letter).unwrap_err().refusal;
    assert_eq!(refusal, Refusal::Length(0));
}
