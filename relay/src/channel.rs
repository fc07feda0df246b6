//! A channel: one data flow, one stream per CPU.

use crate::platform::Platform;
use crate::record;
use crate::ring::{
    self, CloseError, Exact, Flushed, Geometry, Hooks, Local, Observer, PacketStart, Pin, Plain,
    Reader, Salvage, Slot, Source, Stamped, Stopped, Storage, StorageError, Stream, StreamStats,
    WriteError, Writer,
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
        /// How many CPUs the channel has room for.
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
        /// A channel without any ring: every write is refused and counted until
        /// [`start`](Self::start).
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
    /// may be called from another CPU if that happens-before the first write of `cpu`.
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
    /// The record was not written, for the reason given; the loss is counted.
    #[inline(always)]
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        self.put(Plain(bytes))
    }

    /// Writes a record of as many bytes as its type says: faster than [`write`](Self::write).
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[inline(always)]
    pub fn write_array<const N: usize>(&self, bytes: &[u8; N]) -> Result<(), WriteError> {
        self.put(Exact(bytes))
    }

    /// Writes a record that begins with its time and `event`, an event id below
    /// [`record::EVENTS`], in the one word of [`record::header`]; `bytes` follow.
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[inline(always)]
    pub fn write_event(&self, event: u16, bytes: &[u8]) -> Result<(), WriteError> {
        debug_assert!(event < record::EVENTS);
        self.put(Stamped(event, Plain(bytes)))
    }

    /// The same with as many bytes as the type says: faster.
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write).
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
    /// (little-endian) at `offset` of it. If it has no eight bytes there, nothing is put into it.
    ///
    /// Any context.
    ///
    /// # Errors
    /// As [`write`](Self::write).
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
    #[inline(always)]
    pub fn reserve(&self, len: usize) -> Result<Slot<'_, P, U>, WriteError> {
        let pin = Pin::new(&self.platform);
        if let Some((stream, local)) = self.words_of(pin.cpu())
            && let Some(claim) = ring::claim::<U>(stream, local, &self.platform, len, true)
        {
            return Ok(Slot::behind(stream, local, self.hooks, pin, &claim, len));
        }
        drop(pin);
        self.reserve_slowly(len)
    }

    /// The whole way of a reservation; also tells why it is none.
    #[cold]
    #[inline(never)]
    fn reserve_slowly(&self, len: usize) -> Result<Slot<'_, P, U>, WriteError> {
        match self.writer() {
            Some(writer) => self.noting(writer.reserve_slowly(len)),
            None => self.noting(Err(WriteError::NoRing)),
        }
    }

    fn noting<T>(&self, result: Result<T, WriteError>) -> Result<T, WriteError> {
        if let Err(WriteError::NoRing) = result {
            self.no_ring.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Hands over what the open packet of the calling CPU holds; also, if records were lost since
    /// the last packet, an empty packet that tells of them.
    ///
    /// Any context.
    pub fn flush(&self) -> Flushed {
        self.writer()
            .map_or(Flushed::Nothing, |writer| writer.flush())
    }

    /// The periodic duty of each CPU: does what others have asked of its stream ([flush](Reader::request_flush),
    /// [resize](Self::resize), [close](Self::request_close)), and moves [`Reader::quiet_since`] on.
    ///
    /// Call it from the timer interrupt of every CPU, or from task context. Not from NMI context.
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
    /// Any CPU, task context.
    ///
    /// # Errors
    /// [`CloseError`]; [`Busy`](CloseError::Busy) if the last request has not been done yet.
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

    /// Opens the one consuming reader of the stream of `cpu` (0 for the one stream of a global channel). Any CPU; see
    /// [`Reader`].
    ///
    /// # Errors
    /// [`OpenError`]: there is no such stream, or it is being read.
    pub fn reader(&self, cpu: usize) -> Result<Reader<'_>, OpenError> {
        let stream = self.started(cpu).ok_or(OpenError::NotStarted(cpu))?;
        Reader::open(stream, cpu).ok_or(OpenError::Busy(cpu))
    }

    /// Opens a reader of the stream of `cpu` that does not consume. Any CPU; any number of them.
    ///
    /// # Errors
    /// [`OpenError::NotStarted`].
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

    /// Records lost because the CPU that wrote them has no ring in this channel.
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

    /// The platform that the channel runs on.
    #[must_use]
    pub const fn platform(&self) -> &P {
        &self.platform
    }
}

impl<P: Platform, const CPUS: usize> Channel<P, CPUS> {
    /// What a stopped CPU left in its stream, committed or not: for the panic path. Read only, so
    /// it does not matter in the middle of what the CPU was stopped. Panic context.
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
