//! Tests of the ring: what it does, step by step (`basics`); what reviews found (`corners`); every
//! nesting (`nesting`); random
//! programs against a simple model (`property`); the post-mortem (`salvage`); threads (`threads`);
//! every interleaving of owner and reader (`loom`); slots that never come back (`leaked`); the mistakes of others (`peers`); what
//! the handles say and keep (`handles`).

#[cfg(not(loom))]
mod basics;
// Streams are leaked there, which Miri takes for a mistake.
#[cfg(not(any(loom, miri)))]
mod corners;
#[cfg(not(loom))]
mod handles;
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
mod threads;
#[cfg(not(loom))]
mod world;
