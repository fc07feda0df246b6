//! Switches: who runs next, and why.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use relay_abi::{LEAST_PRIORITY, ThreadOptions};

use super::events::{self, Left};
use super::queue::NONE;
use super::rules::Leaves;
use super::table::{
    BODIES, Body, EARLIEST, MOVING, MUST_END, Owner, RUNNING, SAVED, SLOTS, Slot, State, TABLE,
    TOKENS, Table, Thread, must_end, take_token,
};
use crate::arch::frame::TrapFrame;
use crate::arch::{smp, switch, tables, user};
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::lock::QuietGuard;
use crate::cpu::running::{self, Comm, Task};
use crate::cpu::{clock, halt_forever, percpu, pins};
use crate::mem::{UserSpace, enter_space, stacks};

/// Why [`park`] has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody has unparked the thread, now or before.
    Unparked,
    /// The time is over.
    TimedOut,
    /// The thread shall end: whatever it does, it does no more.
    Ended,
}

/// A thread that is to begin in ring 3.
pub(crate) struct Plan {
    /// What it is called.
    pub(crate) comm: Comm,
    /// Its number: from [`new_number`].
    pub(crate) number: i32,
    /// That of its process.
    pub(crate) process: i32,
    /// How it is run.
    pub(crate) options: ThreadOptions,
    /// Its registers.
    pub(crate) beginning: TrapFrame,
    /// Where its memory is.
    pub(crate) space: Arc<UserSpace>,
    /// Who is told when it ends.
    pub(crate) owner: Arc<dyn Owner>,
}

/// Why there is no new thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpawnError {
    /// There are as many threads as there can be, or there is no memory for its stack.
    NoRoom,
    /// It may run on no CPU that is there, or there is no such priority.
    BadOptions,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "there are as many threads as there can be, or no memory for its stack",
            Self::BadOptions => "it may run on no CPU that is there, or has no priority of 0 to 39",
        })
    }
}

/// Makes what runs on this CPU its own thread. Task context, once on each CPU, first of all here.
pub(crate) fn adopt() {
    let cpu = percpu::cpu_index();
    let Task { comm, .. } = Task::of_cpu(cpu);
    let mut table = TABLE.lock();
    *table.slot(cpu as u16) = Slot {
        state: State::Running,
        ..Slot::new(cpu as i32 + 1, 0, comm, cpu)
    };
    table.running[cpu] = cpu as u16;
    RUNNING[cpu].store(cpu, Ordering::Relaxed);
    SAVED[cpu].adopt();
}

/// The slot of the thread that runs here, which is below [`SLOTS`]. Task context.
#[inline(always)]
pub(crate) fn here() -> usize {
    RUNNING[percpu::cpu_index() % MAX_CPUS].load(Ordering::Relaxed) % SLOTS
}

/// The thread that runs here. Task context, interrupts off, or the CPU's own.
pub(crate) fn current() -> Thread {
    Thread::new(here() as u16, percpu::thread())
}

impl Thread {
    /// Gives the thread a token, and makes it ready if it waits for one. Task and IRQ context.
    pub(crate) fn unpark(self) {
        let mut table = TABLE.lock();
        if self.give_token(&mut table) {
            wake(&mut table, self.place());
        }
    }

    /// Gives it one; whether it waits for that, and is to be made ready.
    #[inline(always)]
    fn give_token(self, table: &mut Table) -> bool {
        let Some(thread) = table.get(self) else {
            return false;
        };
        let is_parked = thread.state == State::Parked;
        // ORDERING: pairs with `take_token`.
        TOKENS[self.slot()].store(true, Ordering::Release);
        is_parked
    }
}

/// Makes a parked thread ready, where it is best, and sees to it that it runs there if it is more
/// important than what does.
fn wake(table: &mut Table, slot: u16) {
    let is_left = !SAVED[usize::from(slot)].is_running();
    let placed = table.place(slot, percpu::online(), is_left);
    let cpu = placed.cpu;
    if events::is_waking_told() {
        let task = table.slot(slot).task;
        tell_of_wakeup(&task, placed.before, cpu, placed.is_new);
    }
    if placed.asks {
        interrupt(cpu);
    }
}

/// A thread was woken, which was on one CPU before and shall run on another.
fn tell_of_wakeup(task: &Task, before: usize, cpu: usize, is_new: bool) {
    events::waking(task, cpu);
    if before != cpu && !is_new {
        events::migrate(task, before, cpu);
    }
    match is_new {
        true => events::wakeup_new(task, cpu),
        false => events::wakeup(task, cpu),
    }
}

/// Has a CPU look for who runs next.
fn interrupt(cpu: usize) {
    percpu::ask_to_reschedule(cpu);
    if cpu != percpu::cpu_index() {
        smp::wake(CpuSet::only(cpu));
    }
}

/// Has another thread run here; returns when this one does again, which may be at once. Interrupts
/// off. `table` is locked, so that what it was asked for is still so.
fn go_on(mut table: QuietGuard<'_, Table>, leaves: Leaves) {
    let cpu = percpu::cpu_index();
    let (from, to) = table.switch(cpu, leaves);
    if let Leaves::Parked(until) = leaves {
        note_deadline(&mut table, from, until);
    }
    if to == from {
        return;
    }
    let left = match leaves {
        Leaves::Before | Leaves::Behind => Left::Runnable,
        Leaves::Elsewhere => {
            MOVING[cpu].store(from, Ordering::Relaxed);
            Left::Runnable
        }
        Leaves::Parked(_) => Left::Waiting,
        Leaves::Ended => Left::Gone,
    };
    change(table, cpu, [from, to], left);
}

/// Has `to` run here, which waits and [may follow](Table::may_follow); returns when this one does
/// again. Interrupts off.
fn hand_over(mut table: QuietGuard<'_, Table>, until: u64, to: u16) {
    let cpu = percpu::cpu_index();
    if events::is_waking_told() {
        let next = table.slot(to);
        tell_of_wakeup(&next.task, next.cpu, cpu, !next.has_run);
    }
    let from = table.hand_over(cpu, until, to);
    note_deadline(&mut table, from, until);
    change(table, cpu, [from, to], Left::Waiting);
}

/// A thread waits until a time in ticks, if that is not `u64::MAX`.
#[inline(always)]
fn note_deadline(table: &mut Table, slot: u16, until: u64) {
    if until != u64::MAX {
        EARLIEST.fetch_min(until, Ordering::Relaxed);
        events::sleep(table.slot(slot).task.tid, || clock::nanos(until));
    }
}

/// This CPU leaves one thread and goes on with another, as the table has it; returns when somebody
/// goes on with the first. Interrupts off.
#[inline(always)]
fn change(table: QuietGuard<'_, Table>, cpu: usize, [from, to]: [u16; 2], left: Left) {
    if events::is_switch_told() {
        // Under the lock: before somebody can wake the thread that is left.
        let slots = &table.slots.0;
        let [before, next] = [from, to].map(|slot| &slots[usize::from(slot) % SLOTS].task);
        events::switch(before, next, left);
    }
    let (from, to) = (usize::from(from) % SLOTS, usize::from(to) % SLOTS);
    RUNNING[cpu].store(to, Ordering::Relaxed);
    running::set(&table.slots.0[to].task);
    drop(table);
    enter(to);
    switch::switch(&SAVED[from], &SAVED[to]);
    settle();
}

/// A thread goes on, perhaps on another CPU than before: what its CPU has left may go elsewhere now.
/// Interrupts off.
#[inline(always)]
fn settle() {
    let cpu = percpu::cpu_index();
    let slot = MOVING[cpu].load(Ordering::Relaxed);
    if slot != NONE {
        place_moved(cpu, slot);
    }
}

/// What this CPU has left may go elsewhere now.
#[cold]
fn place_moved(cpu: usize, slot: u16) {
    MOVING[cpu].store(NONE, Ordering::Relaxed);
    let mut table = TABLE.lock();
    let task = table.slot(slot).task;
    let placed = table.place(slot, percpu::online(), true);
    events::migrate(&task, placed.before, placed.cpu);
    if placed.asks {
        interrupt(placed.cpu);
    }
}

/// Sets the calling CPU up for a thread: its stack for what comes from ring 3, its memory.
#[inline(always)]
fn enter(slot: usize) {
    let body = BODIES[slot].lock_quiet();
    let top = body.as_ref().map_or(0, |body| body.stack.top());
    percpu::set_kernel_rsp(top);
    tables::set_kernel_stack(top);
    enter_space(body.as_ref().map(|body| &*body.space));
}

/// Waits for a token, at most until a time in ticks. Task context of a program's thread, interrupts
/// off.
pub(crate) fn park(until: Option<u64>) -> Woken {
    park_for(None, until)
}

/// [Unparks](Thread::unpark) another thread, if one is given, and waits for a token, at most until a
/// time in ticks. The other one goes on here at once, if it can: then no queue is touched, and no CPU
/// asked. Task context of a program's thread, interrupts off.
pub(crate) fn park_for(other: Option<Thread>, until: Option<u64>) -> Woken {
    let slot = here();
    let until = until.unwrap_or(u64::MAX);
    let mut table = TABLE.lock_quiet();
    let other = other.filter(|other| other.give_token(&mut table));
    let woken = if must_end(slot) {
        Some(Woken::Ended)
    } else if take_token(slot) {
        Some(Woken::Unparked)
    } else if until != u64::MAX && clock::ticks() >= until {
        Some(Woken::TimedOut)
    } else {
        None
    };
    if let Some(woken) = woken {
        if let Some(other) = other {
            wake(&mut table, other.place());
        }
        return woken;
    }
    match other {
        Some(other) if can_follow(&table, other) => hand_over(table, until, other.place()),
        other => {
            if let Some(other) = other {
                wake(&mut table, other.place());
            }
            go_on(table, Leaves::Parked(until));
        }
    }
    match take_token(slot) {
        _ if must_end(slot) => Woken::Ended,
        true => Woken::Unparked,
        false => Woken::TimedOut,
    }
}

/// Whether a thread that waits can go on here at once: where its stack is left, too.
#[inline(always)]
fn can_follow(table: &Table, thread: Thread) -> bool {
    table.may_follow(thread.place(), percpu::cpu_index()) && !SAVED[thread.slot()].is_running()
}

/// Lets others of the same priority go first. Task context of a program's thread, interrupts off.
pub(crate) fn yield_now() {
    go_on(TABLE.lock_quiet(), Leaves::Behind);
}

/// Whether there was ever a thread of a program: without one, nothing is switched, and nothing is
/// looked at.
static IS_USED: AtomicBool = AtomicBool::new(false);

/// Whether anything but the CPUs' own threads may be there. Any context.
fn is_used() -> bool {
    IS_USED.load(Ordering::Relaxed)
}

/// This CPU's own thread has nothing to do: lets others run, if any could; whether one did. Task
/// context, interrupts off.
pub(crate) fn give_way() -> bool {
    if !is_used() {
        return false;
    }
    let mut table = TABLE.lock_quiet();
    percpu::take_reschedule();
    let Some(leaves) = table.give_way(percpu::cpu_index()) else {
        return false;
    };
    go_on(table, leaves);
    true
}

/// The timer's share: who waits no longer is ready, and who has run for a whole tick gives others
/// their turn. IRQ context.
pub(crate) fn tick() {
    if !is_used() {
        return;
    }
    let cpu = percpu::cpu_index();
    let now = clock::ticks();
    let is_due = now >= EARLIEST.load(Ordering::Relaxed);
    let mut table = TABLE.lock();
    if is_due {
        wake_due(&mut table, now);
    }
    if table.end_slice(cpu) {
        percpu::ask_to_reschedule(cpu);
    }
}

/// Makes all ready whose time is over.
fn wake_due(table: &mut Table, now: u64) {
    for slot in 0..SLOTS as u16 {
        if table.is_due(slot, now) {
            let number = table.slot(slot).task.tid;
            events::slept(number, || clock::nanos(now), || wake(table, slot));
        }
    }
    EARLIEST.store(table.earliest(), Ordering::Relaxed);
}

/// An interrupt is over that came while a task of this CPU ran: its own thread goes on if it had given
/// way, and others if they shall. Interrupts off.
pub(crate) fn preempt() {
    // A halted CPU has not said yet that it is not any more: its own thread does, and gives way.
    if !is_used() || percpu::is_closing() || percpu::is_idle() {
        return;
    }
    if pins::pins() != 0 {
        // Not at the next interrupt, which may be that of the timer.
        if percpu::is_reschedule_asked() {
            pins::put_off_switch();
        }
        return;
    }
    let mut table = TABLE.lock_quiet();
    let is_asked = percpu::take_reschedule();
    if let Some(leaves) = table.after_interrupt(percpu::cpu_index(), is_asked) {
        go_on(table, leaves);
    }
}

/// This CPU is about to go back to ring 3: others go first if they shall, and a thread that shall end
/// does. Interrupts off.
pub(crate) fn leave() {
    // First: what faults on a stack that its CPU shares must not be switched away from there.
    if must_end(here()) {
        end();
    }
    if !percpu::take_reschedule() {
        return;
    }
    let mut table = TABLE.lock_quiet();
    if let Some(leaves) = table.turn(percpu::cpu_index()) {
        go_on(table, leaves);
        if must_end(here()) {
            end();
        }
    }
}

/// A number that no thread and no process has had; `None` when all have been used. Task context.
pub(crate) fn new_number() -> Option<i32> {
    let mut table = TABLE.lock();
    let number = table.next_number;
    table.next_number = number.checked_add(1)?;
    Some(number)
}

/// Makes a thread, which begins when it is [unparked](Thread::unpark). Task context.
///
/// # Errors
/// [`SpawnError`].
pub(crate) fn spawn(plan: Plan) -> Result<Thread, SpawnError> {
    reap();
    let (priority, cpus) = checked(plan.options)?;
    IS_USED.store(true, Ordering::Relaxed);
    let stack = stacks::thread_stack().map_err(|_| SpawnError::NoRoom)?;
    let mut table = TABLE.lock();
    // The first are the CPUs' own, also of those that are not up yet.
    let is_free = |slot: &usize| table.slots.0[*slot].state == State::Free;
    let slot = (MAX_CPUS..SLOTS).find(is_free).ok_or(SpawnError::NoRoom)?;
    let Plan {
        number, process, ..
    } = plan;
    SAVED[slot].prepare(&stack, begin);
    MUST_END[slot].store(false, Ordering::Relaxed);
    TOKENS[slot].store(false, Ordering::Relaxed);
    *BODIES[slot].lock() = Some(Body {
        stack,
        space: plan.space,
        owner: plan.owner,
        beginning: Some(plan.beginning),
    });
    let thread = table.slot(slot as u16);
    *thread = Slot {
        task: Task {
            comm: plan.comm,
            tid: number,
            pid: process,
            priority: priority as i32,
        },
        cpus,
        state: State::Parked,
        has_run: false,
        ..Slot::new(number, process, plan.comm, percpu::cpu_index())
    };
    events::fork(&running::task(), &thread.task);
    Ok(Thread::new(slot as u16, number))
}

/// What the options say: a priority and CPUs.
fn checked(options: ThreadOptions) -> Result<(u32, CpuSet), SpawnError> {
    let online = percpu::online();
    let cpus = match options.cpus {
        0 => online,
        bits => CpuSet::from_bits(bits).and(online),
    };
    let is_good = options.priority <= LEAST_PRIORITY && !cpus.is_empty();
    is_good
        .then_some((options.priority, cpus))
        .ok_or(SpawnError::BadOptions)
}

/// The thread that calls is run so from now on. Task context of a program's thread, interrupts off.
///
/// # Errors
/// [`SpawnError::BadOptions`].
pub(crate) fn set_options(options: ThreadOptions) -> Result<(), SpawnError> {
    let (priority, cpus) = checked(options)?;
    let mut table = TABLE.lock_quiet();
    let cpu = percpu::cpu_index();
    let task = table.slot(here() as u16).task;
    events::priority(&task, priority as i32);
    let leaves = table.set_options(cpu, priority, cpus);
    go_on(table, leaves);
    Ok(())
}

/// Where a thread begins: on its own stack, interrupts off.
extern "C" fn begin() -> ! {
    settle();
    let body = BODIES[here()].lock().as_mut().and_then(|body| {
        let beginning = body.beginning.take()?;
        Some((beginning, Arc::clone(&body.owner)))
    });
    let beginning = body.map(|(beginning, owner)| {
        owner.on_begin(current());
        beginning
    });
    leave();
    match beginning {
        Some(frame) => user::resume(&frame),
        None => end(),
    }
}

/// Has all threads of a process end. Task context.
pub(crate) fn end_process(process: i32) {
    end_those(|of| of == process);
}

/// Has all threads of all programs end. Task context.
pub(crate) fn end_all() {
    end_those(|_| true);
}

/// Has the threads of these processes end, if they are any: the CPUs' own are of process 0.
fn end_those(shall_end: impl Fn(i32) -> bool) {
    let mut table = TABLE.lock();
    for slot in 0..SLOTS as u16 {
        let thread = *table.slot(slot);
        if thread.task.pid == 0 || !shall_end(thread.task.pid) {
            continue;
        }
        MUST_END[usize::from(slot)].store(true, Ordering::Relaxed);
        match thread.state {
            State::Parked => wake(&mut table, slot),
            State::Running => interrupt(thread.cpu),
            State::Free | State::Ready | State::Ended => {}
        }
    }
}

/// The thread that calls shall end, when it is about to go back to ring 3. Task context of a program's
/// thread, interrupts off.
pub(crate) fn end_current() {
    MUST_END[here()].store(true, Ordering::Relaxed);
}

/// Ends the thread that calls. Task context of a program's thread, interrupts off.
fn end() -> ! {
    let thread = current();
    enter_space(None);
    events::exit(&running::task());
    let owner = BODIES[here()]
        .lock_quiet()
        .as_ref()
        .map(|body| Arc::clone(&body.owner));
    if let Some(owner) = owner {
        owner.on_end(thread);
    }
    let table = TABLE.lock_quiet();
    ENDED.fetch_add(1, Ordering::Relaxed);
    go_on(table, Leaves::Ended);
    // Nobody goes on with it.
    halt_forever()
}

/// How many threads have ended and were not taken back.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Takes back what threads had that have ended, and whose stacks are left. Task context.
pub(crate) fn reap() {
    if ENDED.load(Ordering::Relaxed) == 0 {
        return;
    }
    for slot in 0..SLOTS {
        let mut table = TABLE.lock();
        let thread = table.slot(slot as u16);
        if thread.state != State::Ended || SAVED[slot].is_running() {
            continue;
        }
        events::free(&thread.task);
        thread.state = State::Free;
        let body = BODIES[slot].lock().take();
        thread.task.tid = 0;
        ENDED.fetch_sub(1, Ordering::Relaxed);
        drop(table);
        drop(body);
    }
}
