//! The frames of a serial line: a packet each, so that noise, other people's text and a reader who
//! comes late cost no more than the packets that they hit.
//!
//! A frame is a [`DELIMITER`], then a packet and its [CRC-32C](checksum) (little-endian), both in
//! the [COBS] encoding, which has no byte of value 0, then a delimiter again. What lies between two
//! delimiters and is no frame is somebody's text, or damaged.
//!
//! [COBS]: https://doi.org/10.1109/90.769765
//!
//! ```
//! use relay_format::frame;
//!
//! let mut line = [0; frame::max_size(100)];
//! let size = frame::write([&b"a packet, "[..], b"in two pieces"], &mut line)?;
//! let [frame::DELIMITER, body @ .., frame::DELIMITER] = &mut line[..size] else {
//!     panic!("a frame has a delimiter at both ends");
//! };
//! assert_eq!(frame::read(body), Ok(&b"a packet, in two pieces"[..]));
//! # Ok::<(), frame::NoRoom>(())
//! ```

use core::fmt;

use cobs::{CobsDecoder, CobsEncoder, DecodeError};
use crc::{CRC_32_ISCSI, Crc, Table};

/// Begins and ends each frame, and is nowhere within one.
pub const DELIMITER: u8 = 0;

/// The largest packet that a frame may have, in bytes.
pub const MAX_PACKET: usize = 64 * 1024;

/// The largest size of what lies between the delimiters, in bytes.
pub const MAX_BODY: usize = max_size(MAX_PACKET) - 2;

/// Bytes of the checksum.
pub const CHECKSUM: usize = 4;

/// CRC-32C, from a table of 1 KiB.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// The largest size of a frame with a packet of so many bytes, with both delimiters.
#[must_use]
pub const fn max_size(packet: usize) -> usize {
    cobs::max_encoding_length(packet + CHECKSUM) + 2
}

/// The CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// The buffer has no room for the frame: [`max_size`] tells how much it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the frame does not fit its buffer, which would need frame::max_size(packet)")
    }
}

impl core::error::Error for NoRoom {}

/// Makes a frame of a packet, which comes in pieces, at the beginning of `buffer`; how many bytes
/// it has.
///
/// # Errors
///
/// [`NoRoom`]: then the buffer's contents are of no use.
pub fn write<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    buffer: &mut [u8],
) -> Result<usize, NoRoom> {
    let (begin, rest) = buffer.split_first_mut().ok_or(NoRoom)?;
    *begin = DELIMITER;
    let mut encoder = CobsEncoder::new(rest);
    let mut checksum = CRC.digest();
    for piece in pieces {
        checksum.update(piece);
        encoder.push(piece).map_err(|_| NoRoom)?;
    }
    let checksum = checksum.finalize().to_le_bytes();
    encoder.push(&checksum).map_err(|_| NoRoom)?;
    let size = encoder.finalize();
    *rest.get_mut(size).ok_or(NoRoom)? = DELIMITER;
    Ok(size + 2)
}

/// Why bytes between two delimiters are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFrame {
    /// They are not in the encoding.
    Encoding,
    /// They are too few.
    TooShort,
    /// They are more than [`MAX_BODY`].
    TooLong,
    /// The checksum is not that of what stands before it.
    Checksum,
}

impl fmt::Display for NoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "its encoding is wrong",
            Self::TooShort => "it is too short",
            Self::TooLong => "it is too long",
            Self::Checksum => "its checksum is wrong",
        })
    }
}

impl core::error::Error for NoFrame {}

/// Decodes what lies between two delimiters, in place; the packet.
///
/// # Errors
///
/// [`NoFrame`]: they are something else, or damaged. Then their contents are of no use.
pub fn read(body: &mut [u8]) -> Result<&[u8], NoFrame> {
    if body.len() > MAX_BODY {
        return Err(NoFrame::TooLong);
    }
    if body.is_empty() {
        return Err(NoFrame::TooShort);
    }
    // It would stop there.
    if body.contains(&DELIMITER) {
        return Err(NoFrame::Encoding);
    }
    let size = cobs::decode_in_place(body).map_err(|_| NoFrame::Encoding)?;
    let decoded = body.get(..size).ok_or(NoFrame::Encoding)?;
    let (packet, sum) = decoded.split_last_chunk().ok_or(NoFrame::TooShort)?;
    match checksum(packet) == u32::from_le_bytes(*sum) {
        true => Ok(packet),
        false => Err(NoFrame::Checksum),
    }
}

/// The first bytes of a packet, as soon as so much of what lies between two delimiters has come, and
/// one byte more. Nothing is known about them: the checksum is at the end.
#[must_use]
pub fn peek<const N: usize>(body: &[u8]) -> Option<[u8; N]> {
    let mut begin = [0; N];
    let decoded = CobsDecoder::new(&mut begin).push(body);
    matches!(decoded, Err(DecodeError::TargetBufTooSmall)).then_some(begin)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Bytes with zeros here and there, the same for each seed.
    fn bytes(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let gap = 1 + next() % 400;
        (0..len)
            .map(|_| if next() % gap == 0 { 0 } else { next() as u8 })
            .collect()
    }

    #[test]
    fn the_checksum_is_the_castagnoli_polynomial() {
        // RFC 3720, appendix B.4.
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn packets_of_every_length_and_cut_come_back() {
        for len in (0..1100).chain([MAX_PACKET - 1, MAX_PACKET]) {
            let packet = bytes(len, len as u64);
            let mut buffer = vec![0x55; max_size(len)];
            let whole = write([&packet[..]], &mut buffer).unwrap();
            let frame = buffer[..whole].to_vec();
            assert_eq!((frame[0], frame[whole - 1]), (DELIMITER, DELIMITER));
            assert!(!frame[1..whole - 1].contains(&DELIMITER), "length {len}");
            // The pieces make no difference.
            let (front, back) = packet.split_at(len / 3);
            let pieces = [front, &[], back, &[]];
            assert_eq!(write(pieces, &mut buffer), Ok(whole));
            assert_eq!(buffer[..whole], frame);
            assert_eq!(read(&mut buffer[1..whole - 1]), Ok(&packet[..]));
        }
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error() {
        for len in [0, 1, 253, 254, 255, 600] {
            // Without a zero, so that it is as long as it can be.
            let packet = vec![0xAA; len];
            let mut buffer = vec![0; max_size(len)];
            let needs = write([&packet[..]], &mut buffer).unwrap();
            for size in 0..needs {
                assert_eq!(write([&packet[..]], &mut buffer[..size]), Err(NoRoom));
            }
        }
    }

    #[test]
    fn no_damage_of_a_byte_goes_unnoticed() {
        let packet = bytes(300, 7);
        let mut buffer = vec![0; max_size(packet.len())];
        let size = write([&packet[..]], &mut buffer).unwrap();
        let body = &buffer[1..size - 1];
        for at in 0..body.len() {
            for value in 0..=255 {
                let mut damaged = body.to_vec();
                damaged[at] = value;
                let is_same = value == body[at];
                assert_eq!(read(&mut damaged).is_ok(), is_same, "{value} at {at}");
            }
            let mut cut = body.to_vec();
            cut.remove(at);
            // Of several that are alike it does not matter which one is missing.
            assert!(read(&mut cut).is_err(), "without the one at {at}");
            let mut more = body.to_vec();
            more.insert(at, body[at]);
            assert!(read(&mut more).is_err(), "twice the one at {at}");
            assert!(read(&mut body[..at].to_vec()).is_err(), "up to {at}");
        }
    }

    #[test]
    fn the_beginning_is_known_before_the_end() {
        for seed in 0..200 {
            let packet = bytes(700, seed);
            let mut buffer = vec![0; max_size(packet.len())];
            let size = write([&packet[..]], &mut buffer).unwrap();
            let body = &buffer[1..size - 1];
            let first = (0..=body.len()).find(|len| peek::<300>(&body[..*len]).is_some());
            let first = first.unwrap();
            assert!((302..=304).contains(&first), "after {first} bytes");
            assert_eq!(peek::<300>(body).unwrap()[..], packet[..300]);
        }
        assert_eq!(peek::<4>(&[2, 7]), None);
    }

    #[test]
    fn what_is_no_frame_is_told() {
        assert_eq!(read(&mut []), Err(NoFrame::TooShort));
        assert_eq!(read(&mut [2, 7]), Err(NoFrame::TooShort));
        assert_eq!(read(&mut [9, 7]), Err(NoFrame::Encoding));
        assert_eq!(read(&mut [1, 0, 1]), Err(NoFrame::Encoding));
        assert_eq!(read(&mut vec![1; MAX_BODY + 1]), Err(NoFrame::TooLong));
        assert_eq!(read(&mut vec![1; MAX_BODY]), Err(NoFrame::Checksum));
        assert_eq!(read(&mut b"\x07a text".to_vec()), Err(NoFrame::Checksum));
    }
}
