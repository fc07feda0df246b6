//! Asking a machine that runs: the control path of the host, as `docs/FORMAT.md` has it.
//!
//! Who records a machine has a [`Desk`]: a socket in the capture's folder that anybody of the same
//! user may ask at. It passes requests on to the machine, by a [`Wire`], and answers back to whoever
//! has asked. A [`Client`] is who asks. Both sides of the desk speak the same frames; each request
//! has a number of the client's on one side, and of the desk's on the other.
//!
//! Nothing that a client or a machine says, or leaves unsaid, stops the desk or who has it: all
//! that is kept is bounded, and nobody is waited for but a client, and that for
//! [a moment](desk).

mod client;
mod desk;
mod socket;

pub use client::{AskError, Client, Reply};
pub use desk::{Desk, Wire};
