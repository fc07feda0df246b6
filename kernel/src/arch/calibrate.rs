//! How fast the clock counts.
//!
//! The rate of the time stamp counter is not announced anywhere (CPUID has no usable frequency leaf
//! in QEMU), so bring-up measures it against the HPET, or else the PIT; or takes it from the
//! command line.

mod hpet;
mod pit;

use core::fmt;

use super::apic;
use crate::cpu::clock::{self, scale, ticks};

/// How long the measurement takes. The HPET's grain is 10 ns in QEMU and the
/// worst sampling error some µs, so 10 ms give about 100 ppm; longer would
/// delay the first log line.
const MEASURE_MS: u64 = 10;

/// Where the frequency is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// `tsc_hz` on the command line.
    Given,
    /// Measured against the HPET.
    Hpet,
    /// Measured against channel 2 of the PIT.
    Pit,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "as given on the command line",
            Self::Hpet => "measured against the HPET",
            Self::Pit => "measured against the PIT",
        })
    }
}

/// What was found out about the counters of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calibration {
    /// Ticks of the time stamp counter per second.
    pub(crate) tsc_hz: u64,
    /// Counts of the local APIC's timer per second, after division.
    pub(crate) apic_hz: u64,
    /// Against what they were measured.
    pub(crate) method: Method,
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tsc_hz,
            apic_hz,
            method,
        } = self;
        write!(
            f,
            "TSC {tsc_hz} Hz, local APIC timer {apic_hz} Hz, {method}"
        )
    }
}

/// No reference clock moved: the frequency is unknown.
#[derive(Debug)]
pub(crate) struct NoReference;

impl fmt::Display for NoReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "neither HPET nor PIT counts, so the clock's frequency is unknown; \
             give it on the command line as tsc_hz=N",
        )
    }
}

/// Two counters, read as nearly at the same time as possible.
#[derive(Debug, Clone, Copy)]
struct Sample {
    tsc: u64,
    apic: u32,
}

impl Sample {
    /// Reads both counters, and `reference` with them. Of several tries the one
    /// that took the least time counts: the others were interrupted by the host,
    /// or had their code translated first.
    fn take(mut reference: impl FnMut() -> u64) -> (Self, u64) {
        let mut best = (u64::MAX, Self { tsc: 0, apic: 0 }, 0);
        for _ in 0..8 {
            let before = ticks();
            let value = reference();
            let between = ticks();
            let apic = apic::timer_counts();
            let took = ticks().wrapping_sub(before);
            if took < best.0 {
                let tsc = before + between.wrapping_sub(before) / 2;
                best = (took, Self { tsc, apic }, value);
            }
        }
        (best.1, best.2)
    }

    /// Ticks and counts since an earlier sample.
    fn since(self, earlier: Self) -> (u64, u64) {
        (
            self.tsc.wrapping_sub(earlier.tsc),
            u64::from(self.apic.wrapping_sub(earlier.apic)),
        )
    }
}

/// Measures the clock and the local APIC's timer, which takes [`MEASURE_MS`].
///
/// `hpet` is the physical address of the HPET's registers; `given` the time
/// stamp counter's frequency where it need not be measured. Task context on the
/// boot CPU, once, with the local APIC mapped and its timer free.
///
/// # Errors
/// When neither reference counts.
pub(crate) fn calibrate(hpet: Option<u64>, given: Option<u64>) -> Result<Calibration, NoReference> {
    apic::start_measuring();
    let calibration = if let Some(hz) = given {
        against_given(hz)
    } else {
        hpet.and_then(against_hpet)
            .or_else(against_pit)
            .ok_or(NoReference)?
    };
    clock::set_frequency(calibration.tsc_hz);
    apic::set_timer_frequency(calibration.apic_hz);
    Ok(calibration)
}

/// The rates, from what was counted in `reference` counts of a clock with `hz`.
/// `None` when that is impossible: a counter stood still.
fn rates(counted: (u64, u64), reference: u64, hz: u64, method: Method) -> Option<Calibration> {
    let (tsc, apic) = counted;
    let calibration = Calibration {
        tsc_hz: scale(tsc, hz, reference),
        apic_hz: scale(apic, hz, reference),
        method,
    };
    (calibration.tsc_hz != 0 && calibration.apic_hz != 0).then_some(calibration)
}

/// Waits by the time stamp counter itself, to measure the timer only.
fn against_given(hz: u64) -> Calibration {
    let wait = hz / 1000 * MEASURE_MS;
    let (first, _) = Sample::take(|| 0);
    while ticks().wrapping_sub(first.tsc) < wait {
        core::hint::spin_loop();
    }
    let (tsc, apic) = Sample::take(|| 0).0.since(first);
    Calibration {
        tsc_hz: hz,
        apic_hz: scale(apic, hz, tsc).max(1),
        method: Method::Given,
    }
}

/// Measures against the HPET at this physical address.
fn against_hpet(address: u64) -> Option<Calibration> {
    let hpet = hpet::Hpet::start(address)?;
    let wait = hpet.frequency_hz() / 1000 * MEASURE_MS;
    let (first, start) = Sample::take(|| hpet.count());
    let limit = StandstillLimit::new();
    while hpet.since(start) < wait {
        if limit.is_reached() {
            return None;
        }
    }
    let (last, end) = Sample::take(|| hpet.count());
    let reference = hpet.between(start, end);
    rates(
        last.since(first),
        reference,
        hpet.frequency_hz(),
        Method::Hpet,
    )
}

/// Measures against the PIT.
fn against_pit() -> Option<Calibration> {
    let wait = pit::HZ * MEASURE_MS / 1000;
    // What follows the start must be quick, so it is run once before.
    let pit = pit::OneShot::start(u16::MAX);
    Sample::take(|| u64::from(pit.is_over()));
    let pit = pit::OneShot::start(wait as u16);
    let first = Sample {
        tsc: ticks(),
        apic: apic::timer_counts(),
    };
    let limit = StandstillLimit::new();
    while !pit.is_over() {
        if limit.is_reached() {
            return None;
        }
    }
    let last = Sample {
        tsc: ticks(),
        apic: apic::timer_counts(),
    };
    rates(last.since(first), wait, pit::HZ, Method::Pit)
}

/// Ends the wait for a reference clock that does not count.
struct StandstillLimit {
    start: u64,
}

impl StandstillLimit {
    /// A second at the least on any CPU there is; in which a working reference
    /// has long passed [`MEASURE_MS`].
    const TICKS: u64 = 8_000_000_000;

    fn new() -> Self {
        Self { start: ticks() }
    }

    fn is_reached(&self) -> bool {
        ticks().wrapping_sub(self.start) > Self::TICKS
    }
}
