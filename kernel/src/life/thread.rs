//! What runs on a CPU, as viewers of traces see it: its one thread `cpu/N`, or, while it is halted,
//! `swapper/N`, which is what Linux calls that.

use x86_64::instructions::interrupts;

use crate::arch::events::CpuUp;
use crate::cpu::{self, percpu};
use crate::logs::trace;
use crate::sched;
use crate::sched::events::{self, Left, Task};

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
    let (own, nothing) = (Task::of_cpu(cpu), Task::idle(cpu));
    events::switch(&own, &nothing, Left::Waiting);
    events::halts(cpu);
    percpu::begin_halt();
    let was_idle = cpu::wait_for_interrupt();
    percpu::end_halt();
    if was_idle {
        events::awake(cpu);
        events::switch(&nothing, &own, Left::Runnable);
    }
    interrupts::enable();
}
