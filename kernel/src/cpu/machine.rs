//! This machine, as relay sees it.

use relay::{Context, Platform, Processor, Who};

use super::{clock, percpu, running};

/// The machine that the kernel runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine;

// SAFETY:
// 1. What is pinned is counted before its CPU's number is read. Where the count is not 0 no other
//    task may be switched to: `percpu::pins`. Nothing switches tasks yet.
// 2. Each CPU installs its own number first of all, and no number is used twice; interrupts and
//    NMIs nest, and return to what they interrupted.
// 3. A number never passes to another CPU.
unsafe impl Platform for Machine {
    type Pinned = ();

    #[inline(always)]
    fn pin(&self) -> (usize, ()) {
        percpu::pin();
        (percpu::cpu_index(), ())
    }

    #[inline(always)]
    unsafe fn unpin(&self, (): ()) {
        percpu::unpin();
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        clock::ticks()
    }

    #[inline(always)]
    fn context(&self) -> Context {
        percpu::context()
    }

    /// The kernel is process 0; a program's threads are of the process that it runs in.
    #[inline]
    fn who(&self) -> Who {
        let task = running::task();
        Who {
            process: task.pid,
            thread: task.tid,
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
