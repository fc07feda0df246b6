//! Interrupts of devices: a range of vectors, each handed out to one handler for ever.
//!
//! Devices that signal by message (MSI-X) raise any vector on any CPU, so a vector is all that
//! tells who it was. Finding the handler takes no lock.

use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Once;

use super::traps::vector::{DEVICE_FIRST, DEVICE_LAST};

/// How many vectors there are.
const COUNT: usize = (DEVICE_LAST - DEVICE_FIRST) as usize + 1;

/// Who is told of a device's interrupts.
pub(crate) trait Handler: Sync {
    /// Called in IRQ context, on the CPU that took the interrupt, once for each.
    ///
    /// Interrupts that come while one is waiting are one.
    fn on_interrupt(&self);
}

/// The vectors' owners.
#[derive(Debug)]
struct Vectors<const N: usize> {
    handlers: [Once<&'static dyn Handler>; N],
    taken: AtomicUsize,
}

impl core::fmt::Debug for dyn Handler {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Handler")
    }
}

impl<const N: usize> Vectors<N> {
    const fn new() -> Self {
        Self {
            handlers: [const { Once::new() }; N],
            taken: AtomicUsize::new(0),
        }
    }

    /// Takes the next vector; `None` when all are taken.
    fn allocate(&self, handler: &'static dyn Handler) -> Option<usize> {
        let index = self
            .taken
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < N).then_some(taken + 1)
            })
            .ok()?;
        self.handlers[index].call_once(|| handler);
        Some(index)
    }

    /// Calls the handler of a vector; whether it has one.
    fn handle(&self, index: usize) -> bool {
        match self.handlers.get(index).and_then(Once::get) {
            Some(handler) => {
                handler.on_interrupt();
                true
            }
            None => false,
        }
    }
}

static VECTORS: Vectors<COUNT> = Vectors::new();

/// Gives `handler` a vector of its own, which is the same on every CPU; `None` when there are no
/// more. Task context.
pub(crate) fn allocate(handler: &'static dyn Handler) -> Option<u8> {
    let index = VECTORS.allocate(handler)?;
    Some(DEVICE_FIRST + index as u8)
}

/// Calls the handler of a vector from [`DEVICE_FIRST`] to [`DEVICE_LAST`]; whether it has one.
/// IRQ context.
pub(super) fn handle(vector: u8) -> bool {
    VECTORS.handle(usize::from(vector.wrapping_sub(DEVICE_FIRST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(AtomicUsize);

    impl Handler for Count {
        fn on_interrupt(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_handler_has_a_vector_of_its_own_until_there_are_none() {
        static FIRST: Count = Count(AtomicUsize::new(0));
        static SECOND: Count = Count(AtomicUsize::new(0));
        let vectors = Vectors::<2>::new();
        assert!(!vectors.handle(0));
        assert_eq!(vectors.allocate(&FIRST), Some(0));
        assert_eq!(vectors.allocate(&SECOND), Some(1));
        assert_eq!(vectors.allocate(&SECOND), None);
        assert!(vectors.handle(1) && vectors.handle(1) && vectors.handle(0));
        assert!(!vectors.handle(2));
        assert_eq!(FIRST.0.load(Ordering::Relaxed), 1);
        assert_eq!(SECOND.0.load(Ordering::Relaxed), 2);
    }
}
