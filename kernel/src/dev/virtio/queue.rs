//! Queues whose size is the device's choice, and whose device is not trusted.
//!
//! `virtio-drivers` fixes a queue's size in its type and trusts identifiers that are handed to it.
//! [`Queue`] takes the greatest size that the device offers; [`Flights`] keeps what is in flight
//! and lets no identifier through that is not.

use alloc::boxed::Box;
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::{Ordering, fence};

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{Error, Hal};

use super::device::Doorbell;

/// Defines a queue of one of several sizes, greatest first.
macro_rules! sizes {
    ($($variant:ident = $size:literal),*) => {
        /// A split queue (section 2.7) of one of the supported sizes.
        #[derive(Debug)]
        pub(super) enum Queue<H: Hal> {
            $(
                #[doc = concat!($size, " descriptors.")]
                $variant(Box<VirtQueue<H, $size>>),
            )*
        }

        impl<H: Hal> Queue<H> {
            /// The smallest size that is supported.
            pub(super) const SMALLEST: u32 = {
                let sizes = [$($size),*];
                sizes[sizes.len() - 1]
            };

            /// Sets up queue `index` with as many descriptors as the device offers.
            ///
            /// # Errors
            /// When the device has no such queue, or too small a one, or memory is missing.
            pub(super) fn new(
                transport: &mut impl Transport,
                index: u16,
            ) -> Result<Self, QueueError> {
                let offered = transport.max_queue_size(index);
                $(
                    if offered >= $size {
                        return VirtQueue::new(transport, index, false, false)
                            .map(|queue| Self::$variant(Box::new(queue)))
                            .map_err(|error| QueueError::Setup { index, error });
                    }
                )*
                if offered == 0 {
                    Err(QueueError::Missing { index })
                } else {
                    Err(QueueError::Small { index, offered })
                }
            }

            /// Sets up queue `index` with as few descriptors as possible.
            ///
            /// # Errors
            /// When the device has no such queue, or too small a one, or memory is missing.
            pub(super) fn smallest(
                transport: &mut impl Transport,
                index: u16,
            ) -> Result<Self, QueueError> {
                match transport.max_queue_size(index) {
                    0 => Err(QueueError::Missing { index }),
                    offered if offered < Self::SMALLEST => Err(QueueError::Small { index, offered }),
                    _ => VirtQueue::new(transport, index, false, false)
                        .map(|queue| Self::S8(Box::new(queue)))
                        .map_err(|error| QueueError::Setup { index, error }),
                }
            }

            /// How many descriptors it has.
            pub(super) fn size(&self) -> usize {
                match self { $(Self::$variant(_) => $size,)* }
            }

            /// How many descriptors are free.
            pub(super) fn free(&self) -> usize {
                match self { $(Self::$variant(queue) => queue.available_desc(),)* }
            }

            /// Whether the device wants to be told of new buffers (section 2.7.10). Only right
            /// after a full fence.
            pub(super) fn wants_notification(&self) -> bool {
                match self { $(Self::$variant(queue) => queue.should_notify(),)* }
            }

            /// The identifier that the device says it is done with next, unchecked.
            fn peek(&self) -> Option<u16> {
                match self { $(Self::$variant(queue) => queue.peek_used(),)* }
            }

            /// Makes buffers available; returns the identifier, which is below the size.
            ///
            /// # Safety
            /// The buffers stay where they are, and those that the device reads stay as they are,
            /// and those that it writes are not touched, until [`pop`](Self::pop) succeeds with
            /// the identifier, or the device was reset.
            unsafe fn push<'a>(
                &mut self,
                inputs: &'a [&'a [u8]],
                outputs: &'a mut [&'a mut [u8]],
            ) -> Result<u16, Error> {
                // SAFETY: the caller's promise.
                match self { $(Self::$variant(queue) => unsafe { queue.add(inputs, outputs) },)* }
            }

            /// Takes back the buffers that the device is done with next; returns how many bytes
            /// it says to have written.
            ///
            /// # Safety
            /// `id` is in flight, with exactly these buffers.
            unsafe fn pop<'a>(
                &mut self,
                id: u16,
                inputs: &'a [&'a [u8]],
                outputs: &'a mut [&'a mut [u8]],
            ) -> Result<u32, Error> {
                match self {
                    $(Self::$variant(queue) => {
                        // SAFETY: the caller's promise.
                        unsafe { queue.pop_used(id, inputs, outputs) }
                    })*
                }
            }
        }
    };
}

sizes!(S128 = 128, S64 = 64, S32 = 32, S16 = 16, S8 = 8);

/// Why a queue could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueError {
    /// The device has no such queue.
    Missing {
        /// The queue's number.
        index: u16,
    },
    /// The device's queue is too small.
    Small {
        /// The queue's number.
        index: u16,
        /// Descriptors that the device offers.
        offered: u32,
    },
    /// The queue is in use, or there is no memory.
    Setup {
        /// The queue's number.
        index: u16,
        /// What went wrong.
        error: Error,
    },
    /// The device has no doorbell for the queue within its registers.
    NoDoorbell {
        /// The queue's number.
        index: u16,
    },
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing { index } => write!(f, "the device has no queue {index}"),
            Self::Small { index, offered } => write!(
                f,
                "queue {index} has {offered} descriptors, want at least {}",
                Queue::<super::hal::KernelHal>::SMALLEST
            ),
            Self::Setup { index, error } => write!(f, "queue {index} cannot be set up: {error}"),
            Self::NoDoorbell { index } => write!(
                f,
                "the notification register of queue {index} lies outside the device's registers"
            ),
        }
    }
}

/// What a device did wrong in a queue. It can go on no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueFault {
    /// It says to be done with something that it does not have.
    NotInFlight {
        /// The identifier.
        id: u16,
    },
    /// It took back what it had said.
    Changed,
}

impl fmt::Display for QueueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInFlight { id } => write!(
                f,
                "the device says it is done with buffer {id}, which it does not have"
            ),
            Self::Changed => {
                f.write_str("the device changed an entry of the used ring after it was published")
            }
        }
    }
}

/// What is in a device's hands.
///
/// # Safety
/// [`with_buffers`](Self::with_buffers) gives the same buffers every time, wherever `self` is
/// moved; as long as `self` lives the device may read the inputs and write the outputs: nobody
/// writes the former, nobody touches the latter.
pub(super) unsafe trait Flight {
    /// Calls `use_them` with the buffers: what the device reads, and what it writes. None of them
    /// is empty, or longer than a `u32` tells, and each is contiguous for the device.
    fn with_buffers<R>(
        &self,
        use_them: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
    ) -> R;
}

/// A queue with what is in flight in it.
///
/// Dropping it frees neither the queue nor what is in flight: the device may still be using both.
/// [`free`](Self::free) does, after a reset.
#[derive(Debug)]
pub(super) struct Flights<H: Hal, T> {
    queue: ManuallyDrop<Queue<H>>,
    /// By identifier.
    in_flight: ManuallyDrop<Box<[Option<T>]>>,
    count: usize,
}

impl<H: Hal, T: Flight> Flights<H, T> {
    /// Nothing in flight. Allocates.
    pub(super) fn new(queue: Queue<H>) -> Self {
        let in_flight = (0..queue.size()).map(|_| None).collect();
        Self {
            queue: ManuallyDrop::new(queue),
            in_flight: ManuallyDrop::new(in_flight),
            count: 0,
        }
    }

    /// The queue.
    pub(super) fn queue(&self) -> &Queue<H> {
        &self.queue
    }

    /// How many are in flight.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the device says to be done with something.
    pub(super) fn has_used(&self) -> bool {
        self.queue.peek().is_some()
    }

    /// Gives something into the device's hands.
    ///
    /// # Errors
    /// Gives it back when there are too few free descriptors for its buffers.
    pub(super) fn launch(&mut self, flight: T) -> Result<(), T> {
        let queue = &mut self.queue;
        // SAFETY: the buffers stay as they must as long as `flight` lives, by the trait's
        // contract; and it is kept until the device is done with them, or was reset.
        let id = flight.with_buffers(|inputs, outputs| unsafe { queue.push(inputs, outputs) });
        match id.map(usize::from) {
            Ok(id) if id < self.in_flight.len() => {
                // A free descriptor is nobody's: `take` frees descriptors and slots together.
                let before = self.in_flight[id].replace(flight);
                debug_assert!(before.is_none(), "identifiers are unique");
                core::mem::forget(before);
                self.count += 1;
                Ok(())
            }
            _ => Err(flight),
        }
    }

    /// Tells the device of what was launched, unless it does not want to be told; whether it was.
    pub(super) fn notify(&self, doorbell: &mut impl Doorbell) -> bool {
        // ORDERING: the new entries become visible before the device's wish is read; it reads the
        // entries after it has stated the wish. One of the two sees the other (section 2.7.13.4.1).
        fence(Ordering::SeqCst);
        let wanted = self.queue.wants_notification();
        if wanted {
            doorbell.ring();
        }
        wanted
    }

    /// Takes what the device says to be done with next, in whatever order, and how many bytes it
    /// says to have written. `None` when there is nothing.
    ///
    /// # Errors
    /// When the device is done with what it does not have. The queue is of no more use then: what
    /// is in flight stays so until the device is reset, and every further call says the same.
    pub(super) fn take(&mut self) -> Result<Option<(T, u32)>, QueueFault> {
        let Some(id) = self.queue.peek() else {
            return Ok(None);
        };
        let slot = self.in_flight.get_mut(usize::from(id));
        let Some((slot, flight)) = slot.and_then(|slot| slot.take().map(|flight| (slot, flight)))
        else {
            return Err(QueueFault::NotInFlight { id });
        };
        let queue = &mut self.queue;
        // SAFETY: the identifier is that of `flight`, whose buffers are still the same.
        let popped =
            flight.with_buffers(|inputs, outputs| unsafe { queue.pop(id, inputs, outputs) });
        match popped {
            Ok(written) => {
                self.count -= 1;
                Ok(Some((flight, written)))
            }
            Err(_) => {
                *slot = Some(flight);
                Err(QueueFault::Changed)
            }
        }
    }

    /// Takes anything that is in flight.
    ///
    /// # Safety
    /// The device has been reset, and has said so, since the queue was set up.
    pub(super) unsafe fn recover(&mut self) -> Option<T> {
        let flight = self.in_flight.iter_mut().find_map(Option::take)?;
        self.count -= 1;
        Some(flight)
    }

    /// Frees the queue, and drops what is in flight.
    ///
    /// # Safety
    /// The device has been reset, and has said so, since the queue was set up; and nothing of
    /// `self` is used any more.
    pub(super) unsafe fn free(&mut self) {
        // SAFETY: once: nothing is used any more, says the caller.
        unsafe {
            ManuallyDrop::drop(&mut self.queue);
            ManuallyDrop::drop(&mut self.in_flight);
        }
    }
}
