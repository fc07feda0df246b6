//! Packets' contents: which streams there are, and the records in them.
//!
//! [`Schema`] is what the metadata says, checked against what `docs/FORMAT.md`
//! fixes. [`Records`] reads the records of one packet.

mod record;
mod schema;
mod show;
mod value;

pub use record::{Position, Record, RecordError, RecordFault, Records, Stamp};
pub use schema::{Channel, Event, Schema, SchemaError};
pub use show::{json_fields, text_fields};
pub use value::{Value, ValueError};
