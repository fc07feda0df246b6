//! The profiler: CPUs are [interrupted](crate::arch::sampling) again and again, and what each does
//! then is written to the channel [`profile`](mod@profile).
//!
//! It is on from when all CPUs are up until the first of them closes its streams.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use relay::clients::profile::{Sample, Source};

use crate::arch::backtrace;
use crate::arch::frame::Interrupted;
use crate::arch::sampling::{self, Kind, Machine};
use crate::base::cmdline::Options;
use crate::base::settings::{PROFILE, PROFILE_SOURCE};
use crate::base::shortfall;
use crate::cpu::{clock, percpu, running};
use crate::logs::{profile, registry};

/// How often a second each CPU is looked at; 0 while none is.
static HERTZ: AtomicU32 = AtomicU32::new(0);
/// When that began, in ticks.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Starts the profiler, if it is wanted. Task context on CPU 0, when all CPUs are up that come up.
pub(super) fn start(options: &Options<'_>, machine: &Machine<'_>) {
    let hertz = options.value(&PROFILE).unwrap_or_default() as u32;
    if hertz == 0 {
        return;
    }
    if !registry::is_carried(profile::CLIENT.mount) {
        relay::error!("profile={hertz}: the channel profile is not carried: nobody would see it");
        return;
    }
    let wanted = options.value(&PROFILE_SOURCE);
    let wanted = wanted.and_then(|place| Kind::ALL.get(place as usize));
    let kinds = match wanted {
        Some(kind) => core::slice::from_ref(kind),
        None => &Kind::ALL,
    };
    let found = kinds.iter().find_map(|kind| {
        let hertz = sampling::prepare(*kind, hertz, machine)?;
        Some((kind.name(), hertz))
    });
    let Some((source, hertz)) = found else {
        relay::error!("profile={hertz}: this machine has nothing that could interrupt its CPUs so");
        return shortfall::note();
    };
    BEGUN.store(clock::ticks(), Ordering::Relaxed);
    HERTZ.store(hertz, Ordering::Relaxed);
    profile::CLIENT.emit(|| Source { source, hertz });
    relay::info!("profile: samples come from {source}, {hertz} times a second on each cpu");
    sampling::begin();
}

/// Stops it, and says how many samples there were, and how many it might have been. Task context on
/// CPU 0, before any CPU closes its streams.
pub(crate) fn stop() {
    let hertz = HERTZ.swap(0, Ordering::Relaxed);
    if hertz == 0 {
        return;
    }
    sampling::stop();
    let begun = BEGUN.load(Ordering::Relaxed);
    let micros = clock::micros(clock::ticks().wrapping_sub(begun));
    let cpus = percpu::online().iter().count() as u64;
    let due = clock::scale(micros, u64::from(hertz) * cpus, 1_000_000);
    // Without the record that says where they come from.
    let taken = profile::CLIENT.tried().saturating_sub(1);
    relay::info!(
        "profile: {taken} samples on {cpus} cpus in {micros} us; {due} were due at {hertz} Hz: what \
         is missing was merged with another interrupt, or came while the cpu did not run"
    );
}

/// Called first in each timer interrupt; whether it is one of the kernel's ticks. IRQ context.
pub(crate) fn on_timer(interrupted: &Interrupted) -> bool {
    let beat = sampling::on_timer();
    if beat.is_look {
        look(interrupted);
    }
    beat.is_tick
}

/// Called first in each NMI; whether it may be somebody else's, too. NMI context.
pub(crate) fn on_nmi(interrupted: &Interrupted) -> bool {
    let nmi = sampling::on_nmi();
    if nmi.is_look {
        look(interrupted);
    }
    nmi.is_others
}

/// Writes what the CPU was doing. IRQ and NMI context.
fn look(interrupted: &Interrupted) {
    if percpu::is_closing() {
        return;
    }
    let stack = match interrupted.is_user {
        true => backtrace::of_program(interrupted.at),
        false => backtrace::of(interrupted.at),
    };
    let task = running::task();
    profile::CLIENT.emit(|| Sample {
        ip: interrupted.at.ip,
        from: interrupted.context,
        tid: task.tid,
        pid: task.pid,
        comm: task.comm,
        stack: stack.frames(),
    });
}
