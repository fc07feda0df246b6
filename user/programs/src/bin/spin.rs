//! Uses a CPU, for so many milliseconds as its argument says, or for ever; ends with code 0.
//!
//! `spin shares 250` goes through some functions so often instead, of which it is known for which
//! share of the time each runs: what a profile says of it must be the same.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use core::hint::black_box;
use core::time::Duration;

use relay_rt::{relay, time};

relay_rt::entry!(run);

/// Rounds of a turn, in hundredths.
const HUNDREDTH: u64 = 2_000;

/// How deep the function that calls itself does so.
const DEPTH: u64 = 5;

/// The functions, and for how many hundredths of the time each runs, without what it calls.
const SHARES: [(&str, u64); 4] = [("half", 50), ("outer", 10), ("inner", 25), ("deep", 15)];

fn run(arguments: &'static str) -> u32 {
    if let Some(turns) = arguments.strip_prefix("shares ") {
        return shares(turns.trim().parse().unwrap_or(1));
    }
    let wanted = arguments.trim().parse().map(Duration::from_millis);
    let end = wanted.ok().map(|wanted| time::now() + wanted);
    // The clock is a system call: it is looked at between long pieces of work.
    loop {
        for _ in 0..10_000 {
            core::hint::spin_loop();
        }
        if end.is_some_and(|end| time::now() >= end) {
            return 0;
        }
    }
}

/// Goes through all functions so often, and says what each has done.
fn shares(turns: u64) -> u32 {
    for _ in 0..turns {
        black_box(half());
        black_box(outer());
        black_box(deep(black_box(DEPTH)));
    }
    for (name, share) in SHARES {
        relay::info!("spin: {name} did {} rounds", share * HUNDREDTH * turns);
    }
    0
}

/// Does so many rounds of work for the function that this is inlined into.
#[inline(always)]
fn work(rounds: u64) -> u64 {
    let mut state = black_box(rounds);
    for _ in 0..rounds {
        // Marsaglia's xorshift64: nothing that a compiler could take together.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}

#[inline(never)]
fn half() -> u64 {
    work(50 * HUNDREDTH)
}

#[inline(never)]
fn outer() -> u64 {
    let own = work(10 * HUNDREDTH);
    black_box(inner() ^ own)
}

#[inline(never)]
fn inner() -> u64 {
    work(25 * HUNDREDTH)
}

#[inline(never)]
fn deep(depth: u64) -> u64 {
    let own = work(15 * HUNDREDTH / DEPTH);
    match depth {
        1 => own,
        _ => black_box(deep(black_box(depth - 1)) ^ own),
    }
}
