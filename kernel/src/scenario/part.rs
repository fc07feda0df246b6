//! What one CPU writes in a scenario, to `flood` or `shared`: how many records, by context, and
//! whether it is done.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;
use crate::logs::flood::{self, Flood};
use crate::logs::shared::{self, Shared};

/// One CPU's part. One scenario runs on a machine, so there is one for each.
#[repr(align(128))]
pub(super) struct Part {
    /// Its task writes, so interrupts shall write, too.
    is_writing: AtomicBool,
    /// It has written all it shall.
    is_done: AtomicBool,
    /// Records tried from task, interrupt and NMI context: the number of the next one.
    tried: [AtomicU64; 3],
}

static PARTS: [Part; MAX_CPUS] = [const {
    Part {
        is_writing: AtomicBool::new(false),
        is_done: AtomicBool::new(false),
        tried: [const { AtomicU64::new(0) }; 3],
    }
}; MAX_CPUS];

impl Part {
    pub(super) fn of(cpu: usize) -> &'static Self {
        &PARTS[cpu % MAX_CPUS]
    }

    /// Interrupts write from now on.
    pub(super) fn begin(&self) {
        self.is_writing.store(true, Ordering::Relaxed);
    }

    /// Nothing is written any more.
    pub(super) fn end(&self) {
        self.is_writing.store(false, Ordering::Relaxed);
        self.is_done.store(true, Ordering::Release);
    }

    pub(super) fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Records tried from all contexts.
    pub(super) fn tried(&self) -> u64 {
        let tried = self.tried.iter();
        tried.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Records tried from each context.
    pub(super) fn tried_from(&self) -> [u64; 3] {
        self.tried
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Records tried from the calling context.
    pub(super) fn tried_here(&self) -> u64 {
        self.tried[percpu::context() as usize].load(Ordering::Relaxed)
    }

    /// The next record of the calling CPU, whose part this is, and context; it counts as tried in
    /// `flood`.
    pub(super) fn next(&self, length: u16) -> Flood {
        flood::ATTEMPTS.count();
        self.numbered(length)
    }

    /// The same, tried in `shared`.
    pub(super) fn next_shared(&self, length: u16) -> Shared {
        shared::ATTEMPTS.count();
        Shared(self.numbered(length))
    }

    fn numbered(&self, length: u16) -> Flood {
        let context = percpu::context();
        let count = &self.tried[context as usize];
        // Its own context alone changes it.
        let sequence = count.load(Ordering::Relaxed);
        count.store(sequence + 1, Ordering::Relaxed);
        Flood {
            sequence,
            context,
            length,
        }
    }
}
