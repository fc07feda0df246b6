//! A kernel that preempts its tasks needs a pin that pins: reading the CPU's number is not enough,
//! even where no task ever leaves its CPU.
//!
//! The CPU is one; its two tasks are threads, of which one runs at a time. The timer interrupt is
//! the trap of a single step: it comes after any instruction that the test chooses, and switches to
//! the other task, if preemption is on. With a pin that turns that off, nothing is found at any
//! pair of instructions; with one that only reads the number, a ring is freed under a task that
//! uses it. So the test fails if a platform's `pin` only reads.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(miri), not(loom)))]

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use relay::{Channel, Geometry, NoHooks, Platform, STORAGE_ALIGN, Storage};
use std::arch::asm;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;

// ---- the CPU ------------------------------------------------------------------------------------

/// The task that runs.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// The other task has come to its end.
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// Preemption is off so many times.
static OFF: AtomicUsize = AtomicUsize::new(0);
/// The timer came while it was.
static WANTED: AtomicBool = AtomicBool::new(false);
/// So many pins of each task are under way, whatever they do.
static PINS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

std::thread_local! {
    /// The number of this thread's task.
    static TASK: Cell<usize> = const { Cell::new(0) };
    /// Instructions of it that were stepped through.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// After which of them its timer interrupt comes; 0 for never.
    static AT: Cell<u64> = const { Cell::new(0) };
}

/// Gives the CPU to the other task, until that gives it back.
fn switch() {
    let me = TASK.get();
    if !IS_OVER.load(SeqCst) {
        RUNNING.store(1 - me, SeqCst);
        wait_for_the_cpu();
    }
}

fn wait_for_the_cpu() {
    while RUNNING.load(SeqCst) != TASK.get() {
        thread::yield_now();
    }
}

/// The timer interrupt.
fn timer() {
    if OFF.load(SeqCst) == 0 {
        switch();
    } else {
        WANTED.store(true, SeqCst);
    }
}

/// Called after every instruction that is stepped through.
extern "C" fn trap(_signal: i32) {
    COUNT.set(COUNT.get() + 1);
    if COUNT.get() == AT.get() {
        timer();
    }
}

/// Runs `body`, with a timer interrupt after instruction `at`; false if there is none.
#[inline(never)]
fn interrupted(at: u64, body: impl FnOnce()) -> bool {
    COUNT.set(0);
    AT.set(at);
    // SAFETY: sets the trap flag and nothing else; the stack is as before. The traps go to `trap`.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    body();
    // SAFETY: clears it likewise.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
    AT.set(0);
    COUNT.get() >= at
}

/// The one CPU. `PREEMPTS_NOT` says whether a pin turns preemption off, or only reads the number.
struct Cpu<const PREEMPTS_NOT: bool>;

// SAFETY: one CPU. With `PREEMPTS_NOT` no other task runs while one is pinned. Without, this is a
// lie: the rings of the test are in memory that is never given back, so that nothing worse comes of
// it than what the test looks for.
unsafe impl<const PREEMPTS_NOT: bool> Platform for Cpu<PREEMPTS_NOT> {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        if PREEMPTS_NOT {
            OFF.fetch_add(1, SeqCst);
        }
        PINS[TASK.get()].fetch_add(1, SeqCst);
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {
        PINS[TASK.get()].fetch_sub(1, SeqCst);
        if PREEMPTS_NOT && OFF.fetch_sub(1, SeqCst) == 1 && WANTED.swap(false, SeqCst) {
            timer();
        }
    }

    fn now(&self) -> u64 {
        1
    }
}

// ---- the tasks ----------------------------------------------------------------------------------

type Ch<const PREEMPTS_NOT: bool> = Channel<Cpu<PREEMPTS_NOT>, 1>;

/// What a task does.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// An operation that is counted as under way, and no record: the shortest.
    Ask,
    Write,
    Flush,
}

impl Act {
    #[inline(always)]
    fn run<const P: bool>(self, channel: &Ch<P>) {
        match self {
            Self::Ask => assert!(channel.max_record().is_some()),
            Self::Write => channel.write(&[7; 8]).expect("there is room"),
            Self::Flush => _ = channel.flush(),
        }
    }
}

/// Memory for three rings, which is never given back, but used for one program after the other.
#[repr(C, align(4096))]
struct Memory([[u8; 2 * STORAGE_ALIGN]; 3]);

fn geometry() -> Geometry {
    Geometry::new(64, 4).expect("a good geometry")
}

/// A ring in place `number` of `memory`.
fn ring(memory: &mut Memory, number: usize) -> Storage {
    let base = NonNull::from(&mut memory.0[number]).cast::<u8>();
    // SAFETY: the memory is initialised, and there for ever; nobody uses the ring that the last
    // program had there.
    unsafe { Storage::from_raw(base, 2 * STORAGE_ALIGN) }.expect("it is aligned")
}

/// What came of a program.
#[derive(Debug, Default)]
struct Outcome {
    /// Both interrupts came.
    came: bool,
    /// The other task was in the middle of something when this one went on.
    met: bool,
    /// A ring was freed under it, or is never freed.
    broken: bool,
}

/// One task does `act`; after its instruction `i` comes the other, which does the same, and is
/// interrupted after its instruction `j`. Then the first moves the stream to another ring, and has
/// the old one freed.
fn run<const P: bool>(memory: &mut Memory, act: Act, i: u64, j: u64) -> Outcome {
    let channel = Ch::<P>::new(Cpu, &NoHooks);
    channel
        .start(0, ring(memory, 0), geometry())
        .expect("it starts");
    channel.write(&[7; 8]).expect("there is room");
    let later = [ring(memory, 1), ring(memory, 2)];
    IS_OVER.store(false, SeqCst);
    RUNNING.store(0, SeqCst);
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            TASK.set(1);
            wait_for_the_cpu();
            let came = interrupted(j, || act.run(&channel));
            IS_OVER.store(true, SeqCst);
            RUNNING.store(0, SeqCst);
            came
        });
        let came = interrupted(i, || act.run(&channel));
        outcome.met = !IS_OVER.load(SeqCst) && PINS[1].load(SeqCst) != 0;
        let mut freed = 0;
        for storage in later {
            channel
                .replace(storage, geometry())
                .expect("it is not closed");
            channel.tick();
            let mut reader = channel.reader(0).expect("nobody else reads");
            while reader.next_subbuf().is_some() {}
            channel.tick();
            freed += channel.reclaim(0);
            if freed == 0 {
                // It is in use: the other task comes to its end first.
                switch();
                freed += 1;
            } else {
                outcome.broken |= outcome.met && !IS_OVER.load(SeqCst);
                switch();
            }
        }
        while !IS_OVER.load(SeqCst) {
            switch();
        }
        outcome.came = other.join().expect("it ended") && came;
    });
    // At rest all but one can be freed.
    channel.tick();
    let mut reader = channel.reader(0).expect("nobody else reads");
    while reader.next_subbuf().is_some() {}
    channel.tick();
    channel.reclaim(0);
    outcome.broken |= channel.info(0).expect("it has started").rings != 1;
    channel.write(&[7; 8]).expect("there is room");
    channel.close().expect("there is room");
    outcome
}

/// All pairs of instructions; how many programs there were, in how many one task met the other in
/// the middle, and in how many something was broken.
fn every_pair<const P: bool>(act: Act, step: usize) -> [usize; 3] {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _cpu = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // No traps are held back while one is handled.
    let action = SigAction::new(
        SigHandler::Handler(trap),
        SaFlags::SA_NODEFER,
        SigSet::empty(),
    );
    // SAFETY: `trap` touches nothing but atomics and constant thread locals.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("SIGTRAP can be handled");
    let memory = Box::leak(Box::new(Memory([[0; 2 * STORAGE_ALIGN]; 3])));
    let mut counts = [0; 3];
    for i in (1..).step_by(step) {
        let mut any = false;
        for j in (1..).step_by(step) {
            let outcome = run::<P>(memory, act, i, j);
            counts[0] += 1;
            counts[1] += usize::from(outcome.met);
            counts[2] += usize::from(outcome.broken);
            any |= outcome.came;
            if !outcome.came {
                break;
            }
        }
        if !any {
            break;
        }
    }
    counts
}

#[test]
fn with_preemption_off_no_task_meets_another_inside() {
    for (act, step) in [(Act::Ask, 5), (Act::Write, 9), (Act::Flush, 31)] {
        let [programs, met, broken] = every_pair::<true>(act, step);
        assert!(programs > 30, "{act:?}: only {programs} programs");
        assert_eq!((met, broken), (0, 0), "{act:?}: of {programs}");
    }
}

#[test]
fn a_pin_that_only_reads_the_number_is_noticed() {
    let [programs, met, broken] = every_pair::<false>(Act::Ask, 2);
    println!(
        "{programs} programs: {met} times a task met the other inside, {broken} times a ring was lost or freed in use"
    );
    assert!(met > 0 && broken > 0, "{met} met, {broken} broken");
}
