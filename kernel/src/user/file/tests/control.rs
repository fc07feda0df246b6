//! Flush, resize, reset, filters, writing.

use super::super::control;
use super::*;
use crate::logs::user::Writer;

#[test]
fn a_flush_is_asked_for_by_anybody_who_reads() {
    let (channel, names) = channel!(ring(1024, 8));
    for how in [How::Consume, How::Observe] {
        let file = file(names, how).expect("nobody else consumes");
        tell(channel, 1, 10);
        assert_eq!(file.flush(), Ok(0));
        let room = Room::new();
        assert_eq!(file.read(&room, [BASE, 100]), Err(Error::Again));
        channel.tick();
        assert_eq!(file.read(&room, [BASE, 100]), Ok(20));
    }
}

#[test]
fn a_ring_has_a_shape_that_it_can_have_or_stays() {
    let (channel, names) = channel!(ring(4096, 4));
    let file = file(names, How::Consume).expect("nobody else does");
    for wrong in [
        [0, 4],
        [512, 4],
        [3000, 4],
        [1 << 17, 4],
        [4096, 0],
        [4096, 1],
        [4096, 3],
        [4096, 1 << 16],
        [65536, 1 << 10],
        [u64::MAX, 4],
        [4096, u64::MAX],
    ] {
        assert_eq!(file.resize(wrong), Err(Error::BadArgument), "{wrong:?}");
        assert_eq!(file.known().map(|info| info.subbuf_size), Some(4096));
    }
    packet(channel, 0..1, 10);
    assert_eq!(file.resize([8192, 2]), Ok(0));
    assert_eq!(file.resize([8192, 4]), Err(Error::Busy), "not done yet");
    channel.tick();
    assert_eq!(file.known().map(|info| info.subbuf_size), Some(8192));
    // Nobody has read the old ring: there is no third.
    assert_eq!(file.resize([8192, 4]), Err(Error::Busy));
    while let Ok(taken) = file.take() {
        assert_eq!(file.give_back(taken.number), Ok(0));
    }
    assert_eq!(file.resize([8192, 4]), Ok(0));
    channel.tick();
    while let Ok(taken) = file.take() {
        assert_eq!(file.give_back(taken.number), Ok(0));
    }
    channel.close().expect("there is room");
    assert_eq!(file.resize([8192, 8]), Err(Error::Refused));
}

#[test]
fn a_reset_drops_what_nobody_has_read() {
    let (channel, names) = channel!(ring(1024, 4));
    let file = file(names, How::Consume).expect("nobody else does");
    packet(channel, 0..2, 10);
    packet(channel, 2..4, 10);
    assert!(file.take().is_ok());
    assert_eq!(file.reset(), Ok(0));
    packet(channel, 4..5, 10);
    let room = Room::new();
    assert_eq!(
        file.copy(&room, [0, 0, BASE, 100]),
        Ok(40),
        "it is held still"
    );
    let rest = core::iter::from_fn(|| file.take().ok());
    let rest: Vec<_> = rest.filter(|taken| taken.records != 0).collect();
    let [taken] = rest[..] else {
        panic!("it is one: {rest:?}");
    };
    assert_eq!(file.copy(&room, [taken.number, 0, BASE, 100]), Ok(20));
    assert_eq!(numbers(&room.get(BASE, 20)), [4]);
    assert_eq!(
        file.known().map(|info| (info.overwritten, info.lost)),
        Some((2, 0))
    );
    // Again and again, without anybody who reads: rings do not become more and more.
    let resets: Vec<_> = (0..8).map(|_| file.reset()).collect();
    assert!(resets.contains(&Err(Error::Busy)), "{resets:?}");
    assert!(channel.info(0).expect("it has started").rings <= 3);
}

#[test]
fn filters_are_those_that_the_machine_has() {
    let room = Room::new();
    let filter = |key: &str, text: &str| {
        let [at, length] = room.put(format!("{key}{text}").as_bytes());
        let behind = at + key.len() as u64;
        let rest = length - key.len() as u64;
        control::filter(&room, [at, key.len() as u64], [behind, rest])
    };
    assert_eq!(filter("nothing", "all"), Err(Error::NotFound));
    assert_eq!(filter("trace", "no_such_event"), Err(Error::BadArgument));
    assert_eq!(filter("trace", &"x".repeat(257)), Err(Error::BadArgument));
    assert_eq!(filter(&"x".repeat(17), "all"), Err(Error::BadArgument));
    let bad = control::filter(&room, [u64::MAX, 4], [BASE, 4]);
    assert_eq!(bad, Err(Error::BadAddress));
    room.put(b"\xff\xff");
    let bad = control::filter(&room, [BASE, 2], [BASE, 2]);
    assert_eq!(bad, Err(Error::BadArgument));
}

#[test]
fn what_is_written_is_looked_at_first() {
    let room = Room::new();
    let writer = Writer {
        pid: 1,
        tid: 2,
        comm: "test",
    };
    let write = |severity, at, length| control::write(&room, writer, [severity, at, length]);
    for severity in [9, 256, u64::MAX] {
        assert_eq!(write(severity, BASE, 4), Err(Error::BadArgument));
    }
    for length in [1025, u64::MAX] {
        assert_eq!(write(6, BASE, length), Err(Error::BadArgument));
    }
    for at in [0, BASE - 1, u64::MAX] {
        assert_eq!(write(6, at, 4), Err(Error::BadAddress));
    }
    // The host has no such channel.
    assert_eq!(write(6, BASE, 4), Err(Error::Refused));
}
