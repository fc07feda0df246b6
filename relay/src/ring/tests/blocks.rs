//! Blocks that are exchanged, lent and given back while somebody writes: the combinations.

extern crate std;

use super::stage::{THIN, every_step, interrupt_at, on_channel, salvage};
use super::world::{Config, Op, World};
use crate::ring::entry::State;
use crate::ring::spares::Purpose;
use crate::sync::step::with_hook;
use crate::{Geometry, Mode};
use std::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

fn shape(mode: Mode, count: usize, spares: usize) -> Geometry {
    Geometry::new(16, count)
        .and_then(|shape| shape.with_mode(mode)?.with_spares(spares))
        .unwrap()
}

/// The reader exchanges a block at every step of a write, of one that opens a packet above all, and
/// gives it back at every later step, where another record may be written, too. What the writers
/// then write to is their own: every record is read as it was written.
#[test]
fn blocks_are_exchanged_at_every_step_of_an_opening() {
    let mut programs = 0;
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        let outers = [1, 2].into_iter().flat_map(|spares| {
            [Op::Write(9), Op::Write(16), Op::InPlace(9), Op::Flush].map(|op| (spares, op))
        });
        for (spares, outer) in outers.step_by(if cfg!(miri) { 5 } else { 1 }) {
            let config = Config {
                geometry: shape(mode, 2, spares),
                first: u64::MAX - 1,
            };
            for i in 1.. {
                let deep: usize = [&[][..], &[Op::Write(3)]]
                    .into_iter()
                    .map(|nested| {
                        (i + 1..)
                            .take_while(|j| is_exchanged_between(config, outer, nested, i, *j))
                            .count()
                    })
                    .sum();
                programs += deep;
                if deep == 0 {
                    break;
                }
            }
        }
    }
    assert!(
        programs > if cfg!(miri) { 20 } else { 8_000 },
        "only {programs} programs"
    );
}

/// At step `i` of `outer` the reader takes what there is, at step `j` it gives that back and takes
/// again, and `nested` happens. False if there is no step `j`.
fn is_exchanged_between(
    config: Config,
    outer: Op,
    nested: &'static [Op],
    i: usize,
    j: usize,
) -> bool {
    if cfg!(miri) && (i % 29 != 1 || j % 29 != 2) {
        return j < 60;
    }
    let world = Rc::new(World::new(config));
    for op in [Op::Write(16), Op::Write(9)] {
        world.perform(op);
    }
    let steps = Rc::new(Cell::new(0));
    let hook = {
        let (world, steps) = (Rc::clone(&world), Rc::clone(&steps));
        move || {
            steps.set(steps.get() + 1);
            if steps.get() == i {
                world.perform(Op::Hold);
            }
            if steps.get() == j {
                world.perform(Op::Hold);
                world.perform(Op::Release);
                world.perform(Op::Hold);
                nested.iter().for_each(|op| world.perform(*op));
            }
        }
    };
    with_hook(hook, || world.perform(outer));
    // Into the blocks that came back.
    for op in [Op::Burst(3, 16), Op::Drain, Op::Burst(4, 7)] {
        world.perform(op);
    }
    world.check();
    steps.get() >= j
}

/// A record is being filled, the fast way or as the first of its packet, while the reader exchanges
/// all blocks but its own, and others are written to them: it stays where it is.
#[test]
fn blocks_are_exchanged_while_a_record_is_filled() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for spares in 1..3 {
            for opens in [false, true] {
                let world = World::new(Config {
                    geometry: shape(mode, 4, spares),
                    first: 0,
                });
                world.perform(if opens { Op::Write(16) } else { Op::Write(3) });
                world.perform(Op::Around(9, 3, 15));
                for op in [Op::Hold, Op::Around(9, 3, 15), Op::Release] {
                    world.perform(op);
                }
                for op in [Op::Drain, Op::Around(5, 2, 15), Op::Hold, Op::Burst(3, 16)] {
                    world.perform(op);
                }
                world.check();
            }
        }
    }
}

/// While a packet is lent, its sub-buffer is overwritten: the next packet comes into the block that
/// stood in. The post-mortem finds it there.
#[test]
fn a_packet_that_comes_into_a_stand_in_is_found_there() {
    on_channel(shape(Mode::Continuous, 2, 1), |ch| {
        let put = |byte| ch.write(&[byte; 16]).unwrap();
        (0..2).for_each(put);
        let ring = ch.stream_of(0).current().unwrap();
        let entry = ring.entry(0);
        let loan = ring.lend(0, entry, 0).unwrap().unwrap();
        (2..4).for_each(put);
        drop(loan);
        let found: Vec<u8> = salvage(ch)
            .flat_map(|packet| packet.committed().flatten().copied().collect::<Vec<_>>())
            .collect();
        assert_eq!(found, [[2; 16], [3; 16]].concat());
    });
}

/// The owner looks at a victim that is lent, counts what the spare block says that stands for it,
/// and prepares it. If the observer has meanwhile given it back, lent another with the same spare,
/// and then the victim again, the entry is the same as before: what was counted must not be the
/// other's.
#[test]
fn a_victim_that_is_lent_again_and_again_is_counted_right() {
    let mut programs = 0;
    for i in (1..).step_by(THIN) {
        let steps = (i..)
            .step_by(THIN)
            .take_while(|j| is_victim_counted(i, *j))
            .inspect(|_| programs += 1)
            .count();
        if steps == 0 {
            break;
        }
    }
    assert!(programs * THIN > 20, "only {programs} programs");
}

/// The spare stands for packet 0, from step `i` of a write that overwrites that for packet 1, from
/// step `j` for packet 0 again. False if there is no step `j`.
fn is_victim_counted(i: usize, j: usize) -> bool {
    on_channel(shape(Mode::Continuous, 4, 1), |ch| {
        for len in [5, 5, 5, 16, 16, 16] {
            ch.write(&[7; 16][..len]).unwrap();
        }
        let ring = ch.stream_of(0).current().unwrap();
        let lend = |packet| {
            let entry = ring.entry(packet);
            let is_readable = entry.is_packet(packet) && entry.state() == State::Readable;
            is_readable.then(|| ring.lend(packet, entry, 0).unwrap())?
        };
        let loan = Rc::new(Cell::new(lend(0)));
        let steps = Rc::new(Cell::new(0));
        let hook = {
            let (loan, steps) = (Rc::clone(&loan), Rc::clone(&steps));
            move || {
                steps.set(steps.get() + 1);
                for (step, packet) in [(i, 1), (j, 0)] {
                    if step == steps.get() {
                        drop(loan.take());
                        loan.set(lend(packet));
                    }
                }
            }
        };
        with_hook(hook, || ch.write(&[7; 16]).unwrap());
        drop(loan.take());
        assert_eq!(ch.stats(0).unwrap().overwritten, 3, "({i}, {j})");
        assert!(ring.take_spare(Purpose::Lend(0)).is_some(), "({i}, {j})");
        steps.get() >= j
    })
}

/// Positions near the end of their range, where no record goes the fast way, and from there into
/// it: with a reader that exchanges, and one that is overtaken.
#[test]
fn nothing_happens_where_positions_wrap() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        let shape = shape(mode, 4, 1);
        let all = u64::MAX >> 5;
        // The first packet that is far from the end, and what lies before and behind it.
        let edge = (0..40).find(|back| !shape.is_near_the_end(all - back));
        assert_eq!(edge, None, "2^30 bytes are more than 40 packets");
        let far = all - (1 << 26) - 8;
        for first in [far - 2, far - 1, far, all - 9, all - 1, all] {
            let world = World::new(Config {
                geometry: shape,
                first,
            });
            for _ in 0..6 {
                world.perform(Op::Burst(5, 7));
                world.perform(Op::Hold);
                world.perform(Op::Around(5, 1, 7));
                world.perform(Op::Release);
                world.perform(Op::Drain);
            }
            world.check();
        }
    }
}

/// A ring is sealed near the end of the range of positions, and records of all lengths come in
/// between: a sealed position plus a length wraps to a small one, which must not be taken for one
/// that fits.
#[test]
fn no_record_goes_into_a_sealed_ring_where_positions_wrap() {
    let all = u64::MAX >> 5;
    for first in [all - 1, all] {
        for len in (2..70).step_by(if cfg!(miri) { 30 } else { 1 }) {
            every_step(|i| {
                let world = Rc::new(World::new(Config {
                    geometry: shape(Mode::NoOverwrite, 2, 0),
                    first,
                }));
                world.perform(Op::Write(8));
                let inner = Rc::clone(&world);
                let hit = interrupt_at(
                    i,
                    || world.perform(Op::Replace(64, 2)),
                    move || inner.perform(Op::Write(len)),
                );
                world.check();
                hit
            });
        }
    }
}
