//! Which memory is read and written, for tests that look at cache lines. Outside unit tests that is
//! empty and vanishes.
//!
//! All words come by here, since all are made of the atomics of [`sync`](super); so do the bytes of
//! rings (`Ring::track_write`, `Ring::track_read`).

#[cfg(not(all(test, not(loom))))]
mod imp {
    use core::ptr::NonNull;

    /// So many bytes are read here.
    #[inline(always)]
    pub(crate) fn read(_first: NonNull<u8>, _len: usize) {}

    /// So many bytes are written here.
    #[inline(always)]
    pub(crate) fn written(_first: NonNull<u8>, _len: usize) {}
}

#[cfg(all(test, not(loom)))]
mod imp {
    extern crate std;
    use core::ops::Range;
    use core::ptr::NonNull;
    use std::cell::{Cell, RefCell};
    use std::string::String;
    use std::vec::Vec;

    /// A piece of memory that was touched.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Touch {
        /// Its addresses.
        pub(crate) at: Range<usize>,
        /// It was written, or a compare-and-swap tried to: the line is this CPU's then in any case.
        pub(crate) is_write: bool,
    }

    /// What lies somewhere, and its addresses.
    pub(crate) type Part = (String, Range<usize>);

    std::thread_local! {
        static TOUCHES: RefCell<Vec<Touch>> = const { RefCell::new(Vec::new()) };
        /// Somebody wants to know.
        static IS_ARMED: Cell<bool> = const { Cell::new(false) };
    }

    #[inline]
    fn note(first: NonNull<u8>, len: usize, is_write: bool) {
        if IS_ARMED.get() && len != 0 {
            let at = first.addr().get();
            let at = at..at + len;
            TOUCHES.with_borrow_mut(|touches| touches.push(Touch { at, is_write }));
        }
    }

    #[inline]
    pub(crate) fn read(first: NonNull<u8>, len: usize) {
        note(first, len, false);
    }

    #[inline]
    pub(crate) fn written(first: NonNull<u8>, len: usize) {
        note(first, len, true);
    }

    /// Runs `body`, and says what it touched.
    pub(crate) fn touches_of(body: impl FnOnce()) -> Vec<Touch> {
        IS_ARMED.set(true);
        body();
        IS_ARMED.set(false);
        TOUCHES.take()
    }

    /// The addresses of `what`.
    pub(crate) fn span<T>(what: &T) -> Range<usize> {
        let at = core::ptr::from_ref(what).addr();
        at..at + size_of::<T>()
    }

    /// Names the fields of a structure, with their addresses.
    macro_rules! parts_of {
        ($of:expr, $name:expr, $($field:ident),* $(,)?) => {
            [$((
                std::format!("{}.{}", $name, stringify!($field)),
                $crate::sync::touched::span(&$of.$field),
            )),*]
        };
    }
    pub(crate) use parts_of;
}

#[cfg(all(test, not(loom)))]
pub(crate) use imp::{Part, Touch, parts_of, span, touches_of};
pub(crate) use imp::{read, written};
