//! klog: what a kernel says to people.
//!
//! A klog record is a line of text with where and when it was said: time, CPU, context, severity,
//! module, file and line. With the feature `log`, a `Klog` is a backend of the
//! [`log`](https://docs.rs/log) facade, and `log::info!` works anywhere in the kernel: task, IRQ,
//! NMI and panic context, from the first instruction after
//! [`Channel::start`](crate::Channel::start).
//!
//! A message is formatted once, into a buffer on the stack: without a heap, without a lock, and
//! whatever its arguments print, before the CPU is pinned. Where a line is longer than a sub-buffer
//! takes, module and file name are cut to a quarter of the room each; a message that is longer than
//! [`MAX_MESSAGE`] bytes, or still too long, is cut, and says how much is missing. One of which an argument fails to print says
//! so at that place.
//!
//! | bytes | field |
//! |---|---|
//! | 7 | [stamp](crate::record) with event id 1 |
//! | 1 | [severity](Severity): 0 emergency to 7 debug as syslog's, 8 trace |
//! | 4 | line, little-endian like all numbers |
//! | 2, 2, 2 | lengths of module, file and message |
//! | .. | module path, file name and message, UTF-8 |

mod class;
#[cfg(feature = "log")]
mod facade;
mod line;
mod read;
mod sink;
#[cfg(all(test, not(loom)))]
mod tests;
mod write;

pub use crate::event::Severity;
pub use class::{EVENT_ID, MAX_MESSAGE, Place, STREAM};
#[cfg(feature = "log")]
pub use facade::Klog;
pub use read::{Message, Record, next, records};
pub use write::write;
