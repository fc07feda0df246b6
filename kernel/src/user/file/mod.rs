//! The files of relay in the hands of a program: open files, and what can be asked of them.
//!
//! A program never has a reader, a position or an address of the kernel's. It has a number of its own
//! for the [`OpenFile`](open::OpenFile), and packets have the numbers of their stream: what it says is looked up, in
//! what this very file holds, and nothing that it says becomes a position. So it can lose its own
//! records, and do nothing else. Dropping the file, in whatever state, gives everything back.
//!
//! Whoever calls these functions has looked at the rights of the handle; each says which it needs.
//! They run in task context with interrupts off, and keep a packet lent only while they copy it,
//! which cannot fault ([`Memory`](super::memory::Memory)): neither a fault, nor another thread, nor
//! the end of the program comes in between. How much is copied in a call is bounded ([`COPY_MOST`]).
//!
//! From the ground up:
//!
//! - [`open`]: the files by their names, and an open one; [`whole`]: where records end;
//! - [`records`]: reading records; [`packets`]: taking, giving back, mapping;
//! - [`control`]: flush, resize, reset, filters, and writing to the channel `user`;
//! - [`wait`]: waiting for them; [`marks`]: how far each stream has been told to syslog.

pub(crate) mod control;
pub(in crate::user) mod marks;
pub(crate) mod open;
mod packets;
mod records;
#[cfg(test)]
mod tests;
pub(crate) mod wait;
mod whole;

/// The most bytes that one call copies: what is longer takes several.
const COPY_MOST: usize = 1 << 20;
