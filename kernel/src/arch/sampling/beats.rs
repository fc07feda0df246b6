//! The timer of a CPU, which also interrupts it for the kernel's ticks: more often than that, or at
//! some of the ticks.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::apic::{self, TIMER_HZ};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;

/// How many interrupts there are for each tick, and at which of them CPUs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    beats: u32,
    every: u32,
}

impl Rate {
    /// The rate nearest to `hertz`: whole beats a tick, or whole ticks.
    const fn new(hertz: u32) -> Self {
        let ticks = TIMER_HZ as u32;
        let (beats, every) = match hertz {
            0 => (1, u32::MAX),
            _ if hertz < ticks => (1, (ticks + hertz / 2) / hertz),
            _ => ((hertz + ticks / 2) / ticks, 1),
        };
        Self { beats, every }
    }

    /// Times a second, rounded.
    const fn hertz(self) -> u32 {
        let hertz = (TIMER_HZ as u32 * self.beats + self.every / 2) / self.every;
        if hertz == 0 { 1 } else { hertz }
    }
}

/// The rate that is wanted.
static BEATS: AtomicU32 = AtomicU32::new(1);
static EVERY: AtomicU32 = AtomicU32::new(1);
/// The interrupts of each CPU's timer.
static COUNTS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// What a timer interrupt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The kernel's tick.
    pub(crate) is_tick: bool,
    /// It interrupts the CPU to look at it.
    pub(crate) is_look: bool,
}

/// Remembers a rate; returns the nearest that there is. Task context.
pub(super) fn prepare(hertz: u32) -> u32 {
    let rate = Rate::new(hertz);
    BEATS.store(rate.beats, Ordering::Relaxed);
    EVERY.store(rate.every, Ordering::Relaxed);
    rate.hertz()
}

/// Called in each timer interrupt: sees to it that the CPU's timer beats as it shall. IRQ context.
pub(super) fn beat(is_wanted: bool) -> Beat {
    let wanted = match is_wanted {
        true => BEATS.load(Ordering::Relaxed),
        false => 1,
    };
    let count = &COUNTS[percpu::cpu_index()];
    match percpu::this().timer_beats.load(Ordering::Relaxed) {
        // It does not beat: it was told to come now, and is told again by who did.
        0 => {
            return Beat {
                is_tick: true,
                is_look: is_wanted,
            };
        }
        beats if beats != wanted => {
            apic::set_beats(wanted);
            count.store(0, Ordering::Relaxed);
        }
        _ => {}
    }
    let number = count.load(Ordering::Relaxed).wrapping_add(1);
    count.store(number, Ordering::Relaxed);
    Beat {
        is_tick: number.is_multiple_of(wanted),
        is_look: is_wanted && number.is_multiple_of(EVERY.load(Ordering::Relaxed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rate_is_whole_beats_or_whole_ticks() {
        for (hertz, beats, every, result) in [
            (1, 1, 100, 1),
            (3, 1, 33, 3),
            (30, 1, 3, 33),
            (99, 1, 1, 100),
            (100, 1, 1, 100),
            (149, 1, 1, 100),
            (150, 2, 1, 200),
            (997, 10, 1, 1_000),
            (10_000, 100, 1, 10_000),
        ] {
            let rate = Rate::new(hertz);
            assert_eq!(rate, Rate { beats, every }, "{hertz}");
            assert_eq!(rate.hertz(), result, "{hertz}");
        }
    }
}
