//! A class that the linker has collected.

use super::site::Site;
use relay_format::class::EventClass;

/// The id of the first class that is collected; ids below are given by hand.
pub const FIRST: u16 = 16;

/// A class that was collected.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Where it is declared, and its switch.
    pub site: &'static Site,
    /// What its records hold, with their id.
    pub class: EventClass,
}

/// What an entry leads to.
#[doc(hidden)]
pub type Describe = fn() -> Registered;
