//! What reviews found: slots that come back late, leaks in interrupts, hooks that write, closes in between.
extern crate std;

mod ends;
mod passed;
mod random;
mod stuck;

use super::world::OneCpu;
use crate::platform::Platform;
use crate::step::with_hook;
use crate::{
    Channel, Delivery, Geometry, Hooks, Loss, Mode, NoHooks, Reader, Records, Stopped, Storage,
    StreamError, WriteError,
};
use core::mem;
use std::boxed::Box;
use std::cell::Cell;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

type Ch = Channel<OneCpu, 1>;

fn channel(geometry: Geometry) -> &'static Ch {
    let channel: &'static Ch = Box::leak(Box::new(Channel::new(OneCpu::default(), &NoHooks)));
    channel
        .start(0, Storage::allocate(&geometry).unwrap(), geometry)
        .unwrap();
    channel
}

/// Reads all that is readable; returns how many records that were.
fn drain(reader: &mut Reader<'_>) -> u64 {
    core::iter::from_fn(|| reader.next_subbuf())
        .map(|taken| taken.packet().records)
        .sum()
}

/// Every attempt is accounted for.
fn check_sum(ch: &Ch, attempted: u64, delivered: u64) {
    let stats = ch.stats(0).unwrap();
    let accounted = delivered + stats.overwritten + stats.lost.total();
    assert_eq!(attempted, accounted, "{delivered} delivered, {stats:?}");
}

/// Goes on: writes `text` so many times and reads, closes, and checks that everything, with what was `attempted`
/// before, is accounted for.
fn go_on(
    ch: &Ch,
    reader: &mut Reader<'_>,
    attempted: u64,
    times: u64,
    text: &[u8],
) -> Result<(), StreamError> {
    let write_and_read = |_| {
        let _ = ch.write(text);
        drain(reader)
    };
    let mut delivered = (0..times).map(write_and_read).sum();
    let closed = ch.close();
    delivered += drain(reader);
    check_sum(ch, attempted + times, delivered);
    closed
}

/// Runs `body` as an interrupt.
fn interrupt(ch: &'static Ch, body: impl FnOnce()) {
    ch.platform().interrupt(true);
    body();
    ch.platform().interrupt(false);
}

fn g(size: usize, n: usize) -> Geometry {
    Geometry::new(size, n).unwrap()
}

/// An exact fit that was passed over gives its space back: the position goes back into a packet
/// that delivery has left.
#[test]
fn a_passed_over_exact_fit_does_not_give_its_space_back() {
    let ch = channel(g(16, 2));
    let mut reader = ch.reader(0).unwrap();
    ch.write(&[1; 16]).unwrap(); // packet 0, unread
    ch.write(&[2; 6]).unwrap(); // packet 1
    let slot = ch.reserve(10).unwrap(); // exact fit
    assert_eq!(ch.close(), Err(StreamError::NoRoom)); // passes over packet 1
    drop(slot);
    let mut delivered = 0;
    let mut drain = || {
        delivered += drain(&mut reader);
    };
    drain();
    let mut attempted = 3; // 16, 6, the slot
    for len in [5u8, 5, 5, 5] {
        let _ = ch.write(&[len; 5]);
        attempted += 1;
        drain();
    }
    let _ = ch.close();
    drain();
    check_sum(ch, attempted, delivered);
}

/// The same, then a replacement: delivery never ends.
#[test]
fn delivery_comes_to_an_end_behind_an_exact_fit() {
    let ch = channel(g(16, 2));
    ch.write(&[1; 16]).unwrap();
    let slot = ch.reserve(16).unwrap();
    assert_eq!(ch.close(), Err(StreamError::NoRoom));
    drop(slot);
    let steps = Rc::new(Cell::new(0u64));
    let hook = {
        let steps = Rc::clone(&steps);
        move || {
            steps.set(steps.get() + 1);
            assert!(steps.get() < 1_000_000, "it never ends");
        }
    };
    with_hook(hook, || {
        ch.replace(Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
            .unwrap();
    });
}

/// The same without close: a task wraps.
#[test]
fn a_passed_over_exact_fit_does_not_give_its_space_back_a_lap_later() {
    let ch = channel(g(16, 2));
    let mut reader = ch.reader(0).unwrap();
    mem::forget(ch.reserve(16).unwrap()); // packet 0 leaked
    ch.write(&[2; 6]).unwrap();
    let slot = ch.reserve(10).unwrap(); // exact fit of packet 1
    let _ = ch.write(&[3; 5]);
    drop(slot);
    let _ = go_on(ch, &mut reader, 4, 6, &[5; 5]);
}

/// Records of an open packet are not given up while a reader may look at them.
#[test]
fn records_that_were_shown_do_not_change_under_their_reader() {
    let geometry = g(64, 2).with_delivery(Delivery::Packet).unwrap();
    let ch = channel(geometry);
    let mut records = Records::new(ch.reader(0).unwrap());
    ch.write(b"AAAAAAAA").unwrap();
    let run = records.next_run().unwrap();
    assert_eq!(run.bytes, b"AAAAAAAA");
    let slot = ch.reserve(8).unwrap();
    while ch.write(b"BBBBBBBB").is_ok() {}
    slot.commit();
    for _ in 0..8 {
        let _ = ch.write(b"CCCCCCCC");
    }
    assert_eq!(run.bytes, b"AAAAAAAA", "a shared slice has changed");
}

/// The ledger in packet delivery.
#[test]
fn records_that_were_shown_are_not_counted_as_overwritten() {
    let geometry = g(64, 2).with_delivery(Delivery::Packet).unwrap();
    let ch = channel(geometry);
    let mut records = Records::new(ch.reader(0).unwrap());
    ch.write(b"AAAAAAAA").unwrap();
    let mut bytes = [0; 64];
    let mut delivered = records.read(&mut bytes) / 8;
    mem::forget(ch.reserve(8).unwrap());
    let mut attempted = 2;
    for _ in 0..20 {
        let _ = ch.write(b"BBBBBBBB");
        attempted += 1;
    }
    loop {
        let n = records.read(&mut bytes);
        if n == 0 {
            break;
        }
        delivered += n / 8;
    }
    assert_eq!(ch.close(), Err(StreamError::NoRoom));
    let stats = ch.stats(0).unwrap();
    // The packet is not passed over: one is under way, and the records behind it are not shown.
    assert_eq!((delivered, stats.overwritten), (1, 0));
    assert_eq!(attempted, 1 + 1 + 14 + stats.lost.total());
}

/// An interrupt at every step of the late commit of a slot whose packet was passed over.
#[test]
fn an_interrupt_comes_into_the_commit_of_a_late_slot() {
    let mut bad = Vec::new();
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for commits in [true, false] {
            for burst in [1u64, 8] {
                for i in 1.. {
                    let result = std::panic::catch_unwind(|| late_commit(mode, commits, burst, i));
                    match result {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(_) => bad.push((mode, commits, burst, i)),
                    }
                }
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

fn late_commit(mode: Mode, commits: bool, burst: u64, i: usize) -> bool {
    let ch = channel(g(64, 4).with_mode(mode).unwrap());
    let mut reader = ch.reader(0).unwrap();
    let mut delivered = 0;
    let slot = ch.reserve(8).unwrap();
    let mut attempted = 1;
    // A lap, and up to the end of the last packet before the void one.
    for _ in 0..7 + 24 + 8 * 3 {
        let _ = ch.write(&u64::to_le_bytes(attempted));
        attempted += 1;
        delivered += drain(&mut reader);
    }
    let steps = Rc::new(Cell::new(0));
    let more = Rc::new(Cell::new(0));
    let hook = {
        let (steps, more) = (Rc::clone(&steps), Rc::clone(&more));
        move || {
            steps.set(steps.get() + 1);
            if steps.get() == i {
                ch.platform().interrupt(true);
                for _ in 0..burst {
                    let _ = ch.write(&[9; 8]);
                    more.set(more.get() + 1);
                }
                ch.platform().interrupt(false);
            }
        }
    };
    let budget = Rc::new(Cell::new(0u64));
    let b2 = Rc::clone(&budget);
    with_hook(
        move || {
            b2.set(b2.get() + 1);
            assert!(b2.get() < 100_000, "never ends");
            hook()
        },
        || {
            if commits {
                slot.commit()
            } else {
                slot.discard()
            }
        },
    );
    attempted += more.get();
    for _ in 0..8 * 4 * 3 {
        let _ = ch.write(&u64::to_le_bytes(attempted));
        attempted += 1;
        delivered += drain(&mut reader);
    }
    let mut tries = 0;
    while ch.close() == Err(StreamError::NoRoom) {
        delivered += drain(&mut reader);
        tries += 1;
        assert!(tries < 10, "no room for ever {:?}", ch.stats(0));
    }
    delivered += drain(&mut reader);
    assert!(reader.is_at_end(), "{:?}", ch.stats(0));
    check_sum(ch, attempted, delivered);
    steps.get() >= i
}

/// read_last at a void packet.
#[test]
fn the_newest_packets_are_copied_across_gaps() {
    let ch = channel(g(64, 4));
    let mut reader = ch.reader(0).unwrap();
    mem::forget(ch.reserve(64).unwrap()); // packet 0
    let observer = ch.observe(0).unwrap();
    let mut bad = Vec::new();
    for round in 0..40u8 {
        let _ = ch.write(&[round; 64]);
        let mut into = [0; 64];
        let mut newest = Vec::new();
        let n = observer
            .read_last(8, &mut into, |_, bytes| newest.push(bytes[0]))
            .unwrap();
        let info = ch.info(0).unwrap();
        if (n as u64) < info.unread {
            bad.push((round, n, info.unread));
        }
        if info.unread == 3 {
            reader.next_subbuf();
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// Rings at the same positions.
#[test]
fn rings_that_are_built_together_lie_apart() {
    for first in [1, 3, 5] {
        for second in [1, 3, 5] {
            for third in [1, 3, 5] {
                let ch = channel(g(16, 2));
                ch.resize(0, Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
                    .unwrap();
                ch.replace(Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
                    .unwrap();
                let old = ch.reserve(first).unwrap();
                ch.tick();
                ch.write(&vec![1; second]).unwrap();
                let new = ch.reserve(third).unwrap();
                ch.write(&[2; 4]).unwrap();
                let mut found = 0;
                // SAFETY: this thread writes nothing meanwhile.
                for packet in ch.salvage(unsafe { Stopped::new(0) }).unwrap() {
                    assert!(!packet.is_cut(), "cut {first} {second} {third}");
                    found += packet.committed().map(<[u8]>::len).sum::<usize>();
                }
                assert_eq!(found, second + 4);
                new.commit();
                old.commit();
            }
        }
    }
}

#[test]
fn a_slot_leaked_in_each_of_two_rings_is_counted_once() {
    let ch = channel(g(16, 2));
    let mut reader = ch.reader(0).unwrap();
    ch.resize(0, Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
        .unwrap();
    ch.replace(Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
        .unwrap();
    mem::forget(ch.reserve(3).unwrap());
    ch.tick();
    mem::forget(ch.reserve(5).unwrap());
    let _ = go_on(ch, &mut reader, 2, 20, &[2; 4]);
}

/// A slot leaked by an interrupt that came into a write: its level is used again.
#[test]
fn a_slot_leaked_by_an_interrupt_keeps_its_level() {
    for i in 1.. {
        let ch = channel(g(64, 2));
        let mut reader = ch.reader(0).unwrap();
        let steps = Rc::new(Cell::new(0));
        let leaked = Rc::new(Cell::new(0u64));
        let hook = {
            let (steps, leaked) = (Rc::clone(&steps), Rc::clone(&leaked));
            move || {
                steps.set(steps.get() + 1);
                if steps.get() == i {
                    ch.platform().interrupt(true);
                    mem::forget(ch.reserve(8).unwrap());
                    leaked.set(1);
                    ch.platform().interrupt(false);
                }
            }
        };
        ch.write(&[0; 8]).unwrap();
        with_hook(hook, || ch.write(&[1; 8]).unwrap());
        if leaked.get() == 0 {
            break;
        }
        // Later another interrupt comes into another write.
        let hook = move || {
            ch.platform().interrupt(true);
            let _ = ch.write(&[3; 8]);
            ch.platform().interrupt(false);
        };
        let once = Cell::new(Some(hook));
        let done = Rc::new(Cell::new(0u64));
        let d2 = Rc::clone(&done);
        let mut k = 0;
        with_hook(
            move || {
                k += 1;
                if k == 2
                    && let Some(hook) = once.take()
                {
                    hook();
                    d2.set(1);
                }
            },
            || ch.write(&[2; 8]).unwrap(),
        );
        let attempted = 4 + done.get();
        assert_eq!(go_on(ch, &mut reader, attempted, 200, &[4; 8]), Ok(()));
    }
}

/// A nested write where the outer is a "task" too, as on the host with a signal handler.
#[test]
fn a_signal_handler_writes_a_lap_inside_a_write() {
    let mut bad = Vec::new();
    for i in 1.. {
        let result = std::panic::catch_unwind(|| {
            let ch = channel(g(64, 2));
            let mut reader = ch.reader(0).unwrap();
            let steps = Rc::new(Cell::new(0));
            let hit = Rc::new(Cell::new(false));
            let hook = {
                let (steps, hit) = (Rc::clone(&steps), Rc::clone(&hit));
                move || {
                    steps.set(steps.get() + 1);
                    if steps.get() == i {
                        hit.set(true);
                        for _ in 0..20 {
                            let _ = ch.write(&[3; 8]);
                        }
                    }
                }
            };
            ch.write(&[1; 8]).unwrap();
            with_hook(hook, || {
                let _ = ch.write(&[1; 8]);
            });
            let attempted = 2 + if hit.get() { 20 } else { 0 };
            assert_eq!(go_on(ch, &mut reader, attempted, 60, &[4; 8]), Ok(()));
            hit.get()
        });
        match result {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => bad.push(i),
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// A record whose time is that since its packet began, nested at every step of another, which opens the packet; with
/// nothing below it, and with a slot.
#[test]
fn a_delta_counts_from_an_opening_that_was_interrupted() {
    for below in [false, true] {
        let steps = (1..).take_while(|i| is_delta_right(below, *i)).count();
        assert!(steps > 15, "only {steps} steps");
    }
}

/// False if there is no step `i`.
fn is_delta_right(below: bool, i: usize) -> bool {
    let ch = channel(g(64, 2).with_reserves(4, 2).unwrap());
    let slot = below.then(|| ch.reserve(52).unwrap());
    let steps = Rc::new(Cell::new(0));
    let before = Rc::new(Cell::new(0));
    let hook = {
        let (steps, before) = (Rc::clone(&steps), Rc::clone(&before));
        move || {
            steps.set(steps.get() + 1);
            if steps.get() == i {
                before.set(ch.platform().now());
                ch.write_with_delta(&[0; 8], 0).unwrap();
            }
        }
    };
    with_hook(hook, || ch.write_with_delta(&[0; 8], 0).unwrap());
    ch.flush();
    drop(slot);
    let mut reader = ch.reader(0).unwrap();
    let taken = core::iter::from_fn(|| reader.next_subbuf()).last().unwrap();
    let begin = taken.packet().begin_ticks;
    let (deltas, _) = taken.records().as_chunks::<8>();
    let times: Vec<u64> = deltas
        .iter()
        .map(|delta| begin + u64::from_le_bytes(*delta))
        .collect();
    // One of the two came after `before`.
    let what = (below, i, begin, &times, before.get());
    assert!(times.iter().any(|time| *time > before.get()), "{what:?}");
    assert!(times.is_sorted_by(|a, b| a < b), "{what:?}");
    steps.get() >= i
}

/// Runs `body` at step `i`.
fn at(i: u64, body: impl FnOnce() + 'static) -> impl FnMut() + 'static {
    let (mut step, mut body) = (0, Some(body));
    move || {
        step += 1;
        if step == i
            && let Some(body) = body.take()
        {
            body();
        }
    }
}
