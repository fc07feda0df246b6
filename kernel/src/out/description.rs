//! The metadata's packets, once they were sent: for hosts that come late, or come again.
//!
//! The ring of the metadata is given back like any other. What was sent of it is kept here, so that
//! a port that the host opens anew can begin with it.

use alloc::vec::Vec;

use relay::{SubBuffer, ctf};
use spin::{Mutex, Once};

use crate::logs::metadata;

/// The packets so far, one behind the other. Never grows beyond what was reserved: interrupts use
/// it.
static COLLECTED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// All of them.
static WHOLE: Once<&'static [u8]> = Once::new();

/// Makes room. Task context on the boot CPU, once, before anything is sent.
pub(super) fn reserve() {
    *COLLECTED.lock() =
        Vec::with_capacity(metadata::RING.subbuf_size() * metadata::RING.subbuf_count());
}

/// Keeps a packet of the metadata. Task and IRQ context, by who has the pump that sends it.
pub(super) fn add(packet: &SubBuffer<'_>) {
    let bytes = ctf::packet_bytes(packet);
    let mut collected = COLLECTED.lock();
    if collected.capacity() - collected.len() >= bytes.len() {
        collected.extend_from_slice(bytes);
    }
}

/// There are no more packets of it. Likewise.
pub(super) fn conclude() {
    WHOLE.call_once(|| core::mem::take(&mut *COLLECTED.lock()).leak());
}

/// All packets of the metadata, one behind the other, once they were sent. Any context.
pub(super) fn get() -> Option<&'static [u8]> {
    WHOLE.get().copied()
}
