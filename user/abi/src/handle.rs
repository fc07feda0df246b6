//! Handles, and what may be done with them.

/// The number of an entry in the program's table of handles.
pub type Handle = u32;

/// What may be done with a handle: bits. A copy of a handle has the same rights or fewer.
pub mod rights {
    /// Look at files: list, info, open for observing, read, poll.
    pub const OBSERVE: u32 = 1;
    /// Open files for consuming: take and give back.
    pub const CONSUME: u32 = 1 << 1;
    /// Map files.
    pub const MAP: u32 = 1 << 2;
    /// Set filters, resize, reset and flush.
    pub const CONTROL: u32 = 1 << 3;
    /// Write to channel `user`.
    pub const WRITE: u32 = 1 << 4;
    /// Call a port, and set its notification bits.
    pub const SEND: u32 = 1 << 5;
    /// Receive at a port, and reply.
    pub const RECEIVE: u32 = 1 << 6;
    /// End a process, or a thread.
    pub const END: u32 = 1 << 7;
    /// Start programs.
    pub const SPAWN: u32 = 1 << 8;
    /// Pass a copy on, in a message or to a new program.
    pub const PASS: u32 = 1 << 9;
    /// Take streams over from the kernel, and send their packets.
    pub const DRAIN: u32 = 1 << 10;
    /// Open the way to syslog, and write there.
    pub const SYSLOG: u32 = 1 << 11;
    /// All of them.
    pub const ALL: u32 = (1 << 12) - 1;
}
