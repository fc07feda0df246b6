//! Lockless per-CPU channels that carry records out of a kernel.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, loom))]
extern crate std;

mod channel;
pub mod clients;
mod platform;
pub mod record;
mod ring;
mod step;
mod sync;

pub use channel::{Channel, OpenError, StartError};
pub use platform::{Context, Platform};
pub use ring::*;
