//! Readers that sleep until something is readable.

use super::stream::Stream;
use super::writer::Writer;
use crate::platform::Platform;
use crate::sync::{Ordering, Usage, fence};

impl<P: Platform, U: Usage> Writer<'_, P, U> {
    /// Wakes who sleeps. After something became readable.
    pub(super) fn wake_readers(&self) {
        // Either the reader sees what was published before this fence, or this sees that it sleeps: see
        // `announce_sleep`.
        fence(Ordering::SeqCst);
        let waiting = &self.stream.remote.waiting;
        if waiting.load(Ordering::Relaxed) && waiting.swap(false, Ordering::AcqRel) {
            self.platform().wake(self.number());
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
