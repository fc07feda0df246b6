//! What a klog record is.

use crate::event::{EventClass, Field, Kind, SEVERITY, StreamClass};

/// The event id of a klog record.
pub const EVENT_ID: u16 = 1;

/// klog as the metadata describes it: channel 1.
pub const STREAM: StreamClass = StreamClass {
    id: 1,
    name: "klog",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[EventClass {
        id: EVENT_ID,
        name: "klog",
        fields: &[
            Field::new("severity", Kind::Enum(&SEVERITY)),
            Field::new("line", Kind::U32),
            Field::new("module_length", Kind::U16),
            Field::new("file_length", Kind::U16),
            Field::new("message_length", Kind::U16),
            Field::new("module", Kind::Text("module_length")),
            Field::new("file", Kind::Text("file_length")),
            Field::new("message", Kind::Text("message_length")),
        ],
    }],
};

/// The longest message, in bytes, the note of a cut included.
pub const MAX_MESSAGE: usize = 1024;

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
