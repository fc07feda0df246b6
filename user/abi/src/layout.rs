//! Limits, and where programs may have memory.

/// The lowest address that a program can have memory at: address 0 and what is near it is a mistake.
pub const USER_BEGIN: u64 = 0x1_0000;
/// One past the highest. The page below the end of the lower half stays empty: behind an instruction
/// `syscall` in it, the address to return to would not be canonical.
pub const USER_END: u64 = 0x7fff_ffff_e000;

/// The most bytes that a message carries beside its words.
pub const MESSAGE_BYTES: usize = 256;
/// The most bytes of a path, and of the name of a program.
pub const PATH_BYTES: usize = 64;
/// The most bytes of text that one `write` takes.
pub const WRITE_BYTES: usize = 1024;
/// The most bytes of messages that one `syslog_write` takes.
pub const SYSLOG_BYTES: usize = 32 * 1024;
/// The most marks that one `syslog_write` takes.
pub const SYSLOG_MARKS: usize = 128;
/// In the place of a [`Handle`](crate::Handle): none.
pub const NO_HANDLE: u32 = u32::MAX;
