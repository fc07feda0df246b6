//! What runs on a CPU, as viewers of traces see it: its one thread `cpu/N`, or, while it is halted,
//! `swapper/N`, which is what Linux calls that.

use x86_64::instructions::interrupts;

use crate::arch::events::CpuUp;
use crate::cpu::{self, percpu};
use crate::logs::trace;
use crate::sched;
use crate::sched::events::{self, Left, Task};

relay::event! {
    /// This CPU is about to halt, or was woken.
    #[event(channel = "trace", name = "power_cpu_idle", facility = "idle", enabled = false)]
    struct PowerCpuIdle {
        /// 1: it halts; 4294967295: it does not any more.
        state: u32,
        /// The CPU.
        cpu_id: u32,
    }
}

/// A halted CPU waits for an interrupt.
const HALTED: u32 = 1;
/// It does not any more.
const AWAKE: u32 = u32::MAX;

/// Says that the calling CPU is up, and runs its thread: so that viewers know from the beginning
/// what it runs. Task context, once on each CPU, when there is a trace.
pub(crate) fn begin() {
    let cpu = percpu::cpu_index();
    sched::adopt();
    trace::emit(|| CpuUp { cpu_id: cpu as u32 });
    // Idling, a CPU could always go on.
    events::switch(&Task::idle(cpu), &Task::of_cpu(cpu), Left::Runnable);
}

/// Lets programs run, if any could; otherwise halts the calling CPU until an interrupt comes. One that
/// comes meanwhile ends both. Task context, interrupts off, which are on when it returns.
pub(super) fn halt() {
    if sched::give_way() {
        return interrupts::enable();
    }
    let cpu = percpu::cpu_index();
    let idle = |state| PowerCpuIdle {
        state,
        cpu_id: cpu as u32,
    };
    let (own, nothing) = (Task::of_cpu(cpu), Task::idle(cpu));
    events::switch(&own, &nothing, Left::Waiting);
    trace::emit(|| idle(HALTED));
    percpu::begin_halt();
    cpu::wait_for_interrupt();
    percpu::end_halt();
    trace::emit(|| idle(AWAKE));
    events::switch(&nothing, &own, Left::Runnable);
}
