//! What a klog record is.

use crate::ctf::metadata::{EnumClass, EventClass, Field, Kind, StreamClass};

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
