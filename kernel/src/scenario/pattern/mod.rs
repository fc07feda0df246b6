//! `pattern`: each CPU interrupts itself and its neighbour in a known pattern: wake-ups, an
//! interrupt of a device, NMIs, page faults that are taken, and these in each other. The handlers
//! tell of it [themselves](tale), in the log, so that a trace can be compared with it.
//!
//! A pattern is a text. `w(..)` is a wake-up, `d(..)` the device's interrupt, with what comes while
//! it is handled; `n` is an NMI, `f` a page fault. The device's vector is of a higher class than that
//! of wake-ups, so that it may interrupt them.

mod tale;

use core::ffi::CStr;
use core::hint;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use spin::Once;
use x86_64::instructions::interrupts;

use self::tale::Happened;
use super::definition::{Scenario, Verdict};
use crate::arch::handlers::{self, Device};
use crate::arch::{apic, probe, smp, stop};
use crate::base::cmdline::Options;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::base::settings::{About, Preset, Setting, Takes};
use crate::cpu::clock::Timeout;
use crate::cpu::{percpu, vector};
use crate::life::idle;
use crate::logs::trace;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "pattern",
        about: "a known pattern of interrupts, NMIs and faults on each CPU, in each other",
        settings: &[ROUNDS],
    },
    boot_cpu,
    other_cpu: |options| _ = take_part(options),
    on_timer: |_| {},
    on_ipi: |_| on_vector(vector::WAKE),
    on_nmi: |_| on_nmi(),
};

/// How often each CPU goes through all patterns.
const ROUNDS: Setting = Setting {
    key: "rounds",
    about: "how often each CPU goes through all patterns",
    takes: Takes::number(1, 8, ""),
    default: Preset::Value(3),
};

/// The patterns. Each CPU begins with another one in each round.
static PATTERNS: [&[u8]; 12] = [
    b"w()",
    b"n",
    b"f",
    b"d()",
    b"w(d())",
    b"w(n)",
    b"w(f)",
    b"d(n)",
    b"d(f)",
    b"w(d(n))",
    b"w(d(f))",
    b"w(fd(nf)nd(ff))",
];

/// An address that nothing is ever mapped at; the faults of a CPU are at this one, and 8 further on
/// each.
const NOWHERE: u64 = 0xffff_c300_0000_0000;

/// How long a CPU waits for what it has sent, or for the others. They only spin meanwhile.
const PATIENCE_MS: u64 = 20_000;
/// Looks at nothing, with interrupts on: what was sent before is taken.
const SETTLE: u32 = 10_000;

relay::event! {
    /// What is sent and taken on this CPU from now on is the pattern's.
    #[event(channel = "trace", facility = "pattern", enabled = false)]
    struct PatternBegin {}

    /// It is not any more.
    #[event(channel = "trace", facility = "pattern", enabled = false)]
    struct PatternEnd {}
}

/// What one CPU is at.
#[repr(align(128))]
struct Part {
    /// The pattern, as its place among all; none of them if it is beyond.
    pattern: AtomicUsize,
    /// The next letter of it.
    at: AtomicUsize,
    /// What was handled: interrupts, NMIs.
    interrupts: AtomicU32,
    nmis: AtomicU32,
    faults: AtomicU32,
    /// How often its task has looked whether its neighbour is to be interrupted, or all were.
    looks: AtomicU32,
}

static PARTS: [Part; MAX_CPUS] = [const {
    Part {
        pattern: AtomicUsize::new(usize::MAX),
        at: AtomicUsize::new(0),
        interrupts: AtomicU32::new(0),
        nmis: AtomicU32::new(0),
        faults: AtomicU32::new(0),
        looks: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// The device whose interrupts are made here.
struct Pretended;

impl Device for Pretended {
    fn on_interrupt(&self) {
        if let Some(vector) = DEVICE.get() {
            on_vector(*vector);
        }
    }

    fn name(&self) -> &'static CStr {
        c"pattern"
    }
}

/// Its vector.
static DEVICE: Once<u8> = Once::new();

/// CPUs that have come to each step, which all begin together; and those that have failed.
static COME: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
static FAILED: AtomicU32 = AtomicU32::new(0);
/// Whose turn it is to interrupt its neighbour, as its place among the CPUs.
static TURN: AtomicU32 = AtomicU32::new(0);

impl Part {
    fn of(cpu: usize) -> &'static Self {
        &PARTS[cpu % MAX_CPUS]
    }

    fn mine() -> &'static Self {
        Self::of(percpu::cpu_index())
    }

    /// The next letter of the pattern, which it goes past.
    fn letter(&self) -> Option<u8> {
        let pattern = PATTERNS.get(self.pattern.load(Ordering::Relaxed))?;
        let at = self.at.fetch_add(1, Ordering::Relaxed);
        pattern.get(at).copied()
    }

    /// Goes through the pattern up to the end of this part of it; false if something that was sent
    /// did not come.
    fn go(&self) -> bool {
        let me = percpu::cpu_index();
        while let Some(letter) = self.letter() {
            let has_come = match letter {
                b'w' => send(me, vector::WAKE),
                b'd' => DEVICE.get().is_some_and(|vector| send(me, *vector)),
                b'n' => send_nmi(me),
                b'f' => self.fault(),
                b'(' => true,
                _ => return true,
            };
            if !has_come {
                return false;
            }
        }
        true
    }

    /// Uses an address that is not mapped.
    fn fault(&self) -> bool {
        let number = self.faults.fetch_add(1, Ordering::Relaxed);
        tale::tell(Happened::Faulted);
        probe::read(NOWHERE + u64::from(number) * 8).is_none()
    }
}

/// Sends an interrupt to a CPU and waits until it is handled there; whether it was.
fn send(cpu: usize, vector: u8) -> bool {
    let handled = &Part::of(cpu).interrupts;
    let before = handled.load(Ordering::Relaxed);
    tale::tell(Happened::Sent(vector));
    let were_on = interrupts::are_enabled();
    smp::interrupt(cpu, vector);
    interrupts::enable();
    let has_come = wait_for(|| handled.load(Ordering::Acquire) != before);
    if !were_on {
        interrupts::disable();
    }
    has_come
}

/// The same with an NMI.
fn send_nmi(cpu: usize) -> bool {
    let handled = &Part::of(cpu).nmis;
    let before = handled.load(Ordering::Relaxed);
    tale::tell(Happened::Sent(vector::NMI));
    stop::send_nmi(cpu);
    wait_for(|| handled.load(Ordering::Acquire) != before)
}

/// Waits, spinning; whether it has come true.
fn wait_for(is_true: impl Fn() -> bool) -> bool {
    let patience = Timeout::after_ms(PATIENCE_MS);
    while !is_true() {
        if patience.expired() {
            return false;
        }
        hint::spin_loop();
    }
    true
}

/// The handler of a wake-up, or of the device.
fn on_vector(vector: u8) {
    let part = Part::mine();
    tale::tell(Happened::Entered(vector));
    if !part.go() {
        FAILED.fetch_add(1, Ordering::Relaxed);
    }
    tale::tell(Happened::Left(vector));
    part.interrupts.fetch_add(1, Ordering::Release);
}

/// The handler of an NMI.
fn on_nmi() {
    tale::tell(Happened::Entered(vector::NMI));
    tale::tell(Happened::Left(vector::NMI));
    Part::mine().nmis.fetch_add(1, Ordering::Release);
}

/// Waits until all CPUs have come to this step; whether they have.
fn meet(step: usize, cpus: CpuSet) -> bool {
    let count = cpus.iter().count() as u32;
    COME[step].fetch_add(1, Ordering::AcqRel);
    wait_for(|| COME[step].load(Ordering::Acquire) >= count)
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let Some(device) = handlers::allocate(&Pretended) else {
        relay::error!("there is no vector left");
        return Verdict::Fail;
    };
    if device >> 4 <= vector::WAKE >> 4 {
        relay::error!("vector {device:#x} cannot interrupt a wake-up");
        return Verdict::Fail;
    }
    DEVICE.call_once(|| device);
    let cpus = percpu::online();
    let passed = take_part(options);
    // They log what they tell, and restart their timers.
    let all = cpus.iter().count() as u32;
    let patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| DONE.load(Ordering::Acquire) == all || patience.expired());
    let failed = FAILED.load(Ordering::Relaxed);
    match passed && failed == 0 && DONE.load(Ordering::Acquire) == all {
        true => Verdict::Pass,
        false => {
            relay::error!("something that was sent did not come: {failed} times");
            Verdict::Fail
        }
    }
}

/// CPUs that have told their tale.
static DONE: AtomicU32 = AtomicU32::new(0);

/// The part of each CPU; whether all went well.
fn take_part(options: &Options<'static>) -> bool {
    let (cpus, me) = (percpu::online(), percpu::cpu_index());
    let rounds = options.value(&ROUNDS).unwrap_or_default() as usize;
    // From here on nobody sends anything but what the pattern says.
    let mut is_good = meet(0, cpus);
    apic::stop_timer();
    (0..SETTLE).for_each(|_| hint::spin_loop());
    is_good &= meet(1, cpus);
    tale::begin();
    trace::emit(|| PatternBegin {});
    for round in 0..rounds {
        for step in 0..PATTERNS.len() {
            let part = Part::mine();
            part.at.store(0, Ordering::Relaxed);
            let pattern = (step + me + round) % PATTERNS.len();
            part.pattern.store(pattern, Ordering::Relaxed);
            is_good &= part.go();
            part.pattern.store(usize::MAX, Ordering::Relaxed);
        }
    }
    is_good &= meet(2, cpus) && interrupt_neighbour(cpus);
    tale::end();
    trace::emit(|| PatternEnd {});
    // Nobody wakes another one before that has come here, too.
    is_good &= meet(3, cpus);
    apic::start_timer();
    let part = Part::mine();
    relay::info!(
        "cpu {me} has handled {} interrupts and {} NMIs, and taken {} faults",
        part.interrupts.load(Ordering::Relaxed),
        part.nmis.load(Ordering::Relaxed),
        part.faults.load(Ordering::Relaxed)
    );
    is_good &= tale::log();
    if !is_good {
        FAILED.fetch_add(1, Ordering::Relaxed);
    }
    DONE.fetch_add(1, Ordering::Release);
    smp::wake(CpuSet::only(0));
    is_good
}

/// Interrupts the next CPU when it is this one's turn, and waits until all have had theirs; whether
/// that came.
fn interrupt_neighbour(cpus: CpuSet) -> bool {
    let me = percpu::cpu_index();
    let place = cpus.iter().position(|cpu| cpu == me).unwrap_or_default() as u32;
    let next = cpus.iter().find(|cpu| *cpu > me).or(cpus.iter().next());
    let next = next.unwrap_or(me);
    let is_turn = |turn: u32| {
        Part::mine().looks.fetch_add(1, Ordering::Release);
        TURN.load(Ordering::Acquire) == turn
    };
    let mut is_good = wait_for(|| is_turn(place));
    is_good &= send(next, vector::WAKE) && has_returned(next) && send_nmi(next);
    TURN.store(place + 1, Ordering::Release);
    let all = cpus.iter().count() as u32;
    is_good && wait_for(|| is_turn(all))
}

/// Waits until a CPU, which waits for its turn, has returned from the interrupt that it has handled:
/// its handler tells of its end before the trace does. Whether it has.
fn has_returned(cpu: usize) -> bool {
    let looks = &Part::of(cpu).looks;
    let before = looks.load(Ordering::Relaxed);
    // This one does not look meanwhile, and goes on only when it has returned.
    cpu == percpu::cpu_index() || wait_for(|| looks.load(Ordering::Acquire) != before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_whole() {
        for pattern in PATTERNS {
            let mut depth = 0_i32;
            for (at, letter) in pattern.iter().enumerate() {
                match letter {
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    b'w' | b'd' => assert_eq!(pattern.get(at + 1), Some(&b'(')),
                    other => assert!(b"nf".contains(other)),
                }
                assert!(depth >= 0);
            }
            assert_eq!(depth, 0);
        }
    }
}
