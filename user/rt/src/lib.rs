//! What programs of relay's kernel stand on.
//!
//! | module | what |
//! |---|---|
//! | [`sys`] | the system calls, one function each |
//! | [`files`] | relay's files: list, open, read, take, map, poll |
//! | [`port`], [`names`] | messages; ports that are found by a name |
//! | [`process`], [`thread`] | other programs; threads of this one |
//! | [`memory`], [`heap`] | pages; the global allocator on top of them |
//! | [`time`] | the clock, and sleep |
//! | [`say`] | what the program logs: relay's macros, and the `log` facade |
//! | [`provoke`] | faults on purpose |
//!
//! A program says [`entry!`] once. It finds the files of relay at handle [`FILES`](files::FILES),
//! and the port of `init` at handle [`INIT`](names::INIT), if who started it gave it these.
//!
//! All of it compiles on a host, too, for lints and tests: there each system call answers that
//! there is no such call.

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

#[expect(unsafe_code, reason = "the symbols that kernel and program agree on")]
mod entry;
#[expect(unsafe_code, reason = "slices of what was taken from a mapped file")]
pub mod files;
#[expect(unsafe_code, reason = "an allocator is one by contract")]
pub mod heap;
#[expect(unsafe_code, reason = "slices of memory that was mapped")]
pub mod memory;
pub mod names;
pub mod port;
pub mod process;
#[cfg_attr(
    target_os = "none",
    expect(unsafe_code, reason = "instructions that fault")
)]
pub mod provoke;
pub mod say;
#[expect(unsafe_code, reason = "the instruction `syscall`")]
pub mod sys;
#[expect(unsafe_code, reason = "stacks, and the first instruction of a thread")]
pub mod thread;
#[expect(unsafe_code, reason = "the instruction `rdtsc`")]
pub mod time;

pub use log;
pub use relay;
pub use relay_abi as abi;

#[doc(hidden)]
pub use entry::start;

/// What the page of system calls shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SYSCALLS.md")]
mod syscalls_md {}
