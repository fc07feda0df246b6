//! What `logd` does, as far as it can be tested on a host.
//!
//! From the ground up:
//!
//! - [`describe`]: a class of records, from its line in the kernel's metadata; [`classes`]: all of
//!   them, each read when it is met first;
//! - [`text`]: bytes that are one message, whatever is in a record; [`date`]: when it was written;
//! - [`record`]: what a record says; [`message`]: says it as RFC 5424 has it;
//! - [`feed`]: one stream, and how far it was read; [`desk`]: all of them, merged by time, told, and
//!   handed on.
//!
//! The records are read by relay's own readers, not by those of the host: the host's are compared
//! with these.

/// The name of the port that `logd` has with `init`.
pub const NAME: &str = "logd";

/// The first word of a message to it: it answers when all that was written before was told, or passed
/// over.
pub const ASK: u64 = 1;

pub mod classes;
pub mod date;
pub mod describe;
pub mod desk;
pub mod feed;
pub mod message;
pub mod record;
pub mod text;
