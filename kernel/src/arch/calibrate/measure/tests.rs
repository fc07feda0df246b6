//! Tests of `measure`: clocks that are well, and every kind of nonsense.

use std::cell::Cell;

use super::*;

/// The rates of the pretended machine.
const RATES: Rates = Rates {
    tsc: 2_600_000_000,
    apic: 62_500_000,
};

/// How long a look at a counter takes, in nanoseconds.
const LOOK: u64 = 300;

/// A machine whose time passes when somebody looks at a counter.
struct World {
    /// Nanoseconds since its start.
    now: Cell<u64>,
    /// Looks so far.
    looks: Cell<u64>,
    /// What its counters do.
    rates: Rates,
    /// For how long the host lets the CPU stand still before a look, by the number of the look.
    stands_still: fn(u64) -> u64,
}

impl World {
    fn new(rates: Rates, stands_still: fn(u64) -> u64) -> Self {
        Self {
            now: Cell::new(123_456_789),
            looks: Cell::new(0),
            rates,
            stands_still,
        }
    }

    /// Another look; the time now.
    fn look(&self) -> u64 {
        let number = self.looks.get();
        self.looks.set(number + 1);
        let now = self.now.get() + LOOK + (self.stands_still)(number);
        self.now.set(now);
        now
    }
}

impl Counters for World {
    fn tsc(&self) -> u64 {
        // As if the host had been up for long: it passes 2^64 soon.
        scale(self.look(), self.rates.tsc, NS).wrapping_sub(600_000_000)
    }

    fn apic(&self) -> u32 {
        scale(self.look(), self.rates.apic, NS) as u32
    }
}

const NS: u64 = 1_000_000_000;

/// A clock of the machine that says it counts at `hz`.
struct Clock<'a, F> {
    world: &'a World,
    hz: u64,
    mask: u64,
    /// What it shows, by the time.
    shows: F,
}

impl<F: Fn(u64) -> u64> Reference for Clock<'_, F> {
    fn hz(&self) -> u64 {
        self.hz
    }

    fn mask(&self) -> u64 {
        self.mask
    }

    fn count(&self) -> u64 {
        (self.shows)(self.world.look()) & self.mask
    }
}

/// The clocks of a PC: rate and bits.
const HPET: (u64, u64) = (100_000_000, u64::MAX);
const PM_TIMER: (u64, u64) = (3_579_545, 0xff_ffff);
const PIT: (u64, u64) = (1_193_182, 0xffff);

/// What is measured in a world by a clock that shows `shows` at a time in nanoseconds.
fn by(
    world: &World,
    (hz, mask): (u64, u64),
    shows: impl Fn(u64) -> u64,
) -> Result<Rates, Distrust> {
    let clock = Clock {
        world,
        hz,
        mask,
        shows,
    };
    measure(world, &clock)
}

/// What is measured by a clock that is well.
fn well(stands_still: fn(u64) -> u64, clock: (u64, u64)) -> Result<Rates, Distrust> {
    let world = World::new(RATES, stands_still);
    by(&world, clock, |now| scale(now, clock.0, NS))
}

/// Checks that the result is right to one part in so many.
#[track_caller]
fn assert_right(result: Result<Rates, Distrust>, parts: u64) {
    let rates = result.unwrap();
    for (is, should) in [(rates.tsc, RATES.tsc), (rates.apic, RATES.apic)] {
        assert!(is.abs_diff(should) < should / parts, "{is}, not {should}");
    }
}

#[test]
fn every_clock_of_a_pc_gives_the_right_rates() {
    for clock in [HPET, PM_TIMER, PIT] {
        assert_right(well(|_| 0, clock), 1500);
    }
}

#[test]
fn clocks_may_wrap() {
    // 24 bits, and 16, which pass their end in the first round; and 13, which do in nearly each.
    for clock in [PM_TIMER, PIT, (1_600_000, 0x1fff)] {
        let world = World::new(RATES, |_| 0);
        let begin = world.now.get();
        let result = by(&world, clock, |now| {
            scale(now - begin, clock.0, NS).wrapping_sub(1000)
        });
        assert_right(result, 1500);
    }
}

#[test]
fn a_cpu_that_stands_still_is_late_and_not_wrong() {
    // At every place of the loop, and at the samples; for as long as no counter wraps.
    for clock in [HPET, PM_TIMER, PIT] {
        let often = |number: u64| {
            if number.is_multiple_of(1_500) {
                4_000_000
            } else {
                0
            }
        };
        assert_right(well(often, clock), 700);
        let seldom = |number: u64| {
            if number.is_multiple_of(9_001) {
                20_000_000
            } else {
                0
            }
        };
        assert_right(well(seldom, clock), 700);
    }
}

#[test]
fn rounds_that_are_disturbed_do_not_count() {
    // The PIT passes its end unseen: the round says that 55 ms less have passed.
    let once = |number: u64| if number == 5_000 { 70_000_000 } else { 0 };
    assert_right(well(once, PIT), 1500);
    // And in each of the first rounds, for other times.
    let first = |number: u64| match number % 8_000 {
        4_000 if number < 40_000 => 60_000_000 + number * 100,
        _ => 0,
    };
    assert_right(well(first, PIT), 700);
    // In each sample one of the tries: the others count.
    let tries = |number: u64| match number % 40 {
        0 => number / 40 % 7 * 40_000,
        _ => 0,
    };
    assert_right(well(tries, HPET), 1500);
    // Samples that always take long, the one longer, the other less.
    let noise = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
    assert_right(well(noise, HPET), 300);
}

#[test]
fn a_clock_that_stands_still_is_none() {
    let world = World::new(RATES, |_| 0);
    // As a port that nobody answers.
    assert_eq!(by(&world, PIT, |_| u64::MAX), Err(Distrust::Still));
    assert!(world.looks.get() < 10 * u64::from(LOOKS));
    assert_eq!(by(&world, HPET, |_| 0), Err(Distrust::Still));
    // It moves, a count a second.
    let world = World::new(RATES, |number| number);
    assert_eq!(by(&world, HPET, |now| now / NS), Err(Distrust::Still));
    // It stops in the middle.
    let world = World::new(RATES, |_| 0);
    let stops = |now: u64| scale(now.min(126_000_000), HPET.0, NS);
    assert_eq!(by(&world, HPET, stops), Err(Distrust::Still));
}

#[test]
fn a_clock_that_is_much_too_fast_or_slow_is_none() {
    let world = World::new(RATES, |_| 0);
    let result = by(&world, HPET, |now| scale(now, HPET.0 * 100, NS));
    let Err(Distrust::Impossible(rates)) = result else {
        panic!("{result:?}");
    };
    assert!(rates.tsc.abs_diff(26_000_000) < 1_000_000, "{rates:?}");
    let result = by(&world, HPET, |now| scale(now, HPET.0 / 100, NS));
    assert!(matches!(result, Err(Distrust::Impossible(_))), "{result:?}");
    // It is over at once, whenever one looks: a count that jumps.
    let looks = Cell::new(0_u64);
    let result = by(&world, HPET, |_| {
        looks.set(looks.get() + 1_000_000);
        looks.get()
    });
    assert!(matches!(result, Err(Distrust::Impossible(_))), "{result:?}");
}

#[test]
fn a_clock_whose_rounds_disagree_is_none() {
    // Its rate grows all the time, by 3 % a round and more: never twice the same.
    let world = World::new(RATES, |_| 0);
    let begin = world.now.get();
    let result = by(&world, HPET, |now| {
        let passed = (now - begin) as f64 / NS as f64;
        (HPET.0 as f64 * (passed + 4.0 * passed * passed)) as u64
    });
    let Err(Distrust::Unsteady { last: [a, b] }) = result else {
        panic!("{result:?}");
    };
    assert!(!a.agree(b), "{a:?} {b:?}");
}

#[test]
fn counters_that_stand_still_have_no_rate() {
    for rates in [Rates { tsc: 0, ..RATES }, Rates { apic: 0, ..RATES }] {
        let world = World::new(rates, |_| 0);
        let result = by(&world, HPET, |now| scale(now, HPET.0, NS));
        assert!(matches!(result, Err(Distrust::Impossible(_))), "{result:?}");
    }
    // And nothing moves at all.
    let world = World::new(Rates { tsc: 0, apic: 0 }, |_| 0);
    assert_eq!(by(&world, HPET, |_| 5), Err(Distrust::Still));
}

#[test]
fn the_timer_is_measured_by_a_counter_that_is_known() {
    let world = World::new(RATES, |_| 0);
    let is = apic_rate(&world, RATES.tsc).unwrap();
    assert!(is.abs_diff(RATES.apic) < RATES.apic / 1000, "{is}");
    // A counter that is said to be faster makes the timer faster, too: an assumption may do so.
    let is = apic_rate(&world, RATES.tsc * 2).unwrap();
    assert!(is.abs_diff(2 * RATES.apic) < RATES.apic / 500, "{is}");
    for rates in [Rates { tsc: 0, ..RATES }, Rates { apic: 0, ..RATES }] {
        assert_eq!(apic_rate(&World::new(rates, |_| 0), RATES.tsc), None);
    }
}

#[test]
fn what_is_not_believed_is_said() {
    let still = Distrust::Still.to_string();
    assert_eq!(still, "it stands still");
    let fast = Rates {
        tsc: 4_000_000,
        apic: 100_000,
    };
    assert_eq!(
        Distrust::Impossible(fast).to_string(),
        "by it the TSC has 4000000 Hz and the local APIC timer 100000 Hz; possible are 100000000 \
         to 10000000000 and 600000 to 650000000"
    );
    assert_eq!(
        Distrust::Unsteady {
            last: [RATES, fast]
        }
        .to_string(),
        "no two of 10 measurements agree; by the last two the TSC has 2600000000 and 4000000 Hz"
    );
}
