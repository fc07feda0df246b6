//! Raw lines, no records: for the end of a panic, and for one in relay or in the console itself.

use core::fmt::{self, Write};

use super::output::{Output, Prefixed};

/// Says something about the end, after [`panic_flush`](super::panic_flush). Panic context.
pub(crate) fn panic_note(what: fmt::Arguments<'_>) {
    if let Some(mut out) = Output::open() {
        // The port takes everything.
        let _ = writeln!(out, "-- {what}");
    }
}

/// The last way out, for a panic in relay or in the console itself: raw lines, no records. Any
/// context; the lock is not asked for.
pub(crate) fn fallback(what: fmt::Arguments<'_>) {
    if let Some(mut out) = Output::open() {
        out.end_line();
        let _ = writeln!(Prefixed(&mut out), "{what}");
    }
}
