//! The macros of [relay](https://docs.rs/relayfs), which says what they do: `relay::info!` and its
//! siblings, `relay::event!`, `relay::Enum`.
//!
//! The first two are called by macros of relay, with the path of relay as their first tokens: it is
//! right wherever and under whatever name relay is used.
//!
//! | module | what |
//! |---|---|
//! | `names` | what fields, events and channels may be called |
//! | `template` | format strings with all placeholders named |
//! | `statement` | a statement that logs |
//! | `event` | structs that are events |
//! | `enumeration` | enumerations as fields |
//!
//! What is wrong is said at the token that is wrong. What these macros write has no `unsafe`.

#![forbid(unsafe_code)]

mod enumeration;
mod event;
mod names;
mod statement;
mod template;

use proc_macro::TokenStream;

/// `relay::info!` and its siblings: `[path of relay] Severity format string, arguments`.
///
/// Not for direct use.
#[doc(hidden)]
#[proc_macro]
pub fn statement(input: TokenStream) -> TokenStream {
    match syn::parse::<statement::Statement>(input) {
        Ok(statement) => statement.expand().into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// `relay::event!`: `[path of relay] structs`.
///
/// Not for direct use.
#[doc(hidden)]
#[proc_macro]
pub fn event(input: TokenStream) -> TokenStream {
    match syn::parse::<event::Events>(input) {
        Ok(events) => events.expand().into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// Makes an enumeration a field of events: `relay::event::Value` for an `enum` whose variants have
/// no fields.
///
/// The names of the variants stand in the metadata, the numbers in the records: in as many bits as
/// `#[repr(u8)]` and the like say, or else in the fewest of 8, 16, 32 and 64 that hold all of them,
/// signed if one is negative.
#[proc_macro_derive(Enum)]
pub fn derive_enum(input: TokenStream) -> TokenStream {
    match syn::parse(input).and_then(|input| enumeration::expand(&input)) {
        Ok(tokens) => tokens.into(),
        Err(error) => error.into_compile_error().into(),
    }
}
