//! A channel: one data flow, one stream per CPU.

use crate::platform::Platform;
use crate::ring::{
    CloseError, Flushed, Geometry, Hooks, Pin, Reader, Salvage, Slot, Stopped, Storage,
    StorageError, Stream, StreamStats, WriteError, Writer,
};
use crate::sync::{AtomicU64, Ordering, const_unless_loom};
use core::fmt;

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
///     fn unpin(&self) {}
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
pub struct Channel<P: Platform, const CPUS: usize> {
    platform: P,
    hooks: &'static dyn Hooks,
    streams: [Stream; CPUS],
    /// Records lost because their CPU has no ring.
    no_ring: AtomicU64,
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

impl<P: Platform, const CPUS: usize> Channel<P, CPUS> {
    const_unless_loom! {
        /// A channel without any ring: every write is refused and counted until
        /// [`start`](Self::start).
        pub fn new(platform: P, hooks: &'static dyn Hooks) -> Self {
            Self {
                platform,
                hooks,
                streams: not_started(),
                no_ring: AtomicU64::new(0),
            }
        }
    }

    /// Gives `cpu` its first ring, in `storage`.
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
        let no_such_cpu = StartError::NoSuchCpu { cpu, cpus: CPUS };
        let stream = self.streams.get(cpu).ok_or(no_such_cpu)?;
        match stream.start(storage, geometry, 0) {
            Ok(true) => Ok(()),
            Ok(false) => Err(StartError::Started(cpu)),
            Err(error) => Err(StartError::Storage(error)),
        }
    }

    /// Moves the stream of the calling CPU to a new ring of `geometry` in `storage`. Writers that
    /// this interrupts, and readers, go on without a gap. The memory of the old ring stays in use
    /// until the channel is dropped.
    ///
    /// Task context, or IRQ context for memory that is not from the heap: what is refused is
    /// dropped.
    ///
    /// # Errors
    /// [`CloseError`]: the stream was not started, is closed, or the storage is too small.
    pub fn replace(&self, storage: Storage, geometry: Geometry) -> Result<(), CloseError> {
        self.writer()
            .ok_or(CloseError::NotStarted)?
            .succeed(storage, geometry)
    }

    /// The right to write on this CPU; `None` if the channel has no room for its number.
    #[inline(always)]
    fn writer(&self) -> Option<Writer<'_, P>> {
        let pin = Pin::new(&self.platform);
        let stream = self.streams.get(pin.cpu())?;
        Some(Writer::new(stream, self.hooks, pin))
    }

    /// Writes `bytes` as one record into the stream of the calling CPU.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates.
    ///
    /// # Errors
    /// The record was not written, for the reason given; the loss is counted.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let result = match self.writer() {
            Some(writer) => writer.write(bytes),
            None => Err(WriteError::NoRing),
        };
        self.noting(result)
    }

    /// Reserves `len` bytes in the stream of the calling CPU, to be filled in place.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. The slot
    /// keeps the caller pinned to its CPU until it is committed or dropped.
    ///
    /// # Errors
    /// Nothing was reserved, for the reason given; the loss is counted.
    #[inline]
    pub fn reserve(&self, len: usize) -> Result<Slot<'_, P>, WriteError> {
        let result = match self.writer() {
            Some(writer) => writer.reserve(len),
            None => Err(WriteError::NoRing),
        };
        self.noting(result)
    }

    #[inline(always)]
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

    /// The periodic duty of each CPU: hands over the open packet if the reader has
    /// [asked](Reader::request_flush) for it, and moves [`Reader::quiet_since`] on.
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

    /// Opens the one consuming reader of the stream of `cpu`. Any CPU; see [`Reader`].
    ///
    /// # Errors
    /// [`OpenError`]: there is no such stream, or it is being read.
    pub fn reader(&self, cpu: usize) -> Result<Reader<'_>, OpenError> {
        let stream = self
            .streams
            .get(cpu)
            .filter(|stream| stream.is_started())
            .ok_or(OpenError::NotStarted(cpu))?;
        Reader::open(stream, cpu).ok_or(OpenError::Busy(cpu))
    }

    /// The counts of the stream of `cpu`, if it was started. Any context, any CPU; exact when
    /// that CPU is quiet.
    #[must_use]
    pub fn stats(&self, cpu: usize) -> Option<StreamStats> {
        let stream = self.streams.get(cpu)?;
        stream.is_started().then(|| stream.stats())
    }

    /// Records lost because the CPU that wrote them has no ring in this channel.
    #[must_use]
    pub fn lost_no_ring(&self) -> u64 {
        self.no_ring.load(Ordering::Relaxed)
    }

    /// What a stopped CPU left in its stream, committed or not: for the panic path. Read only, so
    /// it does not matter in the middle of what the CPU was stopped. Panic context.
    #[must_use]
    pub fn salvage(&self, stopped: Stopped) -> Option<Salvage<'_>> {
        let stream = self.streams.get(stopped.cpu())?;
        Some(Salvage::new(stream, stopped))
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

impl<P: Platform, const CPUS: usize> fmt::Debug for Channel<P, CPUS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("cpus", &CPUS)
            .finish_non_exhaustive()
    }
}
