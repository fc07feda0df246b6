//! What runs on a CPU, as viewers of traces see it: its one thread `cpu/N`, or, while it is halted,
//! `swapper/N`, which is what Linux calls that.
//!
//! Threads have numbers: that of `cpu/N` is N + 1; that of every `swapper/N` is 0, by which viewers
//! know that a CPU is idle.

use relay::event::Chars;

use crate::arch::events::CpuUp;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::{self, percpu};
use crate::logs::trace;

/// The name of a thread, as long as Linux has it.
type Comm = Chars<16>;

relay::event! {
    /// This CPU goes on with another thread.
    #[event(channel = "trace", name = "sched_switch", facility = "sched", enabled = false)]
    struct SchedSwitch {
        /// The name of the thread that it leaves.
        prev_comm: Comm,
        /// Its number.
        prev_tid: i32,
        /// Its priority: 20 is that of most.
        prev_prio: i32,
        /// 0: it could go on; 1: it waits for something.
        prev_state: i64,
        /// The name of the thread that runs from now on.
        next_comm: Comm,
        /// Its number.
        next_tid: i32,
        /// Its priority.
        next_prio: i32,
    }

    /// This CPU is about to halt, or was woken.
    #[event(channel = "trace", name = "power_cpu_idle", facility = "idle", enabled = false)]
    struct PowerCpuIdle {
        /// 1: it halts; 4294967295: it does not any more.
        state: u32,
        /// The CPU.
        cpu_id: u32,
    }
}

/// The priority of all threads here; that of most threads elsewhere.
const PRIORITY: i32 = 20;
/// A halted CPU waits for an interrupt.
const HALTED: u32 = 1;
/// It does not any more.
const AWAKE: u32 = u32::MAX;

/// The names of what runs on each CPU: its thread, and nothing.
static NAMES: [[Comm; 2]; MAX_CPUS] = {
    let mut names = [[Comm::new(""); 2]; MAX_CPUS];
    let mut cpu = 0;
    while cpu < MAX_CPUS {
        names[cpu] = [
            numbered(*b"cpu/\0\0\0\0\0\0", 4, cpu),
            numbered(*b"swapper/\0\0", 8, cpu),
        ];
        cpu += 1;
    }
    names
};

/// `name`, whose letters end at `end`, with a number below 100 behind it.
const fn numbered(mut name: [u8; 10], end: usize, number: usize) -> Comm {
    let mut at = end;
    if number >= 10 {
        name[at] = b'0' + (number / 10) as u8;
        at += 1;
    }
    name[at] = b'0' + (number % 10) as u8;
    let (name, _) = name.split_at(at + 1);
    match core::str::from_utf8(name) {
        Ok(name) => Comm::new(name),
        Err(_) => panic!("it is ASCII"),
    }
}

const _: () = assert!(MAX_CPUS <= 100, "names have room for two digits");

/// What a switch goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// The thread of the CPU.
    Thread,
    /// Nothing: it halts.
    Nothing,
}

/// The switch on `cpu` to this.
fn switch(cpu: usize, to: To) -> SchedSwitch {
    let [thread, nothing] = NAMES[cpu % MAX_CPUS];
    let tid = cpu as i32 + 1;
    let ((prev_comm, prev_tid, prev_state), (next_comm, next_tid)) = match to {
        // Idling, a CPU could always go on.
        To::Thread => ((nothing, 0, 0), (thread, tid)),
        To::Nothing => ((thread, tid, 1), (nothing, 0)),
    };
    SchedSwitch {
        prev_comm,
        prev_tid,
        prev_prio: PRIORITY,
        prev_state,
        next_comm,
        next_tid,
        next_prio: PRIORITY,
    }
}

/// Says that the calling CPU is up, and runs its thread: so that viewers know from the beginning
/// what it runs. Task context, once on each CPU, when there is a trace.
pub(crate) fn begin() {
    let cpu = percpu::cpu_index();
    trace::emit(|| CpuUp { cpu_id: cpu as u32 });
    trace::emit(|| switch(cpu, To::Thread));
}

/// Turns interrupts on and halts the calling CPU until one comes. Task context, interrupts off; an
/// interrupt that comes meanwhile ends the halt.
pub(super) fn halt() {
    let cpu = percpu::cpu_index();
    let idle = |state| PowerCpuIdle {
        state,
        cpu_id: cpu as u32,
    };
    trace::emit(|| switch(cpu, To::Nothing));
    trace::emit(|| idle(HALTED));
    percpu::begin_halt();
    cpu::wait_for_interrupt();
    percpu::end_halt();
    trace::emit(|| idle(AWAKE));
    trace::emit(|| switch(cpu, To::Thread));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_switches_between_its_thread_and_nothing() {
        let away = switch(7, To::Nothing);
        assert_eq!(away.prev_comm.text(), "cpu/7");
        assert_eq!((away.prev_tid, away.prev_state), (8, 1));
        assert_eq!((away.next_comm.text(), away.next_tid), ("swapper/7", 0));
        let back = switch(31, To::Thread);
        assert_eq!((back.prev_comm.text(), back.prev_tid), ("swapper/31", 0));
        assert_eq!(back.prev_state, 0);
        assert_eq!((back.next_comm.text(), back.next_tid), ("cpu/31", 32));
    }
}
