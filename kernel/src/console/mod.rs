//! The serial console. A stand-in until the console exists: records are printed as they are logged.
use core::fmt;
/// Starts the console.
pub(crate) fn init() {}
/// Prints what there is to print.
pub(crate) fn poll() {}
/// Prints the rest and closes.
pub(crate) fn finish() {}
/// Prints the rest after a panic.
pub(crate) fn panic_flush() {}
/// Prints raw lines.
pub(crate) fn fallback(what: fmt::Arguments<'_>) {
    crate::mem::uart::line(format_args!("!! {what}\n"));
}
