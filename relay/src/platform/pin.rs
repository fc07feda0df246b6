//! relay's use of a platform: pinned, and with a clock that stays in its place.

use super::contract::Platform;
use crate::sync::{Ordering, compiler_fence};
use core::mem::ManuallyDrop;

/// The pin that keeps the running code on its CPU; dropping it unpins.
pub(crate) struct Pin<'a, P: Platform> {
    platform: &'a P,
    cpu: usize,
    pinned: ManuallyDrop<P::Pinned>,
}

impl<'a, P: Platform> Pin<'a, P> {
    /// Pins the running code.
    #[inline(always)]
    pub(crate) fn new(platform: &'a P) -> Self {
        let (cpu, pinned) = platform.pin();
        Self {
            platform,
            cpu,
            pinned: ManuallyDrop::new(pinned),
        }
    }

    /// The platform that it pins on.
    #[inline(always)]
    pub(crate) fn platform(&self) -> &'a P {
        self.platform
    }

    /// The CPU it is pinned to.
    #[inline(always)]
    pub(crate) fn cpu(&self) -> usize {
        self.cpu
    }
}

impl<P: Platform> Drop for Pin<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: taken here, once: `self` is being dropped.
        let pinned = unsafe { ManuallyDrop::take(&mut self.pinned) };
        // SAFETY: `new` pinned, once, and this is the end of it.
        unsafe { self.platform.unpin(pinned) };
    }
}

/// The time, in ticks, as an interrupt must find it read: after what is read before it here, and
/// before what comes after. A platform's way to read it may tell the compiler nothing of memory.
#[inline(always)]
pub(crate) fn now(platform: &impl Platform) -> u64 {
    compiler_fence(Ordering::SeqCst);
    let ticks = platform.now();
    compiler_fence(Ordering::SeqCst);
    ticks
}
