//! The wire format of [relay](https://docs.rs/relayfs), each part of it said once: a kernel writes
//! it with this crate, a host reads it. `docs/FORMAT.md` of the project is the same in prose.
//!
//! | module | what |
//! |---|---|
//! | [`packet`] | the header that every packet begins with |
//! | [`stamp`] | what every record begins with: time, event id, context |
//! | [`filler`] | what a record that was given up or cut leaves |
//! | [`class`] | how kinds of records and their fields are described |
//! | `frame` | a packet on a serial line (feature `frame`) |
//! | `frames` | frames in bytes as they come (feature `frame`) |
//! | `control` | requests to a machine that runs, and its answers (feature `frame`) |
//! | `facility` | numbers for facilities and types of events (feature `facility`) |
//! | [`Loss`], [`Losses`] | why records were lost, and how many |
//! | [`Context`] | at which level code runs on a CPU |
//! | [`Severity`] | how important a record is |
//!
//! All of it is arithmetic on bytes that are there: it allocates nothing, has no state but that of
//! `frames`, and may be called from any context. Nothing that bytes say leads outside of them.

#![no_std]
#![forbid(unsafe_code)]

pub mod class;
mod context;
#[cfg(feature = "frame")]
pub mod control;
#[cfg(feature = "facility")]
pub mod facility;
pub mod filler;
#[cfg(feature = "frame")]
pub mod frame;
#[cfg(feature = "frame")]
pub mod frames;
mod loss;
pub mod packet;
mod severity;
pub mod stamp;

pub use context::Context;
pub use loss::{Loss, Losses};
pub use severity::Severity;

/// The version of the format, `relay_format` in the metadata's `env`.
pub const VERSION: u32 = 2;
