//! Tests of the ring, by what they look at:
//!
//! | file | |
//! |---|---|
//! | `basics` | one thing at a time |
//! | `nesting` | every operation at every step of every other, and a third at every step of that |
//! | `property` | random programs, and a simple model of a buffer as the oracle |
//! | `salvage` | the post-mortem, wherever the CPU is stopped |
//! | `slots` | records that are filled in place: cut, given up, kept open for a lap |
//! | `stamps` | times that have more bits than a stamp |
//! | `blocks` | blocks that are exchanged while somebody writes |
//! | `shown` | records that are shown one by one |
//! | `promises` | what `quiet_since`, the final packet and the errors promise |
//! | `rings` | replaced, freed and closed rings |
//! | `peers` | the mistakes of others |
//! | `away` | the post-mortem and packets that readers have taken away |
//! | `handles` | what the handles say and keep |
//! | `asleep` | readers that fall asleep |
//! | `threads`, `shared` | real threads |
//! | `lines` | no two CPUs write one cache line |
//! | `loom` | every interleaving of owner and reader |

#[cfg(not(loom))]
mod asleep;
#[cfg(not(loom))]
mod away;
#[cfg(not(loom))]
mod basics;
#[cfg(not(loom))]
mod blocks;
#[cfg(not(loom))]
mod handles;
// An interpreter takes half an hour for it, and finds nothing that `shared` does not have.
#[cfg(not(any(loom, miri)))]
mod lines;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod nesting;
#[cfg(not(loom))]
mod peers;
#[cfg(not(loom))]
mod promises;
#[cfg(not(loom))]
mod property;
#[cfg(not(loom))]
mod rings;
#[cfg(not(loom))]
mod salvage;
#[cfg(not(loom))]
mod shared;
#[cfg(not(loom))]
mod shown;
#[cfg(not(loom))]
mod slots;
#[cfg(not(loom))]
mod stage;
#[cfg(not(loom))]
mod stamps;
#[cfg(not(loom))]
mod threads;
#[cfg(not(loom))]
mod world;

use super::{Any, Otherwise, Owner, Slot, Source, WriteError, fill, put};
use crate::platform::{Pin, Platform};
use crate::sync::Usage;

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Writes `record` as a channel does.
    fn put(&self, record: impl Source) -> Result<(), WriteError> {
        let otherwise = Otherwise {
            deliver: || self.again().deliver(),
            slowly: |record: Any<'_>| self.again().put_slowly(record),
        };
        put::<U, _>(self.stream, self.local, self.platform(), record, otherwise)
    }

    /// Has `body` make a record of `len` bytes as a channel does.
    #[cfg_attr(loom, expect(dead_code, reason = "the models write whole records"))]
    fn fill<R>(&self, len: usize, body: impl FnOnce(&mut Slot<'_>) -> R) -> Result<R, WriteError> {
        let otherwise = Otherwise {
            deliver: || self.again().deliver(),
            slowly: |body| self.again().fill_slowly(len, body),
        };
        let (stream, local) = (self.stream, self.local);
        fill::<U, _>(
            stream,
            local,
            self.hooks,
            self.platform(),
            (len, body),
            otherwise,
        )
    }

    /// The same owner once more, pinned once more, as a channel makes it.
    fn again(&self) -> Self {
        let pin = Pin::new(self.platform());
        Self::new(self.stream, self.local, self.hooks, pin)
    }
}
