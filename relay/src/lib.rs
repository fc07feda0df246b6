//! Lockless per-CPU channels that carry records out of a kernel.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, loom))]
extern crate std;

mod platform;
mod ring;
mod step;
mod sync;

pub use platform::Platform;
pub use ring::*;
