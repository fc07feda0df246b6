//! The header of a packet.

use crate::record;
use crate::ring::{Hooks, Packet, SubBuffer};
use crate::sync::{AtomicU64, Ordering, const_unless_loom};
use relay_format::packet::Header;

pub use relay_format::packet::{CUT, FINAL, MAGIC, SALVAGED, SIZE as HEADER, padded};

/// What ties the packets and the metadata of one boot together. Set once, early; zero until then.
#[derive(Debug)]
pub struct Uuid([AtomicU64; 2]);

impl Uuid {
    const_unless_loom! {
        /// All zero.
        #[must_use]
        #[expect(clippy::new_without_default, reason = "made for a static")]
        pub fn new() -> Self {
            Self([AtomicU64::new(0), AtomicU64::new(0)])
        }
    }

    /// Makes it a random UUID (RFC 9562, version 4) from 128 random bits. Before the first packet
    /// is complete: packets carry what it is then. Any context.
    pub fn set(&self, random: u128) {
        let mut bytes = random.to_be_bytes();
        bytes[6] = bytes[6] & 0x0F | 0x40;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        let (high, low) = bytes.split_at(8);
        for (word, half) in self.0.iter().zip([high, low]) {
            let half = half.try_into().map_or(0, u64::from_le_bytes);
            word.store(half, Ordering::Relaxed);
        }
    }

    /// Its sixteen bytes, in the order in which they are written. Any context.
    #[must_use]
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (half, word) in bytes.chunks_mut(8).zip(&self.0) {
            half.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes
    }
}

/// The hooks of a channel whose sub-buffers are CTF packets of stream class `stream_id`. Its
/// geometry has a start reserve of
/// [`HEADER`] bytes or more.
#[derive(Debug)]
pub struct Packets {
    pub(super) stream_id: u32,
    pub(super) uuid: &'static Uuid,
}

impl Packets {
    /// Hooks for the channel with this number, in the trace with this UUID: for a `static`.
    #[must_use]
    pub const fn new(stream_id: u32, uuid: &'static Uuid) -> Self {
        Self { stream_id, uuid }
    }
}

impl Hooks for Packets {
    fn buffer_end(&self, header: &mut [u8], _trailer: &mut [u8], packet: &Packet) {
        let bytes = encode(&self.uuid.bytes(), self.stream_id, packet, 0, 0);
        if let Some(place) = header.get_mut(..HEADER) {
            place.copy_from_slice(&bytes);
        }
        if let Some(rest) = header.get_mut(HEADER..) {
            rest.fill(0);
        }
    }

    fn fill(&self, bytes: &mut [u8], timestamp: u64) {
        record::fill(bytes, timestamp);
    }

    fn least_fill(&self) -> usize {
        record::STAMP
    }

    fn least_start_reserve(&self) -> usize {
        HEADER
    }
}

/// What of a taken sub-buffer is its packet: header, records and less than 8 bytes of padding, to
/// be sent as it is, where it lies. Any context.
#[must_use]
pub fn packet_bytes<'s>(taken: &'s SubBuffer<'_>) -> &'s [u8] {
    let bytes = taken.bytes();
    let len = padded(taken.packet().content).min(bytes.len());
    &bytes[..len]
}

/// The header of `packet` of channel `stream_id`, as [`Packets`] makes it when a packet is
/// complete; for packets that are made otherwise. `uncommitted` records were left out of this
/// stream up to it. `flags` are set beside [`FINAL`], which follows from the packet. Any context.
#[must_use]
pub fn encode(
    uuid: &[u8; 16],
    stream_id: u32,
    packet: &Packet,
    flags: u32,
    uncommitted: u64,
) -> [u8; HEADER] {
    let header = Header {
        magic: MAGIC,
        uuid: *uuid,
        stream_id,
        stream_instance_id: packet.cpu as u64,
        timestamp_begin: packet.begin_ticks,
        timestamp_end: packet.end_ticks,
        content_size: packet.content as u64 * 8,
        packet_size: padded(packet.content) as u64 * 8,
        packet_seq_num: packet.sequence,
        cpu_id: packet.cpu as u32,
        flags: flags | if packet.is_final { FINAL } else { 0 },
        ordinal: packet.ordinal,
        records: packet.records,
        overwritten: packet.overwritten,
        uncommitted,
        ..Header::default()
    };
    header.with_losses(&packet.lost).to_bytes()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ring::Losses;

    #[test]
    fn every_field_stands_where_the_format_says() {
        let packet = Packet {
            cpu: 3,
            sequence: 5,
            ordinal: 70,
            records: 7,
            start: HEADER,
            content: HEADER + 13,
            begin_ticks: 1000,
            end_ticks: 2000,
            lost: Losses::default(),
            overwritten: 9,
            is_final: true,
        };
        let bytes = encode(&[0xAB; 16], 2, &packet, SALVAGED, 4);
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!(u32_at(0), MAGIC);
        assert_eq!(bytes[4..20], [0xAB; 16]);
        assert_eq!((u32_at(20), u64_at(24)), (2, 3));
        assert_eq!((u64_at(32), u64_at(40)), (1000, 2000));
        assert_eq!((u64_at(48), u64_at(56)), (181 * 8, 184 * 8));
        assert_eq!((u64_at(64), u64_at(72)), (5, 0));
        assert_eq!((u32_at(80), u32_at(84)), (3, FINAL | SALVAGED));
        assert_eq!((u64_at(88), u64_at(96)), (70, 7));
        assert!((104..152).all(|at| bytes[at] == 0));
        assert_eq!((u64_at(152), u64_at(160)), (9, 4));
    }

    #[test]
    fn what_is_behind_the_header_in_its_reserve_is_cleared() {
        static UUID: Uuid = Uuid::new();
        let mut header = [0xEE; HEADER + 24];
        let packet = Packet {
            cpu: 0,
            sequence: 0,
            ordinal: 0,
            records: 0,
            start: header.len(),
            content: header.len(),
            begin_ticks: 0,
            end_ticks: 0,
            lost: Losses::default(),
            overwritten: 0,
            is_final: false,
        };
        Packets::new(1, &UUID).buffer_end(&mut header, &mut [], &packet);
        let (made, rest) = header.split_at(HEADER);
        assert_eq!(made, encode(&[0; 16], 1, &packet, 0, 0));
        assert_eq!(rest, [0; 24]);
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        let uuid = Uuid::new();
        assert_eq!(uuid.bytes(), [0; 16]);
        uuid.set(u128::MAX);
        let bytes = uuid.bytes();
        assert_eq!(
            (bytes[0], bytes[6], bytes[8], bytes[15]),
            (0xFF, 0x4F, 0xBF, 0xFF)
        );
    }
}
