//! No entries: this target has no section for them.

use crate::event::registered::Registered;

/// Classes are not collected on this target: statements are formatted where they stand, and events
/// need ids and a list by hand.
pub const HAS_REGISTRY: bool = false;

/// There is none.
pub(super) fn count() -> usize {
    0
}

/// Nothing is anywhere.
pub(super) fn describe(_place: usize) -> Option<Registered> {
    None
}

/// The same where classes are not collected: there is no id.
#[doc(hidden)]
#[macro_export]
macro_rules! __registered {
    ($site:ident $id:ident [$($type:ident),*] $class:ident $($symbol:literal)*) => {
        fn $id<$($type: $crate::event::Value),*>() -> u16 {
            let _ = (&$site, $class::<$($type),*>);
            0
        }
    };
}

/// No class has an id.
#[doc(hidden)]
#[must_use]
pub fn id_at(_entry: usize) -> u16 {
    0
}
