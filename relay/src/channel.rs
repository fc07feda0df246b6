//! A channel: one data flow, one stream per CPU.

use crate::platform::Platform;
use crate::record;
use crate::ring::{
    self, CloseError, Exact, Flushed, Geometry, Hooks, Left, Local, Observer, PacketStart, Pin,
    Plain, Reader, Salvage, Slot, Source, Stamped, Stopped, Storage, StorageError, Stream,
    StreamInfo, StreamStats, WriteError, Writer,
};
use crate::sync::{AtomicU64, Ordering, PerCpu, Usage, const_unless_loom};
use core::fmt;
use core::marker::PhantomData;

/// One data flow of a kernel: a stream for each of up to `CPUS` CPUs.
///
/// A channel is made in a `static`, starts on memory that is there before any allocator
/// ([`StaticMemory`](crate::StaticMemory)), and moves to larger rings later
/// ([`replace`](Self::replace)) without losing a record.
///
/// ```
/// use relay::{Channel, Geometry, NoHooks, Platform, StaticMemory, Storage};
///
/// struct OneCpu;
/// // SAFETY: there is one CPU, and this program has one thread.
/// unsafe impl Platform for OneCpu {
///     fn pin(&self) -> usize { 0 }
///     unsafe fn unpin(&self) {}
///     fn now(&self) -> u64 { 7 }
/// }
///
/// const GEOMETRY: Geometry = match Geometry::new(1024, 4) {
///     Ok(geometry) => geometry,
///     Err(_) => panic!(),
/// };
/// static MEMORY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
/// static LOG: Channel<OneCpu, 1> = Channel::new(OneCpu, &NoHooks);
///
/// LOG.start(0, MEMORY.take().unwrap(), GEOMETRY).unwrap();
/// LOG.write(b"hello").unwrap();
/// LOG.flush();
///
/// let mut reader = LOG.reader(0).unwrap();
/// let taken = reader.next_subbuf().unwrap();
/// assert_eq!(taken.records(), b"hello");
/// assert_eq!(taken.packet().records, 1);
/// assert_eq!(taken.packet().begin_ticks, 7);
/// ```
///
/// | to | call | context |
/// |---|---|---|
/// | give a CPU its ring | [`start`](Self::start) | task; any with static memory |
/// | write | [`write`](Self::write), [`write_array`](Self::write_array), [`write_event`](Self::write_event), [`write_event_array`](Self::write_event_array), [`write_with_delta`](Self::write_with_delta), [`reserve`](Self::reserve) | any |
/// | hand over what there is | [`flush`](Self::flush) | any |
/// | do what others ask for | [`tick`](Self::tick) | task, IRQ |
/// | read | [`reader`](Self::reader), [`observe`](Self::observe) | task, IRQ; any CPU |
/// | change the ring | [`replace`](Self::replace), [`reset`](Self::reset); from any CPU [`resize`](Self::resize), `adapt` (feature `alloc`), [`reclaim`](Self::reclaim) | task |
/// | end | [`close`](Self::close); from any CPU [`request_close`](Self::request_close) | task, IRQ |
/// | count | [`stats`](Self::stats), [`lost_no_ring`](Self::lost_no_ring), [`take_peak`](Self::take_peak); more is in [`info`](Self::info) (not from NMI) | any; any CPU |
/// | look at what a stopped CPU left | [`salvage`](Self::salvage) | panic |
///
/// A CPU whose number is `CPUS` or larger can call all of it: what it writes is counted ([`lost_no_ring`](Self::lost_no_ring)).
pub struct Channel<P: Platform, const CPUS: usize, U: Usage = PerCpu> {
    platform: P,
    hooks: &'static dyn Hooks,
    /// Of a global channel only the first is written to; the others have the words of their CPUs.
    streams: [Stream; CPUS],
    /// Records lost because their CPU has no ring.
    no_ring: AtomicU64,
    usage: PhantomData<U>,
}

/// Streams that have not started.
#[cfg(not(loom))]
const fn not_started<const CPUS: usize>() -> [Stream; CPUS] {
    [const { Stream::new() }; CPUS]
}

/// Streams that have not started: loom's atomics cannot be made in a constant.
#[cfg(loom)]
fn not_started<const CPUS: usize>() -> [Stream; CPUS] {
    core::array::from_fn(|_| Stream::new())
}

/// Why a CPU's stream could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The channel has no room for this CPU number.
    NoSuchCpu {
        /// The number given.
        cpu: usize,
        /// How many CPUs the channel has room for, numbered from 0. Any context.
        cpus: usize,
    },
    /// The stream has a ring already; [`Channel::replace`] gives it another.
    Started(usize),
    /// The memory was refused.
    Storage(StorageError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCpu { cpu, cpus } => {
                write!(
                    f,
                    "there is no CPU {cpu}: the channel has room for {cpus}, numbered from 0"
                )
            }
            Self::Started(cpu) => write!(f, "the stream of CPU {cpu} has a ring already"),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

/// Why a reader could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The channel has no stream for this CPU, or it was not started.
    NotStarted(usize),
    /// The one consuming reader of this CPU is open already.
    Busy(usize),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(cpu) => write!(f, "the channel has no stream of CPU {cpu}"),
            Self::Busy(cpu) => write!(f, "CPU {cpu} is being read already: one reader may consume"),
        }
    }
}

impl core::error::Error for OpenError {}

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    const_unless_loom! {
        /// A channel without any ring, for a `static`: every write is refused and counted until
        /// [`start`](Self::start). `hooks` are the client's: [`NoHooks`](crate::NoHooks) for plain bytes.
        pub fn new(platform: P, hooks: &'static dyn Hooks) -> Self {
            Self {
                platform,
                hooks,
                streams: not_started(),
                no_ring: AtomicU64::new(0),
                usage: PhantomData,
            }
        }
    }

    /// Gives `cpu` its first ring, in `storage`. A global channel has one stream, that of CPU 0.
    ///
    /// Task context, or any for memory that is not from the heap: what is refused is dropped. It
    /// may be called from another CPU if that happens-before the first write of `cpu`, and before its first tick: start its
    /// streams before you start the CPU.
    ///
    /// # Errors
    /// [`StartError`]: there is no such CPU, it has a ring, or the storage is too small.
    pub fn start(
        &self,
        cpu: usize,
        storage: Storage,
        geometry: Geometry,
    ) -> Result<(), StartError> {
        let cpus = if U::SHARED { CPUS.min(1) } else { CPUS };
        let no_such_cpu = StartError::NoSuchCpu { cpu, cpus };
        let stream = self.stream(cpu).ok_or(no_such_cpu)?;
        let begin = PacketStart {
            cpu,
            begin_ticks: self.platform.now(),
        };
        match stream.start(storage, geometry, 0, self.hooks, &begin) {
            Ok(true) => Ok(()),
            Ok(false) => Err(StartError::Started(cpu)),
            Err(error) => Err(StartError::Storage(error)),
        }
    }

    /// The stream with number `number`, if the channel has it.
    fn stream(&self, number: usize) -> Option<&Stream> {
        let there = if U::SHARED { 1 } else { CPUS };
        self.streams.get(number).filter(|_| number < there)
    }

    /// The stream that CPU `cpu` writes to, and the CPU's own words; `None` if the channel has no room for
    /// its number.
    #[inline(always)]
    fn words_of(&self, cpu: usize) -> Option<(&Stream, &Local)> {
        let own = self.streams.get(cpu)?;
        let stream = if U::SHARED {
            self.streams.first()?
        } else {
            own
        };
        Some((stream, &own.local))
    }

    /// The right to write on this CPU; `None` if the channel has no room for its number.
    #[inline(always)]
    fn writer(&self) -> Option<Writer<'_, P, U>> {
        let pin = Pin::new(&self.platform);
        let (stream, local) = self.words_of(pin.cpu())?;
        Some(Writer::new(stream, local, self.hooks, pin))
    }

    /// Writes `bytes` as one record into the stream of the calling CPU.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. Nothing but the
    /// bytes is stored, and the clock is read only where a sub-buffer begins or ends.
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
    /// [`record::EVENTS`], in the one word of [`record::header`]; `bytes` follow, which may be none.
    ///
    /// The time is that of the reservation: in the order of the stream's records it never falls. Any context, as [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Panics
    /// Where debug assertions are on, if `event` is one of the fillers' ids.
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
        debug_assert!(event < record::EVENTS);
        self.put(Stamped(event, Plain(bytes)))
    }

    /// As [`write_event`](Self::write_event), with as many bytes as the type says: shorter code.
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Panics
    /// Where debug assertions are on, if `event` is one of the fillers' ids.
    #[inline(always)]
    pub fn write_event_array<const N: usize>(
        &self,
        event: u16,
        bytes: &[u8; N],
    ) -> Result<(), WriteError> {
        debug_assert!(event < record::EVENTS);
        self.put(Stamped(event, Exact(bytes)))
    }

    /// Writes `bytes` as one record, with the time since its packet began, in ticks, in the eight bytes
    /// (little-endian) at `offset` of it. If it has no eight bytes there, nothing is put into it. With the
    /// packet's [`begin_ticks`](crate::Packet::begin_ticks) a reader gets the time of the record.
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
        self.put_slowly(record.stamp(), record.bytes())
    }

    /// The whole way of a write; also tells why it is none.
    #[cold]
    #[inline(never)]
    fn put_slowly(&self, stamp: Option<u16>, bytes: &[u8]) -> Result<(), WriteError> {
        match self.writer() {
            Some(writer) => self.noting(writer.put_slowly(stamp, bytes)),
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
    /// shall be seen soon, not after each record. Readers [ask](Reader::request_flush) for it by themselves.
    ///
    /// Any context.
    pub fn flush(&self) -> Flushed {
        self.writer()
            .map_or(Flushed::Nothing, |writer| writer.flush())
    }

    /// The periodic duty of each CPU: does what others have asked of its stream ([flush](Reader::request_flush),
    /// [resize](Self::resize), [close](Self::request_close)), and moves [`Reader::quiet_since`] on.
    ///
    /// Call it from the timer interrupt of every CPU that writes, or from task context. Not from NMI context: an NMI may come
    /// in the middle of one. With nothing to do it costs a few loads and a look at the clock. In a global channel any CPU's tick does
    /// what is asked of the stream, but each must have its own before an old ring is [freed](Self::reclaim).
    pub fn tick(&self) {
        if let Some(writer) = self.writer() {
            writer.tick();
        }
    }

    /// Ends the stream of the calling CPU: its last packet is marked
    /// [final](crate::Packet::is_final), and later writes are refused and counted.
    ///
    /// Any context but NMI.
    ///
    /// # Errors
    /// [`CloseError`]; after [`CloseError::NoRoom`] nothing has changed, and it can be tried again
    /// when the reader has consumed something.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// use relay::{Loss, WriteError};
    ///
    /// LOG.write(b"the last words")?;
    /// LOG.close()?;
    /// assert_eq!(LOG.write(b"more"), Err(WriteError::Lost(Loss::Closed)));
    /// let mut reader = LOG.reader(cpu.number())?;
    /// assert!(reader.next_subbuf().unwrap().packet().is_final);
    /// assert!(reader.is_at_end());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> Result<(), CloseError> {
        self.writer().ok_or(CloseError::NotStarted)?.close()
    }

    /// Has the stream of `cpu` ended at its next [tick](Self::tick); where its ring is full, at the first after the reader
    /// has made room. Any CPU, task or IRQ context.
    ///
    /// # Errors
    /// [`CloseError::NotStarted`].
    pub fn request_close(&self, cpu: usize) -> Result<(), CloseError> {
        self.started(cpu)
            .ok_or(CloseError::NotStarted)?
            .want_close();
        self.platform.call(cpu);
        Ok(())
    }

    /// Whether the stream of `cpu` has ended: every write to it is refused. Any context, any CPU.
    #[must_use]
    pub fn is_closed(&self, cpu: usize) -> bool {
        self.started(cpu).is_some_and(Stream::is_closed)
    }

    /// Moves the stream of the calling CPU to a new ring of `geometry` in `storage`. Writers that
    /// this interrupts, and readers, go on without a gap. The memory of the old ring is given back by
    /// [`reclaim`](Self::reclaim), when it has been read and nobody uses it any more.
    ///
    /// Task context, or IRQ context for memory that is not from the heap: what is refused is
    /// dropped.
    ///
    /// # Errors
    /// [`CloseError`]: the stream was not started, is closed, the geometry is of another kind, or the storage is
    /// too small.
    pub fn replace(&self, storage: Storage, geometry: Geometry) -> Result<(), CloseError> {
        self.writer()
            .ok_or(CloseError::NotStarted)?
            .succeed(storage, geometry)
    }

    /// Has the stream of `cpu` moved to a new ring of `geometry` in `storage`, at its next
    /// [tick](Self::tick): to a larger or a smaller one, while it is written and read. No record is lost,
    /// doubled or reordered by that.
    ///
    /// Any CPU, task context. The chapter [early start, larger rings](crate#early-start-larger-rings) has an example.
    ///
    /// # Errors
    /// [`CloseError`]; [`Busy`](CloseError::Busy) if the last request has not been done yet. What is refused is dropped.
    pub fn resize(
        &self,
        cpu: usize,
        storage: Storage,
        geometry: Geometry,
    ) -> Result<(), CloseError> {
        let stream = self.started(cpu).ok_or(CloseError::NotStarted)?;
        stream.offer(storage, geometry)?;
        self.platform.call(cpu);
        Ok(())
    }

    /// Begins the stream of the calling CPU anew, in a ring of the same geometry in `storage`: what nobody has read
    /// is counted as overwritten.
    ///
    /// Task context, or IRQ context for memory that is not from the heap.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn reset(&self, storage: Storage) -> Result<(), CloseError> {
        self.writer().ok_or(CloseError::NotStarted)?.reset(storage)
    }

    /// Frees the rings that the stream of `cpu` has left: those that were read to their end (in continuous mode: or
    /// whose time is over), and that no writer or reader uses any more. Returns how many. Call it now and then after
    /// a [`resize`](Self::resize), for each CPU that has used the stream must have had a [tick](Self::tick) since.
    ///
    /// Any CPU, task context.
    pub fn reclaim(&self, cpu: usize) -> usize {
        let Some(stream) = self.started(cpu) else {
            return 0;
        };
        stream.reclaim(|serial| {
            if U::SHARED {
                let mut locals = self.streams.iter().map(|stream| &stream.local);
                locals.all(|local| local.has_left(serial))
            } else {
                stream.local.has_left(serial)
            }
        })
    }

    /// The geometry of the ring that `cpu` writes to, if its stream was started. Any context.
    #[must_use]
    pub fn geometry(&self, cpu: usize) -> Option<Geometry> {
        self.started(cpu)?.geometry()
    }

    /// How many quarters of the ring of `cpu` were unread, at most, since this was asked last; 4 if records
    /// were lost for want of room. Any context, any CPU; a hint, for who resizes.
    #[must_use]
    pub fn take_peak(&self, cpu: usize) -> u64 {
        self.started(cpu).map_or(0, Stream::take_peak)
    }

    /// Makes the ring of `cpu` as large as its load asks for, with as many sub-buffers as `limits` allow: twice
    /// as many if three quarters of it were unread since the last call, or something was lost for want of room;
    /// half as many if less than a quarter ever was. Returns the new number, if it asked for one:
    /// the stream moves at its next [tick](Self::tick). Also [reclaims](Self::reclaim) what older rings have left.
    ///
    /// Call it now and then, or when [`Hooks::needs_resize`] asks for it. A ring that is overwritten stays as
    /// it is: it is always full.
    ///
    /// Any CPU, task context: it allocates.
    ///
    /// # Errors
    /// [`CloseError`]; [`Busy`](CloseError::Busy) if the last request has not been done yet.
    #[cfg(feature = "alloc")]
    pub fn adapt(
        &self,
        cpu: usize,
        limits: core::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, CloseError> {
        let geometry = self.geometry(cpu).ok_or(CloseError::NotStarted)?;
        self.reclaim(cpu);
        let count = geometry.subbuf_count();
        let wanted = match self.take_peak(cpu) {
            _ if geometry.mode() == ring::Mode::Continuous => count,
            3.. => count * 2,
            0 => count / 2,
            _ => count,
        };
        if wanted == count || !limits.contains(&wanted) {
            return Ok(None);
        }
        let Ok(geometry) = geometry.with_count(wanted) else {
            return Ok(None);
        };
        let storage = Storage::allocate(&geometry).map_err(CloseError::Storage)?;
        self.resize(cpu, storage, geometry)?;
        Ok(Some(wanted))
    }

    /// What is known of the stream of `cpu` now, if it was started. Any context but NMI, any CPU; exact when
    /// that CPU is quiet.
    #[must_use]
    pub fn info(&self, cpu: usize) -> Option<StreamInfo> {
        self.started(cpu)?.info()
    }

    /// Opens the one consuming reader of the stream of `cpu` (0 for the one stream of a global channel). Any CPU, task or IRQ
    /// context; see [`Reader`].
    ///
    /// # Errors
    /// [`OpenError`]: there is no such stream, or it is being read.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// use relay::OpenError;
    ///
    /// LOG.write(b"hello")?;
    /// LOG.flush();
    /// let mut reader = LOG.reader(cpu.number())?;
    /// assert_eq!(LOG.reader(cpu.number()).unwrap_err(), OpenError::Busy(cpu.number()));
    /// while let Some(taken) = reader.next_subbuf() {
    ///     assert_eq!(taken.records(), b"hello");
    /// } // it is given back here
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(&self, cpu: usize) -> Result<Reader<'_>, OpenError> {
        let stream = self.started(cpu).ok_or(OpenError::NotStarted(cpu))?;
        Reader::open(stream, cpu).ok_or(OpenError::Busy(cpu))
    }

    /// Opens a reader of the stream of `cpu` that does not consume (0 for the one stream of a global channel). Any number
    /// of them. Any CPU, task or IRQ context; see [`Observer`].
    ///
    /// # Errors
    /// [`OpenError::NotStarted`].
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// LOG.write(b"hello")?;
    /// LOG.flush();
    /// let mut copy = [0; 1024];
    /// let packet = LOG.observe(cpu.number())?.next_copy(&mut copy)?.unwrap();
    /// assert_eq!(&copy[..packet.content], b"hello");
    /// assert!(LOG.reader(cpu.number())?.next_subbuf().is_some(), "it is still there");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(&self, cpu: usize) -> Result<Observer<'_>, OpenError> {
        let stream = self.started(cpu).ok_or(OpenError::NotStarted(cpu))?;
        Observer::open(stream, cpu).ok_or(OpenError::NotStarted(cpu))
    }

    fn started(&self, cpu: usize) -> Option<&Stream> {
        self.stream(cpu).filter(|stream| stream.is_started())
    }

    /// The counts of the stream of `cpu`, if it was started. Any context, any CPU; exact when
    /// that CPU is quiet.
    #[must_use]
    pub fn stats(&self, cpu: usize) -> Option<StreamStats> {
        self.started(cpu).map(Stream::stats)
    }

    /// Records lost because the CPU that wrote them has no ring in this channel. They are in no stream's ledger. Any context.
    #[must_use]
    pub fn lost_no_ring(&self) -> u64 {
        self.no_ring.load(Ordering::Relaxed)
    }

    /// The longest record that the ring of the calling CPU takes, in bytes; `None` if it has no
    /// ring. Any context.
    #[must_use]
    pub fn max_record(&self) -> Option<usize> {
        self.writer()?.max_record()
    }

    /// How many CPUs the channel has room for.
    #[must_use]
    pub const fn cpus(&self) -> usize {
        CPUS
    }

    /// The platform that the channel runs on. Any context.
    #[must_use]
    pub const fn platform(&self) -> &P {
        &self.platform
    }
}

impl<P: Platform, const CPUS: usize> Channel<P, CPUS> {
    /// What a stopped CPU left in its stream, committed or not: for the panic path. Read only, so
    /// it does not matter in the middle of what the CPU was stopped. `None` if the channel has no room for its
    /// number. Panic context.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// use relay::Stopped;
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    ///
    /// LOG.write(b"committed")?;
    /// let slot = LOG.reserve(100)?;
    /// core::mem::forget(slot); // the CPU is stopped here
    ///
    /// // SAFETY: this thread writes nothing more.
    /// let stopped = unsafe { Stopped::new(cpu.number()) };
    /// let left = LOG.salvage(stopped).unwrap().next().unwrap();
    /// assert_eq!(left.committed().next(), Some(&b"committed"[..]));
    /// assert_eq!(left.uncommitted(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn salvage(&self, stopped: Stopped) -> Option<Salvage<'_>> {
        let stream = self.streams.get(stopped.cpu())?;
        Some(Salvage::new(stream, stopped))
    }
}

impl<P: Platform, const CPUS: usize, U: Usage> fmt::Debug for Channel<P, CPUS, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("cpus", &CPUS)
            .finish_non_exhaustive()
    }
}
