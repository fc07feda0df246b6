//! The text that the kernel's console prints on COM1, read on the host.
//!
//! The bytes come from a guest and are not trusted: a line may be endless, may
//! hold any byte, and may claim anything. [`LineSplitter`] bounds the memory,
//! [`printable`](crate::escape::printable) takes away what could steer a terminal, and
//! [`Line::parse`] finds records and notices; what it does not know stays [`Line::Text`].
//! [`Ledger`] counts them.

mod ledger;
mod line;
mod splitter;

pub use ledger::{Ledger, MAX_CPUS, Stream};
pub use line::{
    EndNotice, Line, LostNotice, Record, SkipNotice, backtrace_frame, instruction_pointer,
    program_frame,
};
pub use splitter::{LineSplitter, MAX_LINE, RawLine};
