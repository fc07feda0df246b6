//! What the trace has of virtio devices.
//!
//! The trace leaves the machine by such a device. What a port does for packets of the trace alone is
//! not written, but counted: the next event of another packet tells how much that was. Otherwise a
//! packet of the trace would be a reason for the next one, for ever.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::logs::trace;

relay::event! {
    /// The device was told that there is something in a queue of a port.
    #[event(channel = "trace", name = "virtio_notify", facility = "virtio", enabled = false)]
    struct VirtioNotify {
        /// The port.
        port: u32,
        /// 1; 0: the device did not want to be told.
        wanted: u8,
        /// How often that was done for the trace itself since it was last said.
        own: u32,
    }

    /// The device is done with a buffer of a port.
    #[event(channel = "trace", name = "virtio_used", facility = "virtio", enabled = false)]
    struct VirtioUsed {
        /// The port.
        port: u32,
        /// Bytes of the buffer.
        bytes: u32,
        /// How many buffers of the trace itself it was done with since that was last said.
        own: u32,
    }

    /// The host has opened a port, or closed it.
    #[event(channel = "trace", name = "virtio_port_open", facility = "virtio", enabled = false)]
    struct VirtioPortOpen {
        /// The port.
        port: u32,
        /// 1: it is open; 0: it is not.
        open: u8,
    }
}

/// What a port has done for the trace alone, and not said.
#[derive(Debug, Default)]
pub(super) struct Own {
    notified: AtomicU32,
    used: AtomicU32,
}

impl Own {
    /// The device was told of buffers in the queue of `port`, all of them the trace's own or not.
    pub(super) fn notified(&self, port: usize, wanted: bool, is_own: bool) {
        if is_own {
            self.notified.fetch_add(1, Ordering::Relaxed);
            return;
        }
        trace::emit(|| VirtioNotify {
            port: port as u32,
            wanted: wanted.into(),
            own: self.notified.swap(0, Ordering::Relaxed),
        });
    }

    /// The device is done with a buffer of `port`.
    pub(super) fn used(&self, port: usize, bytes: usize, is_own: bool) {
        if is_own {
            self.used.fetch_add(1, Ordering::Relaxed);
            return;
        }
        trace::emit(|| VirtioUsed {
            port: port as u32,
            bytes: bytes as u32,
            own: self.used.swap(0, Ordering::Relaxed),
        });
    }
}

/// The host has opened or closed `port`.
pub(super) fn port_open(port: usize, open: bool) {
    trace::emit(|| VirtioPortOpen {
        port: port as u32,
        open: open.into(),
    });
}
