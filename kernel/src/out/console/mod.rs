//! The serial console: prints the log as text, for people and for `relayctl`.
//!
//! From the ground up: [`line`](mod@line), how a record looks; [`output`], the serial port as a
//! place for lines; [`live`], what a machine that is well prints; [`post_mortem`], what a panic
//! does, where nobody is asked; [`fallback`](mod@fallback), where nothing else works.

mod fallback;
mod line;
mod live;
mod output;
mod post_mortem;

pub(crate) use fallback::{fallback, panic_note};
pub(crate) use live::{do_without, finish, init, poll};
pub(crate) use post_mortem::panic_flush;
