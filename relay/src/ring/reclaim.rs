//! The chain of a stream's rings: taking hold of one, and freeing those that nobody uses any more.

use super::Ring;
use super::stream::Stream;
use crate::sync::{Ordering, fence};
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

/// A ring that a reader stands in, or holds something of. Having one tells you: it is not freed.
pub(super) struct RingHold<'a> {
    // A pointer, not a reference: the ring may be freed while this is being dropped.
    ring: NonNull<Ring>,
    stream: PhantomData<&'a Stream>,
}

// SAFETY: as a `&Ring`, which is Sync; the count is atomic.
unsafe impl Send for RingHold<'_> {}
// SAFETY: as above.
unsafe impl Sync for RingHold<'_> {}

impl<'a> RingHold<'a> {
    /// Takes hold of `ring`.
    ///
    /// # Safety
    /// It is a ring of a stream that lives for `'a`, and it cannot be freed during this call: the caller
    /// holds it or one before it, or is a walker.
    unsafe fn new(ring: NonNull<Ring>) -> Self {
        // SAFETY: the caller says that it is alive.
        let holders = unsafe { &ring.as_ref().holders.0 };
        holders.fetch_add(1, Ordering::Relaxed);
        Self {
            ring,
            stream: PhantomData,
        }
    }

    /// The ring that follows.
    pub(super) fn successor(&self) -> Option<Self> {
        let next = self.deref().successor()?;
        // SAFETY: of the same stream; rings are freed from the oldest on, and this one is held.
        Some(unsafe { Self::new(NonNull::from(next)) })
    }
}

impl Clone for RingHold<'_> {
    fn clone(&self) -> Self {
        // SAFETY: of the same stream, and held.
        unsafe { Self::new(self.ring) }
    }
}

impl Deref for RingHold<'_> {
    type Target = Ring;

    #[inline]
    fn deref(&self) -> &Ring {
        // SAFETY: held, so it is alive.
        let ring: &Ring = unsafe { self.ring.as_ref() };
        ring.track_use();
        ring
    }
}

impl Drop for RingHold<'_> {
    fn drop(&mut self) {
        let holders = &raw const self.deref().holders.0;
        // Release: what was read here comes before the ring is freed.
        // SAFETY: alive until the count is changed; nothing of the ring is used after it.
        unsafe { (*holders).fetch_sub(1, Ordering::Release) };
    }
}

impl Stream {
    /// Takes hold of the oldest ring; `None` before the start. Any CPU.
    pub(super) fn hold_first(&self) -> Option<RingHold<'_>> {
        self.hold_oldest(|oldest| {
            // SAFETY: a ring of this stream, and this is a walker.
            unsafe { RingHold::new(NonNull::from(oldest)) }
        })
    }

    /// Runs `body` with the oldest ring; neither it nor one behind it is freed meanwhile. Any CPU; `body`
    /// is short.
    pub(super) fn hold_oldest<R>(&self, body: impl FnOnce(&Ring) -> R) -> Option<R> {
        self.remote.walkers.fetch_add(1, Ordering::Relaxed);
        // Whoever takes a ring out of the chain sees that we walk, or we see the chain without it.
        fence(Ordering::SeqCst);
        // SAFETY: null, or a ring that is not freed as long as somebody walks.
        let oldest = unsafe { self.remote.first.load(Ordering::Acquire).as_ref() };
        let result = oldest.map(body);
        self.remote.walkers.fetch_sub(1, Ordering::Release);
        result
    }

    /// Frees the oldest rings, as far as nobody uses them any more: `has_left` says whether every CPU that
    /// writes has left the ring with this serial number. Returns how many. Task context; never from the
    /// memory's allocator.
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
        // SAFETY: built by this stream. No writer: every CPU has left it. No reader: none holds it, and
        // none that comes can find it, since it is out of the chain and nobody was walking.
        unsafe { Ring::destroy(oldest) };
        true
    }
}
