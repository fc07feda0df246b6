//! Waiting for files: no wake-up is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relay_abi::{PollItem, ready};
use zerocopy::IntoBytes;

use super::*;
use crate::sched::Woken;
use crate::user::poll::{self, Item, Pollable};
use crate::user::waiting::{Parking, Wakes};

/// Longer than anything takes that is not lost.
const LONG: Duration = Duration::from_secs(30);

/// A thread of the host, which parks as a thread of the kernel does.
struct Sleeper(thread::Thread);

impl Wakes for Sleeper {
    fn unpark(&self) {
        self.0.unpark();
    }
}

/// How threads of the host wait. A tick is a park.
#[derive(Default)]
struct Host {
    parked: AtomicU64,
    must_end: AtomicBool,
}

impl Parking for Host {
    fn me(&self) -> Arc<dyn Wakes> {
        Arc::new(Sleeper(thread::current()))
    }

    fn park(&self, until_ticks: Option<u64>) -> Woken {
        self.parked.fetch_add(1, Ordering::Relaxed);
        if self.must_end.load(Ordering::Relaxed) {
            return Woken::Ended;
        }
        if until_ticks.is_some() {
            thread::park_timeout(Duration::from_millis(1));
            return Woken::TimedOut;
        }
        let begun = Instant::now();
        thread::park_timeout(LONG);
        assert!(begun.elapsed() < LONG, "a wake-up was lost");
        Woken::Unparked
    }

    fn now(&self) -> u64 {
        self.parked.load(Ordering::Relaxed)
    }
}

fn item(of: &Arc<OpenFile>, wanted: u16) -> Item {
    Item {
        of: Some(of.clone()),
        wanted,
        found: 0,
    }
}

#[test]
fn a_sleeper_finds_every_packet() {
    let (channel, names) = channel!(ring(1024, 4));
    let consumer = Arc::new(file(names, How::Consume).expect("nobody else does"));
    let observer = Arc::new(file(names, How::Observe).expect("anybody may"));
    const ROUNDS: u64 = 3000;
    let read = |file: &Arc<OpenFile>, both: bool| {
        let (parking, mut records) = (Host::default(), 0);
        loop {
            let mut items = vec![item(file, ready::READABLE | ready::ENDED)];
            if both {
                // The same twice: nothing goes wrong.
                items.push(item(file, ready::READABLE));
            }
            let found = poll::wait(&parking, &mut items, None).expect("nobody ends it");
            assert!(found >= 1);
            match items[0].found {
                // The other one was looked at later.
                0 | ready::READABLE => {}
                ready::ENDED => return records,
                other => panic!("{other:#x}"),
            }
            let room = Room::new();
            while let Ok(length) = file.read(&room, [BASE, 4096]) {
                records += length / 20;
            }
        }
    };
    thread::scope(|scope| {
        let consuming = scope.spawn(|| read(&consumer, true));
        let observing = scope.spawn(|| read(&observer, false));
        let mut written = 0;
        while written < ROUNDS && !consuming.is_finished() && !observing.is_finished() {
            let before = channel.stats(0).expect("it has started").lost.total();
            let _ = channel.reserve_with(20, |slot| {
                let time = slot.timestamp();
                let stamp = relay::record::Stamp::new(1, Context::Task, time).to_bytes();
                let bytes = slot.bytes_mut();
                bytes[..7].copy_from_slice(&stamp);
                bytes[7..].fill(0);
                bytes[8] = 10;
            });
            channel.flush();
            let after = channel.stats(0).expect("it has started").lost.total();
            match before == after {
                true => written += 1,
                false => thread::yield_now(),
            }
        }
        while channel.close().is_err() && !consuming.is_finished() {
            thread::yield_now();
        }
        assert_eq!(consuming.join().expect("it comes to its end"), ROUNDS);
        assert!(observing.join().expect("it comes to its end") <= ROUNDS);
    });
    assert_eq!(consumer.waiters().count(), 0);
}

#[test]
fn what_is_no_handle_is_found_at_once() {
    let (_, names) = channel!(ring(1024, 4));
    let file = Arc::new(file(names, How::Consume).expect("nobody else does"));
    let bad = Item {
        of: None,
        wanted: 0,
        found: 0,
    };
    let parking = Host::default();
    let mut items = [item(&file, ready::READABLE), bad];
    assert_eq!(poll::wait(&parking, &mut items, None), Ok(1));
    assert_eq!((items[0].found, items[1].found), (0, ready::BAD));
    assert_eq!(parking.now(), 0);
}

#[test]
fn a_time_comes_and_an_end_comes() {
    let (channel, names) = channel!(ring(1024, 4));
    let file = Arc::new(file(names, How::Consume).expect("nobody else does"));
    let parking = Host::default();
    let mut items = [item(&file, ready::READABLE)];
    assert_eq!(poll::wait(&parking, &mut items, Some(0)), Ok(0));
    assert_eq!(parking.now(), 0, "looks only");
    assert_eq!(poll::wait(&parking, &mut items, Some(3)), Ok(0));
    assert_eq!(parking.now(), 3);
    assert_eq!(poll::wait(&parking, &mut [], Some(5)), Ok(0));
    assert_eq!(parking.now(), 5);
    parking.must_end.store(true, Ordering::Relaxed);
    assert_eq!(poll::wait(&parking, &mut items, None), Err(Error::Killed));
    // What is there is found nevertheless; who waits for the end alone does not find it.
    packet(channel, 0..1, 10);
    assert_eq!(poll::wait(&parking, &mut items, None), Ok(1));
    let mut end = [item(&file, ready::ENDED)];
    assert_eq!(poll::wait(&parking, &mut end, None), Err(Error::Killed));
}

#[test]
fn the_call_looks_at_its_arguments_first() {
    let (channel, names) = channel!(ring(1024, 4));
    let open = Arc::new(file(names, How::Consume).expect("nobody else does"));
    let room = Room::new();
    let find = |handle| (handle == 3).then(|| open.clone() as Arc<dyn Pollable>);
    let call = |at, count| {
        let parking = Host::default();
        poll::call(&room, &parking, [at, count], Some(0), find)
    };
    for count in [65, 1 << 32, u64::MAX] {
        assert_eq!(call(BASE, count), Err(Error::BadArgument));
    }
    for at in BAD {
        assert_eq!(call(at, 2), Err(Error::BadAddress), "{at:#x}");
    }
    let read_only = BASE + READ_ONLY as u64;
    assert_eq!(call(read_only, 2), Err(Error::BadAddress));
    assert_eq!(call(BASE, 0), Ok(0));
    let items = [3, 4, 3].map(|handle| PollItem {
        handle,
        wanted: ready::READABLE,
        found: 0xABC,
    });
    room.put(items.as_bytes());
    assert_eq!(call(BASE, 3), Ok(1));
    packet(channel, 0..1, 10);
    assert_eq!(call(BASE, 3), Ok(3));
    let found = room.get(BASE, 24);
    let found = [6, 14, 22].map(|at| u16::from_le_bytes([found[at], found[at + 1]]));
    assert_eq!(found, [ready::READABLE, ready::BAD, ready::READABLE]);
}
