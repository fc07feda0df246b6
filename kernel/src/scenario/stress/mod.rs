//! `stress`: every CPU writes records of random lengths in every way, from task, timer interrupt,
//! interrupts of other CPUs and NMIs, which all send to all.
//!
//! The records go to `flood`, or all to the one stream of `shared`, so the host checks each of them,
//! the claims and the ledger. What was interrupted where is counted ([`nestings`]), and the run goes
//! on until there was enough of each kind, for a time, and fails if there was none: a race that
//! nothing has run into proves nothing. A kernel with the feature `stress` can tell the kinds apart;
//! QEMU's translator takes interrupts between blocks of instructions only, and the feature ends a
//! block before each swap.

mod channel;
pub(super) mod nestings;
mod plan;
pub(super) mod random;
mod ring_plan;
mod rings;
mod tale;
mod timer;
pub(super) mod writer;

use core::sync::atomic::{AtomicBool, Ordering};

use super::definition::{Scenario, Verdict};
use super::part::Part;
use crate::arch::frame::Interrupted;
use crate::arch::{smp, stop};
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::base::settings::{
    About, BEGIN, COUNT, DELIVERY, MODE, Preset, Range, SECONDS, SPARES, SUBBUF, Setting, Takes,
    USAGE,
};
use crate::cpu::clock::{self, Timeout};
use crate::cpu::percpu;
use crate::life::idle;
use nestings::{Kind, Nestings};
use plan::{CONTEXTS, EXTEND, Plan, RATE, RECORDS, SEED, TIMER, Writer};
use random::Random;
use ring_plan::{ADAPT, RESIZE};
use rings::Changes;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "stress",
        about: "every CPU writes in every way and context, and interrupts all others",
        settings: &[
            RECORDS, SECONDS, EXTEND, SEED, CONTEXTS, RATE, TIMER, MODE, SPARES, SMALL, FEW,
            DELIVERY, USAGE, BEGIN, RESIZE, ADAPT,
        ],
    },
    boot_cpu,
    other_cpu: take_part,
    on_timer: |interrupted| on_interrupt(Kind::Timer, interrupted),
    on_ipi: |interrupted| on_interrupt(Kind::Ipi, interrupted),
    on_nmi: |interrupted| on_interrupt(Kind::Nmi, interrupted),
};

/// The size of the sub-buffers: switches shall be frequent.
const SMALL: Setting = Setting {
    takes: Takes::PowerOfTwo(Range {
        least: 1024,
        most: 1 << 30,
        unit: "bytes",
    }),
    default: Preset::Value(4096),
    ..SUBBUF
};
/// How many there are.
const FEW: Setting = Setting {
    default: Preset::Value(64),
    ..COUNT
};

/// How long no CPU may write anything before the scenario fails.
const PATIENCE_MS: u64 = 20_000;
/// After so many records of a task it interrupts another CPU.
const BETWEEN: u64 = 8;

/// Nobody writes any more.
static IS_OVER: AtomicBool = AtomicBool::new(false);

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let plan = match Plan::read(options) {
        Ok(plan) => plan,
        Err(why) => {
            relay::error!("{why}");
            return Verdict::Fail;
        }
    };
    let cpus = percpu::online();
    let start = clock::ticks();
    let mut changes = Changes::new(plan.rings);
    let mut task = Task::begin(&plan);
    task.write_until(|| changes.may_begin());
    changes.leave_static_memory();
    task.write_until(|| changes.have_left());
    changes.begin();
    let end = Timeout::after_ms(plan.millis);
    let is_written = || cpus.iter().all(|cpu| Part::of(cpu).tried() >= plan.records);
    task.write_until(|| changes.are_done() && end.expired() && is_written());
    // What is still wanted may come with time.
    let end = Timeout::after_ms(plan.extension);
    task.write_until(|| nestings::all(cpus).are_enough() || end.expired());
    IS_OVER.store(true, Ordering::Release);
    task.end();
    let is_quiet = || cpus.iter().all(|cpu| Part::of(cpu).is_done());
    let patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| is_quiet() || patience.expired());
    let took = clock::micros(clock::ticks().wrapping_sub(start));
    let seen = nestings::all(cpus);
    tell(cpus, &seen, took);
    if !is_quiet() {
        relay::error!("not all CPUs have stopped writing");
        return Verdict::Fail;
    }
    changes.settle();
    if !changes.tell() {
        return Verdict::Fail;
    }
    if seen.owed > 0 {
        let owed = seen.owed;
        relay::error!("{owed} times a packet was complete, and nobody delivered it");
        return Verdict::Fail;
    }
    // Without any patience, that is left to who runs it.
    let is_wanted = plan.extension > 0;
    if is_wanted && seen.lack_some() {
        relay::error!("nothing came where it matters: see above");
        return Verdict::Fail;
    }
    if is_wanted && !seen.are_enough() {
        let more = plan.extension / 1000;
        relay::warn!("less came where it matters than was wanted, in {more} s more");
    }
    Verdict::Pass
}

/// The part of the other CPUs.
fn take_part(options: &Options<'static>) {
    // CPU 0 says what is wrong with it.
    let Ok(plan) = Plan::read(options) else {
        return;
    };
    let mut task = Task::begin(&plan);
    task.write_until(|| IS_OVER.load(Ordering::Acquire));
    task.end();
}

/// The task of a CPU, which writes and interrupts the others.
struct Task<'a> {
    plan: &'a Plan,
    part: &'static Part,
    nestings: &'static Nestings,
    random: Random,
    others: CpuSet,
    began: u64,
}

impl<'a> Task<'a> {
    /// From here on, what interrupts the calling CPU writes, too.
    fn begin(plan: &'a Plan) -> Self {
        let me = percpu::cpu_index();
        let part = Part::of(me);
        let mut random = Random::new(plan.seed, me);
        part.begin();
        timer::set(plan, &mut random);
        Self {
            plan,
            part,
            nestings: Nestings::of(me),
            random,
            others: percpu::online().without(CpuSet::only(me)),
            began: clock::ticks(),
        }
    }

    /// Writes and interrupts others until `is_over`.
    fn write_until(&mut self, mut is_over: impl FnMut() -> bool) {
        while !is_over() {
            match self.plan.has(Writer::Task) {
                true => (0..BETWEEN).for_each(|_| self.write()),
                false => wait_a_little(),
            }
            rings::step(&self.plan.rings, &mut self.random);
            self.interrupt_another();
            if let Some(rate) = self.plan.rate {
                idle::until(|| self.part.tried_here() <= self.allowed(rate) || is_over());
            }
        }
    }

    fn write(&mut self) {
        writer::write(self.part, &mut self.random);
        self.nestings.look();
    }

    /// How many records it may have written by now.
    fn allowed(&self, rate: u64) -> u64 {
        let since = clock::micros(clock::ticks().wrapping_sub(self.began));
        let allowed = u128::from(since) * u128::from(rate) / 1_000_000;
        u64::try_from(allowed).unwrap_or(u64::MAX)
    }

    fn interrupt_another(&mut self) {
        let Some(other) = self.random.one_of(self.others) else {
            return;
        };
        match self.random.below(2) {
            0 => smp::wake(CpuSet::only(other)),
            _ => stop::send_nmi(other),
        }
    }

    /// Nobody writes on the calling CPU any more.
    fn end(self) {
        self.part.end();
        timer::end(self.plan);
    }
}

/// Lets others do something.
fn wait_a_little() {
    (0..100).for_each(|_| core::hint::spin_loop());
}

/// The share of interrupts and NMIs: into the middle of whatever the CPU does.
fn on_interrupt(kind: Kind, interrupted: &Interrupted) {
    let cpu = percpu::cpu_index();
    let part = Part::of(cpu);
    let Some(plan) = Plan::get().filter(|_| part.is_writing()) else {
        return;
    };
    let came = Nestings::of(cpu).note(kind, interrupted.context);
    // An interrupt has no random numbers that go on from the last one: how often it came chooses.
    let mut random = Random::new(plan.seed ^ came << 2 ^ kind as u64, cpu);
    if plan.has(kind.writer()) {
        writer::write(part, &mut random);
    }
    // Whichever of them came last: the timer may have, and must not stop.
    if kind != Kind::Ipi {
        timer::set(&plan, &mut random);
    }
}

/// Says what was written, and what was interrupted where.
fn tell(cpus: CpuSet, seen: &nestings::Sums, took: u64) {
    let tried: u64 = cpus.iter().map(|cpu| Part::of(cpu).tried()).sum();
    let lost = channel::lost(cpus);
    relay::info!("{tried} records tried in {took} us, {lost} lost");
    seen.lines(|line| relay::info!("{line}"));
}
