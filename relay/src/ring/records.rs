//! Reading record by record as they are committed (packet delivery), and byte by byte.

use super::entry::State;
use super::reader::{Reader, SubBuffer};
use super::{Delivery, Packet};
use core::fmt;

/// Committed records, back to back, where they lie: see [`Records::next_records`].
///
/// A consuming reader that reads a sub-buffer while it is being written, in packet delivery; in bulk
/// delivery it reads complete sub-buffers. The sub-buffer is given back when all of it has been read and
/// nothing more can come into it.
pub struct Records<'a> {
    reader: Reader<'a>,
    /// Bytes read of the packet at the reader's cursor.
    offset: usize,
    /// The sub-buffer that is being read, once it is complete.
    taken: Option<SubBuffer<'a>>,
}

impl<'a> Records<'a> {
    /// Reads on where `reader` stands.
    #[must_use]
    pub fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            offset: 0,
            taken: None,
        }
    }

    /// The reader, for its other uses. What was read of a sub-buffer that was not read to its end will be
    /// read again.
    #[must_use]
    pub fn into_reader(self) -> Reader<'a> {
        self.reader
    }

    /// The reader, to ask for a flush or to sleep.
    pub fn reader(&mut self) -> &mut Reader<'a> {
        &mut self.reader
    }

    /// What is committed and not read yet of the oldest sub-buffer: whole records, without padding. `None` if
    /// there is nothing now.
    pub fn next_records(&mut self) -> Option<&[u8]> {
        loop {
            if self.taken.is_none() {
                if let Some((from, end)) = self.reader.open_range(self.offset) {
                    self.offset = end;
                    // SAFETY: these bytes are committed and visible; the packet is not given away
                    // before this reader, the only one that consumes, takes it.
                    return Some(unsafe { self.reader.open_bytes(from, end - from) });
                }
                self.taken = Some(self.reader.next_subbuf()?);
            }
            let taken = self.taken.as_ref()?;
            let from = self.offset.max(taken.records_from());
            let end = taken.packet().content;
            if from < end {
                self.offset = end;
                return self.taken.as_ref().map(|taken| taken.range(from, end));
            }
            self.taken = None;
            self.offset = 0;
        }
    }

    /// Copies records into `into`, as many bytes as there are and fit; returns how many. A record may be
    /// split between two calls. Padding is skipped.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < into.len() {
            let Some(bytes) = self.next_records() else {
                break;
            };
            let len = bytes.len().min(into.len() - filled);
            into[filled..filled + len].copy_from_slice(&bytes[..len]);
            filled += len;
            let rest = bytes.len() - len;
            // What did not fit is read again.
            self.offset -= rest;
        }
        filled
    }

    /// As [`Reader::prepare_to_sleep`]: whether nothing is left to read.
    #[must_use = "whether to sleep"]
    pub fn prepare_to_sleep(&mut self) -> bool {
        let may_sleep = self.reader.prepare_to_sleep();
        let has_rest = self
            .taken
            .as_ref()
            .is_some_and(|taken| self.offset < taken.packet().content);
        may_sleep && !has_rest && self.reader.open_range(self.offset).is_none()
    }

    /// What is known of the sub-buffer whose last records [`next_records`](Self::next_records) gave, if it is
    /// complete.
    #[must_use]
    pub fn packet(&self) -> Option<&Packet> {
        self.taken.as_ref().map(SubBuffer::packet)
    }
}

impl Reader<'_> {
    /// Which bytes, from the start of the sub-buffer, are committed records of the packet at the cursor that lie
    /// behind `offset`, if it is open and delivery is by packet; `None` if there are none.
    fn open_range(&self, offset: usize) -> Option<(usize, usize)> {
        if self.ring.geometry.delivery() != Delivery::Packet {
            return None;
        }
        let visible = self.ring.visible();
        let geometry = &self.ring.geometry;
        let end = geometry.offset(visible) as usize;
        let start = offset.max(self.ring.records_start(self.cursor));
        (geometry.packet(visible) == self.cursor && end > start).then_some((start, end))
    }

    /// `len` bytes at `offset` of the open packet at the cursor.
    ///
    /// # Safety
    /// They are committed and visible, and the packet is not taken as long as the result is used.
    unsafe fn open_bytes(&self, offset: usize, len: usize) -> &[u8] {
        let entry = self.ring.entry(self.cursor);
        debug_assert!(matches!(
            entry.state(),
            State::Writing | State::Readable | State::Lent
        ));
        // SAFETY: committed bytes are not written any more; in packet delivery nothing is overwritten,
        // so the block is the packet's until its one consuming reader takes it.
        unsafe { self.ring.slice(entry.block(), offset, len) }
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("reader", &self.reader)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
