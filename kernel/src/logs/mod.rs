//! What this kernel writes: its channels, each declared by its client, and the list of all.
//!
//! Low in the house, so that memory, devices and all above can log. From the ground up; a lower
//! file never imports a higher one:
//!
//! - [`channel`]: what the channels have in common; [`attempts`]: counting what is tried;
//! - [`client`]: what clients have in common whose events are typed;
//! - [`snapshot`], [`trigger`]: when a flight recorder is read;
//! - [`operator`]: the events of evlog;
//! - the clients [`klog`], [`trace`], [`evlog`], [`user`], [`profile`], [`flood`], [`shared`], [`claims`],
//!   [`metadata`]: each with its channel, its hooks and its event classes;
//! - [`switches`]: which statements and events are written;
//! - [`load`]: which of flood and shared is written, and in which rings;
//! - [`registry`]: the list of them, and what is done with all.

mod attempts;
pub(crate) mod channel;
pub(crate) mod claims;
pub(crate) mod client;
pub(crate) mod evlog;
pub(crate) mod flood;
pub(crate) mod klog;
pub(crate) mod load;
pub(crate) mod metadata;
pub(crate) mod operator;
pub(crate) mod profile;
pub(crate) mod registry;
pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod switches;
pub(crate) mod trace;
mod trigger;
pub(crate) mod user;
