//! What was reserved and is not committed yet.

use super::fast::{Any, Claim, Source, copy};
use super::local::{Level, Local};
use super::packet::Closed;
use super::position::Position;
use super::stream::Stream;
use super::subbuf::{Committed, Sub};
use super::writer::{Pin, Writer};
use super::{Delivery, Hooks, Loss, Ring};
use crate::platform::Platform;
use crate::step::step;
use crate::sync::{Ordering, PerCpu, Usage};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// Reserved, uncommitted space for one record: see [`Channel::reserve`](crate::Channel::reserve). Having a `Slot` tells you:
///
/// - the bytes are yours alone, until [`commit`](Self::commit);
/// - no other record of this stream will come between those before it and it;
/// - you are pinned to the CPU that reserved it, so it cannot be sent elsewhere.
///
/// Dropping it uncommitted discards the record, visibly: it is counted as lost
/// ([`Loss::Discarded`]). A leaked slot costs its sub-buffer and one of the eight levels of nesting of its
/// CPU: the packet is passed over when a task writes the sub-buffer's next lap, or closes the stream. Its
/// records count as overwritten then, the leaked one as lost ([`Loss::Wrapped`]). So do those of a slot that
/// a task keeps open while it writes a whole lap, even if it is committed later. Nothing is passed over in a global
/// channel, nor a packet of which records were shown one by one (packet delivery): there a leaked slot costs the
/// stream, a lap later. And no ring that its CPU leaves is freed any more. While a slot is open, or leaked, that
/// was reserved with no other record under way, the other records of its CPU take a longer way, of three times the instructions.
///
/// All of it may be done in any context, on the CPU that reserved it. Hold it for as short a time as it takes to fill it: what
/// comes after it is delivered after it.
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// fn never<P: relay::Platform>(slot: relay::Slot<'_, P>) {
///     send(slot); // a slot belongs to its CPU
/// }
/// ```
#[must_use = "a slot that is dropped discards its record; call `commit`"]
pub struct Slot<'a, P: Platform, U: Usage = PerCpu> {
    space: Space<'a, P, U>,
    /// Keeps the code on its CPU.
    _pin: Pin<'a, P>,
    published: bool,
}

/// What a slot knows. Whatever is seldom needed gets a copy of it, so that slots themselves can stay in
/// registers.
struct Space<'a, P: Platform, U: Usage> {
    stream: &'a Stream,
    local: &'a Local,
    hooks: &'a dyn Hooks,
    platform: &'a P,
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
    usage: PhantomData<U>,
}

impl<P: Platform, U: Usage> Clone for Space<'_, P, U> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform, U: Usage> Copy for Space<'_, P, U> {}

impl<'a, P: Platform, U: Usage> Slot<'a, P, U> {
    /// The slot for `claim`, of `len` bytes in `stream`.
    #[inline(always)]
    pub(crate) fn behind(
        stream: &'a Stream,
        local: &'a Local,
        hooks: &'a dyn Hooks,
        pin: Pin<'a, P>,
        claim: &Claim<'a>,
        len: usize,
    ) -> Self {
        Self {
            space: Space {
                stream,
                local,
                hooks,
                platform: pin.platform(),
                ring: NonNull::from(claim.ring),
                sub: NonNull::from(claim.sub),
                bytes: claim.bytes,
                len,
                reserved: len,
                begin: claim.begin,
                end: claim.end,
                level: claim.level,
                ticks: claim.ticks,
                usage: PhantomData,
            },
            _pin: pin,
            published: false,
        }
    }

    /// The time of the reservation, in ticks: not before that of any earlier record of this stream.
    #[inline(always)]
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.space.ticks
    }

    /// The time at which the packet that this record lies in was opened, in ticks. In a global channel, while its opener
    /// has not noted that, the time of this reservation.
    #[inline]
    #[must_use]
    pub fn packet_begin(&self) -> u64 {
        let space = &self.space;
        let start = space.ring().geometry.position(space.packet(), 0);
        // Acquire: the time is noted before the start is. Without the start it is that of another lap.
        if space.sub().start.load(Ordering::Acquire) == start.0 {
            return space.sub().begin_ticks.load(Ordering::Relaxed);
        }
        if U::SHARED {
            // Who opens it is not known, only who wanted to.
            return space.ticks;
        }
        let first = Position(start.0 + space.ring().records_start(space.packet()) as u64);
        space.local.ticks_of(first).unwrap_or(space.ticks)
    }

    /// The number of bytes reserved, or what [`shrink`](Self::shrink) has left of them.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a slot is never empty")]
    pub fn len(&self) -> usize {
        self.space.len
    }

    /// The bytes to be filled. They hold what was there before, zeros at first.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (bytes, len) = (self.space.bytes, self.space.len);
        self.space.ring().track_write(bytes, len);
        // SAFETY: `len` bytes from `bytes` were reserved by this slot, and nobody else touches
        // them before they are committed, which consumes the slot; `&mut self` keeps the borrows
        // apart. They are initialised, as all of a ring's storage.
        unsafe { core::slice::from_raw_parts_mut(bytes.as_ptr(), len) }
    }

    /// The first of the bytes.
    pub(super) fn first(&self) -> NonNull<u8> {
        self.space.bytes
    }

    /// Copies `bytes`, as many as fit, to the start of the slot. What is not written holds what was there before.
    #[inline(always)]
    pub fn write(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.space.len);
        self.space.ring().track_write(self.space.bytes, len);
        // SAFETY: the slot has as many bytes, which nobody else uses.
        unsafe { copy(&bytes[..len], self.space.bytes) };
    }

    /// Keeps the first `len` bytes only, at least one. What is cut off is given back if nothing was
    /// reserved after it, otherwise made a filling that readers skip. False, and nothing has changed,
    /// if `len` is none of 1 to [`len`](Self::len), or if what is cut off is shorter than the
    /// client's fillings ([`Hooks::least_fill`](crate::Hooks::least_fill)).
    pub fn shrink(&mut self, len: usize) -> bool {
        let shrunk = self.space.shrunk(len);
        self.space = shrunk.unwrap_or(self.space);
        shrunk.is_some()
    }

    /// Declares the record written: it is delivered with its packet, or (packet delivery) at once.
    #[inline(always)]
    pub fn commit(mut self) {
        self.published = true;
        let space = &self.space;
        space
            .local
            .intent(space.level)
            .set_written(space.reserved as u64);
        step();
        // A record that ends exactly at the limit also owns the end reserve.
        let bytes = space.end.since(space.begin);
        let carries = space.sub().hot.add_carries::<U>(Committed::step(bytes, 1));
        step();
        if carries || space.ring().geometry.delivery() == Delivery::Packet {
            self.space.deliver();
            step();
        }
    }

    /// Commits, and stores the record after that: a mistake that tests make.
    pub(super) fn commit_unwritten(self, record: Any<'_>) {
        let (first, ticks) = (self.first(), self.timestamp());
        let held = self.space.local.hold();
        self.commit();
        step();
        // SAFETY: it is not safe: that is the mistake. The hold keeps the ring alive.
        unsafe { record.store(first, ticks) };
        drop(held);
    }

    /// Gives the record up: it is counted as lost. The space is given back if nothing was
    /// reserved after it, and is skipped by readers otherwise.
    pub fn discard(self) {
        drop(self);
    }
}

impl<P: Platform, U: Usage> Drop for Slot<'_, P, U> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.published {
            self.space.give_up();
        }
        self.space.local.give_back(self.space.level);
    }
}

impl<P: Platform, U: Usage> Space<'_, P, U> {
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

    /// Delivers what was committed.
    #[cold]
    #[inline(never)]
    fn deliver(self) {
        let pin = Pin::new(self.platform);
        Writer::<P, U>::new(self.stream, self.local, self.hooks, pin).deliver();
    }

    /// The packet that it lies in.
    fn packet(&self) -> u64 {
        self.ring().geometry.packet(self.begin)
    }

    /// The same with the first `len` bytes only, if that can be.
    #[cold]
    #[inline(never)]
    fn shrunk(mut self, len: usize) -> Option<Self> {
        if len == 0 || len >= self.len {
            return (len == self.len).then_some(self);
        }
        let end = Position(self.begin.0.wrapping_add(len as u64));
        if self.give_back_to(end) {
            self.end = end;
            self.reserved = len;
            self.local
                .intent(self.level)
                .announce(self.begin, len as u64);
        } else if self.len - len < self.hooks.least_fill() {
            return None;
        } else {
            self.fill_from(len);
        }
        self.len = len;
        Some(self)
    }

    /// Makes what is reserved from byte `from` on a filling.
    fn fill_from(&self, from: usize) {
        let len = self.reserved - from;
        // SAFETY: `from` lies in the reserved bytes.
        let first = unsafe { self.bytes.add(from) };
        self.ring().track_write(first, len);
        // SAFETY: these bytes were reserved by the slot, and nobody else touches them before they are
        // committed; the slot does not lend them at the moment.
        let bytes = unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), len) };
        self.hooks.fill(bytes, self.ticks);
    }

    /// Gives what lies behind `to` back, if nothing was reserved after it. Never where several CPUs write:
    /// one of them may have seen the position, and must not take what it sees later for the same.
    fn give_back_to(&self, to: Position) -> bool {
        // Nor where the packet was passed over: the position must not go back behind delivery.
        if U::SHARED || self.ring().is_passed_over(self.begin) {
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
        let start = geometry.position(geometry.packet(to), 0);
        if empties {
            sub.start.store(start.far().0, Ordering::Relaxed);
            step();
        }
        let is_back = ring.pos.cas::<U>(self.end.0, to.0);
        step();
        if !is_back && is_exact {
            sub.closed.store(note, Ordering::Release);
        }
        if !is_back && empties {
            sub.start.store(start.0, Ordering::Release);
        }
        is_back
    }

    /// What becomes of a record that is given up.
    #[cold]
    #[inline(never)]
    fn give_up(self) {
        let intent = self.local.intent(self.level);
        step();
        // A packet that was given up has counted its slots as lost already. First of all: it may be the last packet, which
        // tells of all losses.
        let is_given_up = self.sub().committed().is_given_up();
        step();
        // Nor does one that a signal handler, which takes itself for a task, has given up just now.
        if !is_given_up && intent.set_lost(self.reserved as u64) {
            step();
            self.stream.lose_slot::<U>(Loss::Discarded);
            step();
        }
        let mut carries = false;
        if !self.give_back_to(self.begin) {
            self.fill_from(0);
            step();
            let bytes = self.end.since(self.begin);
            carries = self.sub().hot.add_carries::<U>(Committed::step(bytes, 0));
        }
        step();
        intent.withdraw();
        step();
        // What is before it may have waited for it, where records are delivered one by one.
        if carries || self.ring().geometry.delivery() == Delivery::Packet {
            self.deliver();
            step();
        }
    }
}

impl<P: Platform, U: Usage> fmt::Debug for Slot<'_, P, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("begin", &self.space.begin)
            .field("len", &self.space.len)
            .field("ticks", &self.space.ticks)
            .finish_non_exhaustive()
    }
}
