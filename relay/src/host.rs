//! A platform for host programs: threads that are CPUs. Feature `std`.
//!
//! The process is the machine. A thread becomes one of its CPUs by [claiming a number](Cpu::claim),
//! and stays it until it drops the [`Cpu`]; then the number can be another thread's. What other
//! threads write is counted as lost ([`Channel::lost_no_ring`](crate::Channel::lost_no_ring)). The
//! operating system's CPU numbers play no part: it moves threads between them at any instruction.
//!
//! | relay asks for | a thread gives |
//! |---|---|
//! | CPU number | the number that it claimed: the lowest free one, from 0 |
//! | pin | a count: the number is not passed on while a record is being written. No other task runs on a thread, so that is all |
//! | interrupts | signal handlers nest in their thread like interrupts; they may write, but count as tasks |
//! | clock | nanoseconds since the first claim; 0 before |
//! | wake | whoever has a [`Sleeper`] is woken, whatever stream it waits for: it looks again |
//! | call | nothing: what is asked of a thread waits for its next [tick](crate::Channel::tick) |
//!
//! A thread has no timer interrupt. So each that writes calls `tick` now and then, and a last time
//! after its last record, or [closes](crate::Channel::close) its stream: what stands in an open
//! packet is seen by nobody before that.
//!
//! ```
//! use relay::host::{Cpu, Host, Sleeper};
//! use relay::{Channel, Geometry, NoHooks, Storage};
//! use std::thread;
//!
//! static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
//!
//! let cpu = Cpu::claim();
//! let geometry = Geometry::new(4096, 4).unwrap();
//! LOG.start(cpu.number(), Storage::allocate(&geometry).unwrap(), geometry).unwrap();
//! let mut reader = LOG.reader(cpu.number()).unwrap();
//!
//! let reading = thread::spawn(move || {
//!     let sleeper = Sleeper::new();
//!     loop {
//!         if let Some(taken) = reader.next_subbuf() {
//!             return taken.records().to_vec();
//!         }
//!         if reader.prepare_to_sleep() {
//!             sleeper.sleep();
//!         }
//!     }
//! });
//! LOG.write(b"hello").unwrap();
//! LOG.flush();
//! assert_eq!(reading.join().unwrap(), b"hello");
//! ```
//!
//! `relay/examples/threads.rs` of the project does it with many threads, rings that grow and shrink
//! meanwhile, and a ledger at the end.

mod lock;
mod sleep;

use crate::platform::{Platform, Who};
use core::marker::PhantomData;
use lock::lock;
use sleep::SLEEPERS;
pub use sleep::Sleeper;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;
use std::vec::Vec;

/// The number of a thread that has none: out of the range of every channel.
const NONE: usize = usize::MAX;

std::thread_local! {
    /// This thread. Atomics, because signal handlers look at them.
    static THIS: This = const { This { number: AtomicUsize::new(NONE), holds: AtomicUsize::new(0) } };
}

/// What a thread knows of itself.
struct This {
    /// Its number.
    number: AtomicUsize,
    /// What keeps the number from being given back: pins, and `Cpu`s.
    holds: AtomicUsize,
}

impl This {
    fn number(&self) -> usize {
        self.number.load(Ordering::Relaxed)
    }

    /// One hold more. What a signal handler does in between is undone when it returns.
    #[inline]
    fn hold(&self) {
        let holds = self.holds.load(Ordering::Relaxed);
        self.holds.store(holds + 1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// One hold less; without any the number is given back.
    #[inline]
    fn let_go(&self) {
        compiler_fence(Ordering::SeqCst);
        match self.holds.load(Ordering::Relaxed) {
            1 => self.give_back(),
            holds => self.holds.store(holds - 1, Ordering::Relaxed),
        }
    }

    /// Gives the last hold back, and with it the number, if there is one.
    #[cold]
    fn give_back(&self) {
        // Before the hold: a signal handler that comes in between must not be the last to hold the
        // number.
        let number = self.number.swap(NONE, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        self.holds.store(0, Ordering::Relaxed);
        if number != NONE {
            lock(&TAKEN)[number] = false;
        }
    }
}

/// Which numbers are taken.
static TAKEN: Mutex<Vec<bool>> = Mutex::new(Vec::new());

/// When the clock began.
static BEGIN: OnceLock<Instant> = OnceLock::new();

/// The process as a machine whose CPUs are threads: the platform of channels on a host.
#[derive(Clone, Copy, Debug)]
pub struct Host;

// SAFETY:
// 1. A number is its thread's as long as that has a pin: only the last hold gives it back. What
//    runs on a thread is one task.
// 2. `TAKEN` gives each number to one thread at a time. A thread without one says `NONE`, which is
//    out of range.
// 3. What runs on a thread is one sequence of instructions; a signal handler returns before what it
//    interrupted goes on.
// 4. A number passes through the lock of `TAKEN`: who gives it back happens-before who takes it. At
//    that time the former has no pin.
unsafe impl Platform for Host {
    type Pinned = ();

    #[inline]
    fn pin(&self) -> (usize, ()) {
        THIS.with(|this| {
            this.hold();
            (this.number(), ())
        })
    }

    #[inline]
    unsafe fn unpin(&self, (): ()) {
        THIS.with(This::let_go);
    }

    fn now(&self) -> u64 {
        BEGIN
            .get()
            .map_or(0, |begin| begin.elapsed().as_nanos() as u64)
    }

    fn wake(&self, _cpu: usize) {
        SLEEPERS.ring();
    }

    /// The process, by its id, and the thread, by the number that it has as a CPU.
    fn who(&self) -> Who {
        Who {
            process: std::process::id().cast_signed(),
            thread: THIS.with(This::number) as i32,
        }
    }
}

/// This thread is a CPU. Having one tells you: no other thread has its number, and everything that
/// the thread did that had it before happened before.
///
/// Dropping it lets the number go, once no record of this thread is being written. If it is leaked,
/// the number is nobody's ever after.
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// send(relay::host::Cpu::claim()); // a number belongs to its thread
/// ```
#[derive(Debug)]
pub struct Cpu {
    _of_this_thread: PhantomData<*const ()>,
}

impl Cpu {
    /// Makes this thread a CPU, with the lowest number that is free; a thread that is one already
    /// stays it, until all its `Cpu`s are dropped. Takes a lock for a moment, and may allocate: not
    /// from a signal handler.
    ///
    /// ```
    /// use relay::host::Cpu;
    /// use std::thread;
    ///
    /// let cpu = Cpu::claim();
    /// let another = thread::spawn(|| Cpu::claim().number()).join().unwrap();
    /// assert_ne!(cpu.number(), another);
    /// ```
    #[must_use = "the thread is a CPU until this is dropped"]
    pub fn claim() -> Self {
        BEGIN.get_or_init(Instant::now);
        THIS.with(|this| {
            this.hold();
            if this.number() == NONE {
                let number = take_lowest(&mut lock(&TAKEN));
                this.number.store(number, Ordering::Relaxed);
            }
        });
        Self {
            _of_this_thread: PhantomData,
        }
    }

    /// The number of this thread, as a CPU of every channel that has room for it.
    #[must_use]
    pub fn number(&self) -> usize {
        THIS.with(This::number)
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        THIS.with(This::let_go);
    }
}

/// Takes the lowest number that is free.
fn take_lowest(taken: &mut Vec<bool>) -> usize {
    let free = taken.iter().position(|is_taken| !is_taken);
    let number = free.unwrap_or_else(|| {
        taken.push(false);
        taken.len() - 1
    });
    taken[number] = true;
    number
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Channel, Geometry, NoHooks, Storage, WriteError};
    use std::boxed::Box;
    use std::sync::{Barrier, mpsc};
    use std::thread;
    use std::time::Duration;

    /// A channel with a stream for each number that the tests use at the same time.
    fn channel() -> Box<Channel<Host, 64>> {
        let channel = Box::new(Channel::new(Host, &NoHooks));
        let geometry = Geometry::new(256, 2).unwrap();
        for cpu in 0..channel.cpus() {
            channel
                .start(cpu, Storage::allocate(&geometry).unwrap(), geometry)
                .unwrap();
        }
        channel
    }

    #[test]
    fn no_two_threads_have_the_same_number_at_the_same_time() {
        let all_have_one = Barrier::new(8);
        let mut numbers: Vec<usize> = thread::scope(|scope| {
            let claim = || {
                let cpu = Cpu::claim();
                all_have_one.wait();
                assert_eq!(Cpu::claim().number(), cpu.number());
                cpu.number()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn a_thread_without_a_number_writes_nothing_and_is_counted() {
        let channel = channel();
        assert_eq!(channel.write(b"x"), Err(WriteError::NoRing));
        let cpu = Cpu::claim();
        assert_eq!(channel.write(b"x"), Ok(()));
        drop(cpu);
        assert_eq!(channel.write(b"x"), Err(WriteError::NoRing));
        assert_eq!(channel.lost_no_ring(), 2);
    }

    /// Whether a number is taken; what other tests do at the same time does not change the answer
    /// for one that is held.
    fn is_taken(number: usize) -> bool {
        lock(&TAKEN)[number]
    }

    #[test]
    fn a_number_stays_with_its_thread_while_a_record_is_written() {
        let channel = channel();
        let cpu = Cpu::claim();
        let number = cpu.number();
        let fill = |_: &mut crate::Slot<'_>| {
            drop(cpu);
            assert!(is_taken(number), "given back while a record is written");
            let another = thread::spawn(|| Cpu::claim().number()).join().unwrap();
            assert_ne!(another, number);
        };
        channel.reserve_with(3, fill).unwrap();
        assert_eq!(THIS.with(This::number), NONE);
        assert_eq!(THIS.with(|this| this.holds.load(Ordering::Relaxed)), 0);
    }

    #[test]
    fn what_a_thread_left_is_seen_by_the_next_one_with_its_number() {
        let channel = channel();
        let rounds = if cfg!(miri) { 8 } else { 500 };
        let write = |value: u64| {
            let cpu = Cpu::claim();
            channel.write(&value.to_le_bytes()).unwrap();
            channel.flush();
            let mut reader = channel.reader(cpu.number()).unwrap();
            let taken = reader.next_subbuf().unwrap();
            assert_eq!(taken.records(), value.to_le_bytes());
        };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..rounds).for_each(write));
            }
        });
    }

    #[test]
    fn a_sleeper_is_woken_for_every_record() {
        let channel = channel();
        let records: u64 = if cfg!(miri) { 20 } else { 2000 };
        let (tell, told) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let cpu = Cpu::claim();
                tell.send(cpu.number()).unwrap();
                for record in 0..records {
                    while channel.write(&record.to_le_bytes()).is_err() {
                        thread::yield_now();
                    }
                    channel.flush();
                }
            });
            let mut reader = channel.reader(told.recv().unwrap()).unwrap();
            let sleeper = Sleeper::new();
            let mut next = 0;
            while next < records {
                if let Some(taken) = reader.next_subbuf() {
                    next += taken.packet().records;
                } else if reader.prepare_to_sleep() {
                    // Without a wake-up this is the end of the test.
                    sleeper.sleep();
                }
            }
        });
    }

    #[test]
    fn a_sleep_ends_without_a_wake() {
        let sleeper = Sleeper::new();
        sleeper.sleep_at_most(Duration::from_millis(1));
    }
}
