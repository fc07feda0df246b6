//! What has an entry and an exit: which exit belongs to which entry, in the records of one stream; and
//! what threads do, across the streams of all CPUs.
//!
//! Classes that are called `NAME_entry` and `NAME_exit`, or `syscall_entry_NAME` and
//! `syscall_exit_NAME`, are the two ends of something that takes a while. On a CPU such things lie
//! in each other, as interrupts do: what is entered last is left first. So a stack of open entries
//! says what an exit belongs to, as long as no record is missing. **Where one may be missing nothing
//! is paired**: an exit behind a loss has no entry, an entry before it no exit, and within a packet
//! that has lost records there is no pair at all, since its header only says how many, not where.
//!
//! [`Pairing`] takes the records of one stream as they come, and keeps a bounded number of open
//! entries, whatever comes. [`Threads`] takes those of all streams, by their time: system calls are
//! paired there, if the channel tells which threads run, since a thread may leave a call on another
//! CPU than it entered it on.
//!
//! ```
//! use relay_decode::pairs::{Fit, Gap, Pair, Pairing, Why};
//! use relay_format::Context::Irq;
//!
//! // Class 1 is the entry of what class 2 is the exit of.
//! let mut pairing = Pairing::new([(1, 2)]);
//! assert_eq!(pairing.record(1, 70, 1000, Irq, &[]), None);
//! let pair = Pair { entry: 70, begin: 1000, depth: 1 };
//! assert_eq!(pairing.record(2, 71, 1500, Irq, &[]), Some(Fit::Exit(pair)));
//!
//! pairing.record(1, 72, 2000, Irq, &[]);
//! pairing.gap(Gap::Missing(3));
//! let lost = Why::Gap(Gap::Missing(3));
//! assert_eq!(pairing.record(2, 76, 9000, Irq, &[]), Some(Fit::NoEntry(lost)));
//! let open = pairing.take_unclosed();
//! assert_eq!((open[0].number, open[0].why), (72, lost));
//! ```

mod classes;
mod names;
mod roles;
mod stack;
#[cfg(test)]
mod tests;
mod threads;
mod why;

pub use stack::{Fit, Link, MAX_OPEN, Pair, Pairing, Since, Unclosed};
pub use threads::{MAX_THREADS, Threads};
pub use why::{Gap, Why};
