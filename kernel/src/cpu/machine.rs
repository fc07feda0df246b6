//! This machine, as relay sees it.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use relay::{Context, Platform, Processor, Who};

use super::{bell, clock, percpu, pins};
use crate::base::cpuset::{CpuSet, MAX_CPUS};

/// The machine that the kernel runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine;

/// Streams of which each CPU is to tell those who wait for them: their numbers, a bit each.
static WAKES: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// The streams whose waiters are to be told by this CPU; they are its to tell by that. IRQ context.
pub(crate) fn take_wakes() -> CpuSet {
    let mine = &WAKES[percpu::cpu_index() % MAX_CPUS];
    // ORDERING: the interrupt came behind the write, on this CPU.
    CpuSet::from_bits(mine.swap(0, Ordering::Relaxed))
}

// SAFETY:
// 1. What is pinned is counted before its CPU's number is read. Where the count is not 0 no other
//    thread may be switched to: `pins::pins`, which `sched` asks before it does.
// 2. Each CPU installs its own number first of all, and no number is used twice; interrupts and
//    NMIs nest, and return to what they interrupted.
// 3. A number never passes to another CPU.
unsafe impl Platform for Machine {
    type Pinned = ();

    #[inline(always)]
    fn pin(&self) -> (usize, ()) {
        pins::pin();
        (percpu::cpu_index(), ())
    }

    #[inline(always)]
    unsafe fn unpin(&self, (): ()) {
        pins::unpin();
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        clock::ticks()
    }

    /// Keeps the stream's number, and has this CPU interrupted: it is in the middle of a write.
    fn wake(&self, stream: usize) {
        let mine = &WAKES[percpu::cpu_index() % MAX_CPUS];
        mine.fetch_or(CpuSet::only(stream % MAX_CPUS).bits(), Ordering::Relaxed);
        // ORDERING: the interrupt finds it.
        compiler_fence(Ordering::SeqCst);
        bell::ring();
    }

    #[inline(always)]
    fn context(&self) -> Context {
        percpu::context()
    }

    /// Process 0 is the kernel, with a thread on each CPU.
    #[inline]
    fn who(&self) -> Who {
        Who {
            process: percpu::process(),
            thread: percpu::thread(),
        }
    }
}

// SAFETY: as for `Platform`; interrupt handlers switch no tasks.
unsafe impl Processor for Machine {
    #[inline(always)]
    fn number(&self) -> usize {
        percpu::cpu_index()
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        clock::ticks()
    }

    #[inline(always)]
    fn context(&self) -> Context {
        percpu::context()
    }
}
