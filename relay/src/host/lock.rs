//! Locks of a process in which threads may panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `mutex` guards. No panic leaves it half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
