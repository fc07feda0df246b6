//! Who runs next, and where: what the table decides. Nothing is done here: no CPU is interrupted, no
//! stack is left, nothing is told. So tests can be the machine.

use super::queue::NONE;
use super::table::{Slot, State, Table};
use crate::base::cpuset::CpuSet;

/// What becomes of the thread that runs, when another one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// It could go on: before others of its priority.
    Before,
    /// It could go on: behind them.
    Behind,
    /// It could go on, and may not do so on this CPU: it is in no queue until its stack is left, and
    /// is [placed](Table::place) then.
    Elsewhere,
    /// It waits: until a time, in ticks.
    Parked(u64),
    /// It is over.
    Ended,
}

/// Where a thread was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Where it has run last.
    pub(super) before: usize,
    /// Where it runs next.
    pub(super) cpu: usize,
    /// It has never been ready before.
    pub(super) is_new: bool,
    /// That CPU is to look who runs next: it is more important than what runs there, or the CPU may
    /// be about to halt.
    pub(super) asks: bool,
}

impl Table {
    /// Makes a thread ready that is in no queue, where it is best. `is_left`: no CPU uses its stack.
    pub(super) fn place(&mut self, slot: u16, online: CpuSet, is_left: bool) -> Placed {
        let cpu = self.best_cpu(slot, online, is_left);
        let thread = self.slot(slot);
        let (before, is_new) = (thread.cpu, !thread.has_run);
        thread.cpu = cpu;
        thread.deadline = u64::MAX;
        thread.has_run = true;
        self.make_ready(slot, true);
        Placed {
            before,
            cpu,
            is_new,
            asks: self.asks(slot, cpu),
        }
    }

    /// Whether a CPU is to look who runs next, now that this thread is in its queue.
    fn asks(&mut self, slot: u16, cpu: usize) -> bool {
        let running = self.running[cpu];
        // A CPU that is not up yet looks when it is. Its own thread may be about to halt.
        running != NONE
            && (usize::from(running) == cpu || self.slot(slot).level() < self.slot(running).level())
    }

    /// Where a thread should run next: where it was, unless another CPU has less to do. One whose
    /// stack is not left yet stays where it is: so no CPU ever waits for another to leave a stack.
    fn best_cpu(&self, slot: u16, online: CpuSet, is_left: bool) -> usize {
        let thread = &self.slots.0[usize::from(slot)];
        if !is_left || (self.load(thread.cpu) == 0 && thread.cpus.contains(thread.cpu)) {
            return thread.cpu;
        }
        let mut best = None;
        for cpu in thread.cpus.and(online).iter() {
            let rank = (self.load(cpu), usize::from(cpu != thread.cpu));
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, cpu));
            }
        }
        best.map_or(thread.cpu, |(_, cpu)| cpu)
    }

    /// How much a CPU has to do: threads that are ready or run, without its own.
    fn load(&self, cpu: usize) -> usize {
        let running = self.running[cpu];
        self.queues[cpu].len() + usize::from(running != NONE && usize::from(running) != cpu)
    }

    /// The thread that runs on `cpu` leaves it so; which it was, and which runs from now on. May be
    /// the same.
    pub(super) fn switch(&mut self, cpu: usize, leaves: Leaves) -> (u16, u16) {
        let from = self.leave(cpu, leaves);
        // Where nobody is ready, it is the CPU's own, which has given way: it looks around, and halts.
        // If it were ready, it would be in the queue.
        let to = self.pop(cpu).unwrap_or(cpu as u16);
        self.run(cpu, to);
        (from, to)
    }

    /// The same where it waits and a thread goes on that waited, which [may](Self::may_follow), and
    /// whose stack no CPU uses; which it was.
    pub(super) fn hand_over(&mut self, cpu: usize, until: u64, to: u16) -> u16 {
        let from = self.leave(cpu, Leaves::Parked(until));
        let next = self.slot(to);
        next.has_run = true;
        self.run(cpu, to);
        from
    }

    /// The thread that runs on `cpu` leaves it so; which it is.
    fn leave(&mut self, cpu: usize, leaves: Leaves) -> u16 {
        let from = self.running[cpu];
        self.is_slice_over[cpu] = false;
        match leaves {
            Leaves::Before => self.make_ready(from, false),
            Leaves::Behind => self.make_ready(from, true),
            Leaves::Elsewhere => self.slot(from).state = State::Ready,
            Leaves::Parked(until) => {
                let thread = self.slot(from);
                thread.state = State::Parked;
                thread.deadline = until;
            }
            Leaves::Ended => self.slot(from).state = State::Ended,
        }
        from
    }

    /// A thread runs on `cpu` from now on.
    fn run(&mut self, cpu: usize, slot: u16) {
        let next = self.slot(slot);
        debug_assert!(next.cpus.contains(cpu), "it may not run here");
        next.state = State::Running;
        next.cpu = cpu;
        self.running[cpu] = slot;
    }

    /// A task of this CPU was interrupted: how what ran leaves it, if it does. The CPU's own thread
    /// goes on if it had given way. `is_asked`: somebody has asked to look.
    pub(super) fn after_interrupt(&mut self, cpu: usize, is_asked: bool) -> Option<Leaves> {
        let running = self.running[cpu];
        if running == NONE {
            // It is not up yet.
            return None;
        }
        if !self.bring_own_forward(cpu) && !is_asked {
            return None;
        }
        if self.is_slice_over[cpu] {
            self.slot(running).is_first = false;
        }
        self.turn(cpu)
    }

    /// Sees to it that the CPU's own thread goes first now: if it had given way, or if others would
    /// keep it from going on for ever. Whether that is so.
    fn bring_own_forward(&mut self, cpu: usize) -> bool {
        let running = self.running[cpu];
        let level = self.slot(running).level();
        let is_slice_over = self.is_slice_over[cpu];
        let own = self.slot(cpu as u16);
        match own.state {
            State::Parked => {}
            State::Ready if is_slice_over && own.level() > level => {
                let level = own.level();
                self.remove(cpu as u16, cpu, level);
            }
            _ => return false,
        }
        self.slot(cpu as u16).is_first = true;
        self.make_ready(cpu as u16, true);
        true
    }

    /// How what runs on a CPU leaves it for somebody in the queue, if it does: for who is more
    /// important, or who is as important when it has had its tick.
    pub(super) fn turn(&mut self, cpu: usize) -> Option<Leaves> {
        let level = self.slot(self.running[cpu]).level();
        let best = self.queues[cpu].best()?;
        match self.is_slice_over[cpu] {
            true => (best <= level).then_some(Leaves::Behind),
            false => (best < level).then_some(Leaves::Before),
        }
    }

    /// A CPU's own thread has nothing to do: how it leaves its CPU, if it is the one that runs, and
    /// somebody is ready.
    pub(super) fn give_way(&mut self, cpu: usize) -> Option<Leaves> {
        let own = cpu as u16;
        if self.running[cpu] != own || self.queues[cpu].len() == 0 {
            return None;
        }
        self.slot(own).is_first = false;
        Some(Leaves::Parked(u64::MAX))
    }

    /// The thread that runs on a CPU has had a whole tick; whether others wait there.
    pub(super) fn end_slice(&mut self, cpu: usize) -> bool {
        self.is_slice_over[cpu] = true;
        self.queues[cpu].len() != 0
    }

    /// The thread that runs is run so from now on: how it leaves its CPU. It is its turn no more: where
    /// others are as important, they go first.
    pub(super) fn set_options(&mut self, cpu: usize, priority: u32, cpus: CpuSet) -> Leaves {
        let running = self.running[cpu];
        let thread = self.slot(running);
        thread.task.priority = priority as i32;
        thread.cpus = cpus;
        match cpus.contains(cpu) {
            true => Leaves::Behind,
            false => Leaves::Elsewhere,
        }
    }

    /// Whether the thread in this slot waits, and its time is over.
    pub(super) fn is_due(&mut self, slot: u16, now: u64) -> bool {
        let thread = self.slot(slot);
        thread.state == State::Parked && thread.deadline <= now
    }

    /// When the first of those that wait has waited long enough.
    pub(super) fn earliest(&self) -> u64 {
        let parked = |slot: &&Slot| slot.state == State::Parked;
        let waiting = self.slots.0.iter().filter(parked);
        waiting.map(|slot| slot.deadline).min().unwrap_or(u64::MAX)
    }
}
