//! Channels under a path, and the files of their streams.

use super::error::FindError;
use super::path::{self, PathError};
use crate::channel::{Channel, OpenError};
use crate::platform::Platform;
use crate::ring::{Geometry, Observer, Reader, Storage, StreamError, StreamInfo, StreamStats};
use crate::sync::Usage;
use core::fmt;

/// What a namespace asks of a channel, whatever its platform, the number of its CPUs and its usage.
/// Each method does what that of [`Channel`] does; callers use a [`File`]. Channels have it, and
/// nothing else.
#[expect(missing_docs, reason = "each is a method of `Channel`")]
pub trait Streams: sealed::Sealed + Sync {
    /// How many streams there can be: one per CPU that there is room for, or one.
    fn streams(&self) -> usize;
    fn reader(&self, cpu: usize) -> Result<Reader<'_>, OpenError>;
    fn observe(&self, cpu: usize) -> Result<Observer<'_>, OpenError>;
    fn stats(&self, cpu: usize) -> Option<StreamStats>;
    fn info(&self, cpu: usize) -> Option<StreamInfo>;
    fn is_closed(&self, cpu: usize) -> bool;
    fn geometry(&self, cpu: usize) -> Option<Geometry>;
    fn take_peak(&self, cpu: usize) -> u64;
    fn request_close(&self, cpu: usize) -> Result<(), StreamError>;
    fn resize(&self, cpu: usize, storage: Storage, geometry: Geometry) -> Result<(), StreamError>;
    fn reset_own(&self, cpu: usize, storage: Storage) -> Result<(), StreamError>;
    fn reclaim(&self, cpu: usize) -> usize;
    fn lost_no_ring(&self) -> u64;
}

pub(super) mod sealed {
    /// Nobody else implements [`Streams`](super::Streams).
    pub trait Sealed {}
}

impl<P: Platform, const CPUS: usize, U: Usage> sealed::Sealed for Channel<P, CPUS, U> {}

impl<P: Platform, const CPUS: usize, U: Usage> Streams for Channel<P, CPUS, U> {
    fn streams(&self) -> usize {
        self.streams()
    }

    fn reader(&self, cpu: usize) -> Result<Reader<'_>, OpenError> {
        self.reader(cpu)
    }

    fn observe(&self, cpu: usize) -> Result<Observer<'_>, OpenError> {
        self.observe(cpu)
    }

    fn stats(&self, cpu: usize) -> Option<StreamStats> {
        self.stats(cpu)
    }

    fn info(&self, cpu: usize) -> Option<StreamInfo> {
        self.info(cpu)
    }

    fn is_closed(&self, cpu: usize) -> bool {
        self.is_closed(cpu)
    }

    fn geometry(&self, cpu: usize) -> Option<Geometry> {
        self.geometry(cpu)
    }

    fn take_peak(&self, cpu: usize) -> u64 {
        self.take_peak(cpu)
    }

    fn request_close(&self, cpu: usize) -> Result<(), StreamError> {
        self.request_close(cpu)
    }

    fn resize(&self, cpu: usize, storage: Storage, geometry: Geometry) -> Result<(), StreamError> {
        self.resize(cpu, storage, geometry)
    }

    fn reset_own(&self, cpu: usize, storage: Storage) -> Result<(), StreamError> {
        self.reset_own(cpu, storage)
    }

    fn reclaim(&self, cpu: usize) -> usize {
        self.reclaim(cpu)
    }

    fn lost_no_ring(&self) -> u64 {
        self.lost_no_ring()
    }
}

/// A channel and its path. Having one tells you: the path is `/client` or `/client/channel`, its
/// names are made of `a-z`, `0-9` and `-`, and the second is not a number.
pub struct Mount {
    path: &'static str,
    channel: &'static dyn Streams,
}

impl Mount {
    /// Puts `channel` under `path`. Any context; in a `static`, where a bad path is an error of
    /// compilation: see the [module](crate::fs).
    ///
    /// # Errors
    /// [`PathError`]: what is wrong with the path.
    ///
    /// ```
    /// # use relay::{Channel, NoHooks, Platform};
    /// use relay::fs::{Mount, PathError};
    /// # struct OneCpu;
    /// # // SAFETY: there is one CPU, and this program has one thread.
    /// # unsafe impl Platform for OneCpu {
    /// #     type Pinned = ();
    /// #     fn pin(&self) -> (usize, ()) { (0, ()) }
    /// #     unsafe fn unpin(&self, (): ()) {}
    /// #     fn now(&self) -> u64 { 7 }
    /// # }
    /// static LOG: Channel<OneCpu, 1> = Channel::new(OneCpu, &NoHooks);
    ///
    /// assert!(Mount::new("/net/packets-in", &LOG).is_ok());
    /// let error = Mount::new("/net/Packets", &LOG).unwrap_err();
    /// assert_eq!(error, PathError::Character { at: 5, found: b'P' });
    /// assert_eq!(
    ///     error.to_string(),
    ///     "byte 5 of the path is 'P': names are made of a-z, 0-9 and '-'"
    /// );
    /// ```
    pub const fn new(path: &'static str, channel: &'static dyn Streams) -> Result<Self, PathError> {
        match path::check_mount(path) {
            Ok(()) => Ok(Self { path, channel }),
            Err(error) => Err(error),
        }
    }

    /// The channel's path. Any context.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The file of `cpu`; 0 for the one stream of a global channel. Any context.
    ///
    /// # Errors
    /// [`FindError::NoSuchCpu`], [`FindError::NotStarted`].
    pub fn file(&'static self, cpu: usize) -> Result<File, FindError> {
        let cpus = self.channel.streams();
        if cpu >= cpus {
            return Err(FindError::NoSuchCpu { cpus });
        }
        if self.channel.stats(cpu).is_none() {
            return Err(FindError::NotStarted(cpu));
        }
        Ok(File { mount: self, cpu })
    }

    /// The files that there are: of the CPUs whose streams have started, in the order of their
    /// numbers. Any context.
    pub fn files(&'static self) -> impl Iterator<Item = File> + Clone {
        (0..self.channel.streams()).filter_map(|cpu| self.file(cpu).ok())
    }

    /// Records lost because the CPU that wrote them has no file in this channel. Any context.
    #[must_use]
    pub fn lost_no_ring(&self) -> u64 {
        self.channel.lost_no_ring()
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The file of one stream: everything that can be done with a stream from any CPU. Having one tells
/// you: the stream has started. It is shown (`Display`) as its path, `/klog/0`.
#[derive(Clone, Copy, Debug)]
pub struct File {
    mount: &'static Mount,
    cpu: usize,
}

impl File {
    /// The channel that it belongs to.
    #[must_use]
    pub const fn mount(self) -> &'static Mount {
        self.mount
    }

    /// The CPU whose records it holds; 0 for the one stream of a global channel.
    #[must_use]
    pub const fn cpu(self) -> usize {
        self.cpu
    }

    /// Opens it for consuming: see [`Reader`] for sub-buffers where they lie,
    /// [`Records`](crate::Records) for bytes, [`Window`](super::Window) for a consumer that is not
    /// trusted. To close it, drop what was opened.
    ///
    /// Any CPU, task or IRQ context.
    ///
    /// # Errors
    /// [`OpenError::Busy`]: somebody consumes it already.
    pub fn open(self) -> Result<Reader<'static>, OpenError> {
        self.mount.channel.reader(self.cpu)
    }

    /// Opens it without consuming, for copies: see [`Observer`]. Any number of times.
    ///
    /// Any CPU, task or IRQ context.
    ///
    /// # Errors
    /// None: the stream has started.
    pub fn observe(self) -> Result<Observer<'static>, OpenError> {
        self.mount.channel.observe(self.cpu)
    }

    /// The counts of the stream: there are some, since it has started. Any context; exact when its
    /// CPU is quiet.
    #[must_use]
    pub fn stats(self) -> Option<StreamStats> {
        self.mount.channel.stats(self.cpu)
    }

    /// What is known of the stream now: there is something, since it has started. Any context but
    /// NMI; exact when its CPU is quiet.
    #[must_use]
    pub fn info(self) -> Option<StreamInfo> {
        self.mount.channel.info(self.cpu)
    }

    /// Whether the stream has ended: every write to it is refused. Any context.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self.mount.channel.is_closed(self.cpu)
    }

    /// The geometry of the ring that is written to: there is one, since the stream has started. Any
    /// context.
    #[must_use]
    pub fn geometry(self) -> Option<Geometry> {
        self.mount.channel.geometry(self.cpu)
    }

    /// How full the ring was, for who resizes: see [`Channel::take_peak`]. Any context.
    #[must_use]
    pub fn take_peak(self) -> u64 {
        self.mount.channel.take_peak(self.cpu)
    }

    /// Has the stream ended at the next tick of its CPU: see [`Channel::request_close`]. Task or
    /// IRQ context.
    ///
    /// # Errors
    /// None: the stream has started.
    pub fn request_close(self) -> Result<(), StreamError> {
        self.mount.channel.request_close(self.cpu)
    }

    /// Has the stream moved to another ring at the next tick of its CPU: see [`Channel::resize`].
    /// Task context.
    ///
    /// # Errors
    /// [`StreamError`]; [`Busy`](StreamError::Busy) if the last request has not been done yet.
    pub fn resize(self, storage: Storage, geometry: Geometry) -> Result<(), StreamError> {
        self.mount.channel.resize(self.cpu, storage, geometry)
    }

    /// Begins the stream anew, in a ring of the same geometry in `storage`, if it is that of the
    /// calling CPU: see [`Channel::reset_own`]. Task context.
    ///
    /// # Errors
    /// [`StreamError`]; [`NotOwner`](StreamError::NotOwner) if another CPU writes it.
    pub fn reset(self, storage: Storage) -> Result<(), StreamError> {
        self.mount.channel.reset_own(self.cpu, storage)
    }

    /// Frees the rings that the stream has left and nobody uses: see [`Channel::reclaim`]. Task
    /// context.
    pub fn reclaim(self) -> usize {
        self.mount.channel.reclaim(self.cpu)
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.mount.path, self.cpu)
    }
}
