//! Who is told of traps: one table. What stands above `arch` registers here what `arch` must call.
//!
//! - What every machine has (the timer, wake-ups, NMIs, exceptions) is given by `main`, once,
//!   before anything can trap: a [`Handlers`].
//! - Devices are given vectors one by one, each to one [`Device`] for ever. They signal by message
//!   (MSI-X) and raise any vector on any CPU, so a vector is all that tells who it was.
//!
//! Finding a handler takes no lock.

use core::ffi::CStr;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Once;

use super::frame::{Interrupted, TrapFrame};
use crate::cpu;
use crate::cpu::vector::{DEVICE_FIRST, DEVICE_LAST};

/// What the kernel does in the traps that every machine has.
#[derive(Debug)]
pub(crate) struct Handlers {
    /// Every CPU's timer interrupt. IRQ context.
    pub(crate) timer: fn(&Interrupted),
    /// A wake-up by another CPU. IRQ context.
    pub(crate) wake: fn(&Interrupted),
    /// An NMI, unless it stops the CPU. NMI context.
    pub(crate) nmi: fn(&Interrupted),
    /// A page fault. In the context of the code that caused it, which goes on if this returns.
    pub(crate) page_fault: fn(&TrapFrame),
    /// An exception that nothing can be done about. In the context of the code that caused it.
    pub(crate) exception: fn(&TrapFrame) -> !,
    /// A system call: the registers are those of ring 3, and go back to it. Task context, interrupts
    /// off.
    pub(crate) system_call: fn(&mut TrapFrame),
    /// An exception in ring 3, and what was at CR2. Task context, interrupts off.
    pub(crate) user_fault: fn(&TrapFrame, u64),
    /// This CPU is about to go back to ring 3: other threads may go first, and one that shall end
    /// does not return. Task context, interrupts off.
    pub(crate) leave: fn(),
    /// An interrupt of a task is over, in ring 3 or not: other threads may go first, if nothing is
    /// pinned. Task context, interrupts off.
    pub(crate) preempt: fn(),
}

/// Before anything is registered nothing can be said or done about a trap.
static NOBODY: Handlers = Handlers {
    timer: |_| {},
    wake: |_| {},
    nmi: |_| {},
    page_fault: |_| cpu::halt_forever(),
    exception: |_| cpu::halt_forever(),
    system_call: |_| cpu::halt_forever(),
    user_fault: |_, _| cpu::halt_forever(),
    leave: || {},
    preempt: || {},
};

static HANDLERS: Once<&'static Handlers> = Once::new();

/// Registers what is done in traps. Once, by the boot CPU, before its tables are loaded.
pub(crate) fn register(handlers: &'static Handlers) {
    HANDLERS.call_once(|| handlers);
}

/// What is done in traps. Any context.
pub(super) fn registered() -> &'static Handlers {
    HANDLERS.get().copied().unwrap_or(&NOBODY)
}

/// How many vectors devices can be given.
const COUNT: usize = (DEVICE_LAST - DEVICE_FIRST) as usize + 1;

/// Who is told of a device's interrupts.
pub(crate) trait Device: Sync {
    /// Called in IRQ context, on the CPU that took the interrupt, once for each.
    ///
    /// Interrupts that come while one is waiting are one.
    fn on_interrupt(&self);

    /// What it is called in the trace. Any context.
    fn name(&self) -> &'static CStr;
}

/// The vectors' owners.
#[derive(Debug)]
struct Vectors<const N: usize> {
    devices: [Once<&'static dyn Device>; N],
    taken: AtomicUsize,
}

impl fmt::Debug for dyn Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}

impl<const N: usize> Vectors<N> {
    const fn new() -> Self {
        Self {
            devices: [const { Once::new() }; N],
            taken: AtomicUsize::new(0),
        }
    }

    /// Takes the next vector; `None` when all are taken.
    fn allocate(&self, device: &'static dyn Device) -> Option<usize> {
        let index = self
            .taken
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < N).then_some(taken + 1)
            })
            .ok()?;
        self.devices[index].call_once(|| device);
        Some(index)
    }

    /// The device of a vector, if it has one.
    fn device(&self, index: usize) -> Option<&'static dyn Device> {
        self.devices.get(index).and_then(Once::get).copied()
    }
}

static VECTORS: Vectors<COUNT> = Vectors::new();

/// Gives `device` a vector of its own, which is the same on every CPU; `None` when there are no
/// more. Task context.
pub(crate) fn allocate(device: &'static dyn Device) -> Option<u8> {
    let index = VECTORS.allocate(device)?;
    Some(DEVICE_FIRST + index as u8)
}

/// The device of a vector, if it is one from [`DEVICE_FIRST`] to [`DEVICE_LAST`], and was given to a
/// device. Any context.
pub(super) fn device(vector: u8) -> Option<&'static dyn Device> {
    VECTORS.device(usize::from(vector.checked_sub(DEVICE_FIRST)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(AtomicUsize);

    impl Device for Count {
        fn on_interrupt(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn name(&self) -> &'static CStr {
            c"count"
        }
    }

    #[test]
    fn every_device_has_a_vector_of_its_own_until_there_are_none() {
        static FIRST: Count = Count(AtomicUsize::new(0));
        static SECOND: Count = Count(AtomicUsize::new(0));
        let vectors = Vectors::<2>::new();
        let handle = |index| {
            let device = vectors.device(index);
            device.inspect(|device| device.on_interrupt()).is_some()
        };
        assert!(!handle(0));
        assert_eq!(vectors.allocate(&FIRST), Some(0));
        assert_eq!(vectors.allocate(&SECOND), Some(1));
        assert_eq!(vectors.allocate(&SECOND), None);
        assert!(handle(1) && handle(1) && handle(0));
        assert!(!handle(2));
        assert_eq!(FIRST.0.load(Ordering::Relaxed), 1);
        assert_eq!(SECOND.0.load(Ordering::Relaxed), 2);
    }
}
