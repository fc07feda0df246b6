//! What this kernel gives to devices: packets of relay, where they lie.

use relay::SubBuffer;
use relay_format::packet::Header;

use super::virtio::console::port::InFlight;
use crate::logs::trace;

/// The number of a packet's channel, as its header says it; 0 of one without a header. Any context.
pub(crate) fn channel(packet: &SubBuffer<'static>) -> u32 {
    let header = packet.bytes().first_chunk();
    header.map_or(0, |header| Header::from_bytes(header).stream_id)
}

/// What a port sends.
#[derive(Debug)]
pub(crate) enum Cargo {
    /// A packet, where it was written.
    Packet(SubBuffer<'static>),
    /// Packets that are kept for ever.
    Kept(&'static [u8]),
}

// SAFETY: the block of a sub-buffer is taken once, is not written until the sub-buffer is dropped,
// and lies in a ring that lives for ever; its packet's length was fixed when it was closed. What is
// kept is borrowed for ever, and so unchanged for ever.
unsafe impl InFlight for Cargo {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Packet(packet) => relay::ctf::packet_bytes(packet),
            Self::Kept(packets) => packets,
        }
    }

    fn is_untraced(&self) -> bool {
        match self {
            Self::Packet(packet) => channel(packet) == trace::NUMBER,
            Self::Kept(_) => false,
        }
    }
}
