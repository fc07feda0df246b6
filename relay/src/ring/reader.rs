//! The consuming reader: whole sub-buffers, in place, each exactly once.
//!
//! ```text
//! read:  up to visible; entry READABLE for k: take it;  LENT for k: later;  else it was overwritten: go on with k + 1
//!        a spare block is at hand: CAS(entry, {k, EMPTY, spare}), LOCKed;  given back: the block is a spare
//!        none:                     CAS(entry, {k, TAKEN}), LOCKed;  given back: entry = {k, EMPTY}, Release
//! ```

use super::chain::RingHold;
use super::entry::{Entry, State};
use super::geometry::Geometry;
use super::packet::Packet;
use super::spares::{Purpose, Spare};
use super::stream::Stream;
use super::words::Ring;
use crate::sync::Ordering;
use crate::sync::step::{Mistake, broken};
use core::fmt;
use core::ops::Range;

/// The one consuming reader of a stream: see [`Channel::reader`](crate::Channel::reader). It may
/// run on any CPU, in task or IRQ context, one call at a time. Dropping it lets another be opened,
/// which goes on where this one stopped; one that is leaked stays the only one.
///
/// It takes whole sub-buffers. For records and bytes there is [`Records`](crate::Records) around
/// it.
///
/// ```
/// # use relay::host::{Cpu, Host};
/// # use relay::{Channel, Geometry, NoHooks, Storage};
/// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
/// # let cpu = Cpu::claim();
/// # let geometry = Geometry::new(1024, 4)?;
/// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
/// LOG.write(b"hello")?;
/// let mut reader = LOG.reader(cpu.number())?;
/// assert!(reader.next_subbuf().is_none(), "it is in an open packet");
/// reader.request_flush();
/// LOG.tick(); // that CPU's, from its timer interrupt
/// assert_eq!(reader.bytes_available(), 5);
/// assert!(!reader.prepare_to_sleep(), "there is something to read");
/// assert_eq!(reader.next_subbuf().unwrap().records(), b"hello");
/// assert!(reader.prepare_to_sleep(), "nothing; whatever comes now wakes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<'a> {
    pub(super) stream: &'a Stream,
    cpu: usize,
    pub(super) ring: RingHold<'a>,
    pub(super) cursor: u64,
}

impl<'a> Reader<'a> {
    /// Opens the consuming reader; `None` if one is open or the stream has not started.
    pub(crate) fn open(stream: &'a Stream, cpu: usize) -> Option<Self> {
        if !stream.is_started() || !stream.begin_reading() {
            return None;
        }
        let ring = stream.hold_first()?;
        Some(Self {
            stream,
            cpu,
            cursor: ring.first,
            ring,
        })
    }

    /// The CPU whose records it reads; 0 for the one stream of a global channel.
    #[must_use]
    pub fn cpu(&self) -> usize {
        self.cpu
    }

    /// The next readable sub-buffer, if there is one. It is this reader's until the
    /// [`SubBuffer`] is dropped; several may be held, and given back in any order.
    ///
    /// In continuous mode, sub-buffers that were overwritten unread are passed over; the
    /// [ordinals](Packet::ordinal) show how many records they held. A sub-buffer that an
    /// [`Observer`](super::Observer) is just copying is not passed over: `None` until it is done.
    pub fn next_subbuf(&mut self) -> Option<SubBuffer<'a>> {
        loop {
            let entry = self.ring.seek(&mut self.cursor)?;
            if entry.state() == State::Lent {
                return None;
            }
            if let Some(taken) = self.take(entry) {
                self.cursor = self.ring.geometry.after(self.cursor);
                return Some(taken);
            }
        }
    }

    /// Takes the readable sub-buffer at the cursor: against a spare block if there is one, in
    /// place otherwise. `None` if somebody was faster: the owner (it overwrites), or an observer.
    fn take(&self, entry: Entry) -> Option<SubBuffer<'a>> {
        let sub = self.ring.sub(self.cursor);
        let spare = self.ring.take_spare(Purpose::Take(entry.block()));
        let wanted = match &spare {
            Some(spare) => entry.exchanged(spare.block, State::Empty),
            None => entry.with_state(State::Taken),
        };
        let entry = if broken(Mistake::TakesWhatIsThere) {
            self.ring.entry(self.cursor)
        } else {
            entry
        };
        // Acquire: pairs with the Release that made it readable. Release: the owner that prepares
        // the entry next sees that the spare was given back.
        let won =
            sub.entry
                .compare_exchange(entry.0, wanted.0, Ordering::AcqRel, Ordering::Acquire);
        if won.is_err() {
            if let Some(spare) = spare {
                spare.give_back(&self.ring, spare.block);
            }
            return None;
        }
        let block = entry.block();
        Some(SubBuffer {
            ring: self.ring.clone(),
            cursor: self.cursor,
            block,
            spare,
            packet: self
                .ring
                .info(block)
                .load(self.cpu, self.ring.records_start(self.cursor)),
        })
    }

    /// Whether everything was read and nothing more will come: the stream was closed.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.ring.is_end(self.cursor)
    }

    /// How many bytes of records can be read now: in complete sub-buffers and, in record delivery,
    /// in the open one. Padding does not count.
    #[must_use]
    pub fn bytes_available(&self) -> u64 {
        let mut ring = self.ring.clone();
        let mut from = self.cursor;
        let mut bytes = 0;
        loop {
            bytes += ring.bytes_from(from);
            let Some(next) = ring.successor() else {
                return bytes;
            };
            from = next.first;
            ring = next;
        }
    }

    /// The shape of the ring that the next sub-buffer is in: an older one than that which is written
    /// to, as long as there is something to read in it.
    #[must_use]
    pub fn geometry(&mut self) -> Geometry {
        // Into the ring of the next one.
        let _ = self.ring.seek(&mut self.cursor);
        self.ring.geometry
    }

    /// Where in memory the blocks lie of the ring that the next sub-buffer is in: all of its
    /// [sub-buffers](SubBuffer::bytes), spare ones included, side by side. For who lets somebody
    /// else see them where they lie; what is promised is promised of those that were taken.
    ///
    /// Nothing but blocks lies there, and these begin and end at pages if a sub-buffer has at least
    /// [`STORAGE_ALIGN`](crate::STORAGE_ALIGN) bytes. The range is the ring's as long as this reader,
    /// or a sub-buffer of it, stands in the ring.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// let geometry = Geometry::new(4096, 4)?.with_spares(2)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// LOG.write(b"hello")?;
    /// LOG.flush();
    /// let mut reader = LOG.reader(cpu.number())?;
    /// let blocks = reader.blocks();
    /// assert_eq!(blocks.len(), (4 + 2) * 4096);
    /// assert!(blocks.start.is_multiple_of(4096));
    /// assert!(blocks.contains(&reader.next_subbuf().unwrap().bytes().as_ptr().addr()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn blocks(&mut self) -> Range<usize> {
        let geometry = self.geometry();
        let start = self.ring.at(0, 0, 0).addr().get();
        start..start + geometry.blocks() * geometry.subbuf_size()
    }

    /// Asks the stream's CPU to hand over its open packet at its next [tick](crate::Channel::tick),
    /// if it holds anything, or if records were lost since the last. To be called when
    /// [`next_subbuf`](Self::next_subbuf) has nothing more.
    pub fn request_flush(&self) {
        self.stream.want_flush();
    }

    /// Whether there is a complete sub-buffer; [`next_subbuf`](Self::next_subbuf) may still have to
    /// wait until an
    /// [`Observer`](super::Observer) has copied it.
    #[must_use]
    pub fn is_readable(&mut self) -> bool {
        self.ring.seek(&mut self.cursor).is_some()
    }

    /// Announces that the caller will sleep until [`Platform::wake`](crate::Platform::wake) is
    /// called for this stream. True: nothing is readable, and whatever becomes readable from now on
    /// wakes. False: something is readable, do not sleep.
    ///
    /// No wake-up is lost in between. Wakes that nobody needed may come. Announce each sleep anew;
    /// at the end of a closed stream it is false, since nothing will come.
    #[must_use = "whether to sleep"]
    pub fn prepare_to_sleep(&mut self) -> bool {
        self.stream.announce_sleep();
        !self.is_readable() && !self.is_at_end()
    }

    /// A time, in ticks: no record of this stream that is not readable yet is older. It moves with
    /// the owner's [ticks](crate::Channel::tick), so readers of several streams can merge by time
    /// without waiting for a stream that is quiet. 0 for the stream of a global channel, which
    /// needs no merging.
    ///
    /// Read it before the last [`next_subbuf`](Self::next_subbuf) that it is to be used with.
    #[must_use]
    pub fn quiet_since(&self) -> u64 {
        // Acquire: pairs with the Release in `tick`: with the time come the packets before it.
        self.stream.quiet_since.load(Ordering::Acquire)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.stream.end_reading();
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("cpu", &self.cpu)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// A sub-buffer that a reader has taken. Having one tells you: it is complete, nobody writes to it,
/// and it is taken exactly once. Dropping it gives the space back to the writers, without waiting
/// for anybody.
///
/// Any CPU, task or IRQ context, for the drop, too.
pub struct SubBuffer<'a> {
    ring: RingHold<'a>,
    cursor: u64,
    block: usize,
    /// What it was exchanged for; `None`: it is where it was.
    spare: Option<Spare>,
    packet: Packet,
}

impl SubBuffer<'_> {
    /// What is known of the packet.
    #[must_use]
    pub fn packet(&self) -> &Packet {
        &self.packet
    }

    /// The whole sub-buffer: start reserve, records, padding, end reserve. Padding is whatever
    /// was there before.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.slice(0, self.ring.geometry.subbuf_size())
    }

    /// The records, back to back.
    #[must_use]
    pub fn records(&self) -> &[u8] {
        self.range(self.packet.start, self.packet.content)
    }

    /// The client's header of the whole stream: in its first packet the channel start reserve, no
    /// bytes in all others.
    #[must_use]
    pub fn channel_start(&self) -> &[u8] {
        let start = self.ring.geometry.start_reserve();
        self.range(start, self.packet.start)
    }

    /// Which packet it is: its ring's serial number, and its own.
    pub(super) fn at(&self) -> (u64, u64) {
        (self.ring.serial(), self.cursor)
    }

    /// Its bytes from `from` to before `to`.
    pub(super) fn range(&self, from: usize, to: usize) -> &[u8] {
        self.slice(from, to.saturating_sub(from))
    }

    fn slice(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY: nobody writes it: the packet was complete when it became readable, and the entry
        // word gave the block to us alone.
        unsafe { self.ring.slice(self.block, offset, len) }
    }
}

impl Drop for SubBuffer<'_> {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare {
            spare.give_back(&self.ring, self.block);
        } else {
            let taken = Entry(self.ring.sub(self.cursor).entry.load(Ordering::Relaxed));
            // Release: the owner that prepares it sees that reading is over. A plain store will do:
            // nobody else changes an entry that is TAKEN.
            let empty = taken.with_state(State::Empty);
            self.ring
                .sub(self.cursor)
                .entry
                .store(empty.0, Ordering::Release);
        }
    }
}

impl fmt::Debug for SubBuffer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubBuffer")
            .field("packet", &self.packet)
            .finish_non_exhaustive()
    }
}

impl RingHold<'_> {
    /// Moves `cursor`, and this to later rings, to the next packet that is complete and not gone;
    /// returns its entry.
    pub(super) fn seek(&mut self, cursor: &mut u64) -> Option<Entry> {
        loop {
            let visible = self.visible();
            let geometry = &self.geometry;
            let limit = geometry.packet(visible);
            let ready = geometry.distance(*cursor, limit);
            if ready == 0 {
                if !visible.is_sealed() {
                    return None;
                }
                let next = self.successor()?;
                *cursor = next.first;
                *self = next;
                continue;
            }
            // A whole lap behind: what lies further back is certainly gone.
            let count = geometry.subbuf_count() as u64;
            if ready > count {
                *cursor = geometry.before(limit, count);
            }
            let entry = self.entry(*cursor);
            if entry.is_packet(*cursor) && entry.state().is_unread() {
                return Some(entry);
            }
            *cursor = geometry.after(*cursor);
        }
    }
}

impl Ring {
    /// Whether the stream ends with this ring, just before packet `cursor`.
    pub(super) fn is_end(&self, cursor: u64) -> bool {
        let visible = self.visible();
        visible.is_sealed() && self.geometry.packet(visible) == cursor && self.successor().is_none()
    }

    /// Bytes of records from packet `from` on: in complete packets, and those that are visible of
    /// the open one.
    fn bytes_from(&self, from: u64) -> u64 {
        let geometry = &self.geometry;
        let visible = self.visible();
        let limit = geometry.packet(visible);
        let ready = geometry
            .distance(from, limit)
            .min(geometry.subbuf_count() as u64);
        let bytes_of = |back: u64| {
            let packet = geometry.before(limit, back);
            let entry = self.entry(packet);
            if !entry.is_packet(packet) || !entry.state().is_unread() {
                return 0;
            }
            let content = self.info(entry.block()).closed().content();
            content.saturating_sub(self.records_start(packet) as u64)
        };
        let complete: u64 = (1..=ready).map(bytes_of).sum();
        let open = geometry.offset(visible);
        complete + open.saturating_sub(self.records_start(limit) as u64)
    }
}
