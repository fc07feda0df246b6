//! Stopping other CPUs for good, for a panic, and knowing which CPUs have stopped.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use relay::Stopped;
use x86_64::instructions::interrupts;

use super::apic::{self, Command};
use super::events::IpiSend;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::{clock, halt_forever, percpu, vector};
use crate::logs::trace;

/// How long a panic waits for the other CPUs to stop. They take NMIs at any
/// instruction, so only a CPU that is not being run at all is late.
const PATIENCE_MS: u64 = 2_000;

/// Set when all CPUs shall stop for a panic.
static STOP: AtomicBool = AtomicBool::new(false);
/// CPUs that have stopped for it.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// When they did, by their own clocks, in ticks.
static STOPPED_AT: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// CPUs that have parked: stopped in order, with their streams closed.
static PARKED: AtomicU32 = AtomicU32::new(0);

/// Sends an NMI to a CPU, which may be this one, and will know that it was
/// [asked for](percpu::PerCpu::was_nmi_asked). Task and IRQ context.
pub(crate) fn send_nmi(cpu: usize) {
    trace::emit(|| IpiSend {
        vector: vector::NMI.into(),
        target: cpu as i32,
    });
    percpu::of(cpu).ask_for_nmi();
    apic::send(percpu::of(cpu).apic_id(), Command::Nmi);
}

/// The CPUs that have parked. Who sees one sees what it did before.
pub(crate) fn parked() -> CpuSet {
    CpuSet::from_bits(PARKED.load(Ordering::Acquire))
}

/// Declares this CPU to be parked: it writes no record any more, and is about to halt for ever.
pub(crate) fn set_parked() {
    // ORDERING: pairs with the load in `parked`: the CPU's streams are closed.
    PARKED.fetch_or(CpuSet::only(percpu::cpu_index()).bits(), Ordering::Release);
}

/// Stops all other CPUs for good, for a panic, and returns those that did not
/// acknowledge in time: what they logged last may be incomplete.
///
/// Any context; the caller never returns to what it interrupted.
pub(crate) fn stop_others() -> CpuSet {
    interrupts::disable();
    let me = CpuSet::only(percpu::cpu_index());
    STOPPED.fetch_or(me.bits(), Ordering::Relaxed);
    STOP.store(true, Ordering::Release);
    if !apic::is_mapped() {
        return CpuSet::EMPTY;
    }
    let others = percpu::online().without(me);
    for cpu in others.iter() {
        send_nmi(cpu);
    }
    let running = || others.without(all_stopped());
    let patience = clock::Timeout::after_ms(PATIENCE_MS);
    while !running().is_empty() && !patience.expired() {
        core::hint::spin_loop();
    }
    running()
}

/// The CPUs that write no record any more.
fn all_stopped() -> CpuSet {
    CpuSet::from_bits(STOPPED.load(Ordering::Acquire)).with(parked())
}

/// The proof that `cpu` writes no record any more: it acknowledged a stop, or has parked. `None` if
/// that is not known.
///
/// Panic context, after [`stop_others`]: the caller itself counts as stopped, and must not log as
/// long as it has the proof.
pub(crate) fn proof(cpu: usize) -> Option<Stopped> {
    all_stopped().contains(cpu).then(|| {
        // SAFETY: the CPU said that it stopped, with a Release that `all_stopped` acquired, and
        // only halts after that; or it is the caller, who keeps the rule above.
        unsafe { Stopped::new(cpu) }
    })
}

/// A time, in ticks, after which `cpu`, which has [stopped](proof), has done nothing, also by its
/// own clock.
pub(crate) fn stopped_at(cpu: usize) -> u64 {
    let noted = STOPPED_AT[cpu % MAX_CPUS].load(Ordering::Relaxed);
    noted.max(clock::ticks())
}

/// Called first thing in every NMI: stops this CPU for good if a panic asked for
/// it. Returns whether the CPU may still log: not if it has parked (its stream is
/// closed), nor if it is the one that stopped the others (it is reading theirs).
pub(super) fn obey() -> bool {
    if all_stopped().contains(percpu::cpu_index()) {
        return false;
    }
    if STOP.load(Ordering::Acquire) {
        stop();
    }
    true
}

/// Acknowledges a stop and halts for ever. Any context.
pub(crate) fn stop() -> ! {
    STOPPED_AT[percpu::cpu_index() % MAX_CPUS].store(clock::ticks(), Ordering::Relaxed);
    // ORDERING: pairs with the load in `all_stopped`: what this CPU wrote before is visible.
    STOPPED.fetch_or(CpuSet::only(percpu::cpu_index()).bits(), Ordering::Release);
    halt_forever()
}
