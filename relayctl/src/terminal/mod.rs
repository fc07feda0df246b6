//! What people see: colour, lines of a log, and functions in place of addresses.

mod aside;
mod lazy;
mod render;
mod term;

pub(crate) use aside::{Aside, Moved, unlocked, wait_while_moving};
pub(crate) use lazy::LazySymbols;
pub(crate) use render::{META, Renderer, cpu_style, note_style, severity_style};
pub(crate) use term::{ColorChoice, Output, near, say, settle_talk, talk_aside, tell};
