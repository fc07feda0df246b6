//! A place for one reference, filled once.

use super::atomics::{AtomicPtr, Ordering, const_unless_loom};
use core::ptr::{self, null_mut};

/// A place for a `&'static T` that is filled at most once, by whoever comes first, and never
/// emptied. Any CPU, any context; both operations are a single step.
#[derive(Debug)]
pub(crate) struct OnceRef<T: Sync + 'static>(AtomicPtr<T>);

impl<T: Sync + 'static> OnceRef<T> {
    const_unless_loom! {
        /// An empty place.
        pub(crate) fn new() -> Self {
            Self(AtomicPtr::new(null_mut()))
        }
    }

    /// What is there, if it was filled.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // Acquire: who finds the reference finds what it refers to as it was when it was put here.
        let there = self.0.load(Ordering::Acquire);
        // SAFETY: null, or made of a `&'static T` by `set`; `T` is Sync, so any CPU may have it.
        unsafe { there.as_ref() }
    }

    /// Fills the place.
    ///
    /// # Errors
    /// What is there already.
    pub(crate) fn set(&self, value: &'static T) -> Result<(), &'static T> {
        let value = ptr::from_ref(value).cast_mut();
        let won = self
            .0
            .compare_exchange(null_mut(), value, Ordering::AcqRel, Ordering::Acquire);
        match won {
            Ok(_) => Ok(()),
            // SAFETY: not null, or the exchange would have succeeded; otherwise as in `get`.
            Err(there) => Err(unsafe { &*there }),
        }
    }
}
