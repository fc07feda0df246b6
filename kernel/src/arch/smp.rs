//! The other CPUs: starting, waking, parking and stopping them.

mod trampoline;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use spin::Once;
use x86_64::instructions::interrupts;

use super::apic::{self, Command};
use super::tables::Tables;
use super::traps::vector;
use super::{clock, percpu, tables};
use crate::cpuset::{CpuSet, MAX_CPUS};
use crate::mem::{self, MemoryError};

/// How long nothing may happen before CPUs that have not come up are given up.
/// Emulated on a busy host a CPU can stand still for half a second.
const START_PATIENCE_MS: u64 = 5_000;
/// After this long without a sign a CPU gets a second start-up command, which
/// real machines may need (Intel SDM Vol. 3A, 9.4.4.1).
const SECOND_STARTUP_MS: u64 = 200;
/// The pause between INIT and start-up (same section).
const INIT_PAUSE_MS: u64 = 10;
/// How long a panic waits for the other CPUs to stop. They take NMIs at any
/// instruction, so only a CPU that is not being run at all is late.
const STOP_PATIENCE_MS: u64 = 2_000;
/// How long the end of a scenario waits for the next CPU to park.
const PARK_PATIENCE_MS: u64 = 10_000;

/// A CPU's way from the MADT to running: in the start-up table that its
/// trampoline reads.
mod state {
    /// Not to be started, or no such CPU.
    pub(super) const UNUSED: u32 = 0;
    /// Its start-up command has been, or is about to be, sent.
    pub(super) const WAITING: u32 = 1;
    /// It runs, and has taken its stack. Set by the CPU itself.
    pub(super) const CLAIMED: u32 = 2;
    /// Given up. A CPU that finds this halts without touching anything.
    pub(super) const ABANDONED: u32 = 3;
}

/// What a CPU needs to start, found by its local APIC identifier.
///
/// Read by the trampoline's assembly: 32 bytes, in this order.
#[repr(C)]
#[derive(Debug)]
struct Slot {
    apic_id: AtomicU32,
    state: AtomicU32,
    stack_top: AtomicU64,
    index: AtomicU64,
    _unused: u64,
}

static SLOTS: [Slot; MAX_CPUS] = [const {
    Slot {
        apic_id: AtomicU32::new(0),
        state: AtomicU32::new(state::UNUSED),
        stack_top: AtomicU64::new(0),
        index: AtomicU64::new(0),
        _unused: 0,
    }
}; MAX_CPUS];

/// Every other CPU's tables, made before it starts.
static TABLES: [Once<&'static Tables>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];

/// Set when all CPUs shall stop for a panic.
static STOP: AtomicBool = AtomicBool::new(false);
/// CPUs that have stopped.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// When they did, by their own clocks, in ticks.
static STOPPED_AT: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// Set when idle CPUs shall close their streams and park.
static PARK: AtomicBool = AtomicBool::new(false);
/// CPUs that have parked.
static PARKED: AtomicU32 = AtomicU32::new(0);

/// Why no other CPU can be started.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The start-up code's page could not be prepared.
    Trampoline(MemoryError),
    /// A CPU's stacks could not be made.
    Stacks {
        /// The CPU's number.
        cpu: usize,
        /// What was missing.
        error: MemoryError,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trampoline(error) => write!(f, "cannot prepare the start-up code: {error}"),
            Self::Stacks { cpu, error } => {
                write!(f, "cannot make the stacks of cpu {cpu}: {error}")
            }
        }
    }
}

/// Starts the CPUs with these local APIC identifiers as CPU 1, 2, ... (`ids[0]`
/// is the boot CPU), all at once, and waits for them. Returns those that did not come up.
///
/// `lose` is only told to start when it has been given up, to show that a missing
/// CPU is reported and that one that comes too late does no harm.
/// Task context on the boot CPU, interrupts and timer on.
///
/// # Errors
/// When memory is missing for any of them. No CPU has been started then.
pub(crate) fn start_others(ids: &[u32], lose: Option<usize>) -> Result<CpuSet, StartError> {
    let wanted = CpuSet::from_bits(((1_u64 << ids.len()) - 2) as u32);
    if let Some(cpu) = lose.filter(|&cpu| !wanted.contains(cpu)) {
        log::warn!("command line: lose={cpu} is ignored: want one of {wanted}");
    }
    if wanted.is_empty() {
        return Ok(CpuSet::EMPTY);
    }
    for cpu in wanted.iter() {
        prepare(cpu, ids[cpu]).map_err(|error| StartError::Stacks { cpu, error })?;
    }
    let page = trampoline::install(&SLOTS).map_err(StartError::Trampoline)?;
    let late = lose.map_or(CpuSet::EMPTY, CpuSet::only).and(wanted);
    reset(ids, wanted.without(late));
    start_up(ids, wanted.without(late), page);
    wait_for(wanted, || {
        start_up(ids, waiting().without(late), page);
    });

    // A CPU that begins after this finds itself abandoned and halts. One that has
    // begun but is not online yet still comes up: it is reported as missing, and
    // then says itself that it is up.
    let missing = wanted.without(percpu::online());
    for cpu in missing.iter() {
        let _ = SLOTS[cpu].state.compare_exchange(
            state::WAITING,
            state::ABANDONED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
    reset(ids, late);
    start_up(ids, late, page);
    Ok(missing)
}

/// Makes CPUs wait for [`start_up`], and gives them the time they need for it.
fn reset(ids: &[u32], cpus: CpuSet) {
    if cpus.is_empty() {
        return;
    }
    for cpu in cpus.iter() {
        apic::send(ids[cpu], Command::Init);
    }
    let pause = clock::Timeout::after_ms(INIT_PAUSE_MS);
    crate::idle::until(|| pause.expired());
}

/// Makes CPUs begin with the start-up code. Those that already run ignore it.
fn start_up(ids: &[u32], cpus: CpuSet, page: u8) {
    for cpu in cpus.iter() {
        apic::send(ids[cpu], Command::Startup(page));
    }
}

/// The CPUs that are to begin and have not.
fn waiting() -> CpuSet {
    (0..MAX_CPUS)
        .filter(|&cpu| SLOTS[cpu].state.load(Ordering::Relaxed) == state::WAITING)
        .map(CpuSet::only)
        .fold(CpuSet::EMPTY, CpuSet::with)
}

/// Waits until all of `wanted` are online, or none of them has come for a long
/// time. Calls `again` once when it takes more than a moment.
fn wait_for(wanted: CpuSet, again: impl Fn()) {
    let moment = clock::Timeout::after_ms(SECOND_STARTUP_MS);
    let mut is_again_due = true;
    let mut patience = clock::Timeout::after_ms(START_PATIENCE_MS);
    let mut seen = percpu::online();
    crate::idle::until(|| {
        let online = percpu::online();
        if online != seen {
            seen = online;
            patience = clock::Timeout::after_ms(START_PATIENCE_MS);
        }
        if is_again_due && moment.expired() {
            is_again_due = false;
            again();
        }
        wanted.without(online).is_empty() || patience.expired()
    });
}

/// Makes a CPU's stacks and tables, and its slot.
fn prepare(cpu: usize, apic_id: u32) -> Result<(), MemoryError> {
    let stacks = mem::stacks_for(cpu)?;
    TABLES[cpu].call_once(|| tables::build(stacks.interrupt));
    let slot = &SLOTS[cpu];
    slot.apic_id.store(apic_id, Ordering::Relaxed);
    slot.stack_top.store(stacks.task, Ordering::Relaxed);
    slot.index.store(cpu as u64, Ordering::Relaxed);
    // ORDERING: pairs with the trampoline's locked compare-and-exchange.
    slot.state.store(state::WAITING, Ordering::Release);
    Ok(())
}

/// The first Rust code of every other CPU, on its own stack, interrupts off.
extern "C" fn enter(cpu: usize) -> ! {
    percpu::install(cpu);
    if let Some(tables) = TABLES[cpu].get() {
        tables.load();
    }
    percpu::set_apic_id(apic::id());
    apic::enable();
    log::info!("cpu {cpu} up");
    percpu::set_online();
    apic::start_timer();
    interrupts::enable();
    // CPU 0 may be waiting for this one.
    wake(CpuSet::only(0));
    crate::scenario::run_on_other_cpu()
}

/// Sends a wake-up interrupt to these CPUs; their handlers call the scenario, and
/// their idle loops look around. Task and IRQ context.
pub(crate) fn wake(cpus: CpuSet) {
    for cpu in cpus.iter() {
        apic::send(percpu::of(cpu).apic_id(), Command::Interrupt(vector::WAKE));
    }
}

/// Sends an NMI to a CPU, which may be this one. Task and IRQ context.
pub(crate) fn send_nmi(cpu: usize) {
    apic::send(percpu::of(cpu).apic_id(), Command::Nmi);
}

/// Whether idle CPUs shall park. Read by the idle loop.
pub(crate) fn is_parking() -> bool {
    PARK.load(Ordering::Acquire)
}

/// Asks all other CPUs to close their streams and park, which they do as soon as
/// they are idle, and waits for it. Returns those that did not.
///
/// Task context.
pub(crate) fn park_others() -> CpuSet {
    let others = percpu::online().without(CpuSet::only(percpu::cpu_index()));
    PARK.store(true, Ordering::Release);
    wake(others);
    let parked = || CpuSet::from_bits(PARKED.load(Ordering::Acquire));
    let mut seen = parked();
    let mut patience = clock::Timeout::after_ms(PARK_PATIENCE_MS);
    crate::idle::until_even_if_parking(|| {
        if parked() != seen {
            seen = parked();
            patience = clock::Timeout::after_ms(PARK_PATIENCE_MS);
        }
        others.without(parked()).is_empty() || patience.expired()
    });
    others.without(parked())
}

/// Closes this CPU's stream and halts for ever. Task context.
///
/// In task context, so that no record of this CPU is half written when it stops.
pub(crate) fn park() -> ! {
    crate::channels::close_this_cpu();
    interrupts::enable();
    crate::transport::finish(|| {
        crate::console::poll();
        interrupts::enable_and_hlt();
    });
    interrupts::disable();
    apic::stop_timer();
    // ORDERING: pairs with the load in `park_others`: the stream is closed.
    PARKED.fetch_or(CpuSet::only(percpu::cpu_index()).bits(), Ordering::Release);
    if percpu::online().contains(0) && percpu::cpu_index() != 0 {
        wake(CpuSet::only(0));
    }
    super::halt_forever()
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
    let running = || {
        let stopped = STOPPED.load(Ordering::Acquire) | PARKED.load(Ordering::Acquire);
        others.without(CpuSet::from_bits(stopped))
    };
    let patience = clock::Timeout::after_ms(STOP_PATIENCE_MS);
    while !running().is_empty() && !patience.expired() {
        core::hint::spin_loop();
    }
    running()
}

/// Whether `cpu` has stopped for good: it acknowledged a stop, or has parked. After
/// [`stop_others`] the caller counts as stopped, too.
pub(crate) fn has_stopped(cpu: usize) -> bool {
    let stopped = STOPPED.load(Ordering::Acquire) | PARKED.load(Ordering::Acquire);
    CpuSet::from_bits(stopped).contains(cpu)
}

/// A time, in ticks, after which `cpu`, which [has stopped](has_stopped), has done nothing, also by
/// its own clock.
pub(crate) fn stopped_at(cpu: usize) -> u64 {
    let noted = STOPPED_AT[cpu % MAX_CPUS].load(Ordering::Relaxed);
    noted.max(clock::ticks())
}

/// Called first thing in every NMI: stops this CPU for good if a panic asked for
/// it. Returns whether the CPU may still log: not if it has parked (its stream is
/// closed), nor if it is the one that stopped the others (it is reading theirs).
pub(crate) fn obey_stop() -> bool {
    if has_stopped(percpu::cpu_index()) {
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
    // ORDERING: pairs with the load in `stop_others`: what this CPU wrote before is visible.
    STOPPED.fetch_or(CpuSet::only(percpu::cpu_index()).bits(), Ordering::Release);
    super::halt_forever()
}
