//! Counting what is tried, apart from relay.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use relay::Context;

use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;

/// What was tried in one channel, by CPU and context.
pub(crate) struct Attempts {
    channel: u16,
    counts: [Counts; MAX_CPUS],
}

/// The attempts of one CPU, by context. Each is changed on its CPU only, by single instructions.
#[repr(align(128))]
struct Counts {
    now: [AtomicU64; Context::ALL.len()],
    /// What they were when the CPU's stream was closed, if it was: the stream does not tell of
    /// later ones.
    at_close: [AtomicU64; Context::ALL.len()],
    is_closed: AtomicBool,
}

impl Counts {
    const fn new() -> Self {
        Self {
            now: [const { AtomicU64::new(0) }; Context::ALL.len()],
            at_close: [const { AtomicU64::new(0) }; Context::ALL.len()],
            is_closed: AtomicBool::new(false),
        }
    }

    /// Those that the stream tells of.
    fn told(&self) -> &[AtomicU64; Context::ALL.len()] {
        // ORDERING: pairs with `close`: who sees it sees the counts.
        match self.is_closed.load(Ordering::Acquire) {
            true => &self.at_close,
            false => &self.now,
        }
    }
}

impl Attempts {
    /// None yet, in the channel with this number, which is below 65536.
    pub(super) const fn new(channel: u32) -> Self {
        assert!(channel <= u16::MAX as u32, "claims have 16 bits for it");
        Self {
            channel: channel as u16,
            counts: [const { Counts::new() }; MAX_CPUS],
        }
    }

    /// The channel's number.
    pub(super) fn channel(&self) -> u16 {
        self.channel
    }

    /// Counts one attempt of the calling CPU and context. Any context.
    pub(crate) fn count(&self) {
        percpu::count(&self.mine().now[percpu::context() as usize]);
    }

    /// The stream of the calling CPU is closed. Task context, interrupts off.
    pub(super) fn close(&self) {
        let mine = self.mine();
        for (at_close, now) in mine.at_close.iter().zip(&mine.now) {
            at_close.store(now.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // ORDERING: pairs with `told`, on another CPU.
        mine.is_closed.store(true, Ordering::Release);
    }

    /// What the calling CPU has tried in `context`, until its stream was closed.
    pub(super) fn tried(&self, context: Context) -> u64 {
        self.mine().told()[context as usize].load(Ordering::Relaxed)
    }

    /// What `cpu` has tried so far, in all contexts, until its stream was closed. Any context, any
    /// CPU; exact when that CPU has stopped.
    pub(super) fn tried_by(&self, cpu: usize) -> u64 {
        let counts = self.counts[cpu % MAX_CPUS].told();
        let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    fn mine(&self) -> &Counts {
        &self.counts[percpu::cpu_index() % MAX_CPUS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_the_end_of_a_stream_is_not_told() {
        let attempts = Attempts::new(1);
        let counts = &attempts.counts[3];
        counts.now[0].store(5, Ordering::Relaxed);
        counts.now[2].store(2, Ordering::Relaxed);
        assert_eq!(attempts.tried_by(3), 7);
        counts.at_close[0].store(4, Ordering::Relaxed);
        counts.is_closed.store(true, Ordering::Relaxed);
        assert_eq!(attempts.tried_by(3), 4);
        assert_eq!(attempts.tried_by(2), 0);
    }
}
