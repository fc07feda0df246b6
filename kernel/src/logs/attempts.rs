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

/// The attempts of one CPU, by context. Each is changed in its own context only, which does not
/// interrupt itself: a load and a store are enough.
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
        let count = &self.mine().now[percpu::context() as usize];
        count.store(
            count.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    /// The stream of the calling CPU is closed. Task context, interrupts off.
    pub(super) fn close(&self) {
        let mine = self.mine();
        for (at_close, now) in mine.at_close.iter().zip(&mine.now) {
            at_close.store(now.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        mine.is_closed.store(true, Ordering::Relaxed);
    }

    /// What the calling CPU has tried in `context`, until its stream was closed.
    pub(super) fn tried(&self, context: Context) -> u64 {
        let mine = self.mine();
        let counts = match mine.is_closed.load(Ordering::Relaxed) {
            true => &mine.at_close,
            false => &mine.now,
        };
        counts[context as usize].load(Ordering::Relaxed)
    }

    /// What `cpu` has tried so far, in all contexts. Any context, any CPU; exact when that CPU has
    /// stopped.
    pub(super) fn tried_by(&self, cpu: usize) -> u64 {
        let counts = &self.counts[cpu % MAX_CPUS].now;
        let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    fn mine(&self) -> &Counts {
        &self.counts[percpu::cpu_index() % MAX_CPUS]
    }
}
