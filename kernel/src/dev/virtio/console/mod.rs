//! The console device (section 5.3): bulk output through many ports, asynchronously, without
//! copying.
//!
//! ```text
//! Console  one owner: finds ports, hears of the host opening and closing them, resets the device
//!  └ open() → Port  one owner each, on any CPU: submit → notify → ... → reclaim
//! ```
//!
//! A [`Port`] shares nothing with other ports but the device itself: it has its own queue, its own
//! doorbell, its own counters, and an interrupt that goes to its own CPU. No port's call takes a
//! lock or allocates. What the console and the interrupt handler have to tell a port, they tell
//! through atomics ([`line`]).
//!
//! Buffers ([`InFlight`]) belong to the port while the device has them, and come back from
//! [`Port::reclaim`], each once: when the device has used them, or when it was reset and said so.
//!
//! Only the direction to the host is driven. Receive queues of ports are not set up: what a host
//! sends stays on the host.

mod control;
mod driver;
mod error;
#[cfg(test)]
mod fake;
mod kernel;
mod line;
mod port;
mod protocol;
#[cfg(test)]
mod tests;

pub(crate) use kernel::{Console, CpuPort, init, open_here};
pub(crate) use port::{Refusal, Rejected};
