//! The two control queues (section 5.3.2): how messages travel.
//!
//! QEMU drops what it has to say when there is no buffer for it. So there is one for everything
//! that one message can make it say, and the next message waits until the last was taken and what
//! it caused was read.

use core::ptr::NonNull;

use virtio_drivers::PAGE_SIZE;

use super::buffers::{Buffer, Incoming, Pages};
use super::error::Error;
use super::protocol::{Change, Directory, MESSAGE};
use crate::dev::virtio::device::Device;
use crate::dev::virtio::queue::{Flight, Flights, Queue, QueueError, QueueFault};

/// The number of the queue that the device sends on.
pub(super) const RECEIVE: u16 = 2;
/// The number of the queue that the driver sends on.
pub(super) const TRANSMIT: u16 = 3;

/// Bytes of a buffer: a message, and a name as long as is kept, and more.
const BUFFER: usize = 128;
/// Pages of buffers.
const PAGES: usize = 2;
/// Buffers, of which the last is the one that the driver sends.
const BUFFERS: usize = PAGES * PAGE_SIZE / BUFFER;

/// The control queues.
pub(super) struct Control<D: Device> {
    receive: Flights<D::Memory, Incoming<BUFFER>>,
    receive_bell: D::Doorbell,
    transmit: Flights<D::Memory, Outbound>,
    transmit_bell: D::Doorbell,
    memory: Pages<D::Memory, BUFFER>,
    has_interrupt: bool,
}

/// The buffer that the device reads a message from.
struct Outbound(Buffer);

// SAFETY: always the same bytes of the pages, which live until the device was reset; nobody
// touches them while the buffer is in flight.
unsafe impl Flight for Outbound {
    fn with_buffers<R>(
        &self,
        use_them: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
    ) -> R {
        // SAFETY: the bytes are allocated, initialised, and in no reference that could write them.
        let bytes = unsafe { core::slice::from_raw_parts(self.0.0.as_ptr(), MESSAGE) };
        use_them(&[bytes], &mut [])
    }
}

impl<D: Device> Control<D> {
    /// Sets up the queues, which raise `interrupt`, if there is one, when the device has said
    /// something.
    ///
    /// # Errors
    /// When the device does not have them, or memory is missing.
    pub(super) fn new(device: &mut D, interrupt: Option<u16>) -> Result<Self, Error> {
        let memory = Pages::new(PAGES).ok_or(Error::NoMemory)?;
        let has_interrupt = interrupt.is_some_and(|interrupt| device.assign(RECEIVE, interrupt));
        let mut queue = |index| -> Result<_, QueueError> {
            let bell = device.doorbell(index);
            let bell = bell.ok_or(QueueError::NoDoorbell { index })?;
            Ok((Queue::new(device.transport(), index)?, bell))
        };
        let (receive, receive_bell) = queue(RECEIVE)?;
        // Not freed when the other queue fails: the device knows of it.
        let receive = Flights::new(receive);
        let (transmit, transmit_bell) = queue(TRANSMIT)?;
        let mut this = Self {
            receive,
            receive_bell,
            transmit: Flights::new(transmit),
            transmit_bell,
            memory,
            has_interrupt,
        };
        let buffers = this.receive.queue().free().min(BUFFERS - 1);
        for index in 0..buffers {
            let incoming = this.memory.incoming(index);
            // There are as many descriptors.
            let _ = this.receive.launch(incoming);
        }
        Ok(this)
    }

    /// Tells the device of the buffers that wait for its messages. When it is running.
    pub(super) fn start(&mut self) {
        self.receive.notify(&mut self.receive_bell);
    }

    /// Whether the device raises the interrupt when it has said something.
    pub(super) fn has_interrupt(&self) -> bool {
        self.has_interrupt
    }

    /// Whether the device has taken the last message.
    pub(super) fn is_idle(&self) -> bool {
        self.transmit.count() == 0
    }

    /// Reads what there is to read, and sends the next message if the last was taken. Tells what
    /// ports it `changes`. Returns whether anything happened. Never waits.
    ///
    /// # Errors
    /// When the device broke a queue's rules; there is nothing more to hear from it then.
    pub(super) fn step(
        &mut self,
        directory: &mut Directory,
        mut changes: impl FnMut(usize, Change),
    ) -> Result<bool, QueueFault> {
        // First what was taken, then what was said: so all that it said on taking it is read.
        let mut is_progress = self.transmit.take()?.is_some();
        let mut has_refilled = false;
        // A device that answers without end gets its turn again later.
        for _ in 0..BUFFERS {
            let Some((incoming, written)) = self.receive.take()? else {
                break;
            };
            let message = incoming.copy();
            // Whatever it says to have written, no more fits.
            let written = (written as usize).min(BUFFER);
            if let Some((port, change)) = directory.receive(&message[..written]) {
                changes(port, change);
            }
            let _ = self.receive.launch(incoming);
            has_refilled = true;
        }
        if has_refilled {
            self.receive.notify(&mut self.receive_bell);
            is_progress = true;
        }
        if self.is_idle()
            && let Some(message) = directory.next_outgoing()
        {
            let buffer = self.memory.buffer(BUFFERS - 1);
            let bytes = message.bytes();
            // SAFETY: the buffer is long enough, and the device has taken what was in it: nothing
            // is in flight.
            unsafe {
                buffer
                    .0
                    .copy_from_nonoverlapping(NonNull::from(&bytes).cast(), MESSAGE)
            };
            let _ = self.transmit.launch(Outbound(buffer));
            self.transmit.notify(&mut self.transmit_bell);
            is_progress = true;
        }
        Ok(is_progress)
    }

    /// Frees all memory.
    ///
    /// # Safety
    /// The device has been reset, and has said so, since the queues were set up.
    pub(super) unsafe fn free(mut self) {
        // SAFETY: the caller's promise. The buffers go with the queues, before the pages.
        unsafe {
            self.receive.free();
            self.transmit.free();
            self.memory.free();
        }
    }
}
