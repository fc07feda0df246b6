//! A profile: samples of where CPUs were, with functions in place of addresses.
//!
//! [`Profile`] takes samples, and keeps each different stack once. [`Frames`] has the functions of
//! addresses, those that were inlined there too. [`tally`] counts samples by what they have in
//! common, and [`callers`](tally::callers) and [`callees`](tally::callees) by what is next to a
//! function; [`margin`] says how much of a share chance may be.

mod frames;
mod label;
pub(crate) mod margin;
mod samples;
pub(crate) mod tally;

pub(crate) use frames::Frames;
pub(crate) use label::{Found, Label, find};
pub(crate) use samples::{Profile, Taken};
