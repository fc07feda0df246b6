//! A lock that is held with interrupts off.

use spin::Mutex;

/// Something that one CPU at a time looks at, with interrupts off: so whoever holds it is not
/// interrupted by somebody who wants it, and gives it back soon. Task and IRQ context, not an NMI.
///
/// Two rules keep CPUs from waiting for each other for ever: who holds one waits for no other CPU
/// but at the lock of a lower floor, and the order of floors is that of `mem`'s table.
#[derive(Debug, Default)]
pub(super) struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    /// Nobody holds it.
    pub(super) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Runs `action` with what is guarded.
    pub(super) fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        without_interrupts(|| action(&mut self.0.lock()))
    }

    /// What is guarded, by who owns it.
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

/// Runs `action` with interrupts off. A process on the host has none, and may not say so.
pub(super) fn without_interrupts<R>(action: impl FnOnce() -> R) -> R {
    if cfg!(target_os = "none") {
        x86_64::instructions::interrupts::without_interrupts(action)
    } else {
        action()
    }
}
