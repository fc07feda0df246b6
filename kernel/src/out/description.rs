//! The metadata's packets: what each port begins with, whenever the host opens it.

use alloc::vec::Vec;
use core::mem;

use relay::fs::File;
use relay::{ObserveError, Packet};
use relay_format::packet::padded;
use spin::Once;

use crate::logs::registry::NAMES;

/// All of them, one behind the other.
static WHOLE: Once<&'static [u8]> = Once::new();

/// Keeps the packets of the metadata. Task context on the boot CPU, once, when it is written.
///
/// They are copied, and stay in their ring, so that a panic finds them there, and programs that look:
/// the only reader that could take them is never used.
pub(crate) fn keep() {
    let file = NAMES.channel("/metadata").ok();
    let file = file.and_then(|metadata| metadata.file(0).ok());
    let Some((file, reader)) = file.and_then(|file| Some((file, file.open().ok()?))) else {
        return relay::error!("nobody will know the metadata: it cannot be read");
    };
    mem::forget(reader);
    // It is much where memory is little: no more is taken than it needs.
    let mut length = 0;
    each(file, |packet| length += padded(packet.len()));
    let mut whole = Vec::with_capacity(length);
    each(file, |packet| {
        whole.extend_from_slice(packet);
        whole.resize(padded(whole.len()), 0);
    });
    WHOLE.call_once(|| whole.leak());
}

/// Gives each packet of a file to `act`, without padding.
fn each(file: File, mut act: impl FnMut(&[u8])) {
    let Ok(mut observer) = file.observe() else {
        return;
    };
    let mut look = |_: &Packet, bytes: &[u8]| {
        act(bytes);
        Ok::<_, ObserveError>(())
    };
    while let Ok(Some(())) = observer.next_with(&mut look) {}
}

/// All packets of the metadata, one behind the other; empty if there are none. Any context.
pub(super) fn get() -> &'static [u8] {
    WHOLE.get().copied().unwrap_or_default()
}
