//! Nesting, exhaustively: at every step of an operation of the CPU, another one runs to its end,
//! and at every step of that a third: task, IRQ and NMI. On the shipped code, with bursts that fill
//! a sub-buffer exactly and bursts of a whole lap; in both modes; with a reader that comes at any
//! step; from positions near the end of their range.

extern crate std;

use super::stage::THIN;
use super::world::{Config, Op, World};
use crate::ring::{Delivery, Geometry, Mode};
use crate::sync::step::{Mistake, with_hook, with_mistake};
use std::cell::Cell;
use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

/// The stage: two sub-buffers of 16 bytes make every switch, lap and collision frequent.
pub(super) fn configs() -> Vec<Config> {
    let mut configs = Vec::new();
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for (start, end) in [(0, 0), (2, 3)] {
            for spares in [0, 1] {
                let geometry = Geometry::new(16, 2)
                    .and_then(|g| g.with_reserves(start, end))
                    .and_then(|g| g.with_mode(mode)?.with_spares(spares))
                    .unwrap();
                // Half of them pass the end of the range of positions, near which no record goes
                // the fast way.
                let first = if (start == 0) == (spares == 0) {
                    u64::MAX - 1
                } else {
                    3
                };
                configs.push(Config { geometry, first });
            }
        }
    }
    configs
}

/// The same stage where records become readable one by one.
fn by_record() -> Config {
    let geometry = Geometry::new(16, 2)
        .and_then(|g| g.with_reserves(2, 3)?.with_delivery(Delivery::Record))
        .unwrap();
    Config {
        geometry,
        first: u64::MAX - 1,
    }
}

/// What the ring has seen before: nothing; a started packet; an almost full one; a full ring; a
/// full ring of which a reader holds the older half; a new ring that waits for the next tick.
pub(super) fn prefixes() -> [&'static [Op]; 6] {
    [
        &[],
        &[Op::Write(4)],
        &[Op::Write(8)],
        &[Op::Burst(2, 9), Op::Flush],
        &[Op::Burst(2, 9), Op::Flush, Op::Hold],
        &[Op::Burst(2, 9), Op::Offer(16, 4)],
    ]
}

/// Runs `outer`; at its step `at` runs `nested`. False if `outer` has no such step.
fn interrupt(
    world: &Rc<World>,
    outer: Op,
    at: usize,
    nested: impl Fn(&Rc<World>) + 'static,
) -> bool {
    let count = Rc::new(Cell::new(0));
    let hook = {
        let (world, count) = (Rc::clone(world), Rc::clone(&count));
        move || {
            count.set(count.get() + 1);
            if count.get() == at {
                nested(&world);
            }
        }
    };
    with_hook(hook, || world.perform(outer));
    count.get() >= at
}

/// One program: what, interrupted where, by what, interrupted where, by what.
type Program<'a> = (Config, &'a [Op], Op, usize, Op, usize, Op);

/// Runs a program and checks it; says whether both interruptions took place.
fn run((config, prefix, outer, i, nested, j, innermost): Program<'_>) -> (bool, bool) {
    let world = Rc::new(World::new(config));
    for op in prefix {
        world.perform(*op);
    }
    let deep = Rc::new(Cell::new(false));
    let inner = {
        let deep = Rc::clone(&deep);
        move |world: &Rc<World>| {
            if j == 0 {
                world.perform(nested);
            } else {
                deep.set(interrupt(world, nested, j, move |world| {
                    world.perform(innermost)
                }));
            }
        }
    };
    let happened = interrupt(&world, outer, i, inner);
    if happened {
        world.check();
    }
    (happened, deep.get())
}

/// Every program of depth 2 (`innermost` empty) or 3. Returns how many ran.
fn every(outers: &[Op], nesteds: &[Op], innermosts: &[Op]) -> Result<usize, String> {
    let mut programs = 0;
    let thin = if cfg!(miri) { 7 } else { 1 };
    let all = configs().into_iter().chain([by_record()]);
    for config in all.step_by(thin) {
        for prefix in prefixes().into_iter().step_by(thin) {
            for &outer in outers {
                for &nested in nesteds {
                    programs += every_step(config, prefix, outer, nested, innermosts)?;
                }
            }
        }
    }
    Ok(programs)
}

fn every_step(
    config: Config,
    prefix: &[Op],
    outer: Op,
    nested: Op,
    innermosts: &[Op],
) -> Result<usize, String> {
    let mut programs = 0;
    for i in (1..).step_by(THIN) {
        let mut happened = false;
        let mut attempt = |j, innermost| {
            let program = (config, prefix, outer, i, nested, j, innermost);
            programs += 1;
            catch_unwind(AssertUnwindSafe(|| run(program))).map_err(|cause| {
                let cause = cause
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| cause.downcast_ref::<&str>().map(|text| String::from(*text)));
                format!("{program:?}: {}", cause.unwrap_or_default())
            })
        };
        if innermosts.is_empty() {
            happened = attempt(0, Op::Flush)?.0;
        }
        for &innermost in innermosts {
            for j in (1..).step_by(THIN) {
                let (outer_hit, inner_hit) = attempt(j, innermost)?;
                happened |= outer_hit;
                if !inner_hit {
                    break;
                }
            }
        }
        if !happened {
            break;
        }
    }
    Ok(programs)
}

const LAP: Op = Op::Burst(5, 8);

const ALL: [Op; 12] = [
    Op::Write(3),
    Op::Write(8),
    Op::InPlace(11),
    Op::GiveUp(5),
    Op::Burst(2, 8),
    LAP,
    Op::Flush,
    Op::Tick,
    Op::Drain,
    Op::Hold,
    Op::Release,
    Op::Observe,
];

#[test]
fn every_nesting_of_two() {
    let mut outers = ALL.to_vec();
    outers.extend([
        Op::Replace(16, 2),
        Op::Replace(32, 4),
        Op::Close,
        Op::Keep(9, 3),
        Op::Around(5, 2, 8),
        Op::ReadLast(2),
        Op::Reset,
        Op::Reclaim,
    ]);
    if cfg!(miri) {
        // An interpreter has time for a sample.
        let sample = [Op::Write(8), Op::GiveUp(5), Op::Replace(16, 2)];
        every(&sample, &sample, &[]).unwrap();
        return;
    }
    let programs = every(&outers, &outers, &[]).unwrap();
    assert!(programs > 50_000, "only {programs} programs");
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn every_nesting_of_three() {
    let outers = [Op::Write(3), Op::InPlace(11), Op::GiveUp(5), Op::Flush];
    let nesteds = [Op::Write(8), Op::GiveUp(5), Op::Burst(2, 8), Op::Flush];
    let innermosts = [Op::Write(8), LAP, Op::Drain];
    let programs = every(&outers, &nesteds, &innermosts).unwrap();
    assert!(programs > 200_000, "only {programs} programs");
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn every_nesting_of_three_while_somebody_copies() {
    let outers = [Op::Observe, Op::ReadLast(2)];
    let nesteds = [Op::Write(8), Op::Burst(2, 8), Op::Drain, Op::Hold];
    let innermosts = [Op::Write(8), LAP, Op::Observe];
    every(&outers, &nesteds, &innermosts).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn every_nesting_of_three_around_a_resize() {
    // The prefix leaves a ring; the tick takes it; the old one is freed as soon as it can be.
    let outers = [Op::Offer(32, 2), Op::Tick, Op::Write(8), Op::Flush];
    let nesteds = [Op::Tick, Op::Write(8), Op::Drain];
    let innermosts = [Op::Write(3), Op::Reclaim];
    every(&outers, &nesteds, &innermosts).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn every_nesting_of_three_around_replacement_and_close() {
    let outers = [Op::Replace(16, 4), Op::Close, Op::Write(8)];
    let nesteds = [Op::Replace(32, 2), Op::Close, Op::Write(8)];
    let innermosts = [Op::Replace(16, 2), Op::Write(3)];
    every(&outers, &nesteds, &innermosts).unwrap();
}

/// The tests above would notice `mistake`.
fn is_noticed(mistake: Mistake, outers: &[Op], nesteds: &[Op], innermosts: &[Op]) {
    let result = with_mistake(mistake, || every(outers, nesteds, innermosts));
    let found = result.expect_err("the mistake went unnoticed");
    std::eprintln!("{mistake:?} is noticed by {found}");
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn a_removed_recheck_in_delivery_is_noticed() {
    is_noticed(Mistake::NoRecheck, &ALL, &ALL, &[]);
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn a_swapped_order_of_count_and_claim_is_noticed() {
    is_noticed(Mistake::PrepareBeforeCount, &ALL, &ALL, &[]);
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn a_commit_before_the_bytes_is_noticed() {
    is_noticed(
        Mistake::CommitBeforeBytes,
        &ALL,
        &ALL,
        &[Op::Flush, Op::Drain],
    );
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn a_false_full_or_wrapped_is_noticed() {
    is_noticed(Mistake::NoMovedCheck, &ALL, &ALL, &[]);
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn a_clock_outside_the_loop_is_noticed() {
    is_noticed(Mistake::ClockOutsideLoop, &ALL, &ALL, &[]);
}
