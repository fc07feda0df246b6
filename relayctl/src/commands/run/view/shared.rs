//! What the view's thread shares with who feeds it.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::lines::Lines;
use super::screen::Shown;
use crate::terminal::Moved;

/// What the thread shares.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Lines of the console.
    pub(super) lines: Mutex<Lines>,
    /// Rung when lines came.
    pub(super) came: Condvar,
    /// Whether the capture, and the console's text, are complete.
    pub(super) is_over: AtomicBool,
    /// Whether nobody reads any more.
    pub(super) is_closed: AtomicBool,
    /// What was written.
    pub(super) moved: Moved,
    /// Which records were written.
    pub(super) shown: Shown,
}

impl Shared {
    /// The lines; a thread that panicked leaves them usable.
    pub(super) fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
