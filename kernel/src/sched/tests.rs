//! The scheduler's rules on a machine that is made up: CPUs that are interrupted when a test wants
//! it, and that leave stacks when it wants it.

use super::queue::NONE;
use super::rules::Leaves;
use super::table::{Slot, State, Table, level};
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::running::{Comm, Task};

/// The CPUs of the machine.
const CPUS: usize = 4;
/// The first slot of a program's thread.
const FIRST_SLOT: u16 = MAX_CPUS as u16;

/// A machine.
struct Machine {
    table: Box<Table>,
    tokens: [bool; 256],
    /// The CPUs that are asked to look.
    asked: [bool; CPUS],
    /// What each CPU has left, and whose stack it still uses.
    leaving: [u16; CPUS],
    /// It may not run there again.
    is_moving: [bool; CPUS],
    online: CpuSet,
}

impl Machine {
    fn new() -> Self {
        let mut table = Box::new(Table::new());
        for cpu in 0..CPUS {
            *table.slot(cpu as u16) = Slot {
                state: State::Running,
                ..Slot::new(cpu as i32 + 1, 0, Comm::new("own"), cpu)
            };
            table.running[cpu] = cpu as u16;
        }
        Self {
            table,
            tokens: [false; 256],
            asked: [false; CPUS],
            leaving: [NONE; CPUS],
            is_moving: [false; CPUS],
            online: CpuSet::from_bits((1 << CPUS) - 1),
        }
    }

    /// A thread that waits for its first token.
    fn spawn(&mut self, priority: u32, cpus: u32) -> u16 {
        let is_free = |slot: &u16| self.table.slots.0[usize::from(*slot)].state == State::Free;
        let slot = (FIRST_SLOT..).find(is_free).expect("there is room");
        self.tokens[usize::from(slot)] = false;
        *self.table.slot(slot) = Slot {
            task: Task {
                priority: priority as i32,
                ..Slot::new(i32::from(slot), 1, Comm::new("thread"), 0).task
            },
            cpus: CpuSet::from_bits(cpus).and(self.online),
            state: State::Parked,
            has_run: false,
            ..Slot::new(i32::from(slot), 1, Comm::new("thread"), 0)
        };
        slot
    }

    /// A thread that runs, or wants to.
    fn start(&mut self, priority: u32, cpus: u32) -> u16 {
        let slot = self.spawn(priority, cpus);
        self.unpark(slot);
        // As if it had waited once.
        self.tokens[usize::from(slot)] = false;
        slot
    }

    fn wake(&mut self, slot: u16) {
        let is_left = !self.leaving.contains(&slot);
        self.place(slot, is_left);
    }

    fn place(&mut self, slot: u16, is_left: bool) {
        let placed = self.table.place(slot, self.online, is_left);
        self.asked[placed.cpu] |= placed.asks;
    }

    fn unpark(&mut self, slot: u16) {
        self.tokens[usize::from(slot)] = true;
        if self.table.slot(slot).state == State::Parked {
            self.wake(slot);
        }
    }

    /// What `go_on` does, but that the stack is left later.
    fn switch(&mut self, cpu: usize, leaves: Leaves) {
        self.settle(cpu);
        let (from, to) = self.table.switch(cpu, leaves);
        if from != to {
            self.leaving[cpu] = from;
            self.is_moving[cpu] = leaves == Leaves::Elsewhere;
            assert!(
                (0..CPUS).all(|other| other == cpu || self.leaving[other] != to),
                "its stack is in use"
            );
        }
    }

    /// The CPU has left the stack, and goes on.
    fn settle(&mut self, cpu: usize) {
        let slot = core::mem::replace(&mut self.leaving[cpu], NONE);
        if core::mem::take(&mut self.is_moving[cpu]) {
            self.place(slot, true);
        }
    }

    /// As `park`; whether the thread goes on at once.
    fn park(&mut self, cpu: usize, until: Option<u64>) -> bool {
        let running = self.table.running[cpu];
        if core::mem::take(&mut self.tokens[usize::from(running)]) {
            return true;
        }
        self.switch(cpu, Leaves::Parked(until.unwrap_or(u64::MAX)));
        false
    }

    /// As `park_for`; whether the thread goes on at once.
    fn park_for(&mut self, cpu: usize, other: u16, until: Option<u64>) -> bool {
        let running = self.table.running[cpu];
        self.settle(cpu);
        self.tokens[usize::from(other)] = true;
        let waits = self.table.slot(other).state == State::Parked;
        let goes_on = core::mem::take(&mut self.tokens[usize::from(running)]);
        let is_left = !self.leaving.contains(&other);
        if !goes_on && waits && is_left && self.table.may_follow(other, cpu) {
            let until = until.unwrap_or(u64::MAX);
            let from = self.table.hand_over(cpu, until, other);
            assert_eq!(from, running);
            self.leaving[cpu] = from;
            return false;
        }
        if waits {
            self.wake(other);
        }
        if !goes_on {
            self.switch(cpu, Leaves::Parked(until.unwrap_or(u64::MAX)));
        }
        goes_on
    }

    fn interrupt(&mut self, cpu: usize) {
        self.settle(cpu);
        let is_asked = core::mem::take(&mut self.asked[cpu]);
        if let Some(leaves) = self.table.after_interrupt(cpu, is_asked) {
            self.switch(cpu, leaves);
        }
    }

    fn tick(&mut self, cpu: usize, now: u64) {
        self.settle(cpu);
        for slot in 0..self.table.slots.0.len() as u16 {
            if self.table.is_due(slot, now) {
                self.wake(slot);
            }
        }
        self.asked[cpu] |= self.table.end_slice(cpu);
        self.interrupt(cpu);
    }

    /// The CPU's own thread, if it runs, has nothing to do.
    fn give_way(&mut self, cpu: usize) {
        self.settle(cpu);
        if self.table.running[cpu] == cpu as u16 {
            self.asked[cpu] = false;
        }
        if let Some(leaves) = self.table.give_way(cpu) {
            self.switch(cpu, leaves);
        }
    }

    /// Everybody looks who is asked to, and no CPU's own thread has anything to do.
    fn calm(&mut self) {
        for _ in 0..4 {
            for cpu in 0..CPUS {
                self.settle(cpu);
                if self.asked[cpu] {
                    self.interrupt(cpu);
                }
                self.give_way(cpu);
            }
        }
    }

    /// A tick on a CPU, and what comes of it.
    fn whole_tick(&mut self, cpu: usize) -> u16 {
        self.tick(cpu, 0);
        self.give_way(cpu);
        self.table.running[cpu]
    }

    fn options(&mut self, cpu: usize, priority: u32, cpus: u32) {
        let cpus = CpuSet::from_bits(cpus).and(self.online);
        let leaves = self.table.set_options(cpu, priority, cpus);
        self.switch(cpu, leaves);
    }

    /// Each thread is where its state says, once.
    fn check(&mut self) {
        let mut places = [0; 256];
        for cpu in 0..CPUS {
            let queued: Vec<_> = core::iter::from_fn(|| self.table.pop(cpu)).collect();
            let levels: Vec<_> = queued
                .iter()
                .map(|&slot| self.table.slot(slot).level())
                .collect();
            assert!(levels.is_sorted(), "{levels:?}");
            for slot in queued {
                places[usize::from(slot)] += 1;
                let thread = *self.table.slot(slot);
                assert_eq!((thread.state, thread.cpu), (State::Ready, cpu));
                self.table.make_ready(slot, true);
            }
            let running = self.table.running[cpu];
            places[usize::from(running)] += 1;
            let thread = self.table.slot(running);
            assert_eq!((thread.state, thread.cpu), (State::Running, cpu));
            assert!(thread.cpus.contains(cpu));
            if self.is_moving[cpu] {
                places[usize::from(self.leaving[cpu])] += 1;
            }
        }
        for (slot, thread) in self.table.slots.0.iter().enumerate() {
            let wanted = matches!(thread.state, State::Ready | State::Running);
            assert_eq!(places[slot], i32::from(wanted), "slot {slot}: {thread:?}");
        }
    }
}

#[test]
fn those_alike_take_turns_a_tick_each_also_when_the_kernel_looks_around_in_between() {
    let mut machine = Machine::new();
    let threads: Vec<_> = (0..3).map(|_| machine.start(20, 1)).collect();
    machine.calm();
    let mut turns = [0; 3];
    for _ in 0..300 {
        let running = machine.whole_tick(0);
        let which = threads.iter().position(|&thread| thread == running);
        turns[which.expect("one of them runs")] += 1;
        // Interrupts in between take nobody's turn.
        machine.interrupt(0);
        machine.give_way(0);
        assert_eq!(machine.table.running[0], running);
        machine.check();
    }
    assert_eq!(turns, [100; 3]);
}

#[test]
fn the_more_important_runs_at_once_and_the_less_important_does_not() {
    let mut machine = Machine::new();
    let middle = machine.start(20, 2);
    machine.calm();
    assert_eq!(machine.table.running[1], middle);
    let least = machine.start(39, 2);
    assert!(!machine.asked[1]);
    let most = machine.start(0, 2);
    assert!(machine.asked[1]);
    machine.interrupt(1);
    machine.give_way(1);
    assert_eq!(machine.table.running[1], most);
    for _ in 0..10 {
        assert_eq!(machine.whole_tick(1), most);
    }
    assert!(!machine.park(1, None));
    assert_eq!(machine.table.running[1], middle);
    assert!(!machine.park(1, None));
    assert_eq!(machine.table.running[1], least);
    machine.check();
}

#[test]
fn no_program_keeps_the_kernel_from_its_work() {
    for priority in [0, 20, 39] {
        let mut machine = Machine::new();
        let thread = machine.start(priority, 1);
        // The kernel is busy: its own thread never gives way.
        let (mut own, mut others) = (0, 0);
        for _ in 0..100 {
            machine.tick(0, 0);
            match machine.table.running[0] {
                0 => own += 1,
                running if running == thread => others += 1,
                running => panic!("slot {running} runs"),
            }
            machine.check();
        }
        assert!(own >= 49, "priority {priority}: {own} of 100 ticks");
        let some = if priority <= 20 { 49 } else { 0 };
        assert!(others >= some, "priority {priority}: {others} of 100 ticks");
    }
}

#[test]
fn a_thread_that_may_not_run_here_any_more_goes_elsewhere() {
    let mut machine = Machine::new();
    let thread = machine.start(0, 1);
    machine.calm();
    // The kernel's own thread is ready behind it, with the priority of most.
    machine.interrupt(0);
    machine.tick(0, 0);
    machine.tick(0, 0);
    assert_eq!(machine.table.running[0], thread);
    assert_eq!(machine.table.slot(0).state, State::Ready);
    machine.options(0, 0, 4);
    machine.check();
    assert_eq!(machine.table.running[0], 0);
    // Until its stack is left nobody else may have it.
    assert!(!machine.asked[2]);
    machine.unpark(thread);
    machine.check();
    machine.settle(0);
    machine.check();
    assert!(machine.asked[2]);
    machine.calm();
    assert_eq!(machine.table.running[2], thread);
    machine.check();
}

#[test]
fn a_thread_goes_where_less_is_to_do_unless_its_stack_is_in_use() {
    let mut machine = Machine::new();
    let threads: Vec<_> = (0..CPUS).map(|_| machine.start(20, 0xf)).collect();
    machine.calm();
    let mut cpus: Vec<_> = threads
        .iter()
        .map(|&thread| machine.table.slot(thread).cpu)
        .collect();
    cpus.sort_unstable();
    assert_eq!(cpus, [0, 1, 2, 3]);
    let more = machine.start(20, 0xf);
    machine.calm();
    let cpu = machine.table.slot(more).cpu;
    // Who runs there waits, and is woken before its stack is left: it stays. Later it would go.
    let runs = machine.table.running[cpu];
    assert!(!machine.park(cpu, None));
    machine.unpark(runs);
    assert_eq!(machine.table.slot(runs).cpu, cpu);
    machine.check();
}

#[test]
fn a_token_is_kept_until_it_is_taken_and_a_time_ends_waiting() {
    let mut machine = Machine::new();
    let thread = machine.start(20, 1);
    machine.calm();
    machine.unpark(thread);
    machine.unpark(thread);
    assert!(machine.park(0, None), "two tokens are one");
    assert!(!machine.park(0, Some(100)));
    assert_eq!(machine.table.earliest(), 100);
    machine.tick(1, 99);
    assert_eq!(machine.table.slot(thread).state, State::Parked);
    machine.tick(1, 100);
    machine.calm();
    assert_eq!(machine.table.running[0], thread);
    assert!(!machine.tokens[usize::from(thread)]);
    assert_eq!(machine.table.earliest(), u64::MAX);
    machine.check();
}

#[test]
fn who_is_woken_goes_on_in_place_of_who_waits_unless_somebody_as_important_is_ready() {
    let mut machine = Machine::new();
    let [client, server] = [machine.start(20, 1), machine.start(20, 3)];
    machine.calm();
    // The server waits; it was on the other CPU.
    assert_eq!(machine.table.running[..2], [client, server]);
    assert!(!machine.park(1, None));
    machine.settle(1);
    assert!(!machine.park_for(0, server, None));
    assert_eq!(machine.table.running[..2], [server, 1]);
    assert_eq!(machine.table.slot(client).state, State::Parked);
    machine.settle(0);
    // Back, when it has taken its token; then somebody as important is ready, and has its turn first.
    machine.tokens[usize::from(server)] = false;
    assert!(!machine.park_for(0, client, None));
    assert_eq!(machine.table.running[0], client);
    machine.settle(0);
    machine.tokens[usize::from(client)] = false;
    let third = machine.start(20, 1);
    machine.table.slot(server).cpus = CpuSet::only(0);
    assert!(!machine.park_for(0, server, None));
    assert_eq!(machine.table.running[0], third);
    assert_eq!(machine.table.slot(server).state, State::Ready);
    machine.check();
    machine.settle(0);
    // Who waits with a token goes on, and whom it wakes is ready.
    machine.tokens[usize::from(third)] = true;
    assert!(machine.park_for(0, client, None));
    assert_eq!(machine.table.running[0], third);
    assert_eq!(machine.table.slot(client).state, State::Ready);
    machine.check();
}

#[test]
fn a_cpu_that_is_not_up_yet_is_not_interrupted_and_finds_what_waits_for_it() {
    let mut machine = Machine::new();
    machine.table.running[3] = NONE;
    *machine.table.slot(3) = Slot::new(0, 0, Comm::new(""), 0);
    machine.table.slot(3).state = State::Free;
    let thread = machine.start(20, 8);
    assert!(!machine.asked[3]);
    assert_eq!(machine.table.after_interrupt(3, true), None);
    *machine.table.slot(3) = Slot {
        state: State::Running,
        ..Slot::new(4, 0, Comm::new("own"), 3)
    };
    machine.table.running[3] = 3;
    machine.give_way(3);
    assert_eq!(machine.table.running[3], thread);
}

/// A small generator of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// What each thread must be able to say of itself, without any scheduler.
#[derive(Clone, Copy, Default)]
struct Oracle {
    lives: bool,
    /// It has parked, and nobody has unparked it since, nor is its time over.
    waits: bool,
    has_token: bool,
    deadline: Option<u64>,
}

#[test]
fn whatever_happens_nobody_is_lost_and_the_most_important_run() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut machine = Machine::new();
        let mut oracle = [Oracle::default(); 256];
        let mut now = 0;
        for _ in 0..400 {
            step(&mut machine, &mut oracle, &mut random, &mut now);
            machine.check();
            compare(&mut machine, &oracle, seed);
        }
        machine.calm();
        machine.check();
        for cpu in 0..CPUS {
            let running = machine.table.running[cpu];
            if let Some(best) = machine.table.queues[cpu].best() {
                let runs = machine.table.slot(running).level();
                assert!(runs <= best, "seed {seed}: {best} waits for {runs}");
                assert_ne!(running, cpu as u16, "seed {seed}: CPU {cpu} would halt");
            }
        }
    }
}

fn step(machine: &mut Machine, oracle: &mut [Oracle; 256], random: &mut Random, now: &mut u64) {
    let cpu = random.below(CPUS as u64) as usize;
    let running = machine.table.running[cpu];
    let is_program = running >= FIRST_SLOT;
    let some = FIRST_SLOT + random.below(12) as u16;
    match random.below(14) {
        0 if !oracle[usize::from(some)].lives => {
            let slot = machine.spawn(random.below(40) as u32, random.below(15) as u32 + 1);
            oracle[usize::from(slot)] = Oracle {
                lives: true,
                waits: true,
                ..Oracle::default()
            };
        }
        0..=3 if oracle[usize::from(some)].lives => {
            machine.unpark(some);
            let thread = &mut oracle[usize::from(some)];
            thread.waits = false;
            thread.has_token = true;
        }
        4 if is_program => {
            let until = (random.below(2) == 0).then(|| *now + random.below(5));
            let goes_on = machine.park(cpu, until);
            let thread = &mut oracle[usize::from(running)];
            assert_eq!(goes_on, core::mem::take(&mut thread.has_token));
            (thread.waits, thread.deadline) = (!goes_on, until);
        }
        11 if is_program && some != running && oracle[usize::from(some)].lives => {
            let until = (random.below(2) == 0).then(|| *now + random.below(5));
            let goes_on = machine.park_for(cpu, some, until);
            let other = &mut oracle[usize::from(some)];
            (other.waits, other.has_token) = (false, true);
            let thread = &mut oracle[usize::from(running)];
            assert_eq!(goes_on, core::mem::take(&mut thread.has_token));
            (thread.waits, thread.deadline) = (!goes_on, until);
        }
        5 if is_program => machine.switch(cpu, Leaves::Behind),
        6 if is_program => {
            machine.options(cpu, random.below(40) as u32, random.below(15) as u32 + 1);
        }
        7 if is_program && random.below(4) == 0 => {
            machine.switch(cpu, Leaves::Ended);
            machine.settle(cpu);
            machine.table.slot(running).state = State::Free;
            oracle[usize::from(running)] = Oracle::default();
        }
        8 => {
            *now += 1;
            machine.tick(cpu, *now);
            for thread in oracle.iter_mut().filter(|thread| thread.waits) {
                thread.waits = thread.deadline.is_none_or(|deadline| deadline > *now);
            }
        }
        9 => machine.give_way(cpu),
        10 => machine.settle(cpu),
        _ => machine.interrupt(cpu),
    }
}

fn compare(machine: &mut Machine, oracle: &[Oracle; 256], seed: u64) {
    for slot in FIRST_SLOT..FIRST_SLOT + 20 {
        let (thread, said) = (*machine.table.slot(slot), oracle[usize::from(slot)]);
        let found = (thread.state != State::Free, thread.state == State::Parked);
        assert_eq!(found, (said.lives, said.waits), "seed {seed}, slot {slot}");
        if said.lives {
            let has_token = machine.tokens[usize::from(slot)];
            assert_eq!(has_token, said.has_token, "seed {seed}, slot {slot}");
            assert!(thread.level() == level(thread.task.priority as u32));
        }
    }
}
