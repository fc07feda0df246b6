//! Programs in ring 3, and what they ask of the kernel.
//!
//! From the ground up; a lower file never imports a higher one:
//!
//! - [`memory`]: the memory of a program, as far as anybody here needs to know;
//! - [`waiting`]: who waits for what, and how nobody sleeps through it; [`poll`]: for several things;
//! - [`file`](mod@file): the files of relay, in the hands of somebody who is not trusted;
//! - [`syslog`]: the way to syslog, and how far each stream has been told there;
//! - [`handles`], [`port`], [`process`]: what a program may use, whom it can call, how it lives. They
//!   know each other: a handle is of a process, which has handles.
//! - [`archive`], [`loader`], [`start`]: from a file to a thread;
//! - [`events`]: what the trace has of it; [`calls`]: the system calls; [`fault`]: what programs do
//!   wrong.

pub(crate) mod archive;
pub(crate) mod calls;
mod events;
pub(crate) mod fault;
pub(crate) mod file;
mod handles;
mod loader;
mod memory;
mod poll;
mod port;
pub(crate) mod process;
pub(crate) mod start;
pub(crate) mod syslog;
mod waiting;
