//! The header of a packet.

use crate::record;
use crate::ring::{Hooks, Loss, Packet, SubBuffer};
use crate::sync::{AtomicU64, Ordering, const_unless_loom};

/// The first four bytes of a packet, as a number.
pub const MAGIC: u32 = 0xC1FC_1FC1;

/// Bytes of the header: the start reserve of a channel whose packets are CTF.
pub const HEADER: usize = 168;

/// Packets are padded to a multiple of this many bytes.
const GRAIN: usize = 8;

/// In `flags`: the stream was closed with this packet.
pub const FINAL: u32 = 1;

/// In `flags`: made from what a stopped CPU left.
pub const SALVAGED: u32 = 2;

/// In `flags`, beside [`SALVAGED`]: some of its records are in doubt, and left out.
pub const CUT: u32 = 4;

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
        record::MIN_RECORD
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

/// Bytes of a packet with `content` bytes of header and records: the next multiple of 8. Any
/// context.
#[must_use]
pub const fn padded(content: usize) -> usize {
    content.next_multiple_of(GRAIN)
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
    let mut header = Encoder {
        bytes: [0; HEADER],
        len: 0,
    };
    let flags = flags | if packet.is_final { FINAL } else { 0 };
    header.put(&MAGIC.to_le_bytes());
    header.put(uuid);
    header.put(&stream_id.to_le_bytes());
    header.put_u64(packet.cpu as u64);
    header.put_u64(packet.begin_ticks);
    header.put_u64(packet.end_ticks);
    header.put_u64(packet.content as u64 * 8);
    header.put_u64(padded(packet.content) as u64 * 8);
    header.put_u64(packet.sequence);
    header.put_u64(packet.lost.total());
    header.put(&(packet.cpu as u32).to_le_bytes());
    header.put(&flags.to_le_bytes());
    header.put_u64(packet.ordinal);
    header.put_u64(packet.records);
    for loss in Loss::ALL {
        header.put_u64(packet.lost.get(loss));
    }
    header.put_u64(packet.overwritten);
    header.put_u64(uncommitted);
    debug_assert!(header.len == HEADER);
    header.bytes
}

/// Puts fields one behind the other.
struct Encoder {
    bytes: [u8; HEADER],
    len: usize,
}

impl Encoder {
    fn put(&mut self, field: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + field.len()) {
            place.copy_from_slice(field);
        }
        self.len += field.len();
    }

    fn put_u64(&mut self, field: u64) {
        self.put(&field.to_le_bytes());
    }
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
