//! Memory for rings: where it comes from and how it is laid out.

use super::geometry::Geometry;
use super::packet::BlockInfo;
use super::subbuf::Sub;
use crate::sync::{AtomicBool, AtomicU64, Ordering, const_unless_loom};
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

/// The alignment of a ring's memory and of its first block, in bytes: a page, so that blocks of a
/// page or more can be handed to a device or mapped.
pub const STORAGE_ALIGN: usize = 4096;

/// Memory for one ring. Having a `Storage` tells you: it is aligned to [`STORAGE_ALIGN`], every
/// byte of it is initialised, and nobody else uses it.
#[derive(Debug)]
pub struct Storage {
    base: NonNull<u8>,
    len: usize,
    /// Gives the memory back; `None` if it is nobody's to give.
    release: Option<unsafe fn(NonNull<u8>, usize)>,
}

// SAFETY: a Storage owns its memory exclusively, like a Box<[u8]>.
unsafe impl Send for Storage {}

/// Why a ring cannot live in a [`Storage`], or none could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// The memory is too small.
    TooSmall {
        /// Bytes given.
        given: usize,
        /// Bytes needed for the geometry, see [`Storage::bytes_for`].
        needed: usize,
    },
    /// The memory does not start at a multiple of [`STORAGE_ALIGN`].
    Misaligned,
    /// The allocator had no room for this many bytes.
    OutOfMemory(usize),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { given, needed } => {
                write!(
                    f,
                    "the ring needs {needed} bytes of memory and was given {given}"
                )
            }
            Self::Misaligned => write!(
                f,
                "the memory of a ring must start at a multiple of {STORAGE_ALIGN} bytes"
            ),
            Self::OutOfMemory(needed) => {
                write!(f, "the allocator has no {needed} bytes for the ring")
            }
        }
    }
}

impl core::error::Error for StorageError {}

impl Storage {
    /// Bytes of memory that a ring of `geometry` takes, control words included. Any context, or a
    /// constant.
    ///
    /// ```
    /// use relay::{Geometry, Storage};
    /// let geometry = Geometry::new(4096, 8).unwrap();
    /// let bytes = Storage::bytes_for(&geometry);
    /// assert!(bytes > 8 * 4096 && bytes < 11 * 4096);
    /// ```
    #[must_use]
    pub const fn bytes_for(geometry: &Geometry) -> usize {
        Layout::of(geometry).total
    }

    /// Memory from the global allocator, zeroed, given back when the ring is dropped.
    ///
    /// Task context only: it allocates.
    ///
    /// # Errors
    /// [`StorageError::OutOfMemory`].
    #[cfg(feature = "alloc")]
    pub fn allocate(geometry: &Geometry) -> Result<Self, StorageError> {
        let len = Self::bytes_for(geometry);
        let layout = Self::heap_layout(len)?;
        // SAFETY: the layout's size is not zero: it includes the ring's header.
        let base = unsafe { alloc::alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(StorageError::OutOfMemory(len))?;
        Ok(Self {
            base,
            len,
            release: Some(Self::release_to_heap),
        })
    }

    /// Gives back what `allocate` got.
    ///
    /// # Safety
    /// `base` and `len` are those of a Storage that `allocate` made, and nobody uses it any more.
    #[cfg(feature = "alloc")]
    unsafe fn release_to_heap(base: NonNull<u8>, len: usize) {
        if let Ok(layout) = Self::heap_layout(len) {
            #[cfg(test)]
            {
                // SAFETY: the memory is nobody's any more; whoever still uses it shall notice.
                unsafe { base.write_bytes(0xDB, len) };
                // Else the compiler leaves that out, since what comes next is the end of the
                // memory.
                core::hint::black_box(base.as_ptr());
            }
            // SAFETY: `allocate` got this memory from the global allocator with this very layout.
            unsafe { alloc::alloc::dealloc(base.as_ptr(), layout) };
        }
    }

    #[cfg(feature = "alloc")]
    fn heap_layout(len: usize) -> Result<core::alloc::Layout, StorageError> {
        core::alloc::Layout::from_size_align(len, STORAGE_ALIGN)
            .map_err(|_| StorageError::OutOfMemory(len))
    }

    /// Memory of the caller's own. Any context.
    ///
    /// # Errors
    /// [`StorageError::Misaligned`] if it does not start at a multiple of [`STORAGE_ALIGN`].
    ///
    /// # Safety
    /// `base` points to `len` initialised bytes that nobody else reads or writes as long as the
    /// ring that is built on them exists: for a channel in a `static`, until
    /// [`reclaim`](crate::Channel::reclaim) has freed it, or for ever.
    ///
    /// ```
    /// use core::ptr::NonNull;
    /// use relay::{STORAGE_ALIGN, Storage, StorageError};
    ///
    /// #[repr(C, align(4096))]
    /// struct Frames([u8; 4 * STORAGE_ALIGN]);
    /// let mut frames = Frames([0; 4 * STORAGE_ALIGN]);
    /// let base = NonNull::from(&mut frames.0).cast::<u8>();
    ///
    /// // SAFETY: never used.
    /// let error = unsafe { Storage::from_raw(base.add(1), 100) }.unwrap_err();
    /// assert_eq!(error, StorageError::Misaligned);
    /// // SAFETY: the frames are nobody else's as long as `storage` is there.
    /// let storage = unsafe { Storage::from_raw(base, 4 * STORAGE_ALIGN) };
    /// assert!(storage.is_ok());
    /// ```
    pub unsafe fn from_raw(base: NonNull<u8>, len: usize) -> Result<Self, StorageError> {
        if !base.addr().get().is_multiple_of(STORAGE_ALIGN) {
            return Err(StorageError::Misaligned);
        }
        Ok(Self {
            base,
            len,
            release: None,
        })
    }

    /// The first byte.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Checks that a ring of `geometry` fits.
    pub(super) fn check(&self, geometry: &Geometry) -> Result<(), StorageError> {
        let needed = Self::bytes_for(geometry);
        if self.len < needed {
            return Err(StorageError::TooSmall {
                given: self.len,
                needed,
            });
        }
        Ok(())
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: set along with `base` and `len` by the constructor that it belongs to; a
            // Storage owns its memory.
            unsafe { release(self.base, self.len) };
        }
    }
}

/// `N` bytes for a ring in a `static`: how a channel starts before there is an allocator. From the
/// first instruction on, in any context.
///
/// ```
/// use relay::{Geometry, StaticMemory, Storage};
/// const GEOMETRY: Geometry = match Geometry::new(512, 4) {
///     Ok(geometry) => geometry,
///     Err(_) => panic!(),
/// };
/// static EARLY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
/// assert!(EARLY.take().is_some());
/// assert!(EARLY.take().is_none(), "it can be had once");
/// ```
#[repr(C, align(4096))]
pub struct StaticMemory<const N: usize> {
    bytes: UnsafeCell<[u8; N]>,
    taken: AtomicBool,
}

// SAFETY: the bytes are reached only through the one Storage that `take` hands out.
unsafe impl<const N: usize> Sync for StaticMemory<N> {}

impl<const N: usize> fmt::Debug for StaticMemory<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticMemory")
            .field("bytes", &N)
            .finish_non_exhaustive()
    }
}

impl<const N: usize> StaticMemory<N> {
    const_unless_loom! {
        /// Zeroed memory, not taken yet.
        #[must_use]
        #[expect(clippy::new_without_default, reason = "memory for a static is made by `new`")]
        pub fn new() -> Self {
            Self {
                bytes: UnsafeCell::new([0; N]),
                taken: AtomicBool::new(false),
            }
        }
    }

    /// The memory, the first time; `None` ever after. Any context.
    pub fn take(&'static self) -> Option<Storage> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        let base = NonNull::new(self.bytes.get().cast::<u8>())?;
        Some(Storage {
            base,
            len: N,
            release: None,
        })
    }
}

/// Where the parts of a ring lie in its memory, in bytes from the base.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) subs: usize,
    pub(super) infos: usize,
    pub(super) spares: usize,
    pub(super) bytes: usize,
    pub(super) total: usize,
}

impl Layout {
    /// Bytes kept for the ring's own words: those of [`Ring`](super::words::Ring), which lie first.
    pub(super) const WORDS: usize = if cfg!(loom) { 4096 } else { 384 };

    pub(super) const fn of(geometry: &Geometry) -> Self {
        const fn up(value: usize, align: usize) -> usize {
            value.next_multiple_of(align)
        }
        // None of the sums overflows: Geometry bounds the blocks to a quarter of the address space.
        let blocks = geometry.blocks();
        let subs = up(Self::WORDS, align_of::<Sub>());
        let infos = up(
            subs + geometry.subbuf_count() * size_of::<Sub>(),
            align_of::<BlockInfo>(),
        );
        let spares = up(
            infos + blocks * size_of::<BlockInfo>(),
            align_of::<AtomicU64>(),
        );
        let control = spares + geometry.spares() * size_of::<AtomicU64>();
        let align = if geometry.subbuf_size() < STORAGE_ALIGN {
            64
        } else {
            STORAGE_ALIGN
        };
        let bytes = up(control, align);
        Self {
            subs,
            infos,
            spares,
            bytes,
            total: bytes + blocks * geometry.subbuf_size(),
        }
    }
}

const _: () = assert!(align_of::<Sub>() <= STORAGE_ALIGN);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_follow_each_other() {
        for (size, count, spares) in [
            (8, 2, 0),
            (8, 2, 64),
            (64, 4, 3),
            (4096, 8, 1),
            (1 << 20, 64, 64),
        ] {
            let geometry = Geometry::new(size, count)
                .unwrap()
                .with_spares(spares)
                .unwrap();
            let layout = Layout::of(&geometry);
            // What comes first ends there; how much is left out for the sake of alignment.
            let follows = |end: usize, begin: usize, align| begin >= end && begin - end < align;
            assert!(follows(Layout::WORDS, layout.subs, align_of::<Sub>()));
            let subs_end = layout.subs + count * size_of::<Sub>();
            assert!(follows(subs_end, layout.infos, align_of::<BlockInfo>()));
            let infos_end = layout.infos + (count + spares) * size_of::<BlockInfo>();
            assert!(follows(infos_end, layout.spares, 8));
            let control_end = layout.spares + spares * 8;
            assert!(follows(control_end, layout.bytes, STORAGE_ALIGN));
            assert!(layout.bytes.is_multiple_of(size.min(STORAGE_ALIGN)));
            assert_eq!(layout.total, layout.bytes + (count + spares) * size);
        }
    }

    #[test]
    fn misaligned_or_small_memory_is_refused() {
        extern crate std;
        static MEMORY: StaticMemory<8192> = StaticMemory::new();
        let shown = std::format!("{MEMORY:?}");
        assert_eq!(shown, "StaticMemory { bytes: 8192, .. }");
        let geometry = Geometry::new(4096, 8).unwrap();
        let storage = MEMORY.take().unwrap();
        let needed = Storage::bytes_for(&geometry);
        assert_eq!(
            storage.check(&geometry),
            Err(StorageError::TooSmall {
                given: 8192,
                needed
            })
        );
        // SAFETY: the memory is not used through this pointer: it is refused.
        let result = unsafe { Storage::from_raw(NonNull::<u8>::dangling(), 64) };
        assert_eq!(result.unwrap_err(), StorageError::Misaligned);
    }
}
