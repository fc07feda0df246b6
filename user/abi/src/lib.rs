//! The system calls of relay's kernel: numbers, errors and structures, said once for the kernel and
//! for programs.
//!
//! A program executes `syscall` with the number of a [`Call`] in `rax` and its arguments in `rdi`,
//! `rsi`, `rdx`, `r10`, `r8` and `r9`. `rax` comes back: 0 or a count, or the negated number of an
//! [`Error`]. Some calls give more back, in `rdx`, `rsi`, `rdi`, `r10` and `r8`: each says what. All
//! of these, and `rcx` and `r11`, are changed by each call; the other registers are kept.
//!
//! Nothing that a program passes is believed: handles are looked up in its own table, addresses in
//! its own page tables, numbers in what it holds.
#![no_std]
#![forbid(unsafe_code)]

mod call;
mod error;
mod file;
mod handle;
mod layout;
mod syslog;
mod thread;

pub use call::Call;
pub use error::Error;
pub use file::{FileInfo, How, Notice, PollItem, ready};
pub use handle::{Handle, rights};
pub use layout::{
    MESSAGE_BYTES, NO_HANDLE, PATH_BYTES, SYSLOG_BYTES, SYSLOG_MARKS, USER_BEGIN, USER_END,
    WRITE_BYTES,
};
pub use syslog::Mark;
pub use thread::{Ended, LEAST_PRIORITY, NORMAL_PRIORITY, Spawn, TOP_PRIORITY, ThreadOptions};
