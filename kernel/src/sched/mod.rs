//! Threads: only what waits for something needs. A stand-in until there is a scheduler.

use alloc::sync::Arc;

/// A thread.
#[derive(Debug)]
pub(crate) struct Thread;

/// Why [`park`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody has unparked the thread.
    Unparked,
    /// The time is over.
    TimedOut,
    /// The thread must end.
    Ended,
}

impl Thread {
    /// Lets the thread go on.
    pub(crate) fn unpark(&self) {}
}

/// The thread that calls.
pub(crate) fn current() -> Arc<Thread> {
    Arc::new(Thread)
}

/// Blocks until somebody unparks the thread.
pub(crate) fn park(_until_ticks: Option<u64>) -> Woken {
    Woken::Ended
}
