//! What the host sends to one port.
//!
//! The receive queues of all ports are set up with the others, since a device that runs lets none
//! be; but only the port that somebody wants to hear is given buffers. What a host sends to another
//! one stays on the host.

use core::fmt;

use virtio_drivers::{Hal, PAGE_SIZE};

use super::buffers::{Incoming, Pages};
use super::line::Line;
use crate::dev::virtio::device::Device;
use crate::dev::virtio::queue::{Flights, Queue, QueueFault};

/// Bytes of a buffer.
pub(crate) const CHUNK: usize = 512;

/// Buffers: as many as the smallest queue takes.
const BUFFERS: usize = PAGE_SIZE / CHUNK;

/// Memory for the buffers; `None` if there is none.
pub(super) fn pages<H: Hal>() -> Option<Pages<H, CHUNK>> {
    Pages::new(1)
}

/// The receiving half of a port. One owner; task or IRQ context.
///
/// A call takes no lock, allocates nothing, and never waits. What the device says of lengths is not
/// believed. A host that sends more than is taken waits: its bytes stay there.
///
/// Dropping it keeps queue and buffers out of use for ever unless the device was reset.
pub(crate) struct Receiver<D: Device> {
    flights: Flights<D::Memory, Incoming<CHUNK>>,
    doorbell: D::Doorbell,
    memory: Pages<D::Memory, CHUNK>,
    line: &'static Line,
    fault: Option<QueueFault>,
    bad_lengths: u64,
}

impl<D: Device> Receiver<D> {
    /// Gives the device the buffers in [`pages`]. Allocates.
    pub(super) fn new(
        queue: Queue<D::Memory>,
        doorbell: D::Doorbell,
        memory: Pages<D::Memory, CHUNK>,
        line: &'static Line,
    ) -> Self {
        let mut this = Self {
            flights: Flights::new(queue),
            doorbell,
            memory,
            line,
            fault: None,
            bad_lengths: 0,
        };
        let buffers = this.flights.queue().free().min(BUFFERS);
        for index in 0..buffers {
            let incoming = this.memory.incoming(index);
            // There are as many descriptors.
            let _ = this.flights.launch(incoming);
        }
        this.flights.notify(&mut this.doorbell);
        this
    }

    /// The next bytes that came, up to [`CHUNK`] of them; how many. 0 when there are none, or the
    /// port is dead. The device gets the buffer back.
    pub(crate) fn take(&mut self, bytes: &mut [u8; CHUNK]) -> usize {
        if self.is_dead() {
            return 0;
        }
        // An empty buffer is none: it is passed over, but not without an end.
        for _ in 0..BUFFERS {
            match self.flights.take() {
                Ok(Some((incoming, written))) => {
                    *bytes = incoming.copy();
                    let _ = self.flights.launch(incoming);
                    self.flights.notify(&mut self.doorbell);
                    // Whatever it says to have written, no more fits.
                    let length = (written as usize).min(CHUNK);
                    self.bad_lengths += u64::from(written as usize > CHUNK);
                    if length != 0 {
                        return length;
                    }
                }
                Ok(None) => return 0,
                Err(fault) => {
                    self.fault = Some(fault);
                    return 0;
                }
            }
        }
        0
    }

    /// Whether nothing more will come: the device broke the rules of the queue, has taken the port
    /// away, or was reset.
    pub(crate) fn is_dead(&self) -> bool {
        self.fault.is_some() || self.line.is_removed() || self.line.is_reset()
    }

    /// What the device did wrong in the queue.
    pub(crate) fn fault(&self) -> Option<QueueFault> {
        self.fault
    }

    /// Buffers of which the device said that it has written more to them than they hold.
    pub(crate) fn bad_lengths(&self) -> u64 {
        self.bad_lengths
    }
}

impl<D: Device> Drop for Receiver<D> {
    fn drop(&mut self) {
        if self.line.is_reset() {
            // SAFETY: the line says that the device was reset, and has said so, after the queue was
            // set up: the queue is older than this. It is the end of `self`, and the buffers go
            // with the queue, before the pages.
            unsafe {
                self.flights.free();
                self.memory.free();
            }
        }
    }
}

impl<D: Device> fmt::Debug for Receiver<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("fault", &self.fault)
            .field("bad_lengths", &self.bad_lengths)
            .finish_non_exhaustive()
    }
}
