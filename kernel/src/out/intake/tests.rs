//! Tests of who gets what, on the host: a channel of one CPU, of which each packet is one record.

use super::*;
use relay::fs::Mount;
use relay::record::Framed;
use relay::{Channel, Geometry, Platform, Storage};

use crate::out::copies::Copied;

struct Still;

// SAFETY: one thread plays the only CPU.
#[expect(unsafe_code, reason = "a platform to test on")]
unsafe impl Platform for Still {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        1
    }
}

/// Packets that may wait for the sink: three quarters of them.
const WAITING: u64 = 12;

type TestLog = Channel<Still, 1>;

/// A log with room for 16 packets, its intake, and the copies for the console, if there is one.
fn stand(console: bool) -> (&'static TestLog, Intake, Option<&'static Copies>) {
    let log = &*Box::leak(Box::new(TestLog::new(Still, &Framed)));
    let geometry = Geometry::new(256, 16).unwrap();
    log.start(0, Storage::allocate(&geometry).unwrap(), geometry)
        .unwrap();
    let mount = Box::leak(Box::new(Mount::new("/test", log).unwrap()));
    let copies = console.then(|| &*Box::leak(Box::new(Copies::new(4096))));
    let reader = mount.file(0).unwrap().open().unwrap();
    (log, Intake::new(reader, 16, copies, 0), copies)
}

/// Writes a record and hands its packet over; false if there was no room.
fn say(log: &TestLog) -> bool {
    let written = log.write(b"a record").is_ok();
    log.flush();
    written
}

/// Ordinals of the packets that are copied.
fn copied(copies: Option<&'static Copies>) -> Vec<u64> {
    let copies = copies.expect("there is a console");
    let next = |packet: &Copied| copies.at(packet.next);
    core::iter::successors(copies.first(), next)
        .map(|packet| packet.ordinal)
        .collect()
}

fn sent(intake: &mut Intake) -> Vec<u64> {
    core::iter::from_fn(|| intake.next().map(|packet| packet.packet().ordinal)).collect()
}

#[test]
fn both_get_everything_and_the_sink_need_not_wait_for_the_console() {
    let (log, mut intake, copies) = stand(true);
    for number in 0..10 {
        assert!(say(log));
        let packet = intake.next().expect("it is there at once");
        assert_eq!(packet.packet().ordinal, number);
    }
    assert_eq!(copied(copies), (0..10).collect::<Vec<_>>());
    assert_eq!(intake.left_out, 0);
}

#[test]
fn a_sink_that_stands_still_holds_the_console_up_as_little() {
    let (log, mut intake, copies) = stand(true);
    let late = |intake: &mut Intake| intake.moment = Some(Timeout::after_ms(0));
    for _ in 0..30 {
        late(&mut intake);
        assert!(say(log), "there is always room: the console takes it");
        intake.take();
    }
    assert_eq!(copied(copies), (0..30).collect::<Vec<_>>());
    assert_eq!(intake.left_out, 30 - WAITING);
    log.close().unwrap();
    late(&mut intake);
    intake.take();
    // The last ones, with the end of the stream, which is a packet without records.
    let expected = (31 - WAITING..30).chain([30]);
    assert_eq!(sent(&mut intake), expected.collect::<Vec<_>>());
    assert!(intake.ended);
    assert_eq!(intake.left_out, 31 - WAITING);
}

#[test]
fn a_sink_that_is_only_slow_misses_nothing() {
    let (log, mut intake, copies) = stand(true);
    let mut written = 0;
    // It has just taken something, and takes nothing for a moment.
    for _ in 0..30 {
        written += u64::from(say(log));
        intake.take();
    }
    assert_eq!(written, 16, "the ring is full: {WAITING} wait in it");
    assert_eq!(
        (intake.left_out, copied(copies).len()),
        (0, WAITING as usize)
    );
    assert_eq!(sent(&mut intake), (0..written).collect::<Vec<_>>());
    assert_eq!(copied(copies), (0..written).collect::<Vec<_>>());
}

#[test]
fn without_a_console_what_the_sink_cannot_take_stays_in_the_ring() {
    let (log, mut intake, _) = stand(false);
    let mut written = 0;
    for _ in 0..30 {
        written += u64::from(say(log));
        intake.take();
    }
    assert_eq!(written, 16, "{WAITING} wait, the others lie in the ring");
    assert_eq!(intake.left_out, 0);
    assert_eq!(sent(&mut intake), (0..written).collect::<Vec<_>>());
}

#[test]
fn without_a_sink_the_console_takes_what_it_has_room_for() {
    let (log, mut intake, copies) = stand(true);
    intake.give_up();
    let mut written = 0;
    while say(log) {
        written += 1;
        intake.take();
    }
    let copied = copied(copies);
    assert_eq!(copied, (0..copied.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        written - copied.len() as u64,
        16,
        "the rest is in the ring, nothing was skipped"
    );
    assert!(intake.next().is_none());
}

#[test]
fn without_anybody_nothing_is_taken() {
    let (log, mut intake, _) = stand(false);
    intake.give_up();
    say(log);
    intake.take();
    assert_eq!(log.stats(0).unwrap().records, 1);
    assert_eq!(intake.reader.bytes_available(), 8);
}

#[test]
fn what_waits_when_the_sink_is_given_up_is_left_out() {
    let (log, mut intake, copies) = stand(true);
    for _ in 0..5 {
        say(log);
    }
    intake.take();
    intake.give_up();
    assert_eq!((intake.left_out, copied(copies).len()), (5, 5));
    for _ in 0..16 {
        assert!(say(log), "the space was given back");
    }
}

#[test]
fn a_small_ring_is_not_filled_with_what_waits() {
    let (log, _, _) = stand(true);
    let mount = Box::leak(Box::new(Mount::new("/test", log).unwrap()));
    let copies = &*Box::leak(Box::new(Copies::new(4096)));
    let reader = mount.file(0).unwrap().open().unwrap();
    let intake = Intake::new(reader, 4, Some(copies), 0);
    assert_eq!(intake.room, 3);
}
