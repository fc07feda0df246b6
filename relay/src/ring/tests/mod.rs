//! Tests of the ring: what it does, step by step (`basics`); what reviews found (`corners`); every
//! nesting (`nesting`); random
//! programs against a simple model (`property`); the post-mortem (`salvage`); threads (`threads`);
//! every interleaving of owner and reader (`loom`).

#[cfg(not(loom))]
mod basics;
// Streams are leaked there, which Miri takes for a mistake.
#[cfg(not(any(loom, miri)))]
mod corners;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod nesting;
#[cfg(not(loom))]
mod property;
#[cfg(not(loom))]
mod salvage;
#[cfg(not(loom))]
mod threads;
#[cfg(not(loom))]
mod world;

use super::{Source, WriteError, Writer, put};
use crate::platform::Platform;

impl<P: Platform> Writer<'_, P> {
    /// Writes as a channel does: the fast way if it can, else the whole way.
    fn put(self, record: impl Source) -> Result<(), WriteError> {
        let platform = self.platform();
        if put::<crate::PerCpu, _>(self.stream, self.local, platform, record, || self.deliver()) {
            return Ok(());
        }
        self.put_slowly(record.stamp(), record.bytes())
    }
}
