//! The bytes of a port: packets, back to back, as `docs/FORMAT.md` has them.
//!
//! [`Header`] reads the fixed part of one packet, [`Splitter`] finds the packets
//! in a stream of bytes, whatever it holds, and [`crc32c()`] is the checksum that
//! goes with them.

mod crc;
mod header;
mod splitter;

pub use crc::{crc32c, crc32c_append};
pub use header::{Header, HeaderError};
pub use relay_format::packet::{MAGIC, SIZE as HEADER_SIZE};
pub use splitter::{Kind, MAX_PACKET, Piece, Splitter};

/// The stream id of packets that carry metadata.
pub const METADATA: u32 = 0;
