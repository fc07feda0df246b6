//! The bytes of a port: packets, back to back, as `docs/FORMAT.md` has them.
//!
//! [`Header`] reads the fixed part of one packet, [`Splitter`] finds the packets
//! in a stream of bytes, whatever it holds, and [`crc32c()`] is the checksum that
//! goes with them.

mod crc;
mod header;
mod splitter;

pub use crc::{crc32c, crc32c_append};
pub use header::{Header, HeaderError, MAGIC};
pub use splitter::{Kind, MAX_PACKET, Piece, Splitter};

/// Bytes before the contents of a packet.
pub const HEADER_SIZE: usize = 168;

/// The stream id of packets that carry metadata.
pub const METADATA: u32 = 0;
