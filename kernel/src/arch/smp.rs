//! The other CPUs: starting and waking them.
//!
//! A CPU is started by commands to its local APIC, which may get lost, be late or never be obeyed.
//! What is here does one step at a time; who waits how long for whom is up to `life::others`.

mod trampoline;

use core::fmt;
use core::sync::atomic::Ordering;

use spin::Once;
use x86_64::instructions::interrupts;

use self::trampoline::{Slot, state};
use super::apic::{self, Command};
use super::events::IpiSend;
use super::tables::{self, Tables};
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::{percpu, vector};
use crate::logs::trace;
use crate::mem::{MemoryError, stacks};

static SLOTS: [Slot; MAX_CPUS] = [const { Slot::new() }; MAX_CPUS];

/// Every other CPU's tables, made before it starts.
static TABLES: [Once<&'static Tables>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];

/// Where they go when they are up.
static ENTRY: Once<fn() -> !> = Once::new();

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

/// The machine's CPUs, ready to be started.
#[derive(Debug)]
pub(crate) struct Starter<'a> {
    /// Their local APIC identifiers, by CPU; the first is the boot CPU's.
    ids: &'a [u32],
    /// Where they begin.
    page: u8,
}

impl<'a> Starter<'a> {
    /// Makes the CPUs with these local APIC identifiers ready to be started, as CPU 1, 2, ...
    /// (`ids[0]` is the boot CPU). When one of them is up, it calls `entry`.
    ///
    /// Once, in task context on the boot CPU.
    ///
    /// # Errors
    /// When memory is missing for any of them.
    pub(crate) fn prepare(ids: &'a [u32], entry: fn() -> !) -> Result<Self, StartError> {
        ENTRY.call_once(|| entry);
        for (cpu, &apic_id) in ids.iter().enumerate().skip(1) {
            prepare(cpu, apic_id).map_err(|error| StartError::Stacks { cpu, error })?;
        }
        let page = trampoline::install(&SLOTS, enter).map_err(StartError::Trampoline)?;
        Ok(Self { ids, page })
    }

    /// Makes CPUs wait for [`start_up`](Self::start_up). They need [`INIT_PAUSE_MS`] for it.
    pub(crate) fn reset(&self, cpus: CpuSet) {
        for cpu in cpus.iter() {
            apic::send(self.ids[cpu], Command::Init);
        }
    }

    /// Makes CPUs begin with the start-up code. Those that already run ignore it.
    pub(crate) fn start_up(&self, cpus: CpuSet) {
        for cpu in cpus.iter() {
            apic::send(self.ids[cpu], Command::Startup(self.page));
        }
    }

    /// The CPUs that are to begin and have not.
    pub(crate) fn waiting(&self) -> CpuSet {
        all_but_first(self.ids)
            .iter()
            .filter(|&cpu| SLOTS[cpu].state.load(Ordering::Relaxed) == state::WAITING)
            .map(CpuSet::only)
            .fold(CpuSet::EMPTY, CpuSet::with)
    }

    /// Gives a CPU up. If it begins after this, it finds itself abandoned and halts. If it has
    /// begun but is not online yet, it still comes up: it is reported as missing, and then says
    /// itself that it is up.
    pub(crate) fn abandon(&self, cpu: usize) {
        let _ = SLOTS[cpu].state.compare_exchange(
            state::WAITING,
            state::ABANDONED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
}

/// The CPUs with these local APIC identifiers, without the first, the boot CPU.
pub(crate) fn all_but_first(ids: &[u32]) -> CpuSet {
    CpuSet::from_bits(((1_u64 << ids.len()) - 2) as u32)
}

/// The pause between INIT and start-up (Intel SDM Vol. 3A, 9.4.4.1).
pub(crate) const INIT_PAUSE_MS: u64 = 10;

/// Makes a CPU's stacks and tables, and its slot.
fn prepare(cpu: usize, apic_id: u32) -> Result<(), MemoryError> {
    let stacks = stacks::all_for(cpu)?;
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
    relay::info!("cpu {cpu} up");
    percpu::set_online();
    apic::start_timer();
    interrupts::enable();
    // CPU 0 may be waiting for this one.
    wake(CpuSet::only(0));
    match ENTRY.get() {
        Some(entry) => entry(),
        None => crate::cpu::halt_forever(),
    }
}

/// Sends a wake-up interrupt to these CPUs: it ends their halt, and is told to the handler of
/// wake-ups. Task and IRQ context.
pub(crate) fn wake(cpus: CpuSet) {
    for cpu in cpus.iter() {
        interrupt(cpu, vector::WAKE);
    }
}

/// Sends a wake-up interrupt to this very CPU, and writes nothing: for the middle of a write. Task
/// and IRQ context.
pub(crate) fn ring_own_bell() {
    apic::send(percpu::this().apic_id(), Command::Interrupt(vector::WAKE));
}

/// Sends an interrupt with this vector to a CPU, which may be this one. Task and IRQ context.
pub(crate) fn interrupt(cpu: usize, vector: u8) {
    trace::emit(|| IpiSend {
        vector: vector.into(),
        target: cpu as i32,
    });
    apic::send(percpu::of(cpu).apic_id(), Command::Interrupt(vector));
}
