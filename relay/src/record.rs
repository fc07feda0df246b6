//! How the records of relay's own clients begin, and what fills a discarded one.
//!
//! A channel of such records has the hooks [`Framed`], or those of [`ctf`](crate::ctf);
//! [`Channel::write_event`](crate::Channel::write_event) writes them, [`Fields`] reads them. The
//! functions here are arithmetic: any context.
//!
//! Every record begins with a [`Stamp`]: the time, the event id, and the
//! [context](crate::Context), in [`STAMP`] bytes. The upper bits of the time are those of the
//! packet's begin; relay begins another packet in time for that.
//!
//! The ids from [`EVENTS`] on are [fillers](relay_format::filler): what a record that was given up
//! leaves when something was reserved after it. Readers skip them.
//!
//! ```
//! use relay::Context;
//! use relay::host::{Cpu, Host};
//! use relay::record::{Fields, Framed, STAMP, Stamp, extend};
//! use relay::{Channel, Geometry, Storage};
//!
//! static LOG: Channel<Host, 8> = Channel::new(Host, &Framed);
//! # let cpu = Cpu::claim();
//! # let geometry = Geometry::new(1024, 4)?;
//! # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
//!
//! // Event 3: a number of 16 bits.
//! LOG.reserve_with(50, |slot| slot.give_up())?;
//! let written_at = LOG.reserve_with(STAMP + 2, |slot| {
//!     let written_at = slot.timestamp();
//!     let stamp = Stamp::new(3, Context::Task, written_at).to_bytes();
//!     slot.bytes_mut()[..STAMP].copy_from_slice(&stamp);
//!     slot.bytes_mut()[STAMP..].copy_from_slice(&512u16.to_le_bytes());
//!     written_at
//! })?;
//! LOG.flush();
//!
//! let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
//! let mut fields = Fields::new(taken.records());
//! let stamp = fields.next_stamp()?.unwrap();
//! assert_eq!((stamp.id(), stamp.context()), (3, Some(Context::Task)));
//! assert_eq!(extend(stamp.time(), taken.packet().begin_ticks), written_at);
//! assert_eq!(fields.u16(), Some(512));
//! assert_eq!(fields.next_stamp()?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::platform::Context;
use crate::ring::Hooks;
use core::fmt;
use relay_format::{filler, stamp};

pub use relay_format::stamp::{EVENTS, Stamp, extend};

/// Bytes of a [`Stamp`]: no record is shorter.
pub const STAMP: usize = stamp::SIZE;

/// The hooks of a channel whose records begin with a stamp: fillers for what was discarded, no
/// packet header.
#[derive(Clone, Copy, Debug)]
pub struct Framed;

impl Hooks for Framed {
    fn fill(&self, bytes: &mut [u8], timestamp: u64) {
        fill(bytes, timestamp);
    }

    fn least_fill(&self) -> usize {
        STAMP
    }
}

/// Makes `bytes` a filler, in task context. Fewer than [`STAMP`] bytes cannot be one; no record is
/// that short.
pub(crate) fn fill(bytes: &mut [u8], ticks: u64) {
    filler::fill(bytes, Context::Task, ticks);
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

    /// The next 64-bit number.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The stamp of the next record that is not a filler; `None` at the end.
    ///
    /// # Errors
    /// [`Malformed`] if a stamp or a filler is cut off.
    pub fn next_stamp(&mut self) -> Result<Option<Stamp>, Malformed> {
        while !self.is_empty() {
            let offset = self.offset();
            let cut_off = |reason| Malformed { offset, reason };
            let bytes = self.array().ok_or(cut_off("its stamp is cut off"))?;
            let stamp = Stamp::from_bytes(bytes);
            if stamp.id() < EVENTS {
                return Ok(Some(stamp));
            }
            filler::length(stamp.id(), self.rest)
                .and_then(|length| self.bytes(length))
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
        let stamp = Stamp::new(7, Context::Irq, 9);
        for len in (STAMP..600).chain([70_000]) {
            let mut bytes = vec![0x55; len];
            fill(&mut bytes, 3);
            bytes.extend(stamp.to_bytes());
            let mut fields = Fields::new(&bytes);
            assert_eq!(fields.next_stamp(), Ok(Some(stamp)), "length {len}");
            assert_eq!(fields.next_stamp(), Ok(None));
        }
    }

    #[test]
    fn what_is_cut_off_is_malformed_where_it_begins() {
        let stamp = Stamp::new(7, Context::Irq, 9);
        let mut bytes: Vec<u8> = stamp.to_bytes().into();
        let mut filler = vec![0; 300];
        fill(&mut filler, 1);
        bytes.extend(filler);
        for cut in STAMP + 1..bytes.len() {
            let mut fields = Fields::new(&bytes[..cut]);
            assert_eq!(fields.next_stamp(), Ok(Some(stamp)));
            assert_eq!(fields.next_stamp().unwrap_err().offset, STAMP);
        }
    }
}
