//! Writing to a channel: from any context.

use super::Channel;
use crate::platform::Platform;
use crate::record;
use crate::ring::{self, Any, Exact, Flushed, Left, Pin, Plain, Slot, Source, Stamped, WriteError};
use crate::sync::{Ordering, Usage};

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    /// Writes `bytes` as one record into the stream of the calling CPU.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. Nothing but the
    /// bytes is stored. The clock is read where a sub-buffer begins or ends, where another record of this CPU is under way, in
    /// packet delivery, and where the record is lost: else not.
    ///
    /// # Errors
    /// The record was not written, for the reason given; the loss is counted. There is nothing to be done about it: a
    /// record of no bytes ([`WriteError::Empty`]) is the caller's mistake, and is not counted.
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

    /// Writes a record of as many bytes as its type says: shorter code than that of [`write`](Self::write), where the
    /// compiler does not know the length.
    ///
    /// Any context, as [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[inline(always)]
    pub fn write_array<const N: usize>(&self, bytes: &[u8; N]) -> Result<(), WriteError> {
        self.put(Exact(bytes))
    }

    /// Writes a record that begins with its time and `event`, an event id below
    /// [`record::EVENTS`], in the one word of [`record::header`]; `bytes` follow, which may be none. What shall be read as klog
    /// or CTF has its [context](crate::Context) as the first of them.
    ///
    /// The time is that of the reservation: in the order of the stream's records it never falls. Any context, as [`write`](Self::write).
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
    /// let (event, _low_bits_of_the_time) = fields.next_header()?.unwrap();
    /// assert_eq!(event, 7);
    /// assert_eq!(fields.bytes(2), Some(&b"ab"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn write_event(&self, event: u16, bytes: &[u8]) -> Result<(), WriteError> {
        if event >= record::EVENTS {
            return Err(WriteError::FillerId);
        }
        self.put(Stamped(event, Plain(bytes)))
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
        if event >= record::EVENTS {
            return Err(WriteError::FillerId);
        }
        self.put(Stamped(event, Exact(bytes)))
    }

    /// Writes `bytes` as one record, with the time since its packet began, in ticks, in the eight bytes
    /// (little-endian) at `offset` of it. If it has no eight bytes there, nothing is put into it. With the
    /// packet's [`begin_ticks`](crate::Packet::begin_ticks) a reader gets the time of the record. (In a global channel, the time
    /// of the record before it, if that is just opening the packet.)
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// LOG.write_with_delta(b"........ said", 0)?;
    /// LOG.flush();
    /// let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
    /// let (delta, text) = taken.records().split_at(8);
    /// let time = taken.packet().begin_ticks + u64::from_le_bytes(delta.try_into()?);
    /// assert!(time <= taken.packet().end_ticks);
    /// assert_eq!(text, b" said");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_with_delta(&self, bytes: &[u8], offset: usize) -> Result<(), WriteError> {
        let mut slot = self.reserve(bytes.len())?;
        let delta = slot.timestamp().wrapping_sub(slot.packet_begin());
        slot.write(bytes);
        let place = slot.bytes_mut().get_mut(offset..);
        if let Some(place) = place.and_then(|rest| rest.first_chunk_mut()) {
            *place = delta.to_le_bytes();
        }
        slot.commit();
        Ok(())
    }

    #[inline(always)]
    fn put(&self, record: impl Source) -> Result<(), WriteError> {
        let pin = Pin::new(&self.platform);
        if let Some((stream, local)) = self.words_of(pin.cpu())
            && ring::put::<U, _>(stream, local, &self.platform, record, || self.deliver())
        {
            return Ok(());
        }
        drop(pin);
        self.put_slowly(record.any())
    }

    /// The whole way of a write; also tells why it is none.
    #[cold]
    #[inline(never)]
    fn put_slowly(&self, record: Any<'_>) -> Result<(), WriteError> {
        match self.writer() {
            Some(writer) => self.noting(writer.put_slowly(record)),
            None => self.noting(Err(WriteError::NoRing)),
        }
    }

    /// Delivers what a write has completed.
    #[cold]
    #[inline(never)]
    fn deliver(&self) {
        if let Some(writer) = self.writer() {
            writer.deliver();
        }
    }

    /// Reserves `len` bytes in the stream of the calling CPU, to be filled in place.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. The slot
    /// keeps the caller pinned to its CPU until it is committed or dropped.
    ///
    /// # Errors
    /// Nothing was reserved, for the reason given; the loss is counted.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// let mut slot = LOG.reserve(5)?;
    /// LOG.write(b" world")?; // an interrupt, say
    /// slot.write(b"hello");
    /// slot.commit();
    /// LOG.flush();
    /// let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
    /// assert_eq!(taken.records(), b"hello world"); // in the order of the reservations
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn reserve(&self, len: usize) -> Result<Slot<'_, P, U>, WriteError> {
        let pin = Pin::new(&self.platform);
        let Some((stream, local)) = self.words_of(pin.cpu()) else {
            return self.noting(Err(WriteError::NoRing));
        };
        let claim = match ring::claim::<U>(stream, local, &self.platform, len, true) {
            Some(claim) => claim,
            None => self.claim_slowly(len)?.take(),
        };
        Ok(Slot::behind(stream, local, self.hooks, pin, &claim, len))
    }

    /// The whole way of a reservation; also tells why it is none.
    #[cold]
    #[inline(never)]
    fn claim_slowly(&self, len: usize) -> Result<Left<'_>, WriteError> {
        let writer = self.writer().ok_or(WriteError::NoRing);
        self.noting(writer.and_then(|writer| writer.leave_claim(len)))
    }

    fn noting<T>(&self, result: Result<T, WriteError>) -> Result<T, WriteError> {
        if let Err(WriteError::NoRing) = result {
            self.no_ring.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Hands over what the open packet of the calling CPU holds; also, if records were lost since
    /// the last packet, an empty packet that tells of them. The rest of the sub-buffer stays unused: flush where something
    /// shall be seen soon, not after each record. Readers [ask](crate::Reader::request_flush) for it by themselves.
    ///
    /// Any context.
    pub fn flush(&self) -> Flushed {
        self.writer()
            .map_or(Flushed::Nothing, |writer| writer.flush())
    }
}
