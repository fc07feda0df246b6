//! Packets' contents: which streams there are, and the records in them.
//!
//! [`Schema`] is what the metadata says, checked against what `docs/FORMAT.md`
//! fixes. [`Records`] reads the records of one packet. [`Line`] is what a line about a record says,
//! whether it was formatted when it was written or is when it is read.

mod event;
mod line;
mod origin;
mod record;
mod schema;
mod sentence;
mod shape;
mod show;
mod value;

pub use event::Event;
pub use line::Line;
pub use origin::Origin;
pub use record::{Position, Record, RecordError, RecordFault, Records, Stamp, Who};
pub use schema::{Channel, Schema, SchemaError};
pub(crate) use shape::{only, option};
pub(crate) use show::unpadded;
pub use show::{json_record, text_record};
pub use value::{Value, ValueError};
