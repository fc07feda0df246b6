//! Interrupting all CPUs again and again, to look at them. NMIs come into code that has interrupts
//! off, too; where they come from is a [`Kind`]. What is done in them is not said here.
//!
//! Which NMI is one of these? A counter of cycles has a bit that says so, and CPU 0 notes which CPUs
//! it sends one to. The HPET says nothing: there, what nobody has [asked
//! for](percpu::PerCpu::was_nmi_asked) is one. NMIs that come while another waits are one NMI: one
//! that was asked for hides one of these, which is then missing, and is never hidden by one.
//! Whether a CPU shall stop is looked at in all NMIs, before this.

mod beats;
mod hpet;
mod pmu;

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::apic::{self, Command};
use super::ioapic::Places;
use super::stop;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::percpu;
pub(crate) use beats::Beat;

/// What interrupts CPUs to look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each CPU's counter of cycles, when it overflows: as NMI. CPUs that are halted count none.
    Pmu,
    /// The HPET, through the I/O APIC: as NMI to all.
    Hpet,
    /// CPU 0's timer interrupt, which sends NMIs to the others. CPU 0 is looked at in that
    /// interrupt, so never where interrupts are off.
    Ipi,
    /// Each CPU's timer interrupt: never where interrupts are off.
    Timer,
}

impl Kind {
    /// All, the best first.
    pub(crate) const ALL: [Self; 4] = [Self::Pmu, Self::Hpet, Self::Ipi, Self::Timer];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pmu => "pmu",
            Self::Hpet => "hpet",
            Self::Ipi => "ipi",
            Self::Timer => "timer",
        }
    }
}

/// What a machine has for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine<'a> {
    /// The physical address of the HPET's registers, where there is an HPET.
    pub(crate) hpet: Option<u64>,
    /// The I/O APICs.
    pub(crate) io_apics: &'a Places,
    /// Whether all CPUs that there are have come up: an NMI to all would start others.
    pub(crate) has_all: bool,
}

/// No kind is in use, or was.
const NONE: u8 = u8::MAX;

/// The place in [`Kind::ALL`] of what is in use, or was.
static KIND: AtomicU8 = AtomicU8::new(NONE);
/// CPUs are interrupted now.
static IS_ON: AtomicBool = AtomicBool::new(false);
/// The CPUs that were sent an NMI to be looked at, and have not taken it.
static SENT: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// What is in use, or was.
fn kind() -> Option<Kind> {
    let place = usize::from(KIND.load(Ordering::Relaxed));
    Kind::ALL.get(place).copied()
}

/// Makes all CPUs ready to be interrupted `hertz` times a second each, which is above 0. Returns how
/// often it will be; `None` where the machine lacks what it takes. Task context on CPU 0; once it
/// has worked it is not asked again.
pub(crate) fn prepare(kind: Kind, hertz: u32, machine: &Machine<'_>) -> Option<u32> {
    let hertz = match kind {
        Kind::Pmu => pmu::prepare(hertz)?,
        Kind::Hpet if !machine.has_all => return None,
        Kind::Hpet => hpet::prepare(hertz, machine.hpet, machine.io_apics)?,
        Kind::Ipi | Kind::Timer => beats::prepare(hertz),
    };
    KIND.store(kind as u8, Ordering::Relaxed);
    Some(hertz)
}

/// Begins to interrupt them. Task context on CPU 0, when it is [prepared](prepare).
pub(crate) fn begin() {
    // ORDERING: pairs with the load in `on`: who sees it sees what was prepared.
    IS_ON.store(true, Ordering::Release);
    if kind() == Some(Kind::Hpet) {
        hpet::begin();
    }
}

/// Ends it. CPUs may still take what is under way. Task context on CPU 0.
pub(crate) fn stop() {
    IS_ON.store(false, Ordering::Release);
    if kind() == Some(Kind::Hpet) {
        hpet::end();
    }
}

/// What is in use.
fn on() -> Option<Kind> {
    kind().filter(|_| IS_ON.load(Ordering::Acquire))
}

/// Called first in each timer interrupt: what it is. IRQ context.
pub(crate) fn on_timer() -> Beat {
    let on = on();
    let me = percpu::cpu_index();
    let is_beaten = match on {
        Some(Kind::Timer) => true,
        Some(Kind::Ipi) => me == 0,
        _ => false,
    };
    let beat = beats::beat(is_beaten);
    pmu::follow(on == Some(Kind::Pmu));
    if beat.is_look && on == Some(Kind::Ipi) {
        let others = percpu::online()
            .without(CpuSet::only(me))
            .without(stop::parked());
        for cpu in others.iter() {
            SENT[cpu].store(true, Ordering::Relaxed);
            apic::send(percpu::of(cpu).apic_id(), Command::Nmi);
        }
    }
    beat
}

/// What an NMI is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nmi {
    /// It interrupts the CPU to look at it.
    pub(crate) is_look: bool,
    /// It is, or also is, somebody else's.
    pub(crate) is_others: bool,
}

/// Called in each NMI, once. NMI context.
pub(crate) fn on_nmi() -> Nmi {
    let was_asked = percpu::this().was_nmi_asked();
    let is_look = match kind() {
        None | Some(Kind::Timer) => false,
        Some(Kind::Pmu) => pmu::on_nmi(),
        Some(Kind::Hpet) => !was_asked && hpet::on_nmi(),
        Some(Kind::Ipi) => SENT[percpu::cpu_index()].swap(false, Ordering::Relaxed),
    };
    // Behind its end a last one of the HPET's may come.
    let is_explained = is_look || kind() == Some(Kind::Hpet);
    Nmi {
        is_look: is_look && IS_ON.load(Ordering::Relaxed),
        is_others: was_asked || !is_explained,
    }
}
