//! Freeing the rings that nobody uses any more.
//!
//! ```text
//! reclaim():  (any CPU, in a task; somebody is at it: leave)
//!             the oldest ring r, if it has a successor, and writing and delivery are past it
//!             fence
//!             a CPU that has joined has not left it, or something in it is unread: leave
//!             first = the successor
//!             fence
//!             there are walkers, or r has holders: first = r, leave
//!             free r, and again
//! ```

use super::entry::State;
use super::stream::Stream;
use super::words::Ring;
use crate::sync::{Ordering, fence};
use core::ptr::NonNull;

impl Stream {
    /// Frees the oldest rings, as far as nobody uses them any more: `has_left` says whether every
    /// CPU that writes has left the ring with this serial number. Returns how many. Task context;
    /// never from the memory's allocator.
    pub(crate) fn reclaim(&self, has_left: impl Fn(u64) -> bool) -> usize {
        if self.remote.reclaiming.swap(true, Ordering::AcqRel) {
            return 0;
        }
        let mut freed = 0;
        while self.free_oldest(&has_left) {
            freed += 1;
        }
        self.remote.reclaiming.store(false, Ordering::Release);
        freed
    }

    /// Frees the oldest ring, if nobody uses it any more. By who holds `reclaiming`.
    fn free_oldest(&self, has_left: impl Fn(u64) -> bool) -> bool {
        let Some(oldest) = NonNull::new(self.remote.first.load(Ordering::Acquire)) else {
            return false;
        };
        // SAFETY: only this frees rings, and one at a time.
        let ring: &Ring = unsafe { oldest.as_ref() };
        let Some(next) = ring.successor() else {
            return false;
        };
        let serial = ring.serial();
        let is_past = |at: Option<&Ring>| at.is_some_and(|at| at.serial() > serial);
        if !is_past(self.current()) || !is_past(self.delivering()) {
            return false;
        }
        // A CPU that joins now begins in the ring that was found current.
        fence(Ordering::SeqCst);
        if !has_left(serial) || ring.has_unread() {
            return false;
        }
        let next: *const Ring = next;
        self.remote.first.store(next.cast_mut(), Ordering::Release);
        fence(Ordering::SeqCst);
        let walkers = self.remote.walkers.load(Ordering::Acquire);
        let holders = ring.holders.0.load(Ordering::Acquire);
        if walkers != 0 || holders != 0 {
            self.remote.first.store(oldest.as_ptr(), Ordering::Release);
            return false;
        }
        // SAFETY: built by this stream. No writer: every CPU has left it. No reader: none holds it,
        // and none that comes can find it, since it is out of the chain and nobody was walking.
        unsafe { Ring::destroy(oldest) };
        true
    }
}

impl Ring {
    /// Whether some of its packets are not read, or a reader has them.
    fn has_unread(&self) -> bool {
        let end = self.geometry.packet(self.visible());
        (1..=self.geometry.subbuf_count() as u64).any(|back| {
            let packet = self.geometry.before(end, back);
            let entry = self.entry(packet);
            entry.is_packet(packet) && entry.state() != State::Empty
        })
    }
}
