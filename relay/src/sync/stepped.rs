//! Atomics that unit tests get in between: before each access the hook of the running test is
//! called.
//!
//! They have what the ring uses of the real ones, and nothing else.

use super::step::step;
use core::sync::atomic::{self, Ordering};

/// Declares a stepped atomic: its type, what it holds, and the operations that it has.
macro_rules! stepped {
    ($name:ident, $inner:ty, $value:ty, $($operation:ident),*) => {
        /// As that of `core`, with a step before each access.
        #[derive(Debug)]
        #[repr(transparent)]
        pub(crate) struct $name($inner);

        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(<$inner>::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            $(
                pub(crate) fn $operation(&self, value: $value, order: Ordering) -> $value {
                    step();
                    self.0.$operation(value, order)
                }
            )*
        }
    };
}

stepped!(
    AtomicU64,
    atomic::AtomicU64,
    u64,
    fetch_add,
    fetch_sub,
    fetch_max,
    swap
);
stepped!(AtomicBool, atomic::AtomicBool, bool, swap);

impl AtomicU64 {
    pub(crate) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        step();
        self.0.compare_exchange(old, new, success, failure)
    }
}

/// As that of `core`, with a step before each access.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct AtomicPtr<T>(atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(value: *mut T) -> Self {
        Self(atomic::AtomicPtr::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        step();
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    pub(crate) fn compare_exchange(
        &self,
        old: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        step();
        self.0.compare_exchange(old, new, success, failure)
    }
}
