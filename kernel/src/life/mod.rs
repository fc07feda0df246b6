//! The life of the machine and its CPUs: bring-up, idling, the end in order, the end by a panic.
//!
//! From the ground up; a lower file never imports a higher one:
//!
//! - [`close`]: a CPU's streams come to their end; [`park`]: a CPU does;
//! - [`thread`]: what runs on a CPU; [`idle`]: waiting;
//! - [`profiler`]: what each CPU does, many times a second;
//! - [`programs`]: programs beside a scenario, and what they take;
//! - [`others`]: the other CPUs; [`error`], [`bring_up`]: the beginning; [`shut_down`]: the end;
//! - [`panic`](mod@panic): the other end.

pub(crate) mod bring_up;
pub(crate) mod close;
mod error;
pub(crate) mod idle;
mod others;
pub(crate) mod panic;
mod park;
pub(crate) mod profiler;
pub(crate) mod programs;
pub(crate) mod shut_down;
pub(crate) mod thread;
