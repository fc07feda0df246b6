//! What is known of all threads, under one lock.

use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::num::NonZero;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};

use relay_abi::NORMAL_PRIORITY;

use super::queue::{Links, NONE, Queue};
use crate::arch::frame::TrapFrame;
use crate::arch::switch::Saved;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::lock::IrqMutex;
use crate::cpu::running::{Comm, Task};
use crate::mem::UserSpace;
use crate::mem::stacks::ThreadStack;

/// How many threads there can be. The first are the CPUs' own.
pub(crate) const SLOTS: usize = 256;

/// The priority of a CPU's own thread when an interrupt has come: before all that programs can have.
pub(super) const FIRST: usize = 0;

/// Where a priority of a program, 0 to 39, is among those of the queues.
pub(super) const fn level(priority: u32) -> usize {
    priority as usize + 1
}

/// A thread, by its slot and its number: numbers are not used twice, so what is done to a thread that
/// has ended is done to none.
///
/// Both, and a bit that is always set: so it fits a register, and none of it does, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread(NonZero<u64>);

/// The bit that is always set.
const SET: NonZero<u64> = NonZero::new(1 << 63).unwrap();

impl Thread {
    /// The thread with this number, in this slot.
    #[inline(always)]
    pub(super) fn new(slot: u16, number: i32) -> Self {
        Self(SET | ((slot as u64) << 32 | number as u32 as u64))
    }

    /// Its number.
    #[inline(always)]
    pub(crate) fn tid(self) -> i32 {
        self.0.get() as i32
    }

    /// Its slot, which no other thread has as long as it lives.
    #[inline(always)]
    pub(crate) fn slot(self) -> usize {
        usize::from(self.place()) % SLOTS
    }

    /// The same, as lists have it.
    #[inline(always)]
    pub(super) fn place(self) -> u16 {
        (self.0.get() >> 32) as u16
    }
}

/// Who a thread belongs to: told when it begins and when it ends.
pub(crate) trait Owner: Any + Send + Sync {
    /// A thread of it begins: it runs for the first time. Task context, on that thread, interrupts
    /// off.
    fn on_begin(&self, thread: Thread);

    /// A thread of it is about to end. Task context, on that thread, interrupts off; it is in the
    /// kernel's own address space.
    fn on_end(&self, thread: Thread);
}

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No thread has the slot.
    Free,
    /// It is in the queue of its CPU.
    Ready,
    /// It runs on its CPU.
    Running,
    /// It waits to be unparked; until its deadline, if that is not `u64::MAX`.
    Parked,
    /// It never runs again.
    Ended,
}

/// A thread, as the scheduler knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// As records tell of it; the priority as programs say it, 0 to 39.
    pub(super) task: Task,
    pub(super) cpus: CpuSet,
    /// Where it runs, or has run last.
    pub(super) cpu: usize,
    pub(super) state: State,
    /// When it stops waiting, in ticks.
    pub(super) deadline: u64,
    /// It was woken for the first time.
    pub(super) has_run: bool,
    /// An interrupt has made it ready: it goes before all others for a tick.
    pub(super) is_first: bool,
    pub(super) next: u16,
}

impl Slot {
    const FREE: Self = Self {
        task: Task {
            comm: Comm::new(""),
            tid: 0,
            pid: 0,
            priority: NORMAL_PRIORITY as i32,
        },
        cpus: CpuSet::EMPTY,
        cpu: 0,
        state: State::Free,
        deadline: u64::MAX,
        has_run: true,
        is_first: false,
        next: NONE,
    };

    /// A thread that is ready, or runs, on `cpu`.
    pub(super) fn new(number: i32, process: i32, comm: Comm, cpu: usize) -> Self {
        Self {
            task: Task {
                comm,
                tid: number,
                pid: process,
                ..Self::FREE.task
            },
            cpu,
            cpus: CpuSet::only(cpu),
            ..Self::FREE
        }
    }

    /// Where it belongs in a queue.
    pub(super) fn level(&self) -> usize {
        match self.is_first {
            true => FIRST,
            false => level(self.task.priority as u32),
        }
    }
}

/// The threads, by their slots.
#[derive(Debug)]
pub(super) struct Slots(pub(super) [Slot; SLOTS]);

impl Links for Slots {
    fn next(&mut self, slot: u16) -> &mut u16 {
        &mut self.0[usize::from(slot)].next
    }
}

/// All threads, and what each CPU has of them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) slots: Slots,
    pub(super) queues: [Queue; MAX_CPUS],
    /// Which runs on each CPU.
    pub(super) running: [u16; MAX_CPUS],
    /// The thread that runs has had a whole tick.
    pub(super) is_slice_over: [bool; MAX_CPUS],
    pub(super) next_number: i32,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            slots: Slots([Slot::FREE; SLOTS]),
            queues: [const { Queue::new() }; MAX_CPUS],
            running: [NONE; MAX_CPUS],
            is_slice_over: [false; MAX_CPUS],
            next_number: FIRST_NUMBER,
        }
    }

    /// The thread, if it has not ended.
    pub(super) fn get(&mut self, thread: Thread) -> Option<&mut Slot> {
        let slot = &mut self.slots.0[thread.slot()];
        let is_it = slot.task.tid == thread.tid();
        let lives = !matches!(slot.state, State::Free | State::Ended);
        (is_it && lives).then_some(slot)
    }

    /// The slot.
    pub(super) fn slot(&mut self, slot: u16) -> &mut Slot {
        &mut self.slots.0[usize::from(slot) % SLOTS]
    }

    /// Makes a thread ready, which is in no queue, on its CPU: behind the others of its priority, or
    /// before them.
    pub(super) fn make_ready(&mut self, slot: u16, is_behind: bool) {
        let thread = self.slot(slot);
        thread.state = State::Ready;
        let (cpu, level) = (thread.cpu, thread.level());
        let Self { slots, queues, .. } = self;
        match is_behind {
            true => queues[cpu].push_back(slots, slot, level),
            false => queues[cpu].push_front(slots, slot, level),
        }
    }

    /// Whether a thread that waits may go on on `cpu` at once when the one that runs there waits: where
    /// nobody is ready who is as important.
    pub(super) fn may_follow(&self, slot: u16, cpu: usize) -> bool {
        let thread = &self.slots.0[usize::from(slot) % SLOTS];
        let is_first = |level| self.queues[cpu].best().is_none_or(|best| level < best);
        thread.cpus.contains(cpu) && is_first(thread.level())
    }

    /// Takes the next thread of a CPU out of its queue.
    pub(super) fn pop(&mut self, cpu: usize) -> Option<u16> {
        let Self { slots, queues, .. } = self;
        queues[cpu].pop(slots)
    }

    /// Takes a thread out of the middle of its queue.
    pub(super) fn remove(&mut self, slot: u16, cpu: usize, level: usize) {
        let Self { slots, queues, .. } = self;
        queues[cpu].remove(slots, slot, level);
    }
}

/// The number of the first thread of a program. Those below are the CPUs' own.
pub(super) const FIRST_NUMBER: i32 = 100;

/// What a thread has, beside what is known of it.
pub(super) struct Body {
    pub(super) stack: ThreadStack,
    pub(super) space: Arc<UserSpace>,
    pub(super) owner: Arc<dyn Owner>,
    /// Its registers at its beginning, until it has begun.
    pub(super) beginning: Option<TrapFrame>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

pub(super) static TABLE: IrqMutex<Table> = IrqMutex::new(Table::new());
pub(super) static BODIES: [IrqMutex<Option<Body>>; SLOTS] = [const { IrqMutex::new(None) }; SLOTS];
pub(super) static SAVED: [Saved; SLOTS] = [const { Saved::new() }; SLOTS];

/// The thread that each CPU has left and may not run again: it is ready, and in no queue, until who
/// runs next there has placed it. [`NONE`]: no such thread.
pub(super) static MOVING: [AtomicU16; MAX_CPUS] = [const { AtomicU16::new(NONE) }; MAX_CPUS];

/// Threads that somebody has unparked. They are given under the table's lock, and taken under it
/// before a thread waits.
pub(super) static TOKENS: [AtomicBool; SLOTS] = [const { AtomicBool::new(false) }; SLOTS];

/// Takes the token of the thread in this slot, if it has one.
pub(super) fn take_token(slot: usize) -> bool {
    // ORDERING: Acquire: what was done before it was given is seen. A load first: most have none.
    TOKENS[slot].load(Ordering::Relaxed) && TOKENS[slot].swap(false, Ordering::Acquire)
}

/// Threads that shall end.
pub(super) static MUST_END: [AtomicBool; SLOTS] = [const { AtomicBool::new(false) }; SLOTS];

/// The slot of the thread that runs on each CPU: [`Table::running`], without the lock.
pub(super) static RUNNING: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// No thread waits until a time before this, in ticks.
pub(super) static EARLIEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Whether the thread in this slot shall end.
pub(super) fn must_end(slot: usize) -> bool {
    MUST_END[slot].load(Ordering::Relaxed)
}
