//! How fast the clock counts.
//!
//! The rate of the time stamp counter is seldom announced, so bring-up [measures](measure) it
//! against a clock whose rate is known: the HPET, the ACPI timer, or the PIT, whichever can be
//! believed first. Or the command line says it. Where no clock can be believed, what the processor
//! announces stands in, or else an assumption, which is said.

mod announced;
mod hpet;
mod measure;
mod pit;
mod pm_timer;

use core::fmt;

use super::apic;
use super::hpet::Hpet;
use crate::cpu::clock;
use measure::{Counters, Distrust, Rates};
pub(crate) use pm_timer::PmTimer;

/// The local APIC timer's rate that is assumed where it cannot be measured: QEMU's, after division.
/// It decides how often timer interrupts come, and nothing else.
const ASSUMED_APIC_HZ: u64 = 62_500_000;

/// Where the frequency is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// `tsc_hz` on the command line.
    Given,
    /// Measured against the HPET.
    Hpet,
    /// Measured against the ACPI timer.
    PmTimer,
    /// Measured against channel 2 of the PIT.
    Pit,
    /// Not measured: what CPUID says.
    Announced,
    /// Not known.
    Assumed,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "as given on the command line",
            Self::Hpet => "measured against the HPET",
            Self::PmTimer => "measured against the ACPI timer",
            Self::Pit => "measured against the PIT",
            Self::Announced => "as CPUID announces it",
            Self::Assumed => "which is an assumption",
        })
    }
}

/// What was found out about the counters of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calibration {
    /// Ticks of the time stamp counter per second.
    tsc_hz: u64,
    /// Counts of the local APIC's timer per second, after division.
    apic_hz: u64,
    /// Where that is from.
    method: Method,
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

/// The clocks of a machine that others can be measured against, beside the PIT.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// Physical address of the HPET's registers, where there is an HPET.
    pub(crate) hpet: Option<u64>,
    /// The ACPI timer, where there is one.
    pub(crate) pm_timer: Option<PmTimer>,
}

/// This CPU's counters.
struct Machine;

impl Counters for Machine {
    fn tsc(&self) -> u64 {
        clock::ticks()
    }

    fn apic(&self) -> u32 {
        apic::timer_counts()
    }
}

/// Measures the clock and the local APIC's timer, which takes 10 ms if all is well; says in the
/// log what is not believed, and if the time is not known.
///
/// `given` is the time stamp counter's frequency where it need not be measured. Task context on
/// the boot CPU, once, with the local APIC mapped and its timer free.
pub(crate) fn calibrate(clocks: Clocks, given: Option<u64>) -> Calibration {
    apic::start_measuring();
    let calibration = match given {
        Some(hz) => unmeasured(hz, Method::Given),
        None => measured(clocks).unwrap_or_else(fallback),
    };
    clock::set_frequency(calibration.tsc_hz);
    apic::set_timer_frequency(calibration.apic_hz);
    calibration
}

/// Measures against the first clock that can be believed.
fn measured(clocks: Clocks) -> Option<Calibration> {
    let hpet = || {
        let hpet = Hpet::start(clocks.hpet?)?;
        Some(measure::measure(&Machine, &hpet))
    };
    let pm_timer = || Some(measure::measure(&Machine, &clocks.pm_timer?));
    let pit = || Some(measure::measure(&Machine, &pit::Pit::start()));
    believed(hpet(), "HPET", Method::Hpet)
        .or_else(|| believed(pm_timer(), "ACPI timer", Method::PmTimer))
        .or_else(|| believed(pit(), "PIT", Method::Pit))
}

/// The result, if there is one to be believed; says in the log if not.
fn believed(
    result: Option<Result<Rates, Distrust>>,
    name: &str,
    method: Method,
) -> Option<Calibration> {
    match result? {
        Ok(Rates { tsc, apic }) => Some(Calibration {
            tsc_hz: tsc,
            apic_hz: apic,
            method,
        }),
        Err(distrust) => {
            relay::warn!("the {name} is no clock to measure by: {distrust}");
            None
        }
    }
}

/// What stands in where nothing could be measured.
fn fallback() -> Calibration {
    let announced = announced::tsc_hz(announced::cpuid).filter(|hz| measure::is_possible(*hz));
    if let Some(hz) = announced {
        return unmeasured(hz, Method::Announced);
    }
    let hz = clock::ASSUMED_HZ;
    relay::warn!(
        "how fast time passes is unknown: {hz} ticks a second are assumed, so all times may be \
         wrong by the same factor; give the frequency on the command line as tsc_hz=N"
    );
    unmeasured(hz, Method::Assumed)
}

/// A rate that was not measured, and the local APIC's timer measured by it.
fn unmeasured(tsc_hz: u64, method: Method) -> Calibration {
    let apic_hz = measure::apic_rate(&Machine, tsc_hz).unwrap_or_else(|| {
        relay::warn!("the local APIC timer cannot be measured: {ASSUMED_APIC_HZ} Hz are assumed");
        ASSUMED_APIC_HZ
    });
    Calibration {
        tsc_hz,
        apic_hz,
        method,
    }
}
