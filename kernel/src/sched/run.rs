//! Switches: who runs next, and why.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use relay_abi::{LEAST_PRIORITY, ThreadOptions};

use super::events::{self, Left};
use super::queue::NONE;
use super::table::{
    BODIES, Body, EARLIEST, MUST_END, Owner, RUNNING, SAVED, SLOTS, Slot, State, TABLE, TOKENS,
    Table, Thread, must_end, take_token,
};
use crate::arch::frame::TrapFrame;
use crate::arch::{smp, switch, tables, user};
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::lock::IrqGuard;
use crate::cpu::running::{self, Comm, Task};
use crate::cpu::{clock, halt_forever, percpu};
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
    table.cpus = table.cpus.with(CpuSet::only(cpu));
    table.running[cpu] = cpu as u16;
    RUNNING[cpu].store(cpu, Ordering::Relaxed);
    SAVED[cpu].adopt();
}

/// The slot of the thread that runs here. Task context.
fn here() -> usize {
    RUNNING[percpu::cpu_index()].load(Ordering::Relaxed)
}

/// The thread that runs here. Task context, interrupts off, or the CPU's own.
pub(crate) fn current() -> Thread {
    Thread {
        slot: here() as u16,
        number: percpu::thread(),
    }
}

impl Thread {
    /// Gives the thread a token, and makes it ready if it waits for one. Task and IRQ context.
    pub(crate) fn unpark(self) {
        let mut table = TABLE.lock();
        let Some(thread) = table.get(self) else {
            return;
        };
        let is_parked = thread.state == State::Parked;
        // ORDERING: pairs with `take_token`.
        TOKENS[usize::from(self.slot)].store(true, Ordering::Release);
        if is_parked {
            wake(&mut table, self.slot);
        }
    }

    /// Whether it shall end. Task and IRQ context.
    pub(crate) fn must_end(self) -> bool {
        must_end(usize::from(self.slot))
    }

    /// Who it belongs to; `None`: to the kernel, or it has ended. Task context.
    pub(crate) fn owner(self) -> Option<Arc<dyn Owner>> {
        let body = BODIES[usize::from(self.slot)].lock();
        body.as_ref().map(|body| Arc::clone(&body.owner))
    }
}

/// Makes a parked thread ready, where it is best, and sees to it that it runs there if it is more
/// important than what does.
fn wake(table: &mut Table, slot: u16) {
    let cpu = table.best_cpu(slot);
    let thread = table.slot(slot);
    let (before, is_new) = (thread.cpu, !thread.has_run);
    thread.cpu = cpu;
    thread.deadline = u64::MAX;
    thread.has_run = true;
    match events::is_waking_told() {
        true => {
            let task = thread.task();
            events::waking(&task, cpu);
            if before != cpu && !is_new {
                events::migrate(&task, before, cpu);
            }
            table.make_ready(slot, true);
            match is_new {
                true => events::wakeup_new(&task, cpu),
                false => events::wakeup(&task, cpu),
            }
        }
        false => table.make_ready(slot, true),
    }
    let running = table.running[cpu];
    let is_own = usize::from(running) == cpu;
    let is_better = table.slot(slot).level() < table.slot(running).level();
    // A CPU's own thread may be about to halt.
    if is_own || is_better {
        interrupt(cpu);
    }
}

/// Has a CPU look for who runs next.
fn interrupt(cpu: usize) {
    percpu::ask_to_reschedule(cpu);
    if cpu != percpu::cpu_index() {
        smp::wake(CpuSet::only(cpu));
    }
}

/// What becomes of the thread that runs, when another one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// It could go on: before others of its priority.
    Before,
    /// It could go on: behind them.
    Behind,
    /// It waits: until a time, in ticks.
    Parked(u64),
    /// It is over.
    Ended,
}

/// Has another thread run here; returns when this one does again, which may be at once. Interrupts
/// off. `table` is locked, so that what it was asked for is still so.
fn go_on(mut table: IrqGuard<'_, Table>, leaves: Leaves) {
    let cpu = percpu::cpu_index();
    let from = table.running[cpu];
    table.is_slice_over[cpu] = false;
    match leaves {
        Leaves::Before => table.make_ready(from, false),
        Leaves::Behind => table.make_ready(from, true),
        Leaves::Parked(until) => {
            let thread = table.slot(from);
            thread.state = State::Parked;
            thread.deadline = until;
            if until != u64::MAX {
                EARLIEST.fetch_min(until, Ordering::Relaxed);
                events::sleep(thread.number, || clock::nanos(until));
            }
        }
        Leaves::Ended => table.slot(from).state = State::Ended,
    }
    let to = next(&mut table, cpu, from);
    let next = table.slot(to);
    next.state = State::Running;
    next.cpu = cpu;
    if to == from {
        return;
    }
    let next = next.task();
    let before = events::is_switch_told().then(|| table.slot(from).task());
    table.running[cpu] = to;
    RUNNING[cpu].store(usize::from(to), Ordering::Relaxed);
    drop(table);
    if let Some(before) = before {
        let left = match leaves {
            Leaves::Before | Leaves::Behind => Left::Runnable,
            Leaves::Parked(_) => Left::Waiting,
            Leaves::Ended => Left::Gone,
        };
        events::switch(&before, &next, left);
    }
    enter(usize::from(to), &next);
    switch::switch(&SAVED[usize::from(from)], &SAVED[usize::from(to)]);
}

/// The slot of the thread that runs next on this CPU, taken out of its queue. Where nobody is ready,
/// it is the CPU's own: it looks around, and halts.
fn next(table: &mut Table, cpu: usize, from: u16) -> u16 {
    while let Some(slot) = table.pop(cpu) {
        if table.slot(slot).cpus.contains(cpu) {
            return slot;
        }
        if slot == from {
            // Its stack is not left yet: whoever comes next here moves it.
            table.make_ready(slot, false);
            percpu::ask_to_reschedule(cpu);
            break;
        }
        let elsewhere = table.best_cpu(slot);
        table.slot(slot).cpu = elsewhere;
        table.make_ready(slot, true);
        interrupt(elsewhere);
    }
    // It is ready, if somebody has put it into the queue: then it was popped above.
    cpu as u16
}

/// Sets the calling CPU up for a thread: its number, its stack for what comes from ring 3, its memory.
fn enter(slot: usize, thread: &Task) {
    let body = BODIES[slot].lock();
    let top = body.as_ref().map_or(0, |body| body.stack.top());
    running::set(thread);
    percpu::set_kernel_rsp(top);
    tables::set_kernel_stack(top);
    enter_space(body.as_ref().map(|body| &*body.space));
}

/// Waits for a token, at most until a time in ticks. Task context of a program's thread, interrupts
/// off.
pub(crate) fn park(until: Option<u64>) -> Woken {
    let slot = here();
    let until = until.unwrap_or(u64::MAX);
    let table = TABLE.lock();
    if must_end(slot) {
        return Woken::Ended;
    }
    if take_token(slot) {
        return Woken::Unparked;
    }
    if until != u64::MAX && clock::ticks() >= until {
        return Woken::TimedOut;
    }
    go_on(table, Leaves::Parked(until));
    match take_token(slot) {
        _ if must_end(slot) => Woken::Ended,
        true => Woken::Unparked,
        false => Woken::TimedOut,
    }
}

/// Lets others of the same priority go first. Task context of a program's thread, interrupts off.
pub(crate) fn yield_now() {
    go_on(TABLE.lock(), Leaves::Behind);
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
    let cpu = percpu::cpu_index();
    let mut table = TABLE.lock();
    percpu::take_reschedule();
    if table.running[cpu] != cpu as u16 || table.queues[cpu].len() == 0 {
        return false;
    }
    table.slot(cpu as u16).is_first = false;
    go_on(table, Leaves::Parked(u64::MAX));
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
    table.is_slice_over[cpu] = true;
    if table.queues[cpu].len() != 0 {
        percpu::ask_to_reschedule(cpu);
    }
}

/// Makes all ready whose time is over.
fn wake_due(table: &mut Table, now: u64) {
    let mut earliest = u64::MAX;
    for slot in 0..SLOTS as u16 {
        let thread = table.slot(slot);
        if thread.state != State::Parked {
            continue;
        }
        match thread.deadline {
            deadline if deadline <= now => {
                let number = thread.number;
                events::slept(number, || clock::nanos(now), || wake(table, slot));
            }
            deadline => earliest = earliest.min(deadline),
        }
    }
    EARLIEST.store(earliest, Ordering::Relaxed);
}

/// An interrupt is over that came while a task of this CPU ran: its own thread goes on if it had given
/// way, and others if they shall. Interrupts off.
pub(crate) fn preempt() {
    let cpu = percpu::cpu_index();
    if !is_used() || percpu::pins() != 0 || percpu::is_closing() {
        return;
    }
    let mut table = TABLE.lock();
    let running = table.running[cpu];
    if running == NONE {
        // It is not up yet.
        return;
    }
    let own = table.slot(cpu as u16);
    if own.state == State::Parked {
        own.is_first = true;
        table.make_ready(cpu as u16, true);
    } else if !percpu::take_reschedule() {
        return;
    }
    let _ = percpu::take_reschedule();
    let is_slice_over = table.is_slice_over[cpu];
    if is_slice_over {
        table.slot(running).is_first = false;
    }
    let level = table.slot(running).level();
    match table.queues[cpu].best() {
        Some(best) if best < level => go_on(table, Leaves::Before),
        Some(best) if best == level && is_slice_over => go_on(table, Leaves::Behind),
        _ => {}
    }
}

/// This CPU is about to go back to ring 3: others go first if they shall, and a thread that shall end
/// does. Interrupts off.
pub(crate) fn leave() {
    // First: what faults on a stack that its CPU shares must not be switched away from there.
    if must_end(here()) {
        end();
    }
    preempt_if_asked();
    if must_end(here()) {
        end();
    }
}

/// As [`preempt`], but that no interrupt has come.
fn preempt_if_asked() {
    if !percpu::take_reschedule() {
        return;
    }
    let cpu = percpu::cpu_index();
    let mut table = TABLE.lock();
    let running = table.running[cpu];
    let level = table.slot(running).level();
    match table.queues[cpu].best() {
        Some(best) if best < level => go_on(table, Leaves::Before),
        Some(best) if best == level && table.is_slice_over[cpu] => go_on(table, Leaves::Behind),
        _ => {}
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
    // The first are the CPUs', whether these have come up or not.
    let mut slots = table.slots.0.iter().enumerate().skip(MAX_CPUS);
    let slot = slots.find(|(_, slot)| slot.state == State::Free && slot.number == 0);
    let (slot, _) = slot.ok_or(SpawnError::NoRoom)?;
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
        priority,
        cpus,
        state: State::Parked,
        has_run: false,
        ..Slot::new(number, process, plan.comm, percpu::cpu_index())
    };
    events::fork(&running::task(), &thread.task());
    Ok(Thread {
        slot: slot as u16,
        number,
    })
}

/// What the options say: a priority and CPUs.
fn checked(options: ThreadOptions) -> Result<(u32, CpuSet), SpawnError> {
    let online = TABLE.lock().cpus;
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
    let slot = here() as u16;
    let mut table = TABLE.lock();
    let thread = table.slot(slot);
    events::priority(&thread.task(), priority as i32);
    thread.priority = priority;
    thread.cpus = cpus;
    // Behind the others here; where it may not run, it is moved when its stack is left.
    go_on(table, Leaves::Behind);
    Ok(())
}

/// Where a thread begins: on its own stack, interrupts off.
extern "C" fn begin() -> ! {
    let slot = here();
    let beginning = BODIES[slot]
        .lock()
        .as_mut()
        .and_then(|body| body.beginning.take());
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
        if thread.process == 0 || !shall_end(thread.process) {
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
    let owner = thread.owner();
    if let Some(owner) = owner {
        owner.on_end(thread);
    }
    let table = TABLE.lock();
    go_on(table, Leaves::Ended);
    // Nobody goes on with it.
    halt_forever()
}

/// Takes back what threads had that have ended, and whose stacks are left. Task context.
pub(crate) fn reap() {
    for slot in 0..SLOTS {
        let mut table = TABLE.lock();
        let thread = table.slot(slot as u16);
        if thread.state != State::Ended || SAVED[slot].is_running() {
            continue;
        }
        events::free(&thread.task());
        thread.state = State::Free;
        let body = BODIES[slot].lock().take();
        thread.number = 0;
        drop(table);
        drop(body);
    }
}
