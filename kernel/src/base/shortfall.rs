//! What the machine has and cannot use, or lacks although all else works.
//!
//! It goes on without: a log that is there is better than none. Who finds a shortfall says in the
//! log what it is, and [notes](note) it here, so that the machine does not end as if it had been
//! all it was to be.

use core::sync::atomic::{AtomicBool, Ordering};

static NOTED: AtomicBool = AtomicBool::new(false);

/// Notes that there is one. Any context, any CPU.
pub(crate) fn note() {
    NOTED.store(true, Ordering::Relaxed);
}

/// Whether there was one up to now.
pub(crate) fn is_noted() -> bool {
    NOTED.load(Ordering::Relaxed)
}
