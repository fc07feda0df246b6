//! Random programs: long sequences of operations with random nestings, in random geometries, from
//! positions near the end of their range; and, for programs without nesting, a simple model of a
//! buffer as the oracle of every single outcome.

extern crate std;

use super::world::{Config, Op, World};
use crate::ring::{Delivery, Geometry, Mode};
use crate::sync::step::with_hook;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

fn config(kinds: core::ops::Range<i32>) -> impl Strategy<Value = Config> {
    let shape = (4u32..8, 1u32..4, 0usize..3, 0usize..4, 0usize..4);
    (shape, kinds, 0u64..40).prop_map(|((size, count, spares, start, end), kind, at)| {
        let (mode, delivery) = match kind {
            0 => (Mode::NoOverwrite, Delivery::Bulk),
            1 => (Mode::Continuous, Delivery::Bulk),
            _ => (Mode::NoOverwrite, Delivery::Record),
        };
        let geometry = Geometry::new(1 << size, 1 << count)
            .and_then(|g| g.with_reserves(start, end))
            .and_then(|g| g.with_mode(mode)?.with_delivery(delivery))
            .and_then(|g| g.with_spares(spares))
            .unwrap();
        // A quarter of the rings pass the end of the range, near which no record goes the fast way.
        Config {
            geometry,
            first: at.wrapping_sub(10),
        }
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (2usize..40).prop_map(Op::Write),
        3 => (2usize..40).prop_map(Op::InPlace),
        2 => (2usize..20).prop_map(Op::GiveUp),
        1 => (2usize..5, 2usize..12).prop_map(|(count, len)| Op::Burst(count, len)),
        2 => Just(Op::Flush),
        1 => Just(Op::Tick),
        2 => Just(Op::Drain),
        1 => Just(Op::Hold),
        1 => Just(Op::Release),
        1 => (4u32..7, 1u32..3).prop_map(|(size, count)| Op::Replace(1 << size, 1 << count)),
        1 => (4u32..7, 1u32..3).prop_map(|(size, count)| Op::Offer(1 << size, 1 << count)),
        2 => (3usize..40, 2usize..30).prop_map(|(len, to)| Op::Keep(len, to.min(len))),
        2 => (2usize..20, 1usize..6, 2usize..20).prop_map(|(len, count, inner)| Op::Around(len, count, inner)),
        2 => Just(Op::Observe),
        1 => (1usize..5).prop_map(Op::ReadLast),
        1 => Just(Op::Reclaim),
        1 => Just(Op::Reset),
    ]
}

/// Runs `ops`; at the steps named by `gaps`, the next of `nested` runs to its end, and may be
/// interrupted itself.
fn run_nested(world: &Rc<World>, ops: &[Op], nested: Vec<Op>, gaps: Vec<usize>) -> usize {
    struct Interrupts {
        world: Rc<World>,
        queue: RefCell<VecDeque<(usize, Op)>>,
        level: Cell<usize>,
        taken: Cell<usize>,
    }

    fn interrupt(this: &Rc<Interrupts>) {
        let op = {
            let mut queue = this.queue.borrow_mut();
            match queue.front_mut() {
                Some((0, op)) if this.level.get() < 3 => {
                    let op = *op;
                    queue.pop_front();
                    op
                }
                Some((gap, _)) => {
                    *gap = gap.saturating_sub(1);
                    return;
                }
                None => return,
            }
        };
        this.taken.set(this.taken.get() + 1);
        this.level.set(this.level.get() + 1);
        perform(this, op);
        this.level.set(this.level.get() - 1);
    }

    fn perform(this: &Rc<Interrupts>, op: Op) {
        let inner = Rc::clone(this);
        with_hook(move || interrupt(&inner), || this.world.perform(op));
    }

    let interrupts = Rc::new(Interrupts {
        world: Rc::clone(world),
        queue: RefCell::new(gaps.into_iter().zip(nested).collect()),
        level: Cell::new(0),
        taken: Cell::new(0),
    });
    for op in ops {
        perform(&interrupts, *op);
    }
    interrupts.taken.get()
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 1 } else { count },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn every_record_of_a_random_nested_program_is_accounted_for() {
    proptest!(cases(4000), |(
        config in config(0..3),
        ops in proptest::collection::vec(op(), 1..if cfg!(miri) { 12 } else { 25 }),
        nested in proptest::collection::vec(op(), 1..if cfg!(miri) { 12 } else { 20 }),
        gaps in proptest::collection::vec(0usize..40, 20),
    )| {
        let world = Rc::new(World::new(config));
        run_nested(&world, &ops, nested, gaps);
        world.check();
    });
}

/// A buffer as one would explain it: a queue of packets.
struct Model {
    geometry: Geometry,
    /// Records of the packet that is being filled, if one is: bytes used, number of records.
    open: Option<(usize, u64)>,
    /// Complete packets that nobody has read: number of records.
    complete: VecDeque<u64>,
    full: u64,
    too_big: u64,
    overwritten: u64,
    delivered: u64,
    /// Losses were counted since the last packet was closed.
    untold: bool,
}

impl Model {
    fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            open: None,
            complete: VecDeque::new(),
            full: 0,
            too_big: 0,
            overwritten: 0,
            delivered: 0,
            untold: false,
        }
    }

    fn limit(&self) -> usize {
        self.geometry.subbuf_size() - self.geometry.end_reserve()
    }

    fn close(&mut self) {
        if let Some((_, records)) = self.open.take() {
            self.complete.push_back(records);
            self.untold = false;
        }
    }

    /// Makes room for one more packet beside the open one; false if it is full.
    fn make_room(&mut self, open: usize) -> bool {
        if self.complete.len() + open < self.geometry.subbuf_count() {
            return true;
        }
        if self.geometry.mode() == Mode::NoOverwrite {
            return false;
        }
        self.overwritten += self.complete.pop_front().unwrap();
        true
    }

    fn write(&mut self, len: usize) {
        if len > self.geometry.max_record() {
            self.too_big += 1;
            self.untold = true;
            return;
        }
        let fits = self
            .open
            .is_some_and(|(used, _)| used + len <= self.limit());
        if !fits {
            if !self.make_room(usize::from(self.open.is_some())) {
                self.full += 1;
                self.untold = true;
                return;
            }
            self.close();
            self.open = Some((self.geometry.start_reserve(), 0));
        }
        let limit = self.limit();
        let (used, records) = self.open.as_mut().unwrap();
        *used += len;
        *records += 1;
        if *used == limit {
            self.close();
        }
    }

    fn flush(&mut self) {
        if self.open.is_some() {
            self.close();
        } else if self.untold && self.make_room(0) {
            self.complete.push_back(0);
            self.untold = false;
        }
    }

    fn drain(&mut self) {
        self.delivered += self.complete.drain(..).sum::<u64>();
    }
}

#[test]
fn without_nesting_every_outcome_is_that_of_a_simple_model() {
    let simple = prop_oneof![
        8 => (2usize..40).prop_map(Op::Write),
        2 => Just(Op::Flush),
        2 => Just(Op::Drain),
    ];
    proptest!(cases(4000), |(
        config in config(0..2),
        ops in proptest::collection::vec(simple, 1..80),
    )| {
        let world = World::new(config);
        let mut model = Model::new(config.geometry);
        for op in ops {
            world.perform(op);
            match op {
                Op::Write(len) => model.write(len),
                Op::Flush => model.flush(),
                _ => model.drain(),
            }
            let stats = world.stream().stats();
            let (full, too_big) = (crate::Loss::Full, crate::Loss::TooBig);
            prop_assert_eq!(stats.lost.get(full), model.full, "after {:?}", op);
            prop_assert_eq!(stats.lost.get(too_big), model.too_big);
            prop_assert_eq!(stats.lost.total(), model.full + model.too_big);
            prop_assert_eq!(stats.overwritten, model.overwritten);
            prop_assert_eq!(world.delivered(), model.delivered);
        }
        world.check();
    });
}
