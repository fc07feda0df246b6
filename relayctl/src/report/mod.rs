//! What every report is made of: aligned tables for people, JSON for programs.

mod json;
mod table;

pub(crate) use json::{Reasons, Sums, line};
pub(crate) use table::align;
