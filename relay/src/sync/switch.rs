//! A switch that can be in a `static` of whoever uses relay.

use core::sync::atomic::{AtomicBool, Ordering};

/// Whether something is done: changed by anybody, looked at everywhere. It hands nothing over.
///
/// It is the processor's, not loom's: statics of other crates hold it.
#[derive(Debug)]
pub(crate) struct Switch(AtomicBool);

impl Switch {
    /// A switch that is on or off.
    pub(crate) const fn new(is_on: bool) -> Self {
        Self(AtomicBool::new(is_on))
    }

    /// Whether it is on.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Turns it on or off.
    pub(crate) fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }
}
