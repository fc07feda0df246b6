//! Which thread runs on this CPU, for whoever writes records: it is asked in any context, in the
//! middle of a switch too.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use relay::event::Chars;

use super::{percpu, pins};
use crate::base::cpuset::MAX_CPUS;

/// The name of a thread, as long as Linux has it.
pub(crate) type Comm = Chars<16>;

/// The priority of most threads.
pub(crate) const PRIORITY: i32 = 20;

/// A thread, as records tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its name; of a program's first thread, that of the program.
    pub(crate) comm: Comm,
    /// Its number; 0: nothing runs.
    pub(crate) tid: i32,
    /// The number of its process; 0: the kernel.
    pub(crate) pid: i32,
    /// Its priority: 20 is that of most, less goes first.
    pub(crate) priority: i32,
}

/// The names of what runs on each CPU without a scheduler: its thread, and nothing.
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

impl Task {
    /// The kernel's own thread of a CPU: `cpu/N`, number N + 1, of process 0, which is the kernel.
    pub(crate) fn of_cpu(cpu: usize) -> Self {
        let [comm, _] = NAMES[cpu % MAX_CPUS];
        Self::kernel(comm, cpu as i32 + 1)
    }

    /// What runs on a CPU that is halted: `swapper/N`, number 0, which is what Linux calls that.
    pub(crate) fn idle(cpu: usize) -> Self {
        let [_, comm] = NAMES[cpu % MAX_CPUS];
        Self::kernel(comm, 0)
    }

    const fn kernel(comm: Comm, tid: i32) -> Self {
        Self {
            comm,
            tid,
            pid: 0,
            priority: PRIORITY,
        }
    }
}

/// What runs on one CPU: one of two, so that the other one can be written.
struct Running {
    tasks: UnsafeCell<[Task; 2]>,
    /// Which it is, from 1; 0: nobody has said anything yet.
    which: AtomicUsize,
}

// SAFETY: only code of the CPU that a place belongs to uses it: see `set` and `task`.
unsafe impl Sync for Running {}

static RUNNING: [Running; MAX_CPUS] = [const {
    Running {
        tasks: UnsafeCell::new([Task::kernel(Comm::new(""), 0); 2]),
        which: AtomicUsize::new(0),
    }
}; MAX_CPUS];

/// This CPU's place.
fn own() -> &'static Running {
    &RUNNING[percpu::cpu_index() % MAX_CPUS]
}

/// Says that this CPU runs a thread from now on. Task or interrupt context, interrupts off.
#[inline(always)]
pub(crate) fn set(task: &Task) {
    let own = own();
    let other = own.which.load(Ordering::Relaxed) % 2;
    // SAFETY: the place is this CPU's. Interrupts are off, so nothing else writes it, and an NMI that
    // comes now reads the other half, which `which` names, or none if that is 0.
    unsafe { (*own.tasks.get())[other] = *task };
    percpu::set_thread(task.tid, task.pid);
    // ORDERING: for the compiler only: an NMI of this CPU that sees the number sees the thread.
    own.which.store(other + 1, Ordering::Release);
}

/// The thread that runs on this CPU, or that was interrupted: its own, or nothing while it halts, as
/// long as nobody has [said](set) that another does. Any context.
pub(crate) fn task() -> Task {
    pins::pin();
    let task = pinned();
    pins::unpin();
    task
}

/// The same, where nothing switches threads meanwhile: pinned.
fn pinned() -> Task {
    let own = own();
    if percpu::thread() == 0 {
        return Task::idle(percpu::cpu_index());
    }
    // ORDERING: as in `set`.
    match own.which.load(Ordering::Acquire) {
        0 => Task::of_cpu(percpu::cpu_index()),
        // SAFETY: the place is this CPU's, and stays so: where a pin or a handler keeps threads from
        // being switched, nobody calls `set`. In an NMI that has interrupted `set`, `which` names the
        // half that is not being written. It is 1 or 2.
        which => unsafe { own.tasks.get().cast::<Task>().add((which - 1) % 2).read() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_a_thread_and_nothing() {
        let (own, nothing) = (Task::of_cpu(7), Task::idle(7));
        assert_eq!((own.comm.text(), own.tid, own.pid), ("cpu/7", 8, 0));
        assert_eq!((nothing.comm.text(), nothing.tid), ("swapper/7", 0));
        let (own, nothing) = (Task::of_cpu(31), Task::idle(31));
        assert_eq!((own.comm.text(), own.tid), ("cpu/31", 32));
        assert_eq!(nothing.comm.text(), "swapper/31");
    }
}
