//! A stamp has the lower bits of the time only: whatever time passes, and wherever, the full time
//! of every record follows from its packet's begin. Each record here carries its full time, too.

extern crate std;

use super::stage::*;
use crate::record::{Fields, STAMP, extend};
use crate::{Context, Delivery, Geometry};
use std::vec::Vec;

/// Bytes of a record: stamp, full time.
const LEN: usize = STAMP + 8;

/// Times that pass: up to what a packet takes, up to what a stamp can tell, and more.
const JUMPS: [u64; 7] = [
    1,
    (1 << 39) - 10,
    1 << 39,
    (1 << 40) - 1,
    1 << 40,
    (1 << 40) + 3,
    1 << 45,
];

/// Three records fit into a sub-buffer.
fn shape() -> Geometry {
    geometry(64, 8).with_reserves(8, 0).unwrap()
}

fn write(channel: &Ch) {
    let filled = channel.reserve_with(LEN, |slot| {
        let time = slot.timestamp().to_le_bytes();
        slot.stamp(7, Context::Task).copy_from_slice(&time);
    });
    filled.unwrap();
}

/// What is done, and may be interrupted.
const PROGRAMS: [fn(&Ch); 5] = [
    |channel| write(channel),
    |channel| (0..3).for_each(|_| write(channel)),
    |channel| channel.write(&[0; 2 * LEN]).map_or((), |()| write(channel)),
    |channel| {
        channel.flush();
    },
    |channel| {
        let given_up = channel.reserve_with(LEN, |slot| slot.give_up());
        given_up.unwrap();
    },
];

/// Checks the times in `bytes`, of a packet that began at `begin`, and how many there are. What is
/// no stamped record is zeros, of such lengths.
fn check(bytes: &[u8], begin: u64) -> usize {
    let mut fields = Fields::new(bytes);
    let mut seen = 0;
    while let Some(stamp) = fields.next_stamp().unwrap() {
        if stamp.id() == 0 {
            assert!(fields.bytes(LEN - STAMP).is_some());
            continue;
        }
        assert_eq!((stamp.id(), stamp.context()), (7, Some(Context::Task)));
        let full = fields.bytes(8).unwrap().try_into().map(u64::from_le_bytes);
        assert_eq!(extend(stamp.time(), begin), full.unwrap());
        seen += 1;
    }
    seen
}

/// Everything that is read, checked.
fn read(channel: &Ch) -> usize {
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let taken: Vec<_> = core::iter::from_fn(|| reader.next_subbuf()).collect();
    let checked = |taken: &crate::SubBuffer<'_>| check(taken.records(), taken.packet().begin_ticks);
    taken.iter().map(checked).sum()
}

#[test]
fn a_record_that_comes_late_has_its_time() {
    for jump in JUMPS {
        on_channel(shape(), |channel| {
            write(channel);
            channel.platform().pass(jump);
            write(channel);
            write(channel);
            assert_eq!(read(channel), 3);
        });
    }
}

/// Half of what a stamp can tell: the other half is for what is late.
#[test]
fn a_packet_takes_what_is_younger_than_half_a_lap_of_the_time_and_nothing_else() {
    const HALF: u64 = 1 << 39;
    // The fast way, and the whole way, which a record takes in record delivery.
    let by_record = shape().with_delivery(Delivery::Record).unwrap();
    for shape in [shape(), by_record] {
        let mut ages = Vec::new();
        for jump in HALF - 8..HALF + 8 {
            on_channel(shape, |channel| {
                write(channel);
                channel.platform().pass(jump);
                write(channel);
                channel.flush();
                let mut reader = channel.reader(0).unwrap();
                let taken: Vec<_> = core::iter::from_fn(|| reader.next_subbuf()).collect();
                let begin = taken[0].packet().begin_ticks;
                let last = taken.last().unwrap().records();
                let age = u64::from_le_bytes(*last.last_chunk().unwrap()) - begin;
                assert_eq!(taken.len() == 1, age < HALF, "of an age of {age}");
                ages.push(age);
            });
        }
        // The fast way that is refused looks at the clock again.
        let near = [HALF - 1, HALF + 1];
        assert!(near.iter().all(|age| ages.contains(age)), "{ages:?}");
    }
}

#[test]
fn what_has_no_stamp_may_be_late() {
    on_channel(shape(), |channel| {
        channel.write(&[1; 8]).unwrap();
        channel.platform().pass(1 << 45);
        channel.write(&[1; 8]).unwrap();
        channel.flush();
        assert_eq!(channel.stats(0).unwrap().packets, 1);
    });
}

#[test]
fn wherever_time_passes_every_record_has_its_own() {
    let mut tried = 0;
    for jump in JUMPS {
        for program in PROGRAMS {
            tried += every_step(|at| {
                on_channel(shape(), |channel| {
                    write(channel);
                    let late = move || {
                        channel.platform().pass(jump);
                        write(channel);
                        write(channel);
                    };
                    let interrupted = interrupt_at(at, || program(channel), late);
                    write(channel);
                    assert!(read(channel) >= 2);
                    interrupted
                })
            });
        }
    }
    assert!(tried > 500 || cfg!(miri), "{tried} steps");
}

#[test]
fn the_post_mortem_knows_the_times_too() {
    for jump in JUMPS {
        for program in PROGRAMS {
            every_step(|at| {
                on_channel(shape(), |channel| {
                    // What is noted of no packet yet is older than a stamp can tell.
                    channel.platform().pass(1 << 50);
                    write(channel);
                    let late = move || {
                        channel.platform().pass(jump);
                        write(channel);
                        for packet in salvage(channel) {
                            let begin = packet.packet().begin_ticks;
                            packet.committed().for_each(|run| {
                                check(run, begin);
                            });
                        }
                    };
                    interrupt_at(at, || program(channel), late)
                })
            });
        }
    }
}
