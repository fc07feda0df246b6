//! The chain of a stream's rings: how a reader takes hold of one.
//!
//! ```text
//! walk:    walkers += 1
//!          fence
//!          r = first
//!          r.holders += 1
//!          walkers -= 1, Release
//!
//! go on:   next = r.succ
//!          next.holders += 1
//!          r.holders -= 1, Release
//! ```

use super::stream::Stream;
use super::words::Ring;
use crate::sync::Ordering;
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

impl RingHold<'_> {
    /// Takes hold of `ring`.
    ///
    /// # Safety
    /// It is a ring of a stream that lives for `'a`, and it cannot be freed during this call: the
    /// caller holds it or one before it, or is a walker.
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
}
