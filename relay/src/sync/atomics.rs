//! The atomics of the build: those of `core`, loom's, or those that unit tests get in between.

#[cfg(all(test, not(loom)))]
pub(crate) use super::stepped::{AtomicBool, AtomicPtr, AtomicU64, GroupedU64};
#[cfg(all(not(test), not(loom)))]
pub(crate) use core::sync::atomic::AtomicU64 as GroupedU64;
pub(crate) use core::sync::atomic::compiler_fence;
#[cfg(all(not(test), not(loom)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicU64 as GroupedU64, Ordering, fence,
};

/// Declares `fn new`, `const` except under loom, whose atomics cannot be made in a constant.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$meta])* $vis const fn $name($($arg: $ty),*) -> $ret $body
        #[cfg(loom)]
        $(#[$meta])* $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}
pub(crate) use const_unless_loom;
