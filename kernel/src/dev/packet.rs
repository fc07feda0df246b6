//! What this kernel gives to devices: packets of relay, where they lie.

use relay::SubBuffer;

use super::virtio::console::port::InFlight;

// SAFETY: the block is taken once, is not written until the sub-buffer is dropped, and lies in a
// ring that lives for ever. Its packet's length was fixed when it was closed.
unsafe impl InFlight for SubBuffer<'static> {
    fn bytes(&self) -> &[u8] {
        relay::ctf::packet_bytes(self)
    }
}
