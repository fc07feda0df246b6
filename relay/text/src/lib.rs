//! The text of a record, put together when it is read: a template in the grammar of [`core::fmt`],
//! and the record's fields.
//!
//! A statement of [relay](https://docs.rs/relayfs) stores its arguments as they are in memory. Its
//! template stands in the metadata. Whoever reads the record, be it a console in the kernel or a
//! program on another machine, [writes](write()) the sentence with this crate; it is the one that
//! `format!` would have made.
//!
//! ```
//! use relay_text::Argument;
//!
//! let fields = [
//!     ("name", Argument::Text("init")),
//!     ("id", Argument::Unsigned { value: 7, bits: 32 }),
//! ];
//! let mut text = String::new();
//! relay_text::write(&mut text, "woke {name:?}, task {id:#06x}", &fields)?;
//! assert_eq!(text, "woke \"init\", task 0x0007");
//! # Ok::<(), std::fmt::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`parse`] | the grammar: pieces of a template, and what a placeholder asks for |
//! | [`Argument`], [`List`], [`Fields`] | values, and where a template finds them |
//! | [`write()`], [`write_argument`] | the text |
//!
//! It has no state, allocates nothing and may be called from any context. How long it takes depends
//! on the template and on what `out` takes: a placeholder of five bytes may ask for 65535 spaces.
//! Where templates come from a stranger, bound the text by an `out` that returns an error when it
//! is full.

#![no_std]
#![forbid(unsafe_code)]

mod argument;
pub mod parse;
mod template;
mod value;

pub use argument::{Argument, Bytes, Fields, List};
pub use template::write;
pub use value::write_argument;
