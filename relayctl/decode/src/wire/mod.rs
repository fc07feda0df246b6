//! The bytes of a port: packets, back to back, as `docs/FORMAT.md` has them; and of a serial line:
//! frames with packets.
//!
//! [`Header`] reads the fixed part of one packet, [`Splitter`] finds the packets
//! in a stream of bytes, whatever it holds, [`LineReader`] the frames on a line, and [`crc32c()`] is
//! the checksum that goes with packets in a capture.

mod crc;
mod header;
mod line;
mod splitter;

pub use crc::{crc32c, crc32c_append};
pub use header::{Header, HeaderError};
pub use line::{Damage, Found, LineReader, Why};
pub use relay_format::packet::{MAGIC, SIZE as HEADER_SIZE};
pub use splitter::{Kind, MAX_PACKET, Piece, Splitter};

/// The stream id of packets that carry metadata.
pub const METADATA: u32 = 0;
