//! What programs ask of the kernel.
//!
//! From the ground up; a lower file never imports a higher one:
//!
//! - [`memory`]: the memory of a program, as far as anybody here needs to know;
//! - [`waiting`]: who waits for what, and how nobody sleeps through it; [`poll`]: for several things;
//! - [`file`](mod@file): the files of relay, in the hands of somebody who is not trusted.

pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod poll;
pub(crate) mod waiting;
