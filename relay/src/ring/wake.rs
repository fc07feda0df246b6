//! Readers that sleep until something is readable.
//!
//! ```text
//! sleep:        waiting = 1
//!               fence
//!               look once more: something is there: do not sleep
//!
//! wake:         fence
//!               waiting is 0: leave
//!               in an NMI: wake_noted = 1, leave
//!               swap(waiting, 0) was 1: wake the readers
//!
//! tick:         wake_noted is 1: wake_noted = 0, wake
//! ```
//!
//! Who wakes readers may have to send an interrupt or take a scheduler's lock: not from an NMI.
//! Then `waiting` stays as it is, and whoever comes by next wakes for it: the next delivery that is
//! no NMI's, or the tick, which `wake_noted` is for. A note that is set while the tick takes it is
//! for what the tick finds `waiting` for anyway, or for the next tick.

use super::owner::Owner;
use super::stream::Stream;
use crate::platform::{Context, Platform};
use crate::sync::{Ordering, Usage, fence};

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Wakes who sleeps. After something became readable.
    #[inline]
    pub(super) fn wake_readers(&self) {
        // Either the reader sees what was published before this fence, or this sees that it sleeps:
        // see `announce_sleep`.
        fence(Ordering::SeqCst);
        if self.stream.remote.waiting.load(Ordering::Relaxed) {
            self.wake_now();
        }
    }

    #[cold]
    fn wake_now(&self) {
        if self.platform().context() == Context::Nmi {
            self.stream.wake_noted.store(true, Ordering::Relaxed);
        } else if self.stream.remote.waiting.swap(false, Ordering::AcqRel) {
            self.platform().wake(self.number());
        }
    }

    /// Wakes who would have been woken in an NMI. Never in one.
    pub(super) fn wake_for_nmis(&self) {
        let noted = &self.stream.wake_noted;
        if noted.load(Ordering::Relaxed) {
            noted.store(false, Ordering::Relaxed);
            self.wake_readers();
        }
    }
}

impl Stream {
    /// Notes that a reader is about to sleep; it must look once more after this.
    pub(super) fn announce_sleep(&self) {
        self.remote.waiting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}
