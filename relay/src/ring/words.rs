//! The words of a ring, and the way to its memory.

use super::entry::Entry;
use super::geometry::Geometry;
use super::packet::BlockInfo;
use super::position::Position;
use super::storage::{Layout, STORAGE_ALIGN, Storage, StorageError};
use super::subbuf::Sub;
use crate::sync::{AtomicPtr, AtomicU64, Ordering, OwnerWord, touched};
use core::ptr::{self, NonNull, null_mut};

/// A ring: the words that belong to one buffer. What must survive its replacement is in
/// [`Stream`](super::stream::Stream).
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Ring {
    /// The write position; the one word that a reservation swaps.
    pub(super) pos: OwnerWord,
    /// The descriptor of the packet that was opened last.
    pub(super) open: AtomicPtr<Sub>,
    /// Up to where readers may look: a [`Position`], at a packet boundary in bulk delivery; sealed
    /// once nothing more will come in this ring.
    visible: AtomicU64,
    /// The ring that replaces this one, or this ring itself once the stream is being closed; set
    /// before this one is sealed.
    pub(super) succ: AtomicPtr<Ring>,
    /// Its number in the chain of the stream's rings; set before it is in the chain.
    pub(super) serial: AtomicU64,
    /// Readers that stand in it, and sub-buffers of it that they hold.
    pub(super) holders: Apart<AtomicU64>,
    pub(super) geometry: Geometry,
    /// Its first packet.
    pub(super) first: u64,
    subs: NonNull<Sub>,
    infos: NonNull<BlockInfo>,
    /// Blocks that readers have at hand to exchange: `block + 1`, or 0.
    spares: NonNull<AtomicU64>,
    bytes: NonNull<u8>,
    storage: Storage,
    /// Loom cannot see raw memory: one tracked cell per byte stands for it.
    #[cfg(loom)]
    shadow: std::vec::Vec<loom::cell::UnsafeCell<()>>,
    /// Nor what is freed: this is written instead, and read by who uses the ring.
    #[cfg(loom)]
    life: loom::cell::UnsafeCell<()>,
}

const _: () = assert!(size_of::<Ring>() <= Layout::WORDS && align_of::<Ring>() <= STORAGE_ALIGN);

/// On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

// SAFETY: the pointers lead into memory that the ring owns (`storage`). The control words there are
// atomics. The bytes are written only by the owner CPU, into space that it reserved, and read only
// by whoever holds the sub-buffer by its entry word: see the entry's state diagram.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// The word of a place with a free spare block: see `spares`.
pub(super) const fn free_spare(block: usize) -> u64 {
    block as u64 + 1
}

impl Ring {
    /// Builds a ring of `geometry` in `storage`, its first packet numbered `first` (rings are
    /// tested with numbers near the end of the range).
    ///
    /// The result is alive until [`Ring::destroy`].
    pub(super) fn build(
        storage: Storage,
        geometry: Geometry,
        first: u64,
    ) -> Result<NonNull<Self>, StorageError> {
        storage.check(&geometry)?;
        let layout = Layout::of(&geometry);
        let base = storage.base();
        let part = |offset: usize| {
            // SAFETY: `check` showed that the memory is at least `layout.total` bytes long, and
            // no part begins behind that.
            unsafe { base.add(offset) }
        };
        let first = geometry.packet(geometry.position(first, 0));
        let subs = part(layout.subs).cast::<Sub>();
        let infos = part(layout.infos).cast::<BlockInfo>();
        let spares = part(layout.spares).cast::<AtomicU64>();
        let count = geometry.subbuf_count() as u64;
        for i in 0..count {
            // As if the lap before the first had been written, read and given back.
            let packet = geometry.before(first.wrapping_add(i), count);
            let place = geometry.index(packet);
            // SAFETY: `place` is below `subbuf_count`, the number of elements that the layout
            // reserves there, aligned by it; the memory is ours alone.
            unsafe { subs.add(place).write(Sub::new(&geometry, packet)) };
        }
        for block in 0..geometry.blocks() {
            let info = BlockInfo::new(block, geometry.before(first, 1));
            // SAFETY: an element of `blocks` that the layout reserves, likewise.
            unsafe { infos.add(block).write(info) };
        }
        for i in 0..geometry.spares() {
            let word = AtomicU64::new(free_spare(geometry.subbuf_count() + i));
            // SAFETY: element i of `spares` that the layout reserves, likewise.
            unsafe { spares.add(i).write(word) };
        }
        let ring = Self {
            pos: OwnerWord::new(geometry.position(first, 0).0),
            open: AtomicPtr::new(subs.as_ptr()),
            visible: AtomicU64::new(geometry.position(first, 0).0),
            succ: AtomicPtr::new(null_mut()),
            serial: AtomicU64::new(0),
            holders: Apart(AtomicU64::new(0)),
            geometry,
            first,
            subs,
            infos,
            spares,
            bytes: part(layout.bytes),
            storage,
            #[cfg(loom)]
            shadow: (0..geometry.blocks() * geometry.subbuf_size())
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect(),
            #[cfg(loom)]
            life: loom::cell::UnsafeCell::new(()),
        };
        let place = part(0).cast::<Self>();
        // SAFETY: the header lies at the base, which is aligned to STORAGE_ALIGN; the memory is
        // ours alone.
        unsafe { place.write(ring) };
        Ok(place)
    }

    /// Ends a ring and gives its memory back.
    ///
    /// # Safety
    /// `ring` comes from [`Ring::build`], and nobody uses it or anything in it any more.
    pub(super) unsafe fn destroy(ring: NonNull<Self>) {
        #[cfg(loom)]
        {
            // SAFETY: alive, as the caller says. It stays, so that whoever uses it nevertheless is
            // found out.
            unsafe { ring.as_ref() }.life.with_mut(|_| ());
        }
        #[cfg(not(loom))]
        {
            // SAFETY: the caller says it is alive and unused. Its parts are atomics, which need no
            // drop.
            let ring = unsafe { ring.read() };
            drop(ring);
        }
    }

    /// The control words of packet `packet`'s sub-buffer.
    #[inline]
    pub(super) fn sub(&self, packet: u64) -> &Sub {
        self.track_use();
        // SAFETY: `index` is below `subbuf_count`, and `build` wrote that many.
        unsafe { self.subs.add(self.geometry.index(packet)).as_ref() }
    }

    /// The entry word of packet `packet`'s sub-buffer. Acquire: what a reader did with a block
    /// before it gave it back happens-before what the owner does next.
    #[inline]
    pub(super) fn entry(&self, packet: u64) -> Entry {
        Entry(self.sub(packet).entry.load(Ordering::Acquire))
    }

    /// What is known of the packet in block `block`.
    #[inline]
    pub(super) fn info(&self, block: usize) -> &BlockInfo {
        assert!(block < self.geometry.blocks());
        // SAFETY: `block` is below `blocks`, and `build` wrote that many.
        unsafe { self.infos.add(block).as_ref() }
    }

    /// Place `i` of the readers' spare blocks.
    pub(super) fn spare(&self, i: usize) -> &AtomicU64 {
        assert!(i < self.geometry.spares());
        // SAFETY: `i` is below `spares`, and `build` wrote that many.
        unsafe { self.spares.add(i).as_ref() }
    }

    /// The first of `len` bytes at `offset` of block `block`.
    #[inline]
    pub(super) fn at(&self, block: usize, offset: usize, len: usize) -> NonNull<u8> {
        let size = self.geometry.subbuf_size();
        assert!(block < self.geometry.blocks() && offset <= size && len <= size - offset);
        // SAFETY: just checked to lie in the blocks, whose memory begins at `bytes`.
        unsafe { self.bytes.add(block * size + offset) }
    }

    /// `len` bytes at `offset` of `block`, to be written.
    ///
    /// # Safety
    /// The caller has reserved these bytes and not committed them, or delivers the packet; no
    /// other reference to them exists.
    #[expect(
        clippy::mut_from_ref,
        reason = "the bytes are not behind the reference: they are handed out by reservation"
    )]
    #[inline]
    pub(super) unsafe fn bytes_mut(&self, block: usize, offset: usize, len: usize) -> &mut [u8] {
        let first = self.at(block, offset, len);
        self.track_write(first, len);
        // SAFETY: `at` checked the range; it is initialised (the storage was); the caller has it
        // alone.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), len) }
    }

    /// `len` bytes at `offset` of `block`, to be read.
    ///
    /// # Safety
    /// Nobody writes to them as long as the result lives.
    #[inline]
    pub(super) unsafe fn slice<'b>(&self, block: usize, offset: usize, len: usize) -> &'b [u8] {
        let first = self.at(block, offset, len);
        self.track_read(first, len);
        // SAFETY: `at` checked the range, and it is initialised; the caller says that nobody
        // writes.
        unsafe { core::slice::from_raw_parts(first.as_ptr(), len) }
    }

    /// The write position.
    #[inline]
    pub(super) fn position(&self) -> Position {
        self.track_use();
        Position(self.pos.load(Ordering::Acquire))
    }

    /// Up to where readers may look.
    #[inline]
    pub(super) fn visible(&self) -> Position {
        // Acquire: pairs with the Release in `show`.
        Position(self.visible.load(Ordering::Acquire))
    }

    /// Lets readers look up to `end`.
    #[inline]
    pub(super) fn show(&self, end: Position) {
        // Release: who sees it sees what is before it; a sealed end: the successor, which was set
        // before the seal.
        self.visible.store(end.0, Ordering::Release);
    }

    /// Its number in the chain.
    #[inline]
    pub(super) fn serial(&self) -> u64 {
        self.track_use();
        self.serial.load(Ordering::Relaxed)
    }

    /// The ring that replaces this one, if any.
    #[inline]
    pub(super) fn successor(&self) -> Option<&Self> {
        self.track_use();
        let succ = self.succ.load(Ordering::Acquire);
        if ptr::eq(succ, self) {
            return None;
        }
        // SAFETY: null, or a ring that is freed after this one only.
        unsafe { succ.as_ref() }
    }

    /// This ring and all that follow it.
    pub(super) fn chain(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |ring| ring.successor())
    }

    /// The mark in `succ` that says: closed, there will be no successor.
    pub(super) fn closed_mark(&self) -> *mut Self {
        ptr::from_ref(self).cast_mut()
    }

    /// Bytes before the first record of packet `packet`.
    #[inline]
    pub(super) fn records_start(&self, packet: u64) -> usize {
        let header = if packet == self.first && self.serial() == 0 {
            self.geometry.channel_start_reserve()
        } else {
            0
        };
        self.geometry.start_reserve() + header
    }

    /// Records that `entry` says are unread; `None` if it says so no more.
    #[inline]
    pub(super) fn unread_in(&self, entry: Entry) -> Option<u64> {
        if !entry.state().is_unread() {
            return Some(0);
        }
        self.info(entry.block()).records_of(entry)
    }

    /// Tells loom that the ring is used here.
    #[inline(always)]
    pub(super) fn track_use(&self) {
        #[cfg(loom)]
        self.life.with(|_| ());
    }

    /// Tells loom and tests that these bytes are written here.
    #[inline(always)]
    pub(super) fn track_write(&self, first: NonNull<u8>, len: usize) {
        touched::written(first, len);
        #[cfg(loom)]
        for cell in self.shadow_of(first, len) {
            cell.with_mut(|_| ());
        }
    }

    /// Tells loom and tests that these bytes are read here.
    #[inline(always)]
    pub(super) fn track_read(&self, first: NonNull<u8>, len: usize) {
        touched::read(first, len);
        #[cfg(loom)]
        for cell in self.shadow_of(first, len) {
            cell.with(|_| ());
        }
    }

    #[cfg(loom)]
    fn shadow_of(&self, first: NonNull<u8>, len: usize) -> &[loom::cell::UnsafeCell<()>] {
        let start = first.addr().get() - self.bytes.addr().get();
        &self.shadow[start..start + len]
    }
}

#[cfg(all(test, not(loom)))]
impl Ring {
    /// What lies where, with every word by its name.
    pub(super) fn parts(&self) -> std::vec::Vec<touched::Part> {
        extern crate std;
        use touched::{parts_of, span};
        let mut parts = std::vec::Vec::new();
        let own = parts_of!(self, "ring", pos, open, visible, succ, serial, holders);
        parts.extend(own);
        let fixed = span(&self.geometry).start.min(span(&self.first).start);
        parts.push(("ring, what is fixed".into(), fixed..span(self).end));
        let count = self.geometry.subbuf_count();
        for i in 0..count {
            parts.extend(self.sub(i as u64).parts());
        }
        let infos = (0..self.geometry.blocks()).map(|block| span(self.info(block)));
        parts.extend(infos.map(|at| ("info".into(), at)));
        let spares = (0..self.geometry.spares()).map(|i| span(self.spare(i)));
        parts.extend(spares.map(|at| ("spares".into(), at)));
        let bytes = self.bytes.addr().get();
        let size = self.geometry.blocks() * self.geometry.subbuf_size();
        parts.push(("bytes".into(), bytes..bytes + size));
        parts
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_room_is_kept_for_nothing() {
        assert_eq!(size_of::<Ring>(), Layout::WORDS);
    }
}
