//! What was reserved and is not committed yet.

use super::fast::{Claim, copy};
use super::geometry::Position;
use super::local::Level;
use super::packet::Closed;
use super::subbuf::{Committed, Sub};
use super::writer::Writer;
use super::{Delivery, Loss, Ring};
use crate::platform::Platform;
use crate::step::step;
use crate::sync::{Ordering, PerCpu, Usage};
use core::fmt;
use core::ptr::NonNull;

/// Reserved, uncommitted space for one record. Having a `Slot` tells you:
///
/// - the bytes are yours alone, until [`commit`](Self::commit);
/// - no other record of this stream will come between those before it and it;
/// - you are pinned to the CPU that reserved it, so it cannot be sent elsewhere.
///
/// Dropping it uncommitted discards the record, visibly: it is counted as lost
/// ([`Loss::Discarded`]). A leaked slot keeps its sub-buffer from ever being delivered, and takes one of
/// the eight levels of nesting of its CPU.
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// fn never<P: relay::Platform>(slot: relay::Slot<'_, P>) {
///     send(slot); // a slot belongs to its CPU
/// }
/// ```
#[must_use = "a slot that is dropped discards its record; call `commit`"]
pub struct Slot<'a, P: Platform, U: Usage = PerCpu> {
    writer: Writer<'a, P, U>,
    // Pointers, not references: once the level is given back, the ring may be freed.
    ring: NonNull<Ring>,
    sub: NonNull<Sub>,
    bytes: NonNull<u8>,
    /// Bytes of the record.
    len: usize,
    /// Bytes reserved: the record, and the filling behind it if it was shrunk.
    reserved: usize,
    begin: Position,
    end: Position,
    level: Level,
    ticks: u64,
    published: bool,
}

impl<'a, P: Platform, U: Usage> Slot<'a, P, U> {
    /// The slot for `len` bytes at `bytes`, from `begin` to `end`.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields, each of its own meaning"
    )]
    pub(super) fn new(
        writer: Writer<'a, P, U>,
        ring: &Ring,
        sub: &Sub,
        bytes: NonNull<u8>,
        len: usize,
        begin: Position,
        end: Position,
        level: Level,
        ticks: u64,
    ) -> Self {
        Self {
            writer,
            ring: NonNull::from(ring),
            sub: NonNull::from(sub),
            bytes,
            len,
            reserved: len,
            begin,
            end,
            level,
            ticks,
            published: false,
        }
    }

    /// The slot for a claim of `len` bytes.
    #[inline(always)]
    pub(super) fn behind(writer: Writer<'a, P, U>, claim: Claim<'a>, len: usize) -> Self {
        Self {
            ring: NonNull::from(claim.ring),
            sub: NonNull::from(claim.sub),
            bytes: claim.bytes,
            len,
            reserved: len,
            begin: claim.begin,
            end: Position(claim.begin.0.wrapping_add(len as u64)),
            level: claim.level,
            ticks: claim.ticks,
            published: false,
            writer,
        }
    }

    /// The ring. It lives as long as the level is held.
    #[inline(always)]
    fn ring(&self) -> &Ring {
        // SAFETY: the slot holds a level of its CPU, and no ring that it can use is freed meanwhile.
        unsafe { self.ring.as_ref() }
    }

    #[inline(always)]
    fn sub(&self) -> &Sub {
        // SAFETY: one of the ring's descriptors, as above.
        unsafe { self.sub.as_ref() }
    }

    /// The time of the reservation, in ticks: not before that of any earlier record of this stream.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.ticks
    }

    /// The time at which the packet that this record lies in was opened, in ticks.
    #[inline]
    #[must_use]
    pub fn packet_begin(&self) -> u64 {
        self.sub().begin_ticks.load(Ordering::Relaxed)
    }

    /// The number of bytes reserved.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a slot is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes to be filled. They hold what was there before, zeros at first.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.ring().track_write(self.bytes, self.len);
        // SAFETY: `len` bytes from `bytes` were reserved by this slot, and nobody else touches
        // them before they are committed, which consumes the slot; `&mut self` keeps the borrows
        // apart. They are initialised, as all of a ring's storage.
        unsafe { core::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }

    /// The first of the bytes.
    pub(super) fn first(&self) -> NonNull<u8> {
        self.bytes
    }

    /// Copies `bytes`, as many as fit, to the start of the slot.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(self.len)];
        self.ring().track_write(self.bytes, bytes.len());
        // SAFETY: the slot has as many bytes, which nobody else uses.
        unsafe { copy(bytes, self.bytes) };
    }

    /// Keeps the first `len` bytes only, at least one. What is cut off is given back if nothing was
    /// reserved after it, otherwise made a filling that readers skip. False, and nothing has changed,
    /// if `len` is none of 1 to [`len`](Self::len), or if what is cut off is shorter than the
    /// client's fillings ([`Hooks::least_fill`](crate::Hooks::least_fill)).
    pub fn shrink(&mut self, len: usize) -> bool {
        if len == 0 || len >= self.len {
            return len == self.len;
        }
        let end = Position(self.begin.0.wrapping_add(len as u64));
        if self.give_back_to(end) {
            self.end = end;
            self.reserved = len;
            let intent = self.writer.local.intent(self.level);
            intent.announce(self.begin, len as u64);
        } else {
            if self.len - len < self.writer.hooks.least_fill() {
                return false;
            }
            let (hooks, ticks) = (self.writer.hooks, self.ticks);
            hooks.fill(&mut self.bytes_mut()[len..], ticks);
        }
        self.len = len;
        true
    }

    /// Declares the record written.
    #[inline(always)]
    pub fn commit(mut self) {
        self.publish(1);
    }

    /// Commits, and stores the bytes after that: a mistake that tests make.
    pub(super) fn commit_unwritten(mut self, bytes: &[u8]) {
        self.publish(1);
        step();
        self.write(bytes);
    }

    /// Gives the record up: it is counted as lost. The space is given back if nothing was
    /// reserved after it, and is skipped by readers otherwise.
    pub fn discard(self) {
        drop(self);
    }

    /// Commits the bytes, with this many records: one, or none.
    #[inline(always)]
    fn publish(&mut self, records: u64) {
        // A record that ends exactly at the limit also owns the end reserve.
        let bytes = self.end.since(self.begin);
        self.published = true;
        if records != 0 {
            let intent = self.writer.local.intent(self.level);
            intent.set_written(self.reserved as u64);
            step();
        }
        let carries = self
            .sub()
            .hot
            .add_carries::<U>(Committed::step(bytes, records));
        step();
        if carries || self.ring().geometry.delivery() == Delivery::Packet {
            self.writer.deliver();
            step();
        }
    }

    /// Gives what lies behind `to` back, if nothing was reserved after it. Never where several CPUs write:
    /// one of them may have seen the position, and must not take what it sees later for the same.
    #[inline]
    fn give_back_to(&self, to: Position) -> bool {
        if U::SHARED {
            return false;
        }
        let (ring, sub) = (self.ring(), self.sub());
        let geometry = &ring.geometry;
        // A slot that fills its packet has noted where that ends. The note must not outlive it:
        // the post-mortem would believe it. The packet cannot be complete meanwhile.
        let is_exact = geometry.offset(self.end) == 0;
        let note = sub.closed.load(Ordering::Relaxed);
        if is_exact {
            let other = geometry.before(geometry.packet(self.begin), 1);
            sub.closed
                .store(Closed::new(other, 0, false).0, Ordering::Release);
            step();
        }
        // A packet that becomes empty is opened anew: until then, nobody writes to it the fast way.
        let empties = geometry.offset(to) == 0;
        if empties {
            let start = geometry.position(geometry.packet(to), 0);
            sub.start.store(start.far().0, Ordering::Relaxed);
            step();
        }
        let is_back = ring.pos.cas::<U>(self.end.0, to.0);
        step();
        if !is_back && is_exact {
            sub.closed.store(note, Ordering::Release);
        }
        if !is_back && empties {
            let start = geometry.position(geometry.packet(to), 0);
            sub.start.store(start.0, Ordering::Release);
        }
        is_back
    }

    /// What becomes of a record that is given up.
    #[cold]
    fn give_up(&mut self) {
        if !self.give_back_to(self.begin) {
            let (hooks, ticks) = (self.writer.hooks, self.ticks);
            self.len = self.reserved;
            hooks.fill(self.bytes_mut(), ticks);
            step();
            self.publish(0);
        }
        self.writer.stream.lose::<U>(Loss::Discarded);
        step();
    }
}

impl<P: Platform, U: Usage> Drop for Slot<'_, P, U> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.published {
            self.give_up();
        }
        self.writer.local.give_back(self.level);
    }
}

impl<P: Platform, U: Usage> fmt::Debug for Slot<'_, P, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("begin", &self.begin)
            .field("len", &self.len)
            .field("ticks", &self.ticks)
            .finish_non_exhaustive()
    }
}
