//! `hot`: every CPU spends its time in functions that are known, in shares that are known. What the
//! profiler says of it must be the same.
//!
//! All do the same work, so that a round costs the same in each: what it says at the end is how many
//! rounds each has done. Some are called by others, one calls itself, one runs with interrupts off,
//! one in the timer interrupt, one returns at once. Then the CPUs have nothing to do for a while.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::interrupts;

use super::definition::{Scenario, Verdict};
use super::part::Part;
use crate::arch::frame::Interrupted;
use crate::base::cmdline::Options;
use crate::base::settings::{About, Preset, Setting, Takes};
use crate::cpu::clock::Timeout;
use crate::cpu::percpu;
use crate::life::idle;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "hot",
        about: "every CPU works in known functions for known shares of its time, for profiles",
        settings: &[TURNS],
    },
    boot_cpu,
    other_cpu: take_part,
    on_timer,
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// How often each CPU does all of it.
const TURNS: Setting = Setting {
    key: "turns",
    about: "how often each CPU goes through all functions",
    takes: Takes::number(1, 1_000_000, ""),
    default: Preset::Value(250),
};

/// Rounds of a turn, in hundredths.
const HUNDREDTH: u64 = 2_000;
/// How often a function is called that does next to nothing.
const CALLS: u64 = 5 * HUNDREDTH;
/// Rounds in a timer interrupt.
const IN_INTERRUPT: u64 = 40_000;
/// How deep the function that calls itself does so.
const DEPTH: u64 = 8;
/// How long the CPUs have nothing to do at the end.
const IDLE_MS: u64 = 50;
/// How long nothing may happen before the scenario fails.
const PATIENCE_MS: u64 = 20_000;

/// The functions.
#[derive(Clone, Copy)]
enum Hot {
    Most,
    Outer,
    Middle,
    Inner,
    Recursive,
    Closed,
    Seldom,
    Interrupt,
}

/// Their names in the log, which are those in the program, and their rounds on all CPUs.
static FUNCTIONS: [(&str, AtomicU64); 8] = [
    ("most", AtomicU64::new(0)),
    ("outer", AtomicU64::new(0)),
    ("middle", AtomicU64::new(0)),
    ("inner", AtomicU64::new(0)),
    ("recursive", AtomicU64::new(0)),
    ("closed", AtomicU64::new(0)),
    ("seldom", AtomicU64::new(0)),
    ("in_interrupt", AtomicU64::new(0)),
];

/// Does so many rounds of work for the function that this is inlined into.
#[inline(always)]
fn work(function: Hot, rounds: u64) -> u64 {
    let mut state = black_box(function as u64 + 1);
    for _ in 0..rounds {
        // Marsaglia's xorshift64: nothing that a compiler could take together.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    let (_, done) = &FUNCTIONS[function as usize];
    done.fetch_add(rounds, Ordering::Relaxed);
    black_box(state)
}

#[inline(never)]
fn most() -> u64 {
    work(Hot::Most, 40 * HUNDREDTH)
}

#[inline(never)]
fn outer() -> u64 {
    let own = work(Hot::Outer, 5 * HUNDREDTH);
    black_box(middle() ^ own)
}

#[inline(never)]
fn middle() -> u64 {
    let own = work(Hot::Middle, 5 * HUNDREDTH);
    black_box(inner() ^ own)
}

#[inline(never)]
fn inner() -> u64 {
    work(Hot::Inner, 20 * HUNDREDTH)
}

#[inline(never)]
fn recursive(depth: u64) -> u64 {
    let own = work(Hot::Recursive, 10 * HUNDREDTH / DEPTH);
    match depth {
        1 => own,
        _ => black_box(recursive(black_box(depth - 1)) ^ own),
    }
}

/// Called with interrupts off.
#[inline(never)]
fn closed() -> u64 {
    work(Hot::Closed, 15 * HUNDREDTH)
}

#[inline(never)]
fn seldom() -> u64 {
    work(Hot::Seldom, 5 * HUNDREDTH)
}

/// Calls [`brief`] again and again.
#[inline(never)]
fn many() -> u64 {
    (0..CALLS).fold(1, |state, _| brief(state))
}

/// So short that many samples come before it has a frame, or after. It counts no rounds.
#[inline(never)]
fn brief(state: u64) -> u64 {
    black_box(state).rotate_left(7) ^ 1
}

/// Called in the timer interrupt.
#[inline(never)]
fn in_interrupt() -> u64 {
    work(Hot::Interrupt, IN_INTERRUPT)
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
    take_part(options);
    let cpus = percpu::online();
    let done = || cpus.iter().filter(|&cpu| Part::of(cpu).is_done()).count();
    let rounds = || {
        FUNCTIONS
            .iter()
            .map(|(_, done)| done.load(Ordering::Relaxed))
    };
    let mut seen: u64 = rounds().sum();
    let mut patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| {
        let now = rounds().sum();
        if now != seen {
            seen = now;
            patience = Timeout::after_ms(PATIENCE_MS);
        }
        done() == cpus.iter().count() || patience.expired()
    });
    let rest = Timeout::after_ms(IDLE_MS);
    idle::until(|| rest.expired());
    for ((name, _), rounds) in FUNCTIONS.iter().zip(rounds()) {
        relay::info!("{name} did {rounds} rounds");
    }
    match done() == cpus.iter().count() {
        true => Verdict::Pass,
        false => {
            relay::error!("not all CPUs have done what they should");
            Verdict::Fail
        }
    }
}

/// One CPU's part.
fn take_part(options: &Options<'static>) {
    let part = Part::of(percpu::cpu_index());
    part.begin();
    for _ in 0..options.value(&TURNS).unwrap_or_default() {
        black_box(most());
        black_box(outer());
        black_box(recursive(black_box(DEPTH)));
        black_box(interrupts::without_interrupts(closed));
        black_box(seldom());
        black_box(many());
    }
    part.end();
}

/// The timer interrupt's share, while the task works.
fn on_timer(_interrupted: &Interrupted) {
    if Part::of(percpu::cpu_index()).is_writing() {
        black_box(in_interrupt());
    }
}
