//! A host as relay sees it: its "CPUs" are threads that took a number.

use relay::Platform;
use std::cell::Cell;

thread_local! {
    /// The number that this thread took.
    static CPU: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Makes the calling thread CPU `cpu`, for good. No two threads with the same number may write at
/// the same time.
pub(crate) fn become_cpu(cpu: usize) {
    CPU.set(cpu);
}

/// Threads as CPUs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host;

// SAFETY: the number is the thread's own, and each thread of this program that writes took another
// one (`become_cpu`) or one that sleeps meanwhile, and is woken with Release and Acquire; nothing
// interrupts a thread here. The time stamp counter does not go back on processors of this century.
unsafe impl Platform for Host {
    type Pinned = ();

    #[inline(always)]
    fn pin(&self) -> (usize, ()) {
        (CPU.get(), ())
    }

    #[inline(always)]
    unsafe fn unpin(&self, (): ()) {}

    #[inline(always)]
    fn now(&self) -> u64 {
        ticks()
    }
}

/// The processor's clock, in ticks.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86_64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The clock, in ns.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn ticks() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Ticks in a nanosecond, measured.
pub(crate) fn ticks_per_ns() -> f64 {
    let (start, from) = (std::time::Instant::now(), ticks());
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (ns, to) = (start.elapsed().as_nanos() as f64, ticks());
    to.wrapping_sub(from) as f64 / ns
}
