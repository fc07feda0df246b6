//! One thing at a time.

use super::world::{Config, Op, World};
use crate::ring::{Geometry, Mode};

#[test]
fn a_record_comes_out_as_it_went_in() {
    let world = World::new(Config {
        geometry: Geometry::new(16, 2).unwrap(),
        first: 0,
    });
    world.perform(Op::Write(5));
    world.perform(Op::Flush);
    world.perform(Op::Drain);
    world.check();
}

#[test]
fn many_of_everything() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for first in [0, u64::MAX - 1] {
            let geometry = Geometry::new(32, 4)
                .unwrap()
                .with_reserves(4, 2)
                .unwrap()
                .with_mode(mode)
                .unwrap();
            let world = World::new(Config { geometry, first });
            for op in [
                Op::Burst(9, 7),
                Op::Drain,
                Op::Write(26),
                Op::Write(27),
                Op::GiveUp(3),
                Op::Hold,
                Op::Burst(30, 6),
                Op::Hold,
                Op::Release,
                Op::Replace(16, 2),
                Op::Burst(3, 6),
                Op::Flush,
                Op::Tick,
                Op::Drain,
                Op::Close,
                Op::Write(4),
            ] {
                world.perform(op);
            }
            world.check();
        }
    }
}
