//! ONE buffer of one CPU: reserve, commit, switch, deliver, read. Pure mechanism; it knows bytes.
//!
//! `docs/ARCHITECTURE.md` of the project has the states, who may write what, and the table of
//! orderings. The parts, from the ground up:
//!
//! | module | concept |
//! |---|---|
//! | `geometry` | sizes and counts, positions modulo 2^63 bytes |
//! | `entry` | the state of a sub-buffer in one word |
//! | `ledger` | losses by reason |
//! | `storage` | the memory of a ring |
//! | here | the ring's words, what is known of a packet |
//! | `stream` | the owner's words, which outlive the ring |
//! | `writer` | reserve: the loop around the one compare-and-swap; `prepare` |
//! | `slot` | what was reserved: commit, discard |
//! | `deliver` | complete packets become readable, in order, once |
//! | `flush` | close the open packet; seal, succeed, close the stream |
//! | `reader` | the consuming reader, zero copy |
//! | `salvage`, `puzzle` | what a stopped CPU left, read only; which bytes of it are whole records |

mod deliver;
mod entry;
mod flush;
mod geometry;
mod ledger;
mod puzzle;
mod reader;
mod salvage;
mod slot;
mod storage;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use flush::{CloseError, Flushed};
pub use geometry::{Geometry, GeometryError, Mode};
pub use ledger::{Loss, Losses};
pub use reader::{Reader, SubBuffer};
pub use salvage::{Salvage, SalvagedPacket, Stopped};
pub use slot::Slot;
pub use storage::{STORAGE_ALIGN, StaticMemory, Storage, StorageError};
pub use stream::StreamStats;
pub use writer::WriteError;

pub(crate) use stream::Stream;
pub(crate) use writer::{Pin, Writer};

use crate::sync::{AtomicPtr, AtomicU64, Ordering, OwnerWord};
use core::ptr::NonNull;
use entry::{Entry, State};
use geometry::Position;
use ledger::LossRecord;
use storage::Layout;

/// What the client puts around the records of a packet, and where it hears of it.
///
/// The hooks run in the context of the write that opens, closes or completes a packet: any
/// context, NMI included. They must not lock, wait or allocate; they may write records, which is
/// a nested write like any other, but fewer than fit into a packet: otherwise delivery goes on for
/// ever.
pub trait Hooks: Sync {
    /// Packet `start` begins: `header` is its start reserve, to be filled. Not called where there is
    /// no start reserve.
    fn buffer_start(&self, header: &mut [u8], start: &PacketStart) {
        let _ = (header, start);
    }

    /// The packet is complete: `header` is its start reserve, `trailer` its end reserve. After
    /// this it becomes readable.
    fn buffer_end(&self, header: &mut [u8], trailer: &mut [u8], packet: &Packet) {
        let _ = (header, trailer, packet);
    }

    /// `bytes` were reserved at `timestamp` and then discarded, and something was written after
    /// them: make them something that readers of this client's records skip.
    fn fill(&self, bytes: &mut [u8], timestamp: u64) {
        let _ = timestamp;
        bytes.fill(0);
    }

    /// A packet of CPU `cpu` became readable. Publishing it is a Release store: a hook that looks
    /// whether a reader sleeps needs a SeqCst fence before it looks, or a wake-up is lost.
    fn deliver(&self, cpu: usize) {
        let _ = cpu;
    }
}

/// The hooks of a channel whose records are plain bytes.
#[derive(Clone, Copy, Debug)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// What is known of a packet when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStart {
    /// The CPU it belongs to.
    pub cpu: usize,
    /// The time of its first record, in ticks.
    pub begin_ticks: u64,
}

/// What is known of a complete packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The CPU it belongs to.
    pub cpu: usize,
    /// Its number in the stream, from 0, without gaps (also over ring replacements).
    pub sequence: u64,
    /// The number of its first record in the stream: how many records lie in the packets before.
    pub ordinal: u64,
    /// How many records lie in it.
    pub records: u64,
    /// Bytes used: start reserve and records, without padding and end reserve.
    pub content: usize,
    /// The time of its opening, in ticks.
    pub begin_ticks: u64,
    /// The time of its closing, in ticks: not before its last record, not after the first of the
    /// next packet.
    pub end_ticks: u64,
    /// Records lost up to its closing, since the stream began, by reason.
    pub lost: Losses,
    /// Records overwritten before they were read, as counted at its delivery (continuous mode). A
    /// hint that may lag: what is certain are the gaps between [ordinals](Self::ordinal).
    pub overwritten: u64,
    /// Whether the stream was closed with this packet: it is the last one.
    pub is_final: bool,
}

/// The control words of a sub-buffer; they belong to one lap of the writer.
#[repr(C, align(128))]
#[derive(Debug)]
struct Sub {
    /// Bytes and records committed in this lap: `records << 32 | bytes`. Complete at `bytes ==
    /// subbuf_size`.
    hot: OwnerWord,
    /// The entry word: state, packet, block.
    ent: AtomicU64,
    /// Written by the opener.
    begin_ticks: AtomicU64,
    /// Written by the closer: the time of the closing.
    end_ticks: AtomicU64,
    /// Written by the closer: the loss counts at the closing.
    lost: LossRecord,
    /// Written last by the closer: `packet << 33 | FINAL << 32 | content`.
    closed: AtomicU64,
}

/// The closer's word: which packet was closed at which offset, and whether it is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closed(u64);

impl Closed {
    const FINAL: u64 = 1 << 32;

    fn new(packet: u64, content: u64, is_final: bool) -> Self {
        Self(packet << 33 | if is_final { Self::FINAL } else { 0 } | content)
    }

    fn is_packet(self, packet: u64) -> bool {
        self.0 >> 33 == packet & (u64::MAX >> 33)
    }

    fn is_final(self) -> bool {
        self.0 & Self::FINAL != 0
    }

    fn content(self) -> u64 {
        self.0 & (Self::FINAL - 1)
    }
}

/// Records and bytes in one word, so that one add commits both.
const HOT_RECORD: u64 = 1 << 32;

/// The bytes part of a `hot` word.
const fn hot_bytes(hot: u64) -> u64 {
    hot & (HOT_RECORD - 1)
}

/// The records part of a `hot` word.
const fn hot_records(hot: u64) -> u64 {
    hot >> 32
}

/// What the deliverer leaves about the packet in a block. It travels with the block when a reader
/// takes it. All fields are published by the Release store that makes the entry readable.
#[repr(C, align(64))]
#[derive(Debug)]
struct BlockInfo {
    sequence: AtomicU64,
    ordinal: AtomicU64,
    records: AtomicU64,
    begin_ticks: AtomicU64,
    end_ticks: AtomicU64,
    overwritten: AtomicU64,
    lost: LossRecord,
    /// The closer's word, stored last: says which packet the rest is about.
    closed: AtomicU64,
}

impl BlockInfo {
    fn store(&self, packet: &Packet, closed: Closed) {
        self.sequence.store(packet.sequence, Ordering::Relaxed);
        self.ordinal.store(packet.ordinal, Ordering::Relaxed);
        self.records.store(packet.records, Ordering::Relaxed);
        self.begin_ticks
            .store(packet.begin_ticks, Ordering::Relaxed);
        self.end_ticks.store(packet.end_ticks, Ordering::Relaxed);
        self.overwritten
            .store(packet.overwritten, Ordering::Relaxed);
        self.lost.store(&packet.lost);
        // Release: a post-mortem reader that sees the mark sees the rest.
        self.closed.store(closed.0, Ordering::Release);
    }

    fn load(&self, cpu: usize) -> Packet {
        let closed = Closed(self.closed.load(Ordering::Acquire));
        Packet {
            cpu,
            sequence: self.sequence.load(Ordering::Relaxed),
            ordinal: self.ordinal.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            content: closed.content() as usize,
            begin_ticks: self.begin_ticks.load(Ordering::Relaxed),
            end_ticks: self.end_ticks.load(Ordering::Relaxed),
            lost: self.lost.load(),
            overwritten: self.overwritten.load(Ordering::Relaxed),
            is_final: closed.is_final(),
        }
    }
}

/// A ring: the words that belong to one buffer. What must survive its replacement is in
/// [`Stream`].
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Ring {
    /// The write position; the one word that a reservation swaps.
    pos: OwnerWord,
    /// Up to where readers may look: a [`Position`] at a packet boundary; sealed once nothing
    /// more will come in this ring.
    visible: AtomicU64,
    /// The ring that replaces this one, or this ring itself once the stream is being closed; set
    /// before this one is sealed.
    succ: AtomicPtr<Ring>,
    geometry: Geometry,
    /// Its first packet.
    first: u64,
    subs: NonNull<Sub>,
    infos: NonNull<BlockInfo>,
    /// Blocks that readers have at hand to exchange: `block + 1`, or 0.
    spares: NonNull<AtomicU64>,
    bytes: NonNull<u8>,
    storage: Storage,
    /// Loom cannot see raw memory: one tracked cell per byte stands for it.
    #[cfg(loom)]
    shadow: std::vec::Vec<loom::cell::UnsafeCell<()>>,
}

// SAFETY: the pointers lead into memory that the ring owns (`storage`). The control words there are
// atomics. The bytes are written only by the owner CPU, into slots that it reserved, and read only
// by whoever holds the sub-buffer by its entry word: see the entry's state diagram.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// Builds a ring of `geometry` in `storage`, its first packet numbered `first` (rings are
    /// tested with numbers near the end of the range).
    ///
    /// The result is alive until [`Ring::destroy`].
    fn build(
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
            let index = geometry.index(packet);
            let sub = Sub {
                hot: OwnerWord::new(0),
                ent: AtomicU64::new(Entry::new(packet, State::Empty, index).0),
                begin_ticks: AtomicU64::new(0),
                end_ticks: AtomicU64::new(0),
                lost: LossRecord::new(),
                closed: AtomicU64::new(Closed::new(packet, 0, false).0),
            };
            // SAFETY: `index` is below `subbuf_count`, the number of elements that the layout
            // reserves there, aligned by it; the memory is ours alone.
            unsafe { subs.add(index).write(sub) };
        }
        for i in 0..geometry.blocks() {
            let info = BlockInfo {
                sequence: AtomicU64::new(0),
                ordinal: AtomicU64::new(0),
                records: AtomicU64::new(0),
                begin_ticks: AtomicU64::new(0),
                end_ticks: AtomicU64::new(0),
                overwritten: AtomicU64::new(0),
                lost: LossRecord::new(),
                closed: AtomicU64::new(Closed::new(geometry.before(first, 1), 0, false).0),
            };
            // SAFETY: element i of `blocks` that the layout reserves, likewise.
            unsafe { infos.add(i).write(info) };
        }
        for i in 0..geometry.spares() {
            let word = AtomicU64::new((geometry.subbuf_count() + i) as u64 + 1);
            // SAFETY: element i of `spares` that the layout reserves, likewise.
            unsafe { spares.add(i).write(word) };
        }
        let ring = Self {
            pos: OwnerWord::new(geometry.position(first, 0).0),
            visible: AtomicU64::new(geometry.position(first, 0).0),
            succ: AtomicPtr::new(core::ptr::null_mut()),
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
    unsafe fn destroy(ring: NonNull<Self>) {
        // SAFETY: the caller says it is alive and unused. Its parts are atomics, which need no
        // drop outside loom, where leaking them is harmless.
        let ring = unsafe { ring.read() };
        drop(ring);
    }

    /// The control words of packet `packet`'s sub-buffer.
    #[inline]
    fn sub(&self, packet: u64) -> &Sub {
        // SAFETY: `index` is below `subbuf_count`, and `build` wrote that many.
        unsafe { self.subs.add(self.geometry.index(packet)).as_ref() }
    }

    /// The entry word of packet `packet`'s sub-buffer. Acquire: what a reader did with a block
    /// before it gave it back happens-before what the owner does next.
    #[inline]
    fn entry(&self, packet: u64) -> Entry {
        Entry(self.sub(packet).ent.load(Ordering::Acquire))
    }

    /// What is known of the packet in block `block`.
    #[inline]
    fn info(&self, block: usize) -> &BlockInfo {
        assert!(block < self.geometry.blocks());
        // SAFETY: `block` is below `blocks`, and `build` wrote that many.
        unsafe { self.infos.add(block).as_ref() }
    }

    /// Slot `i` of the readers' spare blocks.
    fn spare(&self, i: usize) -> &AtomicU64 {
        assert!(i < self.geometry.spares());
        // SAFETY: `i` is below `spares`, and `build` wrote that many.
        unsafe { self.spares.add(i).as_ref() }
    }

    /// The first of `len` bytes at `offset` of block `block`.
    #[inline]
    fn at(&self, block: usize, offset: usize, len: usize) -> NonNull<u8> {
        let size = self.geometry.subbuf_size();
        assert!(block < self.geometry.blocks() && offset <= size && len <= size - offset);
        // SAFETY: just checked to lie in the blocks, whose memory begins at `bytes`.
        unsafe { self.bytes.add(block * size + offset) }
    }

    /// The write position.
    #[inline]
    fn position(&self) -> Position {
        Position(self.pos.load(Ordering::Acquire))
    }

    /// The ring that replaces this one, if any.
    #[inline]
    fn successor(&self) -> Option<&Self> {
        let succ = self.succ.load(Ordering::Acquire);
        if core::ptr::eq(succ, self) {
            return None;
        }
        // SAFETY: null, or a ring that lives as long as the stream, as this one does.
        unsafe { succ.as_ref() }
    }

    /// The mark in `succ` that says: closed, there will be no successor.
    fn closed_mark(&self) -> *mut Self {
        core::ptr::from_ref(self).cast_mut()
    }

    /// Tells loom that these bytes are written here.
    #[inline(always)]
    fn track_write(&self, _block: usize, _offset: usize, _len: usize) {
        #[cfg(loom)]
        for cell in self.shadow_of(_block, _offset, _len) {
            cell.with_mut(|_| ());
        }
    }

    /// Tells loom that these bytes are read here.
    #[inline(always)]
    fn track_read(&self, _block: usize, _offset: usize, _len: usize) {
        #[cfg(loom)]
        for cell in self.shadow_of(_block, _offset, _len) {
            cell.with(|_| ());
        }
    }

    #[cfg(loom)]
    fn shadow_of(&self, block: usize, offset: usize, len: usize) -> &[loom::cell::UnsafeCell<()>] {
        let start = block * self.geometry.subbuf_size() + offset;
        &self.shadow[start..start + len]
    }
}
