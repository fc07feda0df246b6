//! What is told to syslog.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How far a stream has been told to syslog. The kernel keeps it with the stream, and gives it to
/// whoever opens the stream next ([`FileInfo::told`](crate::FileInfo::told)): it is set in the same
/// step in which the messages are taken, so that each record is told once, whenever who tells them
/// dies.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Mark {
    /// A handle of the stream, opened to consume or to drain.
    pub file: u32,
    /// 0.
    pub zero: u32,
    /// The number of the first record that was not told yet. It never goes back.
    pub told: u64,
}
