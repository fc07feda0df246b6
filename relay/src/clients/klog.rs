//! klog: what a kernel says to people.
//!
//! A klog record is a line of text with where and when it was said: time, CPU, context, severity,
//! module, file and line. With the feature `log`, a `Klog` is a backend of the
//! [`log`](https://docs.rs/log) facade, and `log::info!` works anywhere in the kernel: task, IRQ,
//! NMI and panic context, from the first instruction after [`Channel::start`].
//!
//! A message is formatted once, into a buffer on the stack: without a heap, without a lock, and
//! whatever its arguments print. One that is longer than [`MAX_MESSAGE`] bytes, or than a
//! sub-buffer, is cut, and says how much is missing. One of which an argument fails to print says
//! so at that place.
//!
//! | bytes | field |
//! |---|---|
//! | 8 | [header](crate::record) with event id 1 |
//! | 1 | context: 0 task, 1 IRQ, 2 NMI |
//! | 1 | severity: 1 error, 2 warning, 3 info, 4 debug, 5 trace |
//! | 4 | line, little-endian like all numbers |
//! | 2, 2, 2 | lengths of module, file and message |
//! | .. | module path, file name and message, UTF-8 |

#[cfg(feature = "log")]
mod facade;
mod line;
mod read;

use crate::channel::Channel;
use crate::ctf::metadata::{EnumClass, EventClass, Field, Kind, StreamClass};
use crate::platform::Platform;
use crate::record::HEADER;
use crate::ring::WriteError;
use crate::sync::Usage;
use core::fmt::{self, Write as _};
use line::Line;

#[cfg(feature = "log")]
pub use facade::Klog;
pub use read::{Record, next, records};

/// The event id of a klog record.
pub const EVENT_ID: u16 = 1;

/// klog as the metadata describes it: channel 1.
pub const STREAM: StreamClass = StreamClass {
    id: 1,
    name: "klog",
    events: &[EventClass {
        id: EVENT_ID,
        name: "klog",
        fields: &[
            Field {
                name: "severity",
                kind: Kind::Enum(&SEVERITY),
            },
            Field {
                name: "line",
                kind: Kind::U32,
            },
            Field {
                name: "module_length",
                kind: Kind::U16,
            },
            Field {
                name: "file_length",
                kind: Kind::U16,
            },
            Field {
                name: "message_length",
                kind: Kind::U16,
            },
            Field {
                name: "module",
                kind: Kind::Text("module_length"),
            },
            Field {
                name: "file",
                kind: Kind::Text("file_length"),
            },
            Field {
                name: "message",
                kind: Kind::Text("message_length"),
            },
        ],
    }],
};

/// The names of severities.
const SEVERITY: EnumClass = EnumClass {
    name: "severity_t",
    values: &[
        (Severity::Error.name(), Severity::Error as u8),
        (Severity::Warn.name(), Severity::Warn as u8),
        (Severity::Info.name(), Severity::Info as u8),
        (Severity::Debug.name(), Severity::Debug as u8),
        (Severity::Trace.name(), Severity::Trace as u8),
    ],
};

/// The longest message, in bytes, the note of a cut included.
pub const MAX_MESSAGE: usize = 1024;

/// How important a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn,
    /// What the kernel does.
    Info,
    /// For whoever works on the kernel.
    Debug,
    /// Every step.
    Trace,
}

impl Severity {
    /// All severities, the most important first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The severity as one upper-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

/// Where in the source a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The module path, like `kernel::mem`.
    pub module: &'a str,
    /// The file.
    pub file: &'a str,
    /// The line in it, from 1.
    pub line: u32,
}

/// Writes a record: `message` was said at `place`.
///
/// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates; about 1.8 KiB
/// of stack. `message` is formatted once.
///
/// # Errors
/// The record was not written, for the reason given; the loss is counted.
pub fn write<P: Platform, const CPUS: usize, U: Usage>(
    channel: &Channel<P, CPUS, U>,
    severity: Severity,
    place: Place<'_>,
    message: fmt::Arguments<'_>,
) -> Result<(), WriteError> {
    let context = channel.platform().context();
    let room = channel.max_record().unwrap_or(usize::MAX);
    let mut line = Line::new();
    line.begin(context, severity, place, room.saturating_sub(HEADER));
    if line.write_fmt(message).is_err() {
        line.note_a_failure();
    }
    channel.write_event(EVENT_ID, line.finish())
}

#[cfg(all(test, not(loom)))]
mod tests;
