//! What a port hears from the interrupt handler and from the console.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::arch::handlers;

/// One port's line. Two cache lines, so that ports of different CPUs do not disturb each other.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Line {
    /// The device has used buffers since somebody looked.
    signal: AtomicBool,
    /// Interrupts taken.
    interrupts: AtomicU64,
    /// The host has the port open.
    host_open: AtomicBool,
    /// How often it has opened it.
    openings: AtomicU64,
    /// The device has taken the port away.
    removed: AtomicBool,
    /// The device was reset, and has said so.
    reset: AtomicBool,
}

impl Line {
    /// Nothing heard.
    pub(super) const fn new() -> Self {
        Self {
            signal: AtomicBool::new(false),
            interrupts: AtomicU64::new(0),
            host_open: AtomicBool::new(false),
            openings: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            reset: AtomicBool::new(false),
        }
    }

    /// Whether there was an interrupt since the last call.
    pub(super) fn take_signal(&self) -> bool {
        // The load first: it is the usual answer, and leaves the cache line shared.
        self.signal.load(Ordering::Relaxed) && self.signal.swap(false, Ordering::Acquire)
    }

    /// Whether there was an interrupt since the last [`take_signal`](Self::take_signal).
    pub(super) fn has_signal(&self) -> bool {
        self.signal.load(Ordering::Acquire)
    }

    /// Interrupts taken.
    pub(super) fn interrupts(&self) -> u64 {
        self.interrupts.load(Ordering::Relaxed)
    }

    /// Whether the host has the port open. A host may close at any time: what is in flight then
    /// is lost, which only the host can know.
    pub(super) fn is_host_open(&self) -> bool {
        self.host_open.load(Ordering::Acquire)
    }

    /// Says whether the host has the port open.
    pub(super) fn set_host_open(&self, open: bool) {
        // Counted first: who sees it open sees that it was opened anew.
        if open && !self.is_host_open() {
            self.openings.fetch_add(1, Ordering::Release);
        }
        self.host_open.store(open, Ordering::Release);
    }

    /// How often the host has opened the port.
    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Acquire)
    }

    /// Whether the device has taken the port away.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Says that the device has taken the port away.
    pub(super) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    /// Whether the device was reset. True for ever then: it has no buffer of this port any more.
    pub(super) fn is_reset(&self) -> bool {
        // ORDERING: pairs with `set_reset`.
        self.reset.load(Ordering::Acquire)
    }

    /// Says that the device was reset.
    ///
    /// # Safety
    /// It was, and its status register has read 0 since.
    pub(super) unsafe fn set_reset(&self) {
        // ORDERING: Release: who sees it may write to what the device had.
        self.reset.store(true, Ordering::Release);
    }
}

impl handlers::Device for Line {
    fn on_interrupt(&self) {
        self.interrupts.fetch_add(1, Ordering::Relaxed);
        // ORDERING: Release pairs with `take_signal`, for handlers on other CPUs than the owner's.
        self.signal.store(true, Ordering::Release);
    }

    fn name(&self) -> &'static CStr {
        c"virtio-console"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handlers::Device;

    #[test]
    fn a_signal_is_seen_once_and_every_interrupt_is_counted() {
        let line = Line::new();
        assert!(!line.take_signal());
        line.on_interrupt();
        line.on_interrupt();
        assert!(line.take_signal());
        assert!(!line.take_signal());
        assert_eq!(line.interrupts(), 2);
    }
}
