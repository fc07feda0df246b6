//! Writing to a channel: from any context.

use super::Channel;
use crate::platform::{Pin, Platform};
use crate::ring::{
    self, Any, Exact, Fill, Flushed, Local, Otherwise, Owner, Plain, Slot, Source, Stamped, Stream,
    WriteError,
};
use crate::sync::{Ordering, Usage};
use relay_format::stamp::{self, EVENTS};

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    /// Writes `bytes` as one record into the stream of the calling CPU.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. Nothing but
    /// the bytes is stored. The clock is read where a sub-buffer begins or ends, where another
    /// record of this CPU is under way, in record delivery, and where the record is lost: else not.
    ///
    /// # Errors
    /// The record was not written, for the reason given; the loss is counted. There is nothing to
    /// be done about it: a record of no bytes ([`WriteError::Empty`]) is the caller's mistake, and
    /// is not counted.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// LOG.write(b"any bytes")?;
    /// assert_eq!(LOG.write(&[0; 1025]).unwrap_err().to_string(), "the record does not fit into a sub-buffer");
    /// assert_eq!(LOG.stats(cpu.number()).unwrap().lost.total(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        self.put(Plain(bytes))
    }

    /// Writes a record of as many bytes as its type says: shorter code than that of
    /// [`write`](Self::write), where the compiler does not know the length.
    ///
    /// Any context, as [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[inline(always)]
    pub fn write_array<const N: usize>(&self, bytes: &[u8; N]) -> Result<(), WriteError> {
        self.put(Exact(bytes))
    }

    /// Writes a record that begins with its [`Stamp`](crate::record::Stamp): its time, `event`, an
    /// event id below [`record::EVENTS`](crate::record::EVENTS), and the context of the caller;
    /// `bytes` follow, which may be none.
    ///
    /// The time is that of the reservation: in the order of the stream's records it never falls.
    /// Any context, as [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`WriteError::FillerId`] for one of the fillers' ids.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// use relay::record::Fields;
    ///
    /// LOG.write_event(7, b"ab")?;
    /// LOG.flush();
    /// let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
    /// let mut fields = Fields::new(taken.records());
    /// assert_eq!(fields.next_stamp()?.unwrap().id(), 7);
    /// assert_eq!(fields.bytes(2), Some(&b"ab"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn write_event(&self, event: u16, bytes: &[u8]) -> Result<(), WriteError> {
        self.put_event(event, Plain(bytes))
    }

    /// As [`write_event`](Self::write_event), with as many bytes as the type says: shorter code.
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`WriteError::FillerId`] for one of the fillers' ids.
    #[inline(always)]
    pub fn write_event_array<const N: usize>(
        &self,
        event: u16,
        bytes: &[u8; N],
    ) -> Result<(), WriteError> {
        self.put_event(event, Exact(bytes))
    }

    #[inline(always)]
    fn put_event(&self, event: u16, body: impl Source) -> Result<(), WriteError> {
        if event >= EVENTS {
            return Err(WriteError::FillerId);
        }
        let pin = Pin::new(&self.platform);
        let tail = stamp::tail(event, self.platform.context());
        self.put_pinned(&pin, Stamped(tail, body))
    }

    /// Writes a record with the id of a class, and these bytes behind its stamp. Any context.
    #[inline(always)]
    pub(crate) fn write_of_class(&self, id: u16, bytes: &[u8]) -> Result<(), WriteError> {
        let pin = Pin::new(&self.platform);
        let tail = stamp::tail_of_class(id, self.platform.context());
        self.put_pinned(&pin, Stamped(tail, Plain(bytes)))
    }

    /// Writes an event whose bytes are made to fit: `bytes` is given how many the record may have
    /// behind its stamp. What it does is done pinned, so it should be short. Any context.
    #[inline(always)]
    pub(crate) fn write_event_that_fits<'b>(
        &self,
        event: u16,
        bytes: impl FnOnce(usize) -> &'b [u8],
    ) -> Result<(), WriteError> {
        let pin = Pin::new(&self.platform);
        let Some((stream, local)) = self.words_of(pin.cpu()) else {
            return self.note_no_ring();
        };
        let owner = Owner::<_, U>::new(stream, local, self.hooks, pin);
        let most = owner.max_record().unwrap_or(usize::MAX);
        let bytes = bytes(most.saturating_sub(stamp::SIZE));
        let tail = stamp::tail(event, self.platform.context());
        self.put_into(stream, local, Stamped(tail, Plain(bytes)))
    }

    /// How many bytes a record of the calling CPU may have now behind its stamp. Any context.
    pub(crate) fn event_room(&self) -> usize {
        let pin = Pin::new(&self.platform);
        let Some((stream, local)) = self.words_of(pin.cpu()) else {
            return usize::MAX;
        };
        let owner = Owner::<_, U>::new(stream, local, self.hooks, pin);
        let most = owner.max_record().unwrap_or(usize::MAX);
        most.saturating_sub(stamp::SIZE)
    }

    #[inline(always)]
    fn put(&self, record: impl Source) -> Result<(), WriteError> {
        self.put_pinned(&Pin::new(&self.platform), record)
    }

    #[inline(always)]
    fn put_pinned(&self, pin: &Pin<'_, P>, record: impl Source) -> Result<(), WriteError> {
        let Some((stream, local)) = self.words_of(pin.cpu()) else {
            return self.note_no_ring();
        };
        self.put_into(stream, local, record)
    }

    /// Puts a record into the stream of the calling CPU, which is pinned and has these words.
    #[inline(always)]
    fn put_into(
        &self,
        stream: &Stream,
        local: &Local,
        record: impl Source,
    ) -> Result<(), WriteError> {
        let otherwise = Otherwise {
            deliver: || self.deliver(),
            slowly: |record: Any<'_>| self.put_slowly(record),
        };
        ring::put::<U, _>(stream, local, &self.platform, record, otherwise)
    }

    /// The whole way of a write; also tells why it is none.
    #[cold]
    #[inline(never)]
    fn put_slowly(&self, record: Any<'_>) -> Result<(), WriteError> {
        let Some(owner) = self.owner() else {
            return self.note_no_ring();
        };
        match owner.put_slowly(record) {
            Err(WriteError::NoRing) => self.note_no_ring(),
            result => result,
        }
    }

    /// Delivers what a write has completed.
    #[cold]
    #[inline(never)]
    fn deliver(&self) {
        if let Some(owner) = self.owner() {
            owner.deliver();
        }
    }

    /// Counts a record of a CPU that has no ring.
    #[cold]
    #[inline(never)]
    fn note_no_ring<R>(&self) -> Result<R, WriteError> {
        self.no_ring.fetch_add(1, Ordering::Relaxed);
        Err(WriteError::NoRing)
    }

    /// Reserves `len` bytes in the stream of the calling CPU and has `fill` make a record of them,
    /// in place. The record is committed when `fill` returns, unless it was
    /// [given up](Slot::give_up); then, and where a panic unwinds out of `fill`, it is counted as
    /// lost ([`Loss::Discarded`](crate::Loss::Discarded)). Returns what `fill` returns.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. The caller
    /// is pinned to its CPU meanwhile, and what it writes to the same channel meanwhile is
    /// delivered after the record: `fill` should be short. It must not wait, nor be ended by
    /// anything but its return or a panic that unwinds: a task that is killed inside stops the
    /// stream. If it writes a whole lap of the ring, the rest of that is lost
    /// ([`Loss::Wrapped`](crate::Loss::Wrapped)).
    ///
    /// # Errors
    /// Nothing was reserved, for the reason given, and `fill` was not called; the loss is counted.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// let kept = LOG.reserve_with(16, |slot| {
    ///     LOG.write(b" world")?; // an interrupt, say
    ///     slot.write(b"hello");
    ///     Ok(slot.len())
    /// })?;
    /// assert_eq!(kept, Ok::<_, relay::WriteError>(16));
    ///
    /// let kept = LOG.reserve_with(16, |slot| {
    ///     slot.write(b"!");
    ///     slot.keep(1)
    /// })?;
    /// assert_eq!(kept, 1, "nothing comes after it");
    /// LOG.reserve_with(16, |slot| slot.give_up())?;
    /// LOG.flush();
    ///
    /// let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
    /// assert_eq!(taken.records(), b"hello\0\0\0\0\0\0\0\0\0\0\0 world!"); // in the order of the reservations
    /// assert_eq!(taken.packet().lost.get(relay::Loss::Discarded), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn reserve_with<R>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut Slot<'_>) -> R,
    ) -> Result<R, WriteError> {
        self.fill(len, fill)
    }

    /// As [`reserve_with`](Self::reserve_with).
    #[inline(always)]
    pub(crate) fn fill<F: Fill>(&self, len: usize, fill: F) -> Result<F::Output, WriteError> {
        let pin = Pin::new(&self.platform);
        let Some((stream, local)) = self.words_of(pin.cpu()) else {
            return self.note_no_ring();
        };
        let otherwise = Otherwise {
            deliver: || self.deliver(),
            slowly: |fill| self.fill_slowly(len, fill),
        };
        let (hooks, platform) = (self.hooks, &self.platform);
        ring::fill::<U, _>(stream, local, hooks, platform, (len, fill), otherwise)
    }

    /// The whole way of a record that is filled in place; also tells why it is none.
    #[cold]
    #[inline(never)]
    fn fill_slowly<F: Fill>(&self, len: usize, fill: F) -> Result<F::Output, WriteError> {
        let Some(owner) = self.owner() else {
            return self.note_no_ring();
        };
        match owner.fill_slowly(len, fill) {
            Err(WriteError::NoRing) => self.note_no_ring(),
            result => result,
        }
    }

    /// Hands over what the open packet of the calling CPU holds; also, if records were lost since
    /// the last packet, an empty packet that tells of them. The rest of the sub-buffer stays
    /// unused: flush where something shall be seen soon, not after each record. Readers
    /// [ask](crate::Reader::request_flush) for it by themselves.
    ///
    /// Any context.
    pub fn flush(&self) -> Flushed {
        self.owner().map_or(Flushed::Nothing, |owner| owner.flush())
    }
}
