//! `stress`: every CPU writes records of random lengths in every way, from task, timer interrupt,
//! interrupts of other CPUs and NMIs, which all send to all.
//!
//! The records go to `flood`, so the host checks each of them, the claims and the ledger. What was
//! interrupted where is counted ([`nestings`]), and the run goes on until there was enough of each
//! kind, for a time, and fails if there was none: a race that nothing has run into proves nothing. A kernel with the feature
//! `stress` can tell the kinds apart; QEMU's translator takes interrupts between blocks of
//! instructions only, and the feature ends a block before each swap.

pub(super) mod nestings;
pub(super) mod random;
pub(super) mod writer;

use core::sync::atomic::{AtomicBool, Ordering};

use super::definition::{Scenario, Verdict};
use super::part::Part;
use crate::arch::frame::Interrupted;
use crate::arch::{smp, stop};
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::base::settings::{About, COUNT, MODE, Preset, Range, SECONDS, SUBBUF, Setting, Takes};
use crate::cpu::clock::{self, Timeout};
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::flood::CHANNEL;
use nestings::{Kind, Nestings};
use random::Random;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "stress",
        about: "every CPU writes in every way and context, and interrupts all others",
        settings: &[RECORDS, SECONDS, EXTEND, SEED, MODE, SMALL, FEW],
    },
    boot_cpu,
    other_cpu: take_part,
    on_timer: |interrupted| on_interrupt(Kind::Timer, interrupted),
    on_ipi: |interrupted| on_interrupt(Kind::Ipi, interrupted),
    on_nmi: |interrupted| on_interrupt(Kind::Nmi, interrupted),
};

/// How many records each CPU writes at least, unless it is told how long it shall write.
const RECORDS: Setting = Setting {
    key: "records",
    about: "how many records each CPU writes at least",
    takes: Takes::number(0, u64::MAX, ""),
    default: Preset::Else("20000, or as many as it can where seconds are set"),
};
/// Its default.
const DEFAULT: u64 = 20_000;
const SEED: Setting = Setting {
    key: "seed",
    about: "chooses lengths, ways of writing, and who interrupts whom",
    takes: Takes::number(0, u64::MAX, ""),
    default: Preset::Value(1),
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

/// How much longer the run goes on for nestings that are too few.
const EXTEND: Setting = Setting {
    key: "extend",
    about: "how much longer it lasts if interrupts came too rarely where they matter",
    takes: Takes::number(0, 3600, "seconds"),
    default: Preset::Value(60),
};
/// How long no CPU may write anything before the scenario fails.
const PATIENCE_MS: u64 = 20_000;
/// After so many records of a task it interrupts another CPU.
const BETWEEN: u64 = 8;

/// Nobody writes any more.
static IS_OVER: AtomicBool = AtomicBool::new(false);

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let cpus = percpu::online();
    let start = clock::ticks();
    let seconds = options.value(&SECONDS);
    let wanted = match (options.value(&RECORDS), seconds) {
        (Some(records), _) => records,
        (None, Some(_)) => 0,
        (None, None) => DEFAULT,
    };
    let mut end = Timeout::after_ms(seconds.unwrap_or(0) * 1000);
    let is_written = || cpus.iter().all(|cpu| Part::of(cpu).tried() >= wanted);
    let is_due = || is_written() && end.expired();
    write_until(options, is_due);
    // What is still wanted may come with time.
    let extension = options.value(&EXTEND).unwrap_or(0);
    end = Timeout::after_ms(extension * 1000);
    write_until(options, || {
        nestings::all(cpus).are_enough() || end.expired()
    });
    IS_OVER.store(true, Ordering::Release);
    Part::of(percpu::cpu_index()).end();
    let is_quiet = || cpus.iter().all(|cpu| Part::of(cpu).is_done());
    let patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| is_quiet() || patience.expired());
    let took = clock::micros(clock::ticks().wrapping_sub(start));
    let seen = nestings::all(cpus);
    tell(cpus, &seen, took);
    if !is_quiet() {
        log::error!("not all CPUs have stopped writing");
        return Verdict::Fail;
    }
    if seen.lack_some() {
        log::error!("nothing came where it matters: see above");
        return Verdict::Fail;
    }
    if !seen.are_enough() {
        log::warn!("less came where it matters than was wanted, in {extension} s more");
    }
    Verdict::Pass
}

/// The part of the other CPUs.
fn take_part(options: &Options<'static>) {
    write_until(options, || IS_OVER.load(Ordering::Acquire));
    Part::of(percpu::cpu_index()).end();
}

/// Writes in task context, and interrupts others, until `is_over`.
fn write_until(options: &Options<'static>, is_over: impl Fn() -> bool) {
    let me = percpu::cpu_index();
    let part = Part::of(me);
    let mut random = Random::new(options.value(&SEED).unwrap_or(1), me);
    let others = percpu::online().without(CpuSet::only(me));
    part.begin();
    while !is_over() {
        for _ in 0..BETWEEN {
            writer::write(part, &mut random);
        }
        let Some(other) = random.one_of(others) else {
            continue;
        };
        match random.below(2) {
            0 => smp::wake(CpuSet::only(other)),
            _ => stop::send_nmi(other),
        }
    }
}

/// The share of interrupts and NMIs: into the middle of whatever the CPU does.
fn on_interrupt(kind: Kind, interrupted: &Interrupted) {
    let cpu = percpu::cpu_index();
    let part = Part::of(cpu);
    if part.is_writing() {
        Nestings::of(cpu).note(kind, interrupted);
        writer::write_nested(part);
    }
}

/// Says what was written, and what was interrupted where.
fn tell(cpus: CpuSet, seen: &nestings::Sums, took: u64) {
    let tried: u64 = cpus.iter().map(|cpu| Part::of(cpu).tried()).sum();
    let stats = cpus.iter().filter_map(|cpu| CHANNEL.stats(cpu));
    let lost: u64 = stats.map(|stats| stats.lost.total()).sum();
    let lost = lost.saturating_add(CHANNEL.lost_no_ring());
    log::info!("{tried} records tried in {took} us, {lost} lost");
    seen.lines(|line| log::info!("{line}"));
}
