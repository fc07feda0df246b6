//! What a driver needs of a device and of memory, beyond `virtio-drivers`' own traits.

use core::fmt;

use virtio_drivers::Hal;
use virtio_drivers::transport::Transport;

use crate::dev::pci::msix::Target;

/// Memory, as devices see it.
///
/// # Safety
/// [`contiguous`](Self::contiguous) is right about the physical memory behind the bytes, and stays
/// right as long as they are allocated.
pub(crate) unsafe trait Memory: Hal {
    /// How many of the bytes, from the first on, lie in physical memory one after the other; 0
    /// when it is not known where they lie. Any context; takes no lock.
    fn contiguous(bytes: &[u8]) -> usize;
}

/// Tells the device that there is something in one queue. Each queue has its own, so that CPUs can
/// tell of different queues at the same time without a lock.
pub(crate) trait Doorbell: Send + fmt::Debug {
    /// Tells the device.
    fn ring(&mut self);
}

/// A device, in the hands of whoever sets it up.
pub(crate) trait Device: Send {
    /// The memory that the device sees.
    type Memory: Memory;
    /// Access to the registers.
    type Transport: Transport;
    /// A queue's doorbell.
    type Doorbell: Doorbell;

    /// The registers.
    fn transport(&mut self) -> &mut Self::Transport;

    /// The doorbell of a queue; `None` when the device has none for it within its registers.
    fn doorbell(&mut self, queue: u16) -> Option<Self::Doorbell>;

    /// How many interrupts the device can raise that can be told from each other. 0: it has to be
    /// polled.
    fn interrupts(&self) -> u16;

    /// Lets a queue raise this interrupt when the device has used a buffer; `false` when the
    /// device will not. To be called before the queue is set up.
    fn assign(&mut self, queue: u16, interrupt: u16) -> bool;

    /// Lets changes of the device's configuration raise this interrupt; `false` when the device
    /// will not.
    fn assign_configuration(&mut self, interrupt: u16) -> bool;

    /// Where an interrupt goes from now on. Before that it goes nowhere.
    fn route(&mut self, interrupt: u16, target: Target);

    /// Takes the device's access to memory away, as far as that is possible: the last resort
    /// against one that cannot be reset.
    fn cut_off(&mut self);
}
