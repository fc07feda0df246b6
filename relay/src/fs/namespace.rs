//! The channels of a kernel by their paths.

use super::error::{CreateError, FindError};
use super::mount::{File, Mount};
use super::path::{self, FilePath};
use crate::sync::{OnceRef, const_unless_loom};
use core::fmt;

/// The channels of a kernel by their paths: a table of `CAPACITY` places, in a `static`.
///
/// Channels stay once they are mounted. Nothing here waits, locks or allocates: places are filled
/// in order, each by a single step, so that of two CPUs (or contexts of one) that want the same
/// path at the same time exactly one gets it.
pub struct Namespace<const CAPACITY: usize> {
    /// Filled from the first on, without gaps.
    places: [OnceRef<Mount>; CAPACITY],
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
