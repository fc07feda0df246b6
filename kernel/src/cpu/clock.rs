//! Reading the clock: the time stamp counter, and what its ticks are in time.
//!
//! Time zero is the machine's start: the first instruction of its boot code. The counter need not
//! stand at 0 then (under KVM it shows how long the host has been up), so what it showed is taken
//! off, once and here: all times of this kernel count from there. QEMU keeps the counters of all
//! CPUs in step. How fast they count is found out by `arch::calibrate`; until then, an assumed
//! rate stands in.

mod origin;
mod rate;

use core::sync::atomic::{AtomicU64, Ordering};

use origin::Origin;
pub(crate) use rate::scale;

/// The rate that timeouts assume where it could not be found out. Too fast for
/// most machines: timeouts become longer, not shorter.
pub(crate) const ASSUMED_HZ: u64 = 4_000_000_000;

/// Time zero.
static ORIGIN: Origin = Origin::new();

/// Ticks per second; 0 while it is not known.
static FREQUENCY: AtomicU64 = AtomicU64::new(0);

/// When the machine was started, in nanoseconds since 1970 (UTC); 0 while it is not known.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// It is so many seconds since 1970 (UTC) now. Once, by the boot CPU, when it is known how fast the
/// counter counts.
pub(crate) fn set_wall(seconds: u64) {
    let now = seconds.saturating_mul(1_000_000_000);
    STARTED.store(now.saturating_sub(nanos(ticks())), Ordering::Relaxed);
}

/// When the machine was started, in nanoseconds since 1970 (UTC), as far as its clock of the day
/// says. Any context.
pub(crate) fn started() -> Option<u64> {
    match STARTED.load(Ordering::Relaxed) {
        0 => None,
        started => Some(started),
    }
}

/// Makes `counter`, which the time stamp counter has shown, time zero. Once, by the boot CPU,
/// before anybody asks for the time.
pub(crate) fn begin(counter: u64) {
    ORIGIN.set(counter);
}

/// The time now, in ticks since the machine's start. Any context.
///
/// On one CPU it never goes back. Other loads may move across it.
#[inline]
pub(crate) fn ticks() -> u64 {
    ORIGIN.ticks(counter())
}

/// The time stamp counter itself, for differences: the shortest way to it. Any context.
#[inline]
pub(crate) fn counter() -> u64 {
    // SAFETY: every x86_64 CPU has the instruction, and the kernel does not disable it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// 128 bits that differ from boot to boot: from the processor's random numbers, where it has them,
/// and the counter. Good for names, not for secrets. Task context.
pub(crate) fn random_seed() -> u128 {
    let random = x86_64::instructions::random::RdRand::new();
    let draw = || random.and_then(|random| random.get_u64()).unwrap_or(0) ^ mix(counter());
    u128::from(draw()) << 64 | u128::from(draw())
}

/// Spreads what is known of `value` over all bits (the finaliser of SplitMix64).
const fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// Remembers how many ticks a second has. Once, by the boot CPU.
pub(crate) fn set_frequency(hz: u64) {
    FREQUENCY.store(hz, Ordering::Relaxed);
}

/// Ticks per second, once bring-up has found out. Any context.
#[inline]
pub(crate) fn frequency_hz() -> Option<u64> {
    match FREQUENCY.load(Ordering::Relaxed) {
        0 => None,
        hz => Some(hz),
    }
}

/// Whole milliseconds between two times, rounded down; by an assumed frequency
/// while the true one is unknown.
pub(crate) fn millis(ticks: u64) -> u64 {
    scale(ticks, 1000, frequency_hz().unwrap_or(ASSUMED_HZ))
}

/// Whole microseconds since the machine's start, rounded down; by an assumed frequency while the
/// true one is unknown.
pub(crate) fn micros(ticks: u64) -> u64 {
    scale(ticks, 1_000_000, frequency_hz().unwrap_or(ASSUMED_HZ))
}

/// Whole nanoseconds, likewise. Any context; a few instructions.
pub(crate) fn nanos(ticks: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let hz = frequency_hz().unwrap_or(ASSUMED_HZ);
    // In 64 bits where the product has room: a division of 128 takes ten times as long.
    match (ticks % hz).checked_mul(SECOND) {
        Some(rest) => (ticks / hz).wrapping_mul(SECOND).wrapping_add(rest / hz),
        None => scale(ticks, SECOND, hz),
    }
}

/// Ticks in this many milliseconds, likewise.
pub(crate) fn ticks_of_ms(ms: u64) -> u64 {
    scale(ms, frequency_hz().unwrap_or(ASSUMED_HZ), 1000)
}

/// Ticks in this many nanoseconds, likewise, rounded up.
pub(crate) fn ticks_of_ns(ns: u64) -> u64 {
    scale(ns, frequency_hz().unwrap_or(ASSUMED_HZ), 1_000_000_000).saturating_add(1)
}

/// A point in time after which something is late. For patience, never for correctness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    start: u64,
    length: u64,
}

impl Timeout {
    /// A timeout that expires this many milliseconds from now.
    pub(crate) fn after_ms(ms: u64) -> Self {
        Self {
            start: ticks(),
            length: ticks_of_ms(ms),
        }
    }

    /// Whether the time has come.
    pub(crate) fn expired(&self) -> bool {
        ticks().wrapping_sub(self.start) >= self.length
    }
}
