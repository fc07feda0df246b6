//! Lockless per-CPU channels that carry records out of a kernel, from any context, every record
//! accounted for.
//!
//! # The idea
//!
//! A [`Channel`] is one data flow of a kernel. It has a *stream* for each CPU: a ring of
//! *sub-buffers*, written by that CPU alone and handed over whole. Writing a record is one
//! compare-and-swap that reserves its bytes and one add that commits them; both are single
//! instructions without a `LOCK` prefix, since no other CPU writes the words. An interrupt or NMI
//! may come at any instruction and write records of its own: the compare-and-swap that it
//! interrupted fails and starts again.
//!
//! ```text
//!   task  --\                                     take          read in place
//!   IRQ   ---> reserve -> store -> commit -> [sub-buffer] -> Reader -> SubBuffer -> give back
//!   NMI   --/       \__ full: lost, counted       ^
//!                                                 `-- complete, or flushed by the timer's tick
//! ```
//!
//! # The promise
//!
//! Every attempt to write ends in a delivered record or in a counted loss:
//! `attempted = delivered + lost (by reason) + overwritten`. Each [`Packet`] carries its number,
//! the number of its first record, how many it holds, and the losses up to it; the last packet of
//! a closed stream [says so](Packet::is_final). A consumer can therefore prove that nothing is
//! missing, from what it has received alone.
//!
//! # Where to begin
//!
//! | you want to | see |
//! |---|---|
//! | give a kernel a log | [`clients::klog`], and [`Platform`], the three functions it asks of you |
//! | write records of your own | [`Channel::write`], [`Channel::reserve`], [`Slot`] |
//! | start before there is a heap | [`StaticMemory`], [`Channel::start`], later [`Channel::replace`] |
//! | read them | [`Channel::reader`], [`Reader`], [`SubBuffer`] |
//! | find streams by name, give them to somebody outside | [`fs`]: `/klog/0` |
//! | put headers around them | [`Hooks`], [`Geometry::with_reserves`] |
//! | know what was lost | [`Packet`], [`Losses`], [`Channel::stats`] |
//! | see what a crashed CPU left, or send it | [`Channel::salvage`], [`ctf::salvage`] |
//!
//! # Contexts
//!
//! Each function says from which contexts it may be called: *task*, *IRQ* (a maskable interrupt's
//! handler), *NMI*, *panic*. Whatever writes records may be called from all of them.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, loom, feature = "std"))]
extern crate std;

mod channel;
pub mod clients;
pub mod ctf;
#[cfg(doctest)]
mod forbidden;
pub mod fs;
#[cfg(feature = "std")]
#[expect(
    unsafe_code,
    reason = "the contract between a host and relay is an unsafe trait"
)]
pub mod host;
#[expect(
    unsafe_code,
    reason = "the contract between a kernel and relay is an unsafe trait"
)]
mod platform;
pub mod record;
#[expect(unsafe_code, reason = "memory that is shared by protocol, not by type")]
mod ring;
mod step;
#[expect(
    unsafe_code,
    reason = "single instructions as atomic steps; references behind atomic words"
)]
mod sync;

pub use channel::{Channel, OpenError, StartError};
pub use platform::{Context, Platform};
pub use ring::{
    CloseError, Delivery, Flushed, Geometry, GeometryError, Hooks, Loss, Losses, Mode, NoHooks,
    ObserveError, Observer, Packet, PacketStart, Reader, Records, STORAGE_ALIGN, Salvage,
    SalvagedPacket, Slot, StaticMemory, Stopped, Storage, StorageError, StreamInfo, StreamStats,
    SubBuffer, WriteError,
};
pub use sync::{Global, PerCpu, Usage};

/// The project's README; its example runs as a test.
#[cfg(all(doctest, feature = "log"))]
#[doc = include_str!("../../README.md")]
struct Readme;
