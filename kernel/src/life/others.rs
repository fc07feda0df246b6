//! The other CPUs, from their start to their end in order: who waits for whom, and how long.

use super::{idle, park};
use crate::arch::smp::{self, INIT_PAUSE_MS, StartError, Starter};
use crate::arch::stop;
use crate::base::cpuset::CpuSet;
use crate::cpu::clock::Timeout;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::out::pump;

/// How long nothing may happen before CPUs that have not come up are given up.
/// Emulated on a busy host a CPU can stand still for half a second.
const START_PATIENCE_MS: u64 = 5_000;
/// After this long without a sign a CPU gets a second start-up command, which
/// real machines may need (Intel SDM Vol. 3A, 9.4.4.1).
const SECOND_STARTUP_MS: u64 = 200;
/// How long the end of a scenario waits for the next CPU to park, while no sink moves: longer than
/// a CPU waits for its sink.
const PARK_PATIENCE_MS: u64 = 2 * pump::PATIENCE_MS + 5_000;

/// Starts the CPUs with these local APIC identifiers as CPU 1, 2, ... (`ids[0]` is the boot CPU),
/// all at once, and waits for them. Returns those that did not come up; those that did call
/// `entry`.
///
/// `lose` is only told to start when it has been given up, to show that a missing
/// CPU is reported and that one that comes too late does no harm.
/// Task context on the boot CPU, interrupts and timer on.
///
/// # Errors
/// When memory is missing for any of them. No CPU has been started then.
pub(crate) fn start(
    ids: &[u32],
    lose: Option<usize>,
    entry: fn() -> !,
) -> Result<CpuSet, StartError> {
    let wanted = smp::all_but_first(ids);
    let late = lose.map_or(CpuSet::EMPTY, CpuSet::only);
    let unknown = late.without(wanted);
    if !unknown.is_empty() {
        relay::error!("command line: lose={unknown}: there is no such CPU to start, only {wanted}");
    }
    if wanted.is_empty() {
        return Ok(unknown);
    }
    let starter = Starter::prepare(ids, entry)?;
    let late = late.and(wanted);
    begin(&starter, wanted.without(late));
    wait_for(wanted, || {
        starter.start_up(starter.waiting().without(late));
    });
    let missing = wanted.without(percpu::online());
    for cpu in missing.iter() {
        starter.abandon(cpu);
    }
    begin(&starter, late);
    Ok(missing.with(unknown))
}

/// Makes CPUs begin, with the pause that they need before it.
fn begin(starter: &Starter<'_>, cpus: CpuSet) {
    if cpus.is_empty() {
        return;
    }
    starter.reset(cpus);
    let pause = Timeout::after_ms(INIT_PAUSE_MS);
    idle::until(|| pause.expired());
    starter.start_up(cpus);
}

/// Waits until all of `wanted` are online, or none of them has come for a long
/// time. Calls `again` once when it takes more than a moment.
fn wait_for(wanted: CpuSet, again: impl Fn()) {
    let moment = Timeout::after_ms(SECOND_STARTUP_MS);
    let mut is_again_due = true;
    let mut patience = Patience::after_ms(START_PATIENCE_MS, percpu::online().bits().into());
    idle::until(|| {
        let online = percpu::online();
        if is_again_due && moment.expired() {
            is_again_due = false;
            again();
        }
        wanted.without(online).is_empty() || patience.is_over(online.bits().into())
    });
}

/// Asks all other CPUs to close their streams and park, which they do as soon as
/// they are idle, and waits for it. Returns those that did not.
///
/// Task context.
pub(crate) fn park() -> CpuSet {
    let others = percpu::online().without(CpuSet::only(percpu::cpu_index()));
    park::ask();
    smp::wake(others);
    let moved = || pump::moved().wrapping_add(stop::parked().iter().count() as u64);
    let mut patience = Patience::after_ms(PARK_PATIENCE_MS, moved());
    idle::until_even_if_parking(|| {
        others.without(stop::parked()).is_empty() || patience.is_over(moved())
    });
    others.without(stop::parked())
}
