//! How the records of relay's own clients begin, and what fills a discarded one.
//!
//! A channel of such records has the hooks [`Framed`], or those of [`ctf`](crate::ctf);
//! [`Channel::write_event`](crate::Channel::write_event) writes them, [`Fields`] reads them. The functions here are arithmetic:
//! any context.
//!
//! Every record begins with one 64-bit little-endian word, a single store: the lower 48 bits of the
//! timestamp above a 16-bit event id. A byte for the [context](crate::Context) follows. The upper
//! bits of the time are those of the packet's begin, so a packet must span less than 2^48 ticks (a
//! day at 3 GHz).
//!
//! The ids 0xFFFD to 0xFFFF are fillers: what a record that was given up leaves when something was
//! reserved after it. Readers skip them.
//!
//! ```
//! use relay::Context;
//! use relay::host::{Cpu, Host};
//! use relay::record::{Fields, Framed, extend_ticks, header};
//! use relay::{Channel, Geometry, Storage};
//!
//! static LOG: Channel<Host, 8> = Channel::new(Host, &Framed);
//! # let cpu = Cpu::claim();
//! # let geometry = Geometry::new(1024, 4)?;
//! # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
//!
//! // Event 3: context, then a number of 16 bits.
//! LOG.reserve_with(50, |slot| slot.give_up())?;
//! let written_at = LOG.reserve_with(11, |slot| {
//!     let written_at = slot.timestamp();
//!     slot.bytes_mut()[..8].copy_from_slice(&header(3, written_at));
//!     slot.bytes_mut()[8] = Context::Task as u8;
//!     slot.bytes_mut()[9..].copy_from_slice(&512u16.to_le_bytes());
//!     written_at
//! })?;
//! LOG.flush();
//!
//! let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
//! let mut fields = Fields::new(taken.records());
//! let (event, low) = fields.next_header()?.unwrap();
//! assert_eq!((event, extend_ticks(low, taken.packet().begin_ticks)), (3, written_at));
//! assert_eq!((fields.u8(), fields.u16()), (Some(0), Some(512)));
//! assert_eq!(fields.next_header()?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::ring::Hooks;
pub use crate::stamp::{EVENTS, HEADER, extend_ticks, header};
use core::fmt;

/// Bytes of header and context: no record is shorter.
pub const MIN_RECORD: usize = HEADER + 1;

/// A filler that is header and context alone.
pub(crate) const FILLER: u16 = EVENTS;
/// A filler with a byte of length after the context, and that many bytes after it.
pub(crate) const FILLER_U8: u16 = 0xFFFE;
/// A filler with four bytes of length after the context, and that many bytes after them.
pub(crate) const FILLER_U32: u16 = 0xFFFF;

/// The hooks of a channel whose records begin with this header: fillers for what was discarded, no
/// packet header.
#[derive(Clone, Copy, Debug)]
pub struct Framed;

impl Hooks for Framed {
    fn fill(&self, bytes: &mut [u8], timestamp: u64) {
        fill(bytes, timestamp);
    }

    fn least_fill(&self) -> usize {
        MIN_RECORD
    }
}

/// Makes `bytes` a filler, in task context. Fewer than [`MIN_RECORD`] bytes cannot be one; no
/// record is that short.
pub(crate) fn fill(bytes: &mut [u8], ticks: u64) {
    bytes.fill(0);
    let Some((head, body)) = bytes.split_at_mut_checked(MIN_RECORD) else {
        return;
    };
    let id = match body.len() {
        0 => FILLER,
        len @ 1..=256 => {
            body[0] = (len - 1) as u8;
            FILLER_U8
        }
        len => {
            body[..4].copy_from_slice(&((len - 4) as u32).to_le_bytes());
            FILLER_U32
        }
    };
    head[..HEADER].copy_from_slice(&header(id, ticks));
}

/// A record whose bytes do not make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where the record begins, in bytes from the start of the records.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the record at byte {} is malformed: {}",
            self.offset, self.reason
        )
    }
}

impl core::error::Error for Malformed {}

/// Reads the fields of a record one after the other. Nothing that the bytes say leads outside.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Fields<'a> {
    /// The fields in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            len: bytes.len(),
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes; `None` if there are fewer.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The next `N` bytes as an array.
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 16-bit number.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 32-bit number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The header of the next record that is not a filler: its event id and the lower 48 bits of
    /// its time. `None` at the end.
    ///
    /// # Errors
    /// [`Malformed`] if a header or a filler is cut off.
    pub fn next_header(&mut self) -> Result<Option<(u16, u64)>, Malformed> {
        while !self.is_empty() {
            let offset = self.offset();
            let cut_off = |reason| Malformed { offset, reason };
            let word = self
                .array()
                .map(u64::from_le_bytes)
                .ok_or(cut_off("its header is cut off"))?;
            let id = word as u16;
            let is_filler = id >= FILLER;
            if is_filler && self.u8().is_none() {
                return Err(cut_off("its context is cut off"));
            }
            let skip = match id {
                FILLER => Some(0),
                FILLER_U8 => self.u8().map(usize::from),
                FILLER_U32 => self.u32().map(|len| len as usize),
                id => return Ok(Some((id, word >> 16))),
            };
            skip.and_then(|len| self.bytes(len))
                .ok_or(cut_off("its filling is cut off"))?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn fillers_of_every_length_are_skipped() {
        for len in (MIN_RECORD..600).chain([70_000]) {
            let mut bytes = vec![0x55; len];
            fill(&mut bytes, 3);
            bytes.extend(header(7, 9));
            let mut fields = Fields::new(&bytes);
            assert_eq!(fields.next_header(), Ok(Some((7, 9))), "length {len}");
            assert_eq!(fields.next_header(), Ok(None));
        }
    }

    #[test]
    fn what_is_cut_off_is_malformed_where_it_begins() {
        let mut bytes: Vec<u8> = header(7, 9).into();
        let mut filler = vec![0; 300];
        fill(&mut filler, 1);
        bytes.extend(filler);
        for cut in 9..bytes.len() {
            let mut fields = Fields::new(&bytes[..cut]);
            assert_eq!(fields.next_header(), Ok(Some((7, 9))));
            assert_eq!(fields.next_header().unwrap_err().offset, HEADER);
        }
    }
}
