//! Measuring two counters of unknown rate against one of known rate, which may answer nonsense.
//!
//! What comes out is believed only if it is possible at all, and came out twice: a clock that
//! stands still, jumps, runs at another rate than it says, or is read late by a host that let the
//! CPU stand still, does not give the same answer again.

use core::array;
use core::fmt;
use core::ops::RangeInclusive;

use crate::cpu::clock::scale;

/// How long a round takes at the least. The grain of the slowest reference is 0.8 µs, and the
/// sampling error some 2 µs: 5 ms give 0.05 %. Two rounds are the rule: longer would delay the
/// first log line.
const ROUND_US: u64 = 5_000;
/// How many rounds there are before a reference is given up.
const ROUNDS: usize = 10;
/// Rounds agree if they differ by less than one part in this many.
const AGREEMENT: u64 = 400;
/// Rates that the time stamp counter of an x86-64 CPU can have: the slowest counts 0.8 GHz, the
/// fastest some 6, an emulator's what it likes in between.
const TSC_HZ: RangeInclusive<u64> = 100_000_000..=10_000_000_000;
/// Rates that the local APIC's timer can have after division: a bus of 10 MHz to 10 GHz.
const APIC_HZ: RangeInclusive<u64> = 600_000..=650_000_000;
/// A reference that shows the same as often as this stands still: each look takes 0.1 µs and more.
const LOOKS: u32 = 100_000;
/// Ticks in which a round must be over: a second at the least on any CPU.
const LIMIT: u64 = 10_000_000_000;

/// A counter whose rate is known.
pub(super) trait Reference {
    /// Counts per second.
    fn hz(&self) -> u64;
    /// The bits that it has.
    fn mask(&self) -> u64;
    /// What it shows.
    fn count(&self) -> u64;
}

/// The counters that are measured.
pub(super) trait Counters {
    /// The time stamp counter.
    fn tsc(&self) -> u64;
    /// Counts of the local APIC's timer, upwards.
    fn apic(&self) -> u32;
}

/// Counts per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    /// Of the time stamp counter.
    pub(super) tsc: u64,
    /// Of the local APIC's timer.
    pub(super) apic: u64,
}

impl Rates {
    /// Whether there can be such a machine.
    fn are_possible(self) -> bool {
        TSC_HZ.contains(&self.tsc) && APIC_HZ.contains(&self.apic)
    }

    fn agree(self, other: Self) -> bool {
        let close = |a: u64, b: u64| a.abs_diff(b) < a.max(b) / AGREEMENT;
        close(self.tsc, other.tsc) && close(self.apic, other.apic)
    }

    fn mean(self, other: Self) -> Self {
        Self {
            tsc: self.tsc.midpoint(other.tsc),
            apic: self.apic.midpoint(other.apic),
        }
    }
}

/// Whether a time stamp counter can have this rate.
pub(super) fn is_possible(tsc_hz: u64) -> bool {
    TSC_HZ.contains(&tsc_hz)
}

/// Why a reference is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It stands still, or nearly.
    Still,
    /// By it the counters have rates that they cannot have.
    Impossible(Rates),
    /// No two rounds had the same result.
    Unsteady {
        /// The results of the last two.
        last: [Rates; 2],
    },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Still => f.write_str("it stands still"),
            Self::Impossible(Rates { tsc, apic }) => write!(
                f,
                "by it the TSC has {tsc} Hz and the local APIC timer {apic} Hz; possible are {} to \
                 {} and {} to {}",
                TSC_HZ.start(),
                TSC_HZ.end(),
                APIC_HZ.start(),
                APIC_HZ.end()
            ),
            Self::Unsteady { last: [a, b] } => write!(
                f,
                "no two of {ROUNDS} measurements agree; by the last two the TSC has {} and {} Hz",
                a.tsc, b.tsc
            ),
        }
    }
}

/// Measures until two rounds agree.
///
/// # Errors
/// [`Distrust`]: what the reference says cannot be believed.
pub(super) fn measure(
    counters: &impl Counters,
    reference: &impl Reference,
) -> Result<Rates, Distrust> {
    let mut rounds: [Option<Rates>; ROUNDS] = [None; ROUNDS];
    let mut impossible = None;
    for number in 0..ROUNDS {
        let rates = round(counters, reference).ok_or(Distrust::Still)?;
        if !rates.are_possible() {
            impossible = Some(rates);
            continue;
        }
        let earlier = rounds[..number].iter().flatten();
        if let Some(same) = earlier.copied().find(|earlier| earlier.agree(rates)) {
            return Ok(same.mean(rates));
        }
        rounds[number] = Some(rates);
    }
    let mut last = rounds.iter().rev().flatten().copied();
    match (last.next(), last.next(), impossible) {
        (Some(a), Some(b), _) => Err(Distrust::Unsteady { last: [b, a] }),
        (_, _, Some(rates)) => Err(Distrust::Impossible(rates)),
        // There are more rounds than two.
        _ => Err(Distrust::Still),
    }
}

/// One round; `None` if the reference stands still.
fn round(counters: &impl Counters, reference: &impl Reference) -> Option<Rates> {
    let between = |start: u64, end: u64| end.wrapping_sub(start) & reference.mask();
    let wait = scale(ROUND_US, reference.hz(), 1_000_000);
    let first = Sample::take(counters, reference);
    let (mut seen, mut looks) = (first.count, 0);
    loop {
        // Before the look at the reference: a CPU that stood still in between finds it far ahead.
        let is_late = counters.tsc().wrapping_sub(first.tsc) > LIMIT;
        let count = reference.count();
        if between(first.count, count) >= wait {
            break;
        }
        looks = if count == seen { looks + 1 } else { 0 };
        seen = count;
        if looks >= LOOKS || is_late {
            return None;
        }
    }
    // Late, perhaps: what counts is what the reference shows then.
    let last = Sample::take(counters, reference);
    let took = between(first.count, last.count);
    Some(Rates {
        tsc: scale(last.tsc.wrapping_sub(first.tsc), reference.hz(), took),
        apic: scale(
            u64::from(last.apic.wrapping_sub(first.apic)),
            reference.hz(),
            took,
        ),
    })
}

/// Measures the local APIC's timer against a time stamp counter whose rate is known. `None` if one
/// of them stands still.
pub(super) fn apic_rate(counters: &impl Counters, tsc_hz: u64) -> Option<u64> {
    /// The time stamp counter as the clock.
    struct Tsc<'a, C>(&'a C, u64);
    impl<C: Counters> Reference for Tsc<'_, C> {
        fn hz(&self) -> u64 {
            self.1
        }
        fn mask(&self) -> u64 {
            u64::MAX
        }
        fn count(&self) -> u64 {
            self.0.tsc()
        }
    }
    let rates = round(counters, &Tsc(counters, tsc_hz))?;
    (rates.apic != 0 && rates.apic != u64::MAX).then_some(rates.apic)
}

/// All counters, read as nearly at the same time as possible.
#[derive(Debug, Clone, Copy)]
struct Sample {
    count: u64,
    tsc: u64,
    apic: u32,
}

impl Sample {
    /// Reads the counters. Of several tries the one that took the least time counts: the others
    /// were interrupted by the host, or had their code translated first.
    fn take(counters: &impl Counters, reference: &impl Reference) -> Self {
        let tries: [(u64, Self); 8] = array::from_fn(|_| {
            let before = counters.tsc();
            let count = reference.count();
            let between = counters.tsc();
            let apic = counters.apic();
            let took = counters.tsc().wrapping_sub(before);
            let tsc = before.wrapping_add(between.wrapping_sub(before) / 2);
            (took, Self { count, tsc, apic })
        });
        let [first, rest @ ..] = tries;
        rest.into_iter()
            .fold(
                first,
                |best, other| {
                    if other.0 < best.0 { other } else { best }
                },
            )
            .1
    }
}

#[cfg(test)]
mod tests;
