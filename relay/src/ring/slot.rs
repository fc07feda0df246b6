//! What was reserved and is not committed yet.

use super::geometry::Position;
use super::stream::Intent;
use super::writer::Writer;
use super::{Closed, Loss, Ring};
use crate::platform::Platform;
use crate::step::step;
use crate::sync::Ordering;
use core::fmt;
use core::ptr::NonNull;

/// Reserved, uncommitted space for one record. Having a `Slot` tells you:
///
/// - the bytes are yours alone, until [`commit`](Self::commit);
/// - no other record of this CPU will come between those before it and it;
/// - you are pinned to the CPU that reserved it, so it cannot be sent elsewhere.
///
/// Dropping it uncommitted discards the record, visibly: it is counted as lost
/// ([`Loss::Discarded`]). A leaked slot keeps its sub-buffer, and those behind it, from ever being
/// delivered, its nesting level and its pin. One that an interrupt handler keeps beyond its end may
/// confuse the post-mortem of its CPU, nothing else.
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// fn never<P: relay::Platform>(slot: relay::Slot<'_, P>) {
///     send(slot); // a slot belongs to its CPU
/// }
/// ```
#[must_use = "a slot that is dropped discards its record; call `commit`"]
pub struct Slot<'a, P: Platform> {
    writer: Writer<'a, P>,
    ring: &'a Ring,
    packet: u64,
    block: usize,
    offset: usize,
    bytes: NonNull<u8>,
    len: usize,
    begin: Position,
    end: Position,
    level: usize,
    ticks: u64,
    published: bool,
}

impl<'a, P: Platform> Slot<'a, P> {
    /// The slot for `len` bytes at `offset` of `block`, from `begin` to `end`.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields, each of its own meaning"
    )]
    #[inline(always)]
    pub(super) fn new(
        writer: Writer<'a, P>,
        ring: &'a Ring,
        packet: u64,
        block: usize,
        offset: usize,
        len: usize,
        begin: Position,
        end: Position,
        level: usize,
        ticks: u64,
    ) -> Self {
        Self {
            bytes: ring.at(block, offset, len),
            writer,
            ring,
            packet,
            block,
            offset,
            len,
            begin,
            end,
            level,
            ticks,
            published: false,
        }
    }

    /// The time of the reservation, in ticks: not before that of any earlier record of this CPU.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.ticks
    }

    /// The number of bytes reserved.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a slot is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes to be filled. They hold what was there before, zeros at first.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.ring.track_write(self.block, self.offset, self.len);
        // SAFETY: `len` bytes from `bytes` were reserved by this slot, and nobody else touches
        // them before they are committed, which consumes the slot; `&mut self` keeps the borrows
        // apart. They are initialised, as all of a ring's storage.
        unsafe { core::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }

    /// Copies `bytes`, as many as fit, to the start of the slot.
    #[inline]
    pub(super) fn copy_from(&mut self, bytes: &[u8]) {
        for (to, from) in self.bytes_mut().chunks_mut(8).zip(bytes.chunks(8)) {
            to[..from.len()].copy_from_slice(from);
            step();
        }
    }

    /// Declares the record written.
    #[inline]
    pub fn commit(mut self) {
        self.publish(true);
    }

    /// Gives the record up: it is counted as lost. The space is given back if nothing was
    /// reserved after it, and is skipped by readers otherwise.
    pub fn discard(self) {
        drop(self);
    }

    /// Commits the bytes, as a record or as filling.
    #[inline(always)]
    pub(super) fn publish(&mut self, record: bool) {
        let geometry = &self.ring.geometry;
        // A record that ends exactly at the limit also owns the end reserve.
        let bytes = self
            .end
            .since(geometry.position(self.packet, self.offset as u64));
        self.published = true;
        if record {
            let intent = Intent::new(self.begin.0 >> 1, self.len as u64).written();
            // Release: for the post-mortem, the bytes come before the word that they are there.
            self.writer.stream.intents[self.level].store(intent.0, Ordering::Release);
            step();
        }
        self.writer.add(self.ring, self.packet, bytes, record);
        step();
    }

    /// Gives the space back, if nothing was reserved after it.
    #[inline]
    fn roll_back(&self) -> bool {
        // A slot that fills its packet has noted where that ends. The note must not outlive it:
        // the post-mortem would believe it. The packet cannot be complete meanwhile.
        let closed = &self.ring.sub(self.packet).closed;
        let is_exact = self.ring.geometry.offset(self.end) == 0;
        let note = closed.load(Ordering::Relaxed);
        if is_exact {
            let other = self.ring.geometry.before(self.packet, 1);
            closed.store(Closed::new(other, 0, false).0, Ordering::Release);
            step();
        }
        let is_back = self.ring.pos.cas(self.end.0, self.begin.0);
        if is_exact && !is_back {
            step();
            closed.store(note, Ordering::Release);
        }
        is_back
    }
}

impl<P: Platform> Drop for Slot<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if !self.published {
            if !self.roll_back() {
                step();
                let ticks = self.ticks;
                let hooks = self.writer.hooks;
                hooks.fill(self.bytes_mut(), ticks);
                step();
                self.publish(false);
            }
            self.writer.stream.lose(Loss::Discarded);
            step();
        }
        self.writer.stream.leave(self.level);
    }
}

impl<P: Platform> fmt::Debug for Slot<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("packet", &self.packet)
            .field("offset", &self.offset)
            .field("len", &self.len)
            .field("ticks", &self.ticks)
            .finish_non_exhaustive()
    }
}
