//! The metadata's packets: what each port begins with, whenever the host opens it.

use alloc::vec::Vec;

use relay::ctf;
use spin::Once;

use crate::logs::registry::NAMES;

/// All of them, one behind the other.
static WHOLE: Once<&'static [u8]> = Once::new();

/// Keeps the packets of the metadata. Task context on the boot CPU, once, when it is written.
///
/// They stay taken for ever, so that a panic finds them in their ring, too.
pub(crate) fn keep() {
    let file = NAMES.channel("/metadata").ok();
    let file = file.and_then(|metadata| metadata.file(0).ok());
    let Some(mut reader) = file.and_then(|file| file.open().ok()) else {
        return relay::error!("nobody will know the metadata: it cannot be read");
    };
    let packets: Vec<_> = core::iter::from_fn(|| reader.next_subbuf()).collect();
    let lengths = packets.iter().map(|packet| ctf::packet_bytes(packet).len());
    // It is much where memory is little: no more is taken than it needs.
    let mut whole = Vec::with_capacity(lengths.sum());
    for packet in packets {
        whole.extend_from_slice(ctf::packet_bytes(&packet));
        core::mem::forget(packet);
    }
    WHOLE.call_once(|| whole.leak());
}

/// All packets of the metadata, one behind the other; empty if there are none. Any context.
pub(super) fn get() -> &'static [u8] {
    WHOLE.get().copied().unwrap_or_default()
}
