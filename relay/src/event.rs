//! Event classes, and events: how a client declares what its records hold, and what becomes one.
//!
//! An [`Event`] is a value that [`Channel::emit`](crate::Channel::emit) writes. A channel's
//! [`StreamClass`] lists its [`EventClass`]es, and they their [`Field`]s; the
//! [metadata](crate::ctf::metadata) tells them to whoever reads a capture. Classes are constants.
//!
//! ```
//! use relay::event::{EventClass, Field, Kind, StreamClass};
//!
//! const SCHED: StreamClass = StreamClass {
//!     id: 2,
//!     name: "sched",
//!     is_global: false,
//!     overwrites: false,
//!     is_taken: false,
//!     events: &[EventClass {
//!         id: 1,
//!         name: "switch",
//!         fields: &[Field::new("from", Kind::U32), Field::new("to", Kind::U32)],
//!     }],
//! };
//! # assert_eq!(SCHED.events[0].fields.len(), 2);
//! ```

mod emit;
pub mod extent;
mod fields;
pub mod filter;
#[doc(hidden)]
pub mod probe;
mod read;
mod registered;
mod registry;
#[doc(hidden)]
pub mod shown;
#[expect(unsafe_code, reason = "functions that the linker finds")]
mod sink;
mod site;
#[cfg(all(test, not(loom)))]
mod tests;
mod value;

pub use emit::Event;
pub use fields::FieldsMut;
pub use read::Values;
pub use registry::*;
pub use relay_format::Severity;
pub use relay_format::class::{CONTEXT, EnumClass, EventClass, Field, Kind, SEVERITY, StreamClass};
pub use sink::*;
pub use site::{Codes, Site, Source};
pub use value::{Chars, Hex, Value};
