//! What leaves a machine next, and who has it until then: the drain of
//! [relay](https://docs.rs/relayfs)'s streams, wherever it runs.
//!
//! A kernel drains its streams itself, or lets a program do it; which of the two is at it may change
//! at any time. Two things make that one drain:
//!
//! - [`Pump`] is the policy, and the same code in both: which packet is next, what waits, when to ask
//!   for more, when to stop. It knows streams and outlets by numbers, and does everything through its
//!   [`Home`].
//! - [`Queue`] is the kernel's, one for each stream: packets that were taken from the ring and have
//!   not left yet, in their order. Who drains the stream *has* some of them, but they stay here; so
//!   when it dies, gives up, or loses the stream, there is nothing to be given back: what it had
//!   comes next again, in the old order, and nothing is lost or sent twice.
//!
//! ```text
//!               take: the first that nobody has              submit: the first, if it is had
//! ring --pull--> [ had | had | nobody's | nobody's ] ------------------------------> outlet
//!                    a change of who drains: all are nobody's, in their order
//! ```
//!
//! Nothing here is `unsafe`, allocates after it was made (the queue has a bound), waits, or takes a
//! lock: who shares a queue guards it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod pump;
mod queue;

pub use pump::{Home, Pump, Sent, Took, Turn, outlet_of};
pub use queue::{Queue, Refusal, Ticket};
