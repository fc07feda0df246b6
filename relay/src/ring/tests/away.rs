//! The post-mortem and packets that readers have taken against spare blocks.

extern crate std;

use super::stage::{Ch, THIN, every_step, interrupt_at, on_channel, salvage};
use crate::{Geometry, Mode, Packet};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

fn shape(count: usize, spares: usize) -> Geometry {
    Geometry::new(16, count)
        .and_then(|shape| shape.with_mode(Mode::Continuous)?.with_spares(spares))
        .unwrap()
}

/// What the post-mortem finds: the numbers of packets, and the first byte of each.
fn found(channel: &Ch) -> Vec<(u64, u8)> {
    salvage(channel)
        .filter(|packet| packet.packet().records != 0)
        .map(|packet| {
            let byte = packet.committed().next().unwrap()[0];
            (packet.packet().sequence, byte)
        })
        .collect()
}

/// Writes a packet that is full of its number.
fn write(channel: &Ch, number: u64) {
    channel.write(&[number as u8; 16]).unwrap();
}

/// Numbers, each with the byte that its packet is full of.
fn bytes(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, u8)> {
    numbers.into_iter().map(|it| (it, it as u8)).collect()
}

#[test]
fn what_readers_hold_is_found_in_order_however_far_the_writer_has_gone() {
    on_channel(shape(4, 2), |channel| {
        let mut reader = channel.reader(0).unwrap();
        (0..4).for_each(|number| write(channel, number));
        let first = reader.next_subbuf().unwrap();
        let second = reader.next_subbuf().unwrap();
        assert_eq!(found(channel), bytes(0..4));
        // Several laps.
        (4..15).for_each(|number| write(channel, number));
        assert_eq!(found(channel), bytes([0, 1, 11, 12, 13, 14]));
        drop(first);
        assert_eq!(found(channel), bytes([1, 11, 12, 13, 14]));
        // There is a spare for one more.
        let third = reader.next_subbuf().unwrap();
        assert_eq!(third.packet().sequence, 11);
        assert_eq!(found(channel), bytes([1, 11, 12, 13, 14]));
        drop(second);
        drop(third);
        assert_eq!(found(channel), bytes([12, 13, 14]));
    });
}

/// The machine stops at any step of a reader that takes a packet and gives it back: what it has not
/// begun to give back is found, once.
#[test]
fn a_packet_is_found_once_at_every_step_of_a_reader() {
    let steps = every_step(|at| {
        on_channel(shape(2, 1), |channel| {
            (0..2).for_each(|number| write(channel, number));
            let seen = Rc::new(RefCell::new(None));
            let note = Rc::clone(&seen);
            let is_there = interrupt_at(
                at,
                || {
                    let mut reader = channel.reader(0).unwrap();
                    let taken = reader.next_subbuf().unwrap();
                    assert_eq!(taken.packet().sequence, 0);
                    drop(taken);
                },
                move || *note.borrow_mut() = Some(found(channel)),
            );
            if let Some(seen) = seen.take() {
                // Not before it was given back.
                let is_given_back = seen == bytes([1]);
                assert!(
                    is_given_back || seen == bytes([0, 1]),
                    "step {at}: {seen:?}"
                );
            }
            is_there
        })
    });
    assert!(steps >= THIN);
}

/// An observer copies a packet when the machine stops, the writer having overwritten it meanwhile or
/// not: it is found if it was not, and once.
#[test]
fn a_packet_that_is_only_copied_is_found_as_long_as_it_is_in_the_ring() {
    for laps in [0, 2, 5] {
        let steps = every_step(|at| {
            on_channel(shape(2, 1), |channel| {
                (0..2).for_each(|number| write(channel, number));
                let seen = Rc::new(RefCell::new(None));
                let note = Rc::clone(&seen);
                let is_there = interrupt_at(
                    at,
                    || {
                        let mut observer = channel.observe(0).unwrap();
                        let _: Result<Option<Packet>, _> = observer.next_copy(&mut [0; 16]);
                    },
                    move || {
                        (2..2 + laps).for_each(|number| write(channel, number));
                        *note.borrow_mut() = Some(found(channel));
                    },
                );
                if let Some(seen) = seen.take() {
                    assert_eq!(seen, bytes(laps..laps + 2), "step {at}");
                }
                is_there
            })
        });
        assert!(steps >= THIN);
    }
}

/// An observer is faster than a reader that was about to take the packet, and the writer overwrites
/// it while it is copied, or before, or after: what is overwritten is counted, and found by nobody.
#[test]
fn a_packet_that_a_reader_was_too_slow_for_is_not_made_up() {
    const WRITTEN: u64 = 7;
    let stop = |channel: &'static Ch, at: usize, copied: usize| {
        (0..2).for_each(|number| write(channel, number));
        let seen = Rc::new(RefCell::new(None));
        let note = Rc::clone(&seen);
        let is_deep = Rc::new(Cell::new(false));
        let deep = Rc::clone(&is_deep);
        let copy = move || {
            let write_on = move || {
                (2..WRITTEN).for_each(|number| write(channel, number));
                let stats = channel.stats(0).unwrap();
                *note.borrow_mut() = Some((found(channel), stats.overwritten));
            };
            let look = || {
                let mut observer = channel.observe(0).unwrap();
                let _: Result<Option<Packet>, _> = observer.next_copy(&mut [0; 16]);
            };
            deep.set(interrupt_at(copied, look, write_on));
        };
        let take = || drop(channel.reader(0).unwrap().next_subbuf());
        let is_there = interrupt_at(at, take, copy);
        (is_there, is_deep.get(), seen.take())
    };
    let programs = Cell::new(0);
    let steps = every_step(|at| {
        for copied in (1..).step_by(THIN) {
            let (is_there, is_deep, seen) = on_channel(shape(2, 2), |it| stop(it, at, copied));
            if let Some((seen, overwritten)) = seen {
                programs.set(programs.get() + 1);
                let numbers: Vec<_> = seen.iter().map(|(number, _)| *number).collect();
                assert!(
                    numbers.is_sorted_by(|one, next| one < next),
                    "{at}, {copied}: {seen:?}"
                );
                let are_right = seen
                    .iter()
                    .all(|(number, byte)| *number == u64::from(*byte));
                assert!(are_right, "{at}, {copied}: {seen:?}");
                // What was given back is neither.
                let told = seen.len() as u64 + overwritten;
                assert!(
                    (WRITTEN - 1..=WRITTEN).contains(&told),
                    "{at}, {copied}: {seen:?}"
                );
            }
            if !is_there || !is_deep {
                return is_there;
            }
        }
        true
    });
    assert!(steps >= THIN && programs.get() > 0);
}
