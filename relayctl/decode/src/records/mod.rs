//! Packets' contents: which streams there are, and the records in them.
//!
//! [`Schema`] is what the metadata says, checked against what `docs/FORMAT.md`
//! fixes. [`Records`] reads the records of one packet.

mod event;
mod line;
mod record;
mod schema;
mod sentence;
mod show;
mod uri;
mod value;

pub use event::{Event, Origin};
pub use line::Line;
pub use record::{Position, Record, RecordError, RecordFault, Records, Stamp};
pub use schema::{Channel, Schema, SchemaError};
pub use show::{json_record, text_record};
pub use value::{Value, ValueError};
