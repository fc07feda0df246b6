//! The post-mortem, at every step: wherever a CPU is stopped, in the middle of an operation and of
//! one that interrupted it, what it had committed is found, and nothing that it had not.

extern crate std;

use super::nesting::{configs, prefixes};
use super::world::{Config, Op, World};
use crate::sync::step::with_hook;
use std::cell::Cell;
use std::rc::Rc;

/// What a search has seen.
#[derive(Debug, Default)]
struct Tally {
    autopsies: Cell<usize>,
    holes: Cell<usize>,
    cuts: Cell<usize>,
}

impl Tally {
    fn note(&self, world: &World) {
        let (holes, cut) = world.autopsy();
        self.autopsies.set(self.autopsies.get() + 1);
        self.holes.set(self.holes.get() + usize::from(holes != 0));
        self.cuts.set(self.cuts.get() + usize::from(cut));
    }
}

const OUTER: [Op; 6] = [
    Op::Write(3),
    Op::Write(8),
    Op::InPlace(11),
    Op::GiveUp(5),
    Op::Flush,
    Op::Close,
];

const NESTED: [Op; 7] = [
    Op::Write(3),
    Op::Write(8),
    Op::GiveUp(5),
    Op::Burst(2, 8),
    Op::Flush,
    Op::Close,
    Op::Drain,
];

/// Says where it was when a test fails.
struct Told(Config, &'static [Op], Op, Option<Op>, usize);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(config, prefix, outer, nested, at) = self;
            std::eprintln!("{config:?}, {prefix:?}: {outer:?}, at step {at} {nested:?}");
        }
    }
}

/// Stops the CPU at every step of `outer`, and at every step of `nested`, which interrupts it at
/// every step.
fn stop_everywhere(outer: Op, nested: Option<Op>, tally: &Rc<Tally>) {
    for config in configs() {
        for prefix in prefixes() {
            for at in 1.. {
                let world = Rc::new(World::new(config));
                let _told = Told(config, prefix, outer, nested, at);
                for op in prefix {
                    world.perform(*op);
                }
                let steps = Rc::new(Cell::new(0));
                let hook = {
                    let (world, steps, tally) =
                        (Rc::clone(&world), Rc::clone(&steps), Rc::clone(tally));
                    move || {
                        steps.set(steps.get() + 1);
                        match nested {
                            None => tally.note(&world),
                            Some(op) if steps.get() == at => {
                                let (world, tally) = (Rc::clone(&world), Rc::clone(&tally));
                                let inner = Rc::clone(&world);
                                with_hook(move || tally.note(&inner), || world.perform(op));
                            }
                            Some(_) => {}
                        }
                    }
                };
                with_hook(hook, || world.perform(outer));
                tally.note(&world);
                if nested.is_none() || steps.get() < at {
                    break;
                }
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn what_was_committed_is_found_wherever_the_cpu_is_stopped() {
    let tally = Rc::new(Tally::default());
    for outer in OUTER {
        stop_everywhere(outer, None, &tally);
        for nested in NESTED {
            stop_everywhere(outer, Some(nested), &tally);
        }
    }
    std::eprintln!("{tally:?}");
    assert!(tally.autopsies.get() > 100_000 && tally.holes.get() > 10_000);
    assert!(
        tally.cuts.get() * 100 < tally.autopsies.get(),
        "something is in doubt in more than one of a hundred cases: {tally:?}"
    );
}
