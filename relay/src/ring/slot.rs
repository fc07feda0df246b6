//! A record that is filled in place.
//!
//! ```text
//! keep(n):     intent |= n: the post-mortem knows both lengths
//!              nothing was reserved behind it: CAS(pos, end, begin + n), and it is as if no more had been reserved
//!              intent = what is reserved now
//!              nothing was given back: fewer bytes are cut off than a filler takes: keep all
//!              else the fill hook makes what is cut off a filler
//!
//! give up:     intent |= GIVEN_UP
//!              lost(discarded)
//!              nothing was reserved behind it: CAS(pos, end, begin)
//!              else the fill hook makes it a filler, and that is committed, without a record
//!              intent withdrawn
//!
//! give space back, CAS(pos, end, to):  (never where all CPUs write)
//!              it fills its packet: closed = another packet's, or as it was if the swap fails
//!              the packet would be empty: bound = 0, or as it was if the swap fails
//! ```

use super::hooks::Hooks;
use super::intent::Intent;
use super::packet::Closed;
use super::position::Position;
use super::reserve::Reservation;
use super::source::copy;
use super::subbuf::{Committed, Sub};
use super::words::Ring;
use crate::platform::Context;
use crate::sync::step::step;
use crate::sync::{Ordering, PerCpu, Usage};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use relay_format::stamp::{self, Stamp};

/// Space for one record, while it is filled: see
/// [`Channel::reserve_with`](crate::Channel::reserve_with). Having a `Slot` tells you:
///
/// - the bytes are yours alone, until the closure that was given the slot returns;
/// - no other record of this stream will come between those before it and it;
/// - you are pinned to the CPU that reserved it, so it cannot be sent elsewhere.
///
/// When the closure returns, the record is committed, unless it was [given up](Self::give_up).
/// Where a panic unwinds out of it, the record is given up. All of it may be done in any context.
/// Take as short a time as it takes to fill it: what comes after it is delivered after it.
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// fn never(slot: relay::Slot<'_>) {
///     send(slot); // a slot belongs to its CPU
/// }
/// ```
pub struct Slot<'a> {
    // Pointers, not references: once the intent is given back, the ring may be freed.
    ring: NonNull<Ring>,
    sub: NonNull<Sub>,
    bytes: NonNull<u8>,
    /// Bytes of the record.
    len: usize,
    /// Bytes reserved: the record, and the filler behind it if it was cut.
    reserved: usize,
    begin: Position,
    end: Position,
    ticks: u64,
    intent: &'a Intent,
    hooks: &'a dyn Hooks,
    /// All CPUs write the stream.
    is_shared: bool,
    is_given_up: bool,
    /// What it borrows is its own: two slots cannot be swapped.
    own: PhantomData<*mut &'a ()>,
}

impl<'a> Slot<'a> {
    /// The slot for a reservation of `len` bytes.
    #[inline(always)]
    pub(super) fn new<U: Usage>(
        reserved: &Reservation<'a>,
        len: usize,
        hooks: &'a dyn Hooks,
    ) -> Self {
        Self {
            ring: NonNull::from(reserved.ring),
            sub: NonNull::from(reserved.sub),
            bytes: reserved.bytes,
            len,
            reserved: len,
            begin: reserved.begin,
            end: reserved.end,
            ticks: reserved.ticks,
            intent: reserved.intent,
            hooks,
            is_shared: U::SHARED,
            is_given_up: false,
            own: PhantomData,
        }
    }

    /// The time of the reservation, in ticks: not before that of any earlier record of this stream.
    #[inline(always)]
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.ticks
    }

    /// The number of bytes reserved, or what [`keep`](Self::keep) has left of them.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a slot is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes to be filled. They hold what was there before, zeros at first.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (bytes, len) = (self.bytes, self.len);
        self.ring().track_write(bytes, len);
        // SAFETY: `len` bytes from `bytes` were reserved by this slot, and nobody else touches
        // them before they are committed, which is when the slot is gone; `&mut self` keeps the
        // borrows apart. They are initialised, as all of a ring's storage.
        unsafe { core::slice::from_raw_parts_mut(bytes.as_ptr(), len) }
    }

    /// Copies `bytes`, as many as fit, to the start of the slot. What is not written holds what was
    /// there before.
    #[inline(always)]
    pub fn write(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.len);
        self.ring().track_write(self.bytes, len);
        // SAFETY: the slot has as many bytes, which nobody else uses.
        unsafe { copy(&bytes[..len], self.bytes) };
    }

    /// Writes the [stamp](crate::record::Stamp) of a record of `event` (an id below
    /// [`record::EVENTS`](crate::record::EVENTS)), which is written in `context`, and returns the
    /// bytes behind it. If the slot is too short for a stamp, nothing is written, and there are
    /// none.
    #[inline(always)]
    pub fn stamp(&mut self, event: u16, context: Context) -> &mut [u8] {
        self.stamp_with(stamp::tail(event, context))
    }

    /// Writes the stamp with this [tail](stamp::tail), and returns the bytes behind it.
    #[inline(always)]
    pub(crate) fn stamp_with(&mut self, tail: u16) -> &mut [u8] {
        let ticks = self.ticks;
        let bytes = self.bytes_mut();
        if let Some(first) = bytes.first_chunk_mut() {
            // The time's upper bits are overwritten, by the tail and by what follows the stamp.
            *first = ticks.to_le_bytes();
        } else if let Some(all) = bytes.first_chunk_mut() {
            *all = Stamp::with_tail(tail, ticks).to_bytes();
        }
        let Some((head, rest)) = bytes.split_at_mut_checked(stamp::SIZE) else {
            return &mut [];
        };
        if let Some(place) = head.last_chunk_mut() {
            *place = tail.to_le_bytes();
        }
        rest
    }

    /// Keeps the first `len` bytes only (at least one, at most all) and returns how many are really
    /// kept. What is cut off is given back if nothing was reserved behind it, otherwise made a
    /// filler that readers skip. If it is too short for one of the client's fillers
    /// ([`Hooks::least_fill`](crate::Hooks::least_fill)), nothing is cut.
    pub fn keep(&mut self, len: usize) -> usize {
        let len = len.clamp(1, self.len);
        if len < self.len {
            self.cut(len);
        }
        self.len
    }

    /// Gives the record up: when the closure returns, it is counted as lost
    /// ([`Loss::Discarded`](crate::Loss::Discarded)). Its space is given back if nothing was
    /// reserved behind it, and is skipped by readers otherwise.
    #[inline(always)]
    pub fn give_up(&mut self) {
        self.is_given_up = true;
    }

    /// Whether it was given up.
    #[inline(always)]
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// The ring. It lives as long as the intent is taken.
    #[inline(always)]
    fn ring(&self) -> &Ring {
        // SAFETY: no ring that the CPU can find is freed while an intent of it is taken.
        unsafe { self.ring.as_ref() }
    }

    #[inline(always)]
    fn sub(&self) -> &Sub {
        // SAFETY: one of the ring's descriptors, as above.
        unsafe { self.sub.as_ref() }
    }

    /// Commits a record whose reservation went the fast way. Says whether its packet is complete.
    #[inline(always)]
    pub(super) fn commit<U: Usage>(&self) -> bool {
        self.intent.set_written();
        // A record that ends exactly at the limit also owns the end reserve.
        let bytes = self.end.since(self.begin);
        self.sub()
            .commit
            .add_carries::<U>(Committed::step(bytes, 1))
    }

    /// Makes the record what `keep` says.
    #[cold]
    #[inline(never)]
    fn cut(&mut self, len: usize) {
        let end = Position(self.begin.0.wrapping_add(len as u64));
        // The post-mortem knows either length from here on, until one of them is announced.
        let is_back = self.intent.set_kept(len as u64) && self.give_back_to(end);
        if is_back {
            self.end = end;
            self.reserved = len;
        }
        self.intent
            .announce(self.begin, Intent::of(self.reserved as u64));
        if is_back {
            // Nothing of it is left to be filled.
        } else if self.len - len < self.hooks.least_fill() {
            return;
        } else {
            self.fill_from(len);
        }
        self.len = len;
    }

    /// Makes what is reserved from byte `from` on a filler.
    #[inline]
    fn fill_from(&self, from: usize) {
        let len = self.reserved - from;
        // SAFETY: `from` lies in the reserved bytes.
        let first = unsafe { self.bytes.add(from) };
        self.ring().track_write(first, len);
        // SAFETY: these bytes were reserved by the slot, and nobody else touches them before they
        // are committed; the slot does not lend them at the moment.
        let bytes = unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), len) };
        self.hooks.fill(bytes, self.ticks);
        step();
    }

    /// Gives what lies behind `to` back, if nothing was reserved after it. Never where several CPUs
    /// write: one of them may have seen the position, and must not take what it sees later for the
    /// same.
    #[inline]
    fn give_back_to(&self, to: Position) -> bool {
        if self.is_shared {
            return false;
        }
        let (ring, sub) = (self.ring(), self.sub());
        let geometry = &ring.geometry;
        // A slot that fills its packet has noted where that ends. The note must not outlive it:
        // the post-mortem would believe it. The packet cannot be complete meanwhile.
        let is_exact = geometry.offset(self.end) == 0;
        let note = sub.closed();
        if is_exact {
            let other = geometry.before(geometry.packet(self.begin), 1);
            sub.closed
                .store(Closed::new(other, 0, false).0, Ordering::Release);
        }
        // A packet that becomes empty is opened anew: until then, nobody writes to it the fast way.
        let empties = geometry.offset(to) == 0;
        if empties {
            sub.bound.store(0, Ordering::Relaxed);
        }
        let is_back = ring.pos.cas::<PerCpu>(self.end.0, to.0);
        if !is_back && is_exact {
            sub.closed.store(note.0, Ordering::Release);
        }
        if !is_back && empties {
            let bound = geometry.fast_bound(geometry.packet(to));
            sub.bound.store(bound, Ordering::Release);
        }
        is_back
    }

    /// What becomes of a record that is given up; it is counted as lost by `count`. Says whether
    /// its packet is complete.
    #[cold]
    #[inline(never)]
    pub(super) fn discard<U: Usage>(&self, count: impl FnOnce()) -> bool {
        // First of all: it may be the last packet, which tells of all losses.
        self.intent.set_given_up();
        count();
        let carries = !self.give_back_to(self.begin) && {
            self.fill_from(0);
            let bytes = self.end.since(self.begin);
            self.sub()
                .commit
                .add_carries::<U>(Committed::step(bytes, 0))
        };
        self.intent.withdraw();
        carries
    }
}

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("begin", &self.begin)
            .field("len", &self.len)
            .field("ticks", &self.ticks)
            .finish_non_exhaustive()
    }
}
