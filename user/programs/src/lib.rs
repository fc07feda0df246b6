//! What the programs of relay's kernel are made of, as far as it can be tested on a host.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what `init` starts, with which rights, and whether again |
//! | [`table`] | the names that `init` keeps |
//! | [`check`] | the packets that `readers` takes: whether each byte is as it must be |
//! | [`lines`] | the records that `dmesg` shows |
//! | [`raw`] | system calls with any numbers |
//! | [`syslog`] | what `logd` does: records as messages, merged and told once |
//! | [`wild`] | the calls of `random`, which no program should make |

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod check;
pub mod lines;
pub mod plan;
#[expect(unsafe_code, reason = "calls that no program should make")]
pub mod raw;
pub mod syslog;
pub mod table;
pub mod wild;
