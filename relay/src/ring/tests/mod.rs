//! Tests of the ring: what it does, step by step (`basics`); what reviews found (`corners`); every
//! nesting (`nesting`); random
//! programs against a simple model (`property`); the post-mortem (`salvage`); threads (`threads`);
//! every interleaving of owner and reader (`loom`); slots that never come back (`leaked`), or late (`late`); the mistakes of others (`peers`); what
//! the handles say and keep (`handles`); readers that fall asleep (`asleep`).

// As in `corners`.
#[cfg(not(any(loom, miri)))]
mod asleep;
#[cfg(not(loom))]
mod basics;
// Streams are leaked there, which Miri takes for a mistake.
#[cfg(not(any(loom, miri)))]
mod corners;
#[cfg(not(loom))]
mod handles;
// As in `corners`.
#[cfg(not(any(loom, miri)))]
mod late;
#[cfg(not(loom))]
mod leaked;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod nesting;
#[cfg(not(loom))]
mod peers;
#[cfg(not(loom))]
mod property;
#[cfg(not(loom))]
mod salvage;
#[cfg(not(loom))]
mod shared;
#[cfg(not(loom))]
mod threads;
#[cfg(not(loom))]
mod world;

#[cfg(not(loom))]
use super::{Slot, claim};
use super::{Source, WriteError, Writer, put};
use crate::platform::Platform;

impl<'a, P: Platform> Writer<'a, P> {
    /// Writes as a channel does: the fast way if it can, else the whole way.
    fn put(self, record: impl Source) -> Result<(), WriteError> {
        let platform = self.platform();
        if put::<crate::PerCpu, _>(self.stream, self.local, platform, record, || self.deliver()) {
            return Ok(());
        }
        self.put_slowly(record.any())
    }

    /// Reserves as a channel does.
    #[cfg(not(loom))]
    fn reserve(self, len: usize) -> Result<Slot<'a, P>, WriteError> {
        let platform = self.pin.platform();
        match claim::<crate::PerCpu>(self.stream, self.local, platform, len, true) {
            Some(claim) => {
                let Self {
                    stream,
                    local,
                    hooks,
                    pin,
                    ..
                } = self;
                Ok(Slot::behind(stream, local, hooks, pin, &claim, len))
            }
            None => {
                let claim = self.leave_claim(len)?.take();
                let Self {
                    stream,
                    local,
                    hooks,
                    pin,
                    ..
                } = self;
                Ok(Slot::behind(stream, local, hooks, pin, &claim, len))
            }
        }
    }
}
