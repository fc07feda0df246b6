//! Atomics that unit tests get in between: before each access the hook of the running test is
//! called, and what is touched is noted.
//!
//! They have what the ring uses of the real ones, and nothing else.

use super::step::step;
use super::touched;
use core::ptr::NonNull;
use core::sync::atomic::{self, Ordering};

/// The step of a word that has none.
fn no_step() {}

/// Declares a stepped atomic: its type, what it holds, its step, and the operations that it has.
macro_rules! stepped {
    (
        $(#[$meta:meta])* $name:ident $(<$of:ident>)?,
        $inner:ty, $value:ty, $step:path, $($operation:ident),*
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        #[repr(transparent)]
        pub(crate) struct $name $(<$of>)? ($inner);

        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(<$inner>::new(value))
            }

            fn here(&self) -> (NonNull<u8>, usize) {
                (NonNull::from(self).cast(), size_of::<Self>())
            }

            /// The word is about to be read.
            fn reads(&self) {
                $step();
                let (first, len) = self.here();
                touched::read(first, len);
            }

            /// The word is about to be written.
            fn writes(&self) {
                $step();
                let (first, len) = self.here();
                touched::written(first, len);
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.reads();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.writes();
                self.0.store(value, order);
            }

            $(
                pub(crate) fn $operation(&self, value: $value, order: Ordering) -> $value {
                    self.writes();
                    self.0.$operation(value, order)
                }
            )*
        }
    };
}

/// Declares that a stepped atomic can be compared and swapped.
macro_rules! exchanged {
    ($name:ident $(<$of:ident>)?, $value:ty) => {
        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.writes();
                self.0.compare_exchange(old, new, success, failure)
            }
        }
    };
}

stepped!(
    /// As that of `core`, with a step before each access.
    AtomicU64,
    atomic::AtomicU64,
    u64,
    step,
    fetch_add,
    fetch_sub,
    fetch_max,
    swap
);
exchanged!(AtomicU64, u64);
stepped!(
    /// As that of `core`, with a step before each access.
    AtomicBool,
    atomic::AtomicBool,
    bool,
    step,
    swap
);
stepped!(
    /// As that of `core`, with a step before each access.
    AtomicPtr<T>,
    atomic::AtomicPtr<T>,
    *mut T,
    step,
);
exchanged!(AtomicPtr<T>, *mut T);
stepped!(
    /// As that of `core`, without a step of its own.
    GroupedU64,
    atomic::AtomicU64,
    u64,
    no_step,
    fetch_add
);
exchanged!(GroupedU64, u64);

impl GroupedU64 {
    /// Where the word lies, for an instruction that writes it.
    #[cfg(not(miri))]
    pub(crate) fn as_ptr(&self) -> *mut u64 {
        self.writes();
        self.0.as_ptr()
    }
}
