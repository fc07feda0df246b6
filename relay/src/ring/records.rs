//! Reading record by record as they are committed (record delivery), and byte by byte.

use super::entry::State;
use super::geometry::Delivery;
use super::packet::Packet;
use super::reader::{Reader, SubBuffer};
use crate::sync::Ordering;
use core::fmt;

/// Committed records, back to back, where they lie: see [`Records::next_run`].
///
/// A consuming reader that reads a sub-buffer while it is being written, in record delivery; in
/// bulk delivery it reads complete sub-buffers. The sub-buffer is given back when all of it has
/// been read and nothing more can come into it.
///
/// As its [`Reader`] on any CPU, in task or IRQ context, one call at a time.
///
/// ```
/// # use relay::host::{Cpu, Host};
/// # use relay::{Channel, Geometry, Delivery, Records, NoHooks, Storage};
/// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
/// # let cpu = Cpu::claim();
/// # let geometry = Geometry::new(1024, 4)?.with_delivery(Delivery::Record)?;
/// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
/// let mut records = Records::new(LOG.reader(cpu.number())?);
/// LOG.write(b"hello, ")?;
/// LOG.write(b"world")?;
/// assert_eq!(records.next_run().unwrap().bytes, b"hello, world"); // no flush is needed
/// LOG.write(b"!")?;
/// let mut bytes = [0; 16];
/// assert_eq!(records.read(&mut bytes), 1);
/// assert_eq!(records.bytes_available(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Records<'a> {
    reader: Reader<'a>,
    /// How far an open packet was read.
    open: Progress,
    /// The sub-buffer that is being read once it is complete, and how far, in bytes.
    taken: Option<(SubBuffer<'a>, usize)>,
}

/// Whole records of one packet, back to back, where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// The records, without padding.
    pub bytes: &'a [u8],
    /// When their packet was opened, in ticks: with it
    /// [`extend`](crate::record::extend) makes whole times of those in stamps.
    pub begin_ticks: u64,
}

/// Bytes read of one packet.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The ring's serial number, and the packet's.
    packet: (u64, u64),
    offset: usize,
}

impl Progress {
    /// Bytes read of `packet`.
    fn of(self, packet: (u64, u64)) -> usize {
        if self.packet == packet {
            self.offset
        } else {
            0
        }
    }
}

impl<'a> Records<'a> {
    /// Reads on where `reader` stands.
    #[must_use]
    pub fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            open: Progress::default(),
            taken: None,
        }
    }

    /// The reader, for its other uses. What was not read of a sub-buffer that was begun is consumed
    /// with it, if that was complete; if it is still open, all of it will be read again. The same
    /// happens when this is dropped.
    #[must_use]
    pub fn into_reader(self) -> Reader<'a> {
        self.reader
    }

    /// The reader, to ask for a flush or what time it is quiet since.
    #[must_use]
    pub fn reader(&self) -> &Reader<'a> {
        &self.reader
    }

    /// How many bytes can be read now.
    #[must_use]
    pub fn bytes_available(&self) -> u64 {
        let rest = match &self.taken {
            Some((taken, offset)) => taken.packet().content.saturating_sub(*offset),
            None => 0,
        };
        // The reader does not know of what was read of the packet at its cursor.
        let begun = self.open.of(self.reader.at());
        let read = begun.saturating_sub(self.reader.records_from());
        rest as u64 + self.reader.bytes_available().saturating_sub(read as u64)
    }

    /// Whether everything was read and nothing more will come: the stream was closed.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.reader.is_at_end() && self.bytes_available() == 0
    }

    /// What is committed and not read yet of the oldest sub-buffer: whole records, without padding.
    /// `None` if there is nothing now.
    pub fn next_run(&mut self) -> Option<Run<'_>> {
        self.next_bytes(usize::MAX)
    }

    /// As [`next_run`](Self::next_run), but nothing of it is read by that: [`skip`](Self::skip)
    /// what was used.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, Delivery, Records, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?.with_delivery(Delivery::Record)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// let mut records = Records::new(LOG.reader(cpu.number())?);
    /// LOG.write(b"hello")?;
    /// assert_eq!(records.peek().unwrap().bytes, b"hello");
    /// assert_eq!(records.skip(2), 2);
    /// assert_eq!(records.peek().unwrap().bytes, b"llo");
    /// LOG.flush();
    /// assert_eq!(records.skip(9), 3);
    /// assert_eq!(records.peek(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&mut self) -> Option<Run<'_>> {
        self.settle();
        if let Some((taken, offset)) = &self.taken {
            return Some(Run {
                bytes: taken.range(*offset, taken.packet().content),
                begin_ticks: taken.packet().begin_ticks,
            });
        }
        let from = self.open.of(self.reader.at());
        self.reader.open_run(from, usize::MAX).map(|(run, _)| run)
    }

    /// Takes up to `bytes` bytes of what [`peek`](Self::peek) gave as read; returns how many.
    pub fn skip(&mut self, bytes: usize) -> usize {
        self.next_bytes(bytes).map_or(0, |run| run.bytes.len())
    }

    /// What is next, at most `most` bytes.
    fn next_bytes(&mut self, most: usize) -> Option<Run<'_>> {
        self.settle();
        if self.taken.is_some() {
            let (taken, offset) = self.taken.as_mut()?;
            let from = *offset;
            *offset = taken.packet().content.min(from.saturating_add(most));
            return Some(Run {
                bytes: taken.range(from, *offset),
                begin_ticks: taken.packet().begin_ticks,
            });
        }
        let packet = self.reader.at();
        let (run, offset) = self.reader.open_run(self.open.of(packet), most)?;
        self.open = Progress { packet, offset };
        Some(run)
    }

    /// Gives back what was read to its end; takes what has become complete and was not read to its
    /// end.
    fn settle(&mut self) {
        loop {
            if let Some((taken, offset)) = &self.taken
                && *offset < taken.packet().content
            {
                return;
            }
            self.taken = None;
            // What is complete is taken, whether it was read while it was open or not.
            let Some(taken) = self.reader.next_subbuf() else {
                return;
            };
            let read = self.open.of(taken.at());
            let offset = read.max(taken.packet().start);
            self.taken = Some((taken, offset));
        }
    }

    /// Which bytes of the open packet at the reader's cursor are committed and not read.
    fn open_range(&self) -> Option<(usize, usize)> {
        self.reader.open_range(self.open.of(self.reader.at()))
    }

    /// Copies records into `into`, as many bytes as there are and fit; returns how many. A record
    /// may be split between two calls. Padding is skipped.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..)
            && !rest.is_empty()
            && let Some(Run { bytes, .. }) = self.next_bytes(rest.len())
        {
            rest[..bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        filled
    }

    /// Whether there is something to read, although what an [`Observer`](super::Observer) is just
    /// copying can be read only then: as [`Reader::is_readable`].
    #[must_use]
    pub fn is_readable(&mut self) -> bool {
        self.settle();
        self.taken.is_some() || self.open_range().is_some() || self.reader.is_readable()
    }

    /// As [`Reader::prepare_to_sleep`]: whether nothing is left to read.
    #[must_use = "whether to sleep"]
    pub fn prepare_to_sleep(&mut self) -> bool {
        let may_sleep = self.reader.prepare_to_sleep();
        self.settle();
        may_sleep && self.taken.is_none() && self.open_range().is_none()
    }

    /// What is known of the sub-buffer whose last records [`next_run`](Self::next_run) gave, if it
    /// is complete.
    #[must_use]
    pub fn packet(&self) -> Option<&Packet> {
        self.taken.as_ref().map(|(taken, _)| taken.packet())
    }
}

impl Reader<'_> {
    /// The packet at the cursor: its ring's serial number, and its own.
    fn at(&self) -> (u64, u64) {
        (self.ring.serial(), self.cursor)
    }

    /// In record delivery, what is committed of the open sub-buffer: whole records, without the
    /// first `seen` bytes of them. `None` if there is nothing more now, and in bulk delivery.
    ///
    /// Nothing is consumed: the next sub-buffer that [`next_subbuf`](Self::next_subbuf) gives
    /// begins with the same bytes. So a sink that sends whole sub-buffers can look at records as
    /// soon as they are written. Who consumes them one by one has [`Records`].
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, Delivery, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?.with_delivery(Delivery::Record)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// let mut reader = LOG.reader(cpu.number())?;
    /// LOG.write(b"hello, ")?;
    /// assert_eq!(reader.open_records(0).unwrap().bytes, b"hello, ");
    /// LOG.write(b"world")?;
    /// assert_eq!(reader.open_records(7).unwrap().bytes, b"world");
    /// LOG.flush();
    /// assert_eq!(reader.open_records(12), None);
    /// assert_eq!(reader.next_subbuf().unwrap().records(), b"hello, world");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn open_records(&self, seen: usize) -> Option<Run<'_>> {
        let offset = self.records_from().saturating_add(seen);
        self.open_run(offset, usize::MAX).map(|(run, _)| run)
    }

    /// Where the records begin of the packet at the cursor, in bytes.
    fn records_from(&self) -> usize {
        self.ring.records_start(self.cursor)
    }

    /// Which bytes, from the start of the sub-buffer, are committed records of the packet at the
    /// cursor that lie behind `offset`, if it is open and delivery is by record; `None` if there
    /// are none.
    fn open_range(&self, offset: usize) -> Option<(usize, usize)> {
        if self.ring.geometry.delivery() != Delivery::Record {
            return None;
        }
        let visible = self.ring.visible();
        let geometry = &self.ring.geometry;
        let end = geometry.offset(visible) as usize;
        let start = offset.max(self.ring.records_start(self.cursor));
        (geometry.packet(visible) == self.cursor && end > start).then_some((start, end))
    }

    /// At most `most` bytes of the [range](Self::open_range) behind `offset`, and where they end.
    fn open_run(&self, offset: usize, most: usize) -> Option<(Run<'_>, usize)> {
        let (from, end) = self.open_range(offset)?;
        let end = end.min(from.saturating_add(most));
        let entry = self.ring.entry(self.cursor);
        debug_assert!(matches!(
            entry.state(),
            State::Writing | State::Readable | State::Lent
        ));
        // SAFETY:
        // 1. The bytes are committed and visible, as the range says: nobody writes them any more.
        // 2. In record delivery nothing is overwritten, so the block is the packet's until its one
        //    consuming reader takes it: this, which is borrowed as long as the result is used.
        let bytes = unsafe { self.ring.slice(entry.block(), from, end - from) };
        let sub = self.ring.sub(self.cursor);
        let run = Run {
            bytes,
            begin_ticks: sub.begin_ticks.load(Ordering::Relaxed),
        };
        Some((run, end))
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("reader", &self.reader)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
