//! Counting what is tried, apart from relay.

use core::sync::atomic::{AtomicU64, Ordering};

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
struct Counts([AtomicU64; Context::ALL.len()]);

impl Attempts {
    /// None yet, in the channel with this number, which is below 65536.
    pub(super) const fn new(channel: u32) -> Self {
        assert!(channel <= u16::MAX as u32, "claims have 16 bits for it");
        Self {
            channel: channel as u16,
            counts: [const { Counts([const { AtomicU64::new(0) }; Context::ALL.len()]) }; MAX_CPUS],
        }
    }

    /// The channel's number.
    pub(super) fn channel(&self) -> u16 {
        self.channel
    }

    /// Counts one attempt of the calling CPU and context. Any context.
    pub(crate) fn count(&self) {
        let count = &self.mine().0[percpu::context() as usize];
        count.store(
            count.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    /// What the calling CPU has tried in `context`.
    pub(super) fn tried(&self, context: Context) -> u64 {
        self.mine().0[context as usize].load(Ordering::Relaxed)
    }

    fn mine(&self) -> &Counts {
        &self.counts[percpu::cpu_index() % MAX_CPUS]
    }
}
