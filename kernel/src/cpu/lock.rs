//! Locks. Two kinds, by who may want them:
//!
//! - [`Mutex`]: tasks, and interrupt handlers that only try. Who holds it is
//!   [pinned](super::pins::pin): no other thread runs on its CPU meanwhile, which could want it.
//! - [`IrqMutex`]: tasks and interrupt handlers. Interrupts are off while it is held, and while it
//!   is waited for.
//!
//! Neither is for NMIs, which come while a lock is held; they may try.

use core::fmt;
use core::ops::{Deref, DerefMut};

use x86_64::instructions::interrupts;

use super::pins;

/// Pins as long as it lives.
struct Pinned;

impl Pinned {
    fn new() -> Self {
        // A host's tests have no CPU of this kernel.
        if cfg!(target_os = "none") {
            pins::pin();
        }
        Self
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if cfg!(target_os = "none") {
            pins::unpin();
        }
    }
}

/// A lock whose holder is pinned to its CPU.
pub(crate) struct Mutex<T: ?Sized>(spin::Mutex<T>);

/// Holds a [`Mutex`]. Fields are dropped in this order: unlocked, then no longer pinned.
pub(crate) struct Guard<'a, T: ?Sized> {
    held: spin::MutexGuard<'a, T>,
    _pinned: Pinned,
}

impl<T> Mutex<T> {
    /// An unlocked one.
    pub(crate) const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for it. Task context.
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let pinned = Pinned::new();
        Guard {
            held: self.0.lock(),
            _pinned: pinned,
        }
    }

    /// Takes it if nobody has it. Any context.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        let pinned = Pinned::new();
        let held = self.0.try_lock()?;
        Some(Guard {
            held,
            _pinned: pinned,
        })
    }

    /// Whether somebody has it, now. Any context.
    pub(crate) fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held.fmt(f)
    }
}

/// Has interrupts off as long as it lives, and then as they were.
struct Quiet {
    were_on: bool,
}

impl Quiet {
    fn new() -> Self {
        // A host's tests have no interrupts, and may not turn them off.
        let were_on = cfg!(target_os = "none") && interrupts::are_enabled();
        if were_on {
            interrupts::disable();
        }
        Self { were_on }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.were_on {
            interrupts::enable();
        }
    }
}

/// A lock that is held with interrupts off.
pub(crate) struct IrqMutex<T: ?Sized>(spin::Mutex<T>);

/// Holds an [`IrqMutex`] where interrupts are off anyway.
pub(crate) type QuietGuard<'a, T> = spin::MutexGuard<'a, T>;

/// Holds an [`IrqMutex`]. Fields are dropped in this order: unlocked, then interrupts as they were.
pub(crate) struct IrqGuard<'a, T: ?Sized> {
    held: spin::MutexGuard<'a, T>,
    _quiet: Quiet,
}

impl<T> IrqMutex<T> {
    /// An unlocked one.
    pub(crate) const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }
}

impl<T: ?Sized> IrqMutex<T> {
    /// Waits for it. Task and IRQ context.
    #[inline]
    pub(crate) fn lock(&self) -> IrqGuard<'_, T> {
        let quiet = Quiet::new();
        IrqGuard {
            held: self.0.lock(),
            _quiet: quiet,
        }
    }

    /// The same where interrupts are off, and stay off while it is held: a few instructions less.
    /// Task and IRQ context.
    #[inline(always)]
    pub(crate) fn lock_quiet(&self) -> QuietGuard<'_, T> {
        debug_assert!(
            !cfg!(target_os = "none") || !interrupts::are_enabled(),
            "an interrupt could want what is held"
        );
        self.0.lock()
    }
}

impl<T: ?Sized> Deref for IrqGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T: ?Sized> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for IrqMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for IrqGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held.fmt(f)
    }
}
