//! The namespace: every stream is a file, `/client/cpu` or `/client/channel/cpu`.
//!
//! Channels of any kind are mounted under a path of one name or two: the top-level folder is the
//! client that writes it, the rest tells its channels apart. The files in there are its streams, by
//! the number of their CPU: `/klog/0`, `/trace/sched/3`. A file appears when its stream starts.
//! Names are made of `a-z`, `0-9` and `-`, and no two channels have the same path.
//!
//! Who reads needs nothing but the files: a drain that uses this module alone could as well run
//! outside the kernel.
//!
//! | to | see |
//! |---|---|
//! | create a channel's folder | [`Mount::new`], [`Namespace::create`] |
//! | list | [`Namespace::list`], [`Namespace::files`], [`Mount::files`] |
//! | find | [`Namespace::file`], [`Namespace::channel`], [`Mount::file`] |
//! | open for consuming; by one at a time | [`File::open`], which gives a [`Reader`](crate::Reader) |
//! | open for copies; by any number | [`File::observe`], which gives an [`Observer`](crate::Observer) |
//! | read bytes, padding left out | [`Records`](crate::Records) of the reader |
//! | map whole sub-buffers where they lie | [`Reader::next_subbuf`](crate::Reader::next_subbuf); by number: [`Window::map`] |
//! | consume: give them back, in any order | drop the [`SubBuffer`](crate::SubBuffer); by number: [`Window::consume`] |
//! | poll | [`Reader::is_readable`](crate::Reader::is_readable), [`Reader::bytes_available`](crate::Reader::bytes_available), [`Reader::prepare_to_sleep`](crate::Reader::prepare_to_sleep) |
//! | ask for what is not handed over yet | [`Reader::request_flush`](crate::Reader::request_flush) |
//! | close | drop the reader, the observer, the window |
//! | know about the stream | [`File::info`], [`File::stats`], [`File::geometry`], [`File::take_peak`], [`File::is_closed`] |
//! | have it resized or ended by its CPU | [`File::resize`], [`File::request_close`] |
//!
//! ```
//! use relay::fs::{FindError, Mount, Namespace};
//! use relay::{Channel, Geometry, NoHooks, OpenError, Platform, Records, Storage};
//! # struct TwoCpus;
//! # // SAFETY: there is one CPU that does something, and this program has one thread.
//! # unsafe impl Platform for TwoCpus {
//! #     type Pinned = ();
//! #     fn pin(&self) -> (usize, ()) { (0, ()) }
//! #     unsafe fn unpin(&self, (): ()) {}
//! #     fn now(&self) -> u64 { 7 }
//! # }
//!
//! static KLOG: Channel<TwoCpus, 2> = Channel::new(TwoCpus, &NoHooks);
//! static KLOG_FILES: Mount = match Mount::new("/klog", &KLOG) {
//!     Ok(mount) => mount,
//!     Err(_) => panic!("a bad path"),
//! };
//! static NAMES: Namespace<16> = Namespace::new();
//!
//! NAMES.create(&KLOG_FILES)?;
//! let geometry = Geometry::new(1024, 4)?;
//! KLOG.start(0, Storage::allocate(&geometry)?, geometry)?;
//! KLOG.write(b"hello")?;
//! KLOG.flush();
//!
//! let names: Vec<String> = NAMES.files().map(|file| file.to_string()).collect();
//! assert_eq!(names, ["/klog/0"]);
//! assert_eq!(NAMES.list("/")?.next().unwrap().to_string(), "klog/");
//! assert_eq!(NAMES.file("/klog/1").unwrap_err(), FindError::NotStarted(1));
//!
//! let file = NAMES.file("/klog/0")?;
//! let reader = file.open()?;
//! assert_eq!(file.open().unwrap_err(), OpenError::Busy(0));
//! assert_eq!(reader.bytes_available(), 5);
//! let mut bytes = [0; 16];
//! let len = Records::new(reader).read(&mut bytes);
//! assert_eq!(&bytes[..len], b"hello");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod mount;
mod path;
#[cfg(test)]
mod tests;
mod window;

pub use mount::{File, Mount, Streams};
pub use path::PathError;
pub use window::{Window, WindowError};

use crate::sync::{OnceRef, const_unless_loom};
use core::fmt;
use path::FilePath;

/// The channels of a kernel by their paths: a table of `CAPACITY` places, in a `static`.
///
/// Channels stay once they are mounted. Nothing here waits, locks or allocates: places are filled
/// in order, each by a single step, so that of two CPUs (or contexts of one) that want the same
/// path at the same time exactly one gets it.
pub struct Namespace<const CAPACITY: usize> {
    /// Filled from the first on, without gaps.
    places: [OnceRef<Mount>; CAPACITY],
}

/// Why a channel was not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// A channel has this path already.
    Taken,
    /// The namespace has no room for more channels.
    Full {
        /// How many it has room for.
        capacity: usize,
    },
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("there is a channel at this path already; choose another"),
            Self::Full { capacity } => write!(
                f,
                "the namespace is full: it was made for {capacity} channels"
            ),
        }
    }
}

impl core::error::Error for CreateError {}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindError {
    /// That is no path.
    Path(PathError),
    /// There is nothing of this name.
    NotFound,
    /// This is a folder, and something else was asked for.
    IsFolder,
    /// This is a file, and a folder was asked for.
    IsFile,
    /// The channel has no room for this CPU.
    NoSuchCpu {
        /// How many it has room for, numbered from 0.
        cpus: usize,
    },
    /// The stream of this CPU has not started yet.
    NotStarted(usize),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => error.fmt(f),
            Self::NotFound => f.write_str("there is no channel, folder or file of this name"),
            Self::IsFolder => f.write_str("this is a folder: it can be listed"),
            Self::IsFile => f.write_str("this is a file: it can be opened"),
            Self::NoSuchCpu { cpus } => write!(
                f,
                "the channel has no such CPU: it has room for {cpus}, numbered from 0"
            ),
            Self::NotStarted(cpu) => write!(f, "the stream of CPU {cpu} has not started"),
        }
    }
}

impl core::error::Error for FindError {}

impl From<PathError> for FindError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

/// What lies in a folder. It is shown (`Display`) as its name, with a `/` behind that of a folder.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A folder, by its name in this one.
    Folder(&'static str),
    /// A file, by the number of its CPU.
    File(File),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(name) => write!(f, "{name}/"),
            Self::File(file) => write!(f, "{}", file.cpu()),
        }
    }
}

impl<const CAPACITY: usize> Namespace<CAPACITY> {
    const_unless_loom! {
        /// A namespace without channels.
        #[must_use]
        #[expect(clippy::new_without_default, reason = "a namespace for a static is made by `new`")]
        pub fn new() -> Self {
            Self { places: empty() }
        }
    }

    /// Mounts a channel, for good. Any context: it takes at most `CAPACITY` steps.
    ///
    /// # Errors
    /// [`CreateError`]: the path is taken, or the namespace full.
    pub fn create(&self, mount: &'static Mount) -> Result<(), CreateError> {
        // What is behind a free place is free, too: once all before it have been looked at, filling
        // it decides.
        for place in &self.places {
            let there = match place.set(mount) {
                Ok(()) => return Ok(()),
                Err(there) => there,
            };
            if there.path() == mount.path() {
                return Err(CreateError::Taken);
            }
        }
        Err(CreateError::Full { capacity: CAPACITY })
    }

    /// All channels, in the order in which they were mounted. Any context.
    pub fn channels(&self) -> impl Iterator<Item = &'static Mount> + Clone {
        self.places.iter().map_while(OnceRef::get)
    }

    /// All files, channel by channel. Any context.
    pub fn files(&self) -> impl Iterator<Item = File> + Clone {
        self.channels().flat_map(Mount::files)
    }

    /// The channel at `path`. Any context.
    ///
    /// # Errors
    /// [`FindError`]: it is no path, or there is no channel.
    pub fn channel(&self, path: &str) -> Result<&'static Mount, FindError> {
        path::count_names(path)?;
        match self.mounted_at(path) {
            Some(mount) => Ok(mount),
            None if self.is_folder(path) => Err(FindError::IsFolder),
            None => Err(self
                .file(path)
                .map_or_else(|error| error, |_| FindError::IsFile)),
        }
    }

    /// The file at `path`. Any context.
    ///
    /// # Errors
    /// [`FindError`]: it is no path, or there is no such file.
    pub fn file(&self, path: &str) -> Result<File, FindError> {
        let parts = FilePath::of(path)?;
        if self.is_folder(path) {
            return Err(FindError::IsFolder);
        }
        let FilePath { channel, cpu } = parts.ok_or(FindError::NotFound)?;
        let mount = self.mounted_at(channel).ok_or(FindError::NotFound)?;
        mount.file(cpu)
    }

    /// What lies in `folder`: first the folders, then the files, each once. `/` is the root, whose
    /// folders are the clients. Any context.
    ///
    /// # Errors
    /// [`FindError`]: it is no path, or there is no such folder.
    pub fn list<'a>(
        &'a self,
        folder: &'a str,
    ) -> Result<impl Iterator<Item = Entry> + use<'a, CAPACITY>, FindError> {
        let folder = if folder == "/" { "" } else { folder };
        if !folder.is_empty() {
            path::count_names(folder)?;
            if !self.is_folder(folder) {
                self.file(folder)?;
                return Err(FindError::IsFile);
            }
        }
        let names = self
            .channels()
            .map(move |mount| path::child(mount.path(), folder));
        let is_first = move |(i, name): &(usize, &str)| {
            let mut earlier = self.names_before(*i, folder);
            !earlier.any(|other| other == *name)
        };
        let folders = names
            .enumerate()
            .filter_map(|(i, name)| Some((i, name?)))
            .filter(is_first)
            .map(|(_, name)| Entry::Folder(name));
        let files = self.mounted_at(folder).into_iter().flat_map(Mount::files);
        Ok(folders.chain(files.map(Entry::File)))
    }

    /// The names in `folder` of the first `count` channels.
    fn names_before<'a>(
        &'a self,
        count: usize,
        folder: &'a str,
    ) -> impl Iterator<Item = &'static str> + use<'a, CAPACITY> {
        let mounts = self.channels().take(count);
        mounts.filter_map(move |mount| path::child(mount.path(), folder))
    }

    fn mounted_at(&self, path: &str) -> Option<&'static Mount> {
        self.channels().find(|mount| mount.path() == path)
    }

    /// Whether `path`, which is one, is that of a channel or of a client.
    fn is_folder(&self, path: &str) -> bool {
        self.channels()
            .any(|mount| mount.path() == path || path::child(mount.path(), path).is_some())
    }
}

/// Empty places.
#[cfg(not(loom))]
const fn empty<const CAPACITY: usize>() -> [OnceRef<Mount>; CAPACITY] {
    [const { OnceRef::new() }; CAPACITY]
}

/// Empty places: loom's atomics cannot be made in a constant.
#[cfg(loom)]
fn empty<const CAPACITY: usize>() -> [OnceRef<Mount>; CAPACITY] {
    core::array::from_fn(|_| OnceRef::new())
}

impl<const CAPACITY: usize> fmt::Debug for Namespace<CAPACITY> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.channels()).finish()
    }
}
