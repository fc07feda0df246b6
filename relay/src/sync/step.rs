//! Where tests get in between the steps of the ring.
//!
//! Every access to an atomic word is a step (`stepped`, and [`OwnerWord`](super::OwnerWord)), and
//! so is every place that calls [`step`] itself: where bytes are copied, a hook was called, or a
//! group of words is accessed. Outside unit tests that is empty and vanishes; in unit tests a
//! thread-local hook runs there, which is how the nesting tests run whole writes at every step of
//! another write, on the shipped code.
//! [`broken`] switches a known mistake on, so that a test can show that it would be noticed.

/// A mistake that tests can switch on to see themselves fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Delivery does not look again after it has given `delivery_lock` back.
    NoRecheck,
    /// `prepare` takes an entry before it reads the count of the records it overwrites.
    PrepareBeforeCount,
    /// A record is committed before its bytes are stored.
    CommitBeforeBytes,
    /// `prepare` calls a sub-buffer full or wrapped without checking that `pos` has not moved.
    NoMovedCheck,
    /// The clock is read before the position, outside the loop that validates it.
    ClockOutsideLoop,
    /// A record that fills its packet to the last byte does not close it.
    ExactFitStaysOpen,
    /// A record that is longer than a sub-buffer takes is not refused.
    TooBigAccepted,
    /// The opener commits the header of its packet twice.
    HeaderCountedTwice,
    /// The losses that a closed packet tells of are sampled after the swap that closes it.
    LossesSampledLate,
    /// A reader takes what is in the sub-buffer by now, and not only what it has looked at.
    TakesWhatIsThere,
    /// An observer that finds its sub-buffer overwritten says that it is busy, instead of going on.
    BusyInsteadOfGone,
}

#[cfg(not(all(test, not(loom))))]
mod imp {
    use super::Mistake;

    /// A point between two steps.
    #[inline(always)]
    pub(crate) fn step() {}

    /// Whether `mistake` is switched on.
    #[inline(always)]
    pub(crate) fn broken(_mistake: Mistake) -> bool {
        false
    }
}

#[cfg(all(test, not(loom)))]
mod imp {
    extern crate std;
    use super::Mistake;
    use std::boxed::Box;
    use std::cell::{Cell, RefCell};

    std::thread_local! {
        static HOOK: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
        /// There is a hook: most threads never have one, and take many steps.
        static IS_ARMED: Cell<bool> = const { Cell::new(false) };
        static MISTAKE: Cell<Option<Mistake>> = const { Cell::new(None) };
    }

    #[inline]
    pub(crate) fn step() {
        if IS_ARMED.get() {
            call_hook();
        }
    }

    #[inline(never)]
    fn call_hook() {
        // The hook is taken out while it runs: what it calls may set another hook for its own
        // steps.
        let taken = HOOK.with(|hook| hook.borrow_mut().take());
        if let Some(mut hook) = taken {
            hook();
            HOOK.with(|slot| {
                slot.borrow_mut().get_or_insert(hook);
            });
        }
    }

    pub(crate) fn broken(mistake: Mistake) -> bool {
        MISTAKE.get() == Some(mistake)
    }

    /// Runs `body` with `hook` called at every step of it (not at the steps of the hook itself).
    pub(crate) fn with_hook<R>(hook: impl FnMut() + 'static, body: impl FnOnce() -> R) -> R {
        struct Restore(Option<Box<dyn FnMut()>>, bool);
        impl Drop for Restore {
            fn drop(&mut self) {
                IS_ARMED.set(self.1);
                HOOK.with(|slot| *slot.borrow_mut() = self.0.take());
            }
        }
        let hook = HOOK.with(|slot| slot.borrow_mut().replace(Box::new(hook)));
        let _restore = Restore(hook, IS_ARMED.replace(true));
        body()
    }

    /// Runs `body` with `mistake` switched on.
    pub(crate) fn with_mistake<R>(mistake: Mistake, body: impl FnOnce() -> R) -> R {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                MISTAKE.set(None);
            }
        }
        MISTAKE.set(Some(mistake));
        let _off = Off;
        body()
    }
}

pub(crate) use imp::{broken, step};
#[cfg(all(test, not(loom)))]
pub(crate) use imp::{with_hook, with_mistake};
