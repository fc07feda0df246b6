//! A channel: one data flow, one stream per CPU.

mod manage;
mod write;

use crate::platform::{Pin, Platform};
use crate::ring::{
    Geometry, Hooks, Local, Observer, Owner, PacketStart, Reader, Salvage, Stopped, Storage,
    StorageError, Stream,
};
use crate::sync::{AtomicU64, PerCpu, Usage, const_unless_loom};
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
///     type Pinned = ();
///     fn pin(&self) -> (usize, ()) { (0, ()) }
///     unsafe fn unpin(&self, (): ()) {}
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
/// | write | [`write`](Self::write), [`write_array`](Self::write_array), [`write_event`](Self::write_event), [`write_event_array`](Self::write_event_array), [`emit`](Self::emit), [`reserve_with`](Self::reserve_with) | any |
/// | hand over what there is | [`flush`](Self::flush) | any |
/// | do what others ask for | [`tick`](Self::tick) | task, IRQ |
/// | read | [`reader`](Self::reader), [`observe`](Self::observe) | task, IRQ; any CPU |
/// | change the ring | [`replace`](Self::replace), [`reset`](Self::reset); from any CPU [`resize`](Self::resize), `adapt` (feature `alloc`), [`reclaim`](Self::reclaim) | task |
/// | end | [`close`](Self::close); from any CPU [`request_close`](Self::request_close) | task, IRQ |
/// | count | [`stats`](Self::stats), [`lost_no_ring`](Self::lost_no_ring), [`take_peak`](Self::take_peak); more is in [`info`](Self::info) (not from NMI) | any; any CPU |
/// | look at what a stopped CPU left | [`salvage`](Self::salvage) | panic |
///
/// A CPU whose number is `CPUS` or larger can call all of it: what it writes is counted
/// ([`lost_no_ring`](Self::lost_no_ring)).
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
        /// How many CPUs the channel has room for, numbered from 0.
        cpus: usize,
    },
    /// The stream has a ring already; [`Channel::replace`] gives it another.
    Started(usize),
    /// The channel's hooks put more into each packet than the geometry reserves: see
    /// [`Hooks::least_start_reserve`].
    Reserve {
        /// Bytes that the geometry reserves at the start of each sub-buffer.
        given: usize,
        /// Bytes that the hooks need there.
        needed: usize,
    },
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
            Self::Reserve { given, needed } => write!(
                f,
                "the hooks need a start reserve of {needed} bytes or more, the geometry has {given}"
            ),
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
            Self::NotStarted(cpu) => write!(
                f,
                "the stream of CPU {cpu} was not started, or the channel has none for it"
            ),
            Self::Busy(cpu) => write!(f, "CPU {cpu} is being read already: one reader may consume"),
        }
    }
}

impl core::error::Error for OpenError {}

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    const_unless_loom! {
        /// A channel without any ring, for a `static` (or any context): every write is refused and
        /// counted until [`start`](Self::start). `hooks` are the client's:
        /// [`NoHooks`](crate::NoHooks) for plain bytes.
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
    /// may be called from another CPU if that happens-before the first write of `cpu`, and before
    /// its first tick: start its streams before you start the CPU.
    ///
    /// # Errors
    /// [`StartError`]: there is no such CPU, it has a ring, the storage is too small, or the start
    /// reserve for the channel's hooks.
    pub fn start(
        &self,
        cpu: usize,
        storage: Storage,
        geometry: Geometry,
    ) -> Result<(), StartError> {
        let cpus = self.streams();
        let no_such_cpu = StartError::NoSuchCpu { cpu, cpus };
        let stream = self.stream(cpu).ok_or(no_such_cpu)?;
        let (given, needed) = (geometry.start_reserve(), self.hooks.least_start_reserve());
        if given < needed && !stream.is_started() {
            return Err(StartError::Reserve { given, needed });
        }
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
        self.streams.get(..self.streams())?.get(number)
    }

    /// The stream that CPU `cpu` writes to, and the CPU's own words; `None` if the channel has no
    /// room for its number.
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

    /// The right to act for this CPU; `None` if the channel has no room for its number.
    #[inline(always)]
    fn owner(&self) -> Option<Owner<'_, P, U>> {
        let pin = Pin::new(&self.platform);
        let (stream, local) = self.words_of(pin.cpu())?;
        Some(Owner::new(stream, local, self.hooks, pin))
    }

    /// Opens the one consuming reader of the stream of `cpu` (0 for the one stream of a global
    /// channel). Any CPU, task or IRQ context; see [`Reader`].
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

    /// Opens a reader of the stream of `cpu` that does not consume (0 for the one stream of a
    /// global channel). Any number of them. Any CPU, task or IRQ context; see [`Observer`].
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

    /// Stream `number`, for tests that look inside.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn stream_of(&self, number: usize) -> &Stream {
        &self.streams[number]
    }

    /// How many streams there can be: one for each CPU that there is room for, or the one of a
    /// global channel. Any context.
    #[must_use]
    pub const fn streams(&self) -> usize {
        if U::SHARED && CPUS != 0 { 1 } else { CPUS }
    }

    /// How many CPUs the channel has room for. Any context.
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
    /// it does not matter in the middle of what the CPU was stopped. `None` if the channel has no
    /// room for its number. Panic context.
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
    /// let number = cpu.number();
    /// LOG.reserve_with(100, |_slot| {
    ///     // The CPU is stopped here.
    ///     // SAFETY: this thread writes nothing as long as the result is used.
    ///     let stopped = unsafe { Stopped::new(number) };
    ///     let left = LOG.salvage(stopped).unwrap().next().unwrap();
    ///     assert_eq!(left.committed().next(), Some(&b"committed"[..]));
    ///     assert_eq!(left.uncommitted(), 1);
    /// })?;
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
