//! The HPET as NMI to all CPUs, through the I/O APIC.
//!
//! The time between two is drawn anew each time, by an eighth more or less: code that goes round at
//! the same rate would be met at the same place for ever.
//!
//! Where QEMU's clock counts instructions, its HPET mostly interrupts twice: once in the very count
//! that it shall, and once more behind that. So of two interrupts that lie less than a sixteenth of
//! a period apart, the second one is none.

use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use crate::arch::hpet::{Hpet, Timer};
use crate::arch::ioapic::{IoApic, Places};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::{clock, percpu};

/// What was found.
#[derive(Debug)]
struct Found {
    timer: Timer,
    io_apic: IoApic,
    line: u32,
    /// Counts between two.
    period: u32,
    /// Ticks of the clock that lie between two at least.
    apart: u64,
}

static FOUND: Once<Found> = Once::new();

/// When each CPU had its last, by its time stamp counter.
static LAST: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// What the next period is drawn from.
static CHANCE: AtomicU64 = AtomicU64::new(0x9E37_79B9_7F4A_7C15);

/// Looks for what it takes, with the HPET's registers at this physical address; returns the rate.
pub(super) fn prepare(hertz: u32, address: Option<u64>, io_apics: &Places) -> Option<u32> {
    let io_apic = IoApic::first(io_apics)?;
    let hpet = Hpet::start(address?)?;
    let (timer, line) = hpet.periodic(io_apic.lines())?;
    let period = u32::try_from(hpet.hz / u64::from(hertz)).ok()?;
    // The longest that is drawn has 32 bits, too; and the shortest is no flood.
    (8..u32::MAX / 2).contains(&period).then_some(())?;
    let apart = clock::frequency_hz()? / u64::from(hertz) / 16;
    FOUND.call_once(|| Found {
        timer,
        io_apic,
        line,
        period,
        apart,
    });
    Some(hertz)
}

/// Starts it.
pub(super) fn begin() {
    if let Some(found) = FOUND.get() {
        found.io_apic.deliver_nmi_to_all(found.line);
        found.timer.start(found.line, found.period);
    }
}

/// Ends it.
pub(super) fn end() {
    if let Some(found) = FOUND.get() {
        found.timer.stop();
        found.io_apic.mask(found.line);
    }
}

/// Called in an NMI that nobody has asked for: whether it is one of the HPET's. CPU 0 draws the next
/// period.
pub(super) fn on_nmi() -> bool {
    let Some(found) = FOUND.get() else {
        return false;
    };
    let (now, last) = (clock::counter(), &LAST[percpu::cpu_index()]);
    if now.wrapping_sub(last.load(Ordering::Relaxed)) < found.apart {
        return false;
    }
    last.store(now, Ordering::Relaxed);
    if percpu::cpu_index() == 0 {
        let chance = next(CHANCE.load(Ordering::Relaxed));
        CHANCE.store(chance, Ordering::Relaxed);
        found.timer.set_period(drawn(found.period, chance));
    }
    true
}

/// A step of a generator of random numbers (Marsaglia's xorshift64): never 0.
const fn next(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ state << 17
}

/// A period that is at most an eighth longer or shorter; on average, it is this one.
const fn drawn(period: u32, chance: u64) -> u32 {
    let eighth = period / 8;
    let range = 2 * eighth as u64 + 1;
    period - eighth + (((chance >> 32) * range) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_drawn_around_the_one_that_is_wanted() {
        let mut chance = CHANCE.load(Ordering::Relaxed);
        for period in [8, 10_000, 100_000, u32::MAX / 2 - 1] {
            let eighth = period / 8;
            let mut sum = 0_u64;
            let (mut least, mut most) = (u32::MAX, 0);
            for _ in 0..100_000 {
                chance = next(chance);
                let drawn = drawn(period, chance);
                assert!((period - eighth..=period + eighth).contains(&drawn));
                sum += u64::from(drawn);
                (least, most) = (least.min(drawn), most.max(drawn));
            }
            let mean = sum as f64 / 100_000.0 / f64::from(period);
            assert!((0.999..1.001).contains(&mean), "{period}: {mean}");
            assert!(least - (period - eighth) <= period / 1000);
            assert!(period + eighth - most <= period / 1000);
        }
    }
}
