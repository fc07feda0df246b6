//! Delivery: complete packets become readable, in order, each once.
//!
//! ```text
//! deliver():    (where all CPUs write: fence)
//!               delivery_lock is 1: leave, the holder looks again
//!               delivery_lock = 1
//!               while the next packet is complete: finalise it
//!               the ring ends before it: visible |= SEALED, go on in the ring that follows
//!               delivery by record: show what is committed of it
//!               delivery_lock = 0
//!               look again: something is not as it was when all was done: once more
//!
//! finalise(k):  buffer_end hook
//!               info of its block = what is known of it, the closer's word last
//!               sequence, ordinal += 1, its records
//!               commit[k] = nothing
//!               next = k + 1
//!               entry[k] = READABLE, Release
//!               visible = behind it, Release
//!               deliver hook
//!               wake
//!
//! show(k):      c = commit[k]
//!               p = pos, THEN: as many bytes as lie before a later position are all of them
//!               k is open at p, and c is as many bytes as p has: visible = p
//! ```

use super::entry::State;
use super::geometry::Delivery;
use super::owner::Owner;
use super::packet::Packet;
use super::phase::Phase;
use super::position::Position;
use super::subbuf::Committed;
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::step::{Mistake, broken, step};
use crate::sync::{Ordering, Usage, fence};
use core::ptr;

impl<'a, P: Platform, U: Usage> Owner<'a, P, U> {
    /// Delivers what is complete. One context at a time: if delivery is already running, this
    /// returns, and its holder checks again before it finishes.
    #[cold]
    #[inline(never)]
    pub(crate) fn deliver(&self) {
        let stream = self.stream;
        let _phase = self.local.phases.enter(Phase::Delivery);
        loop {
            if U::SHARED {
                // What was committed before this is seen by a CPU that is found at it: it looks
                // again after a fence of its own.
                fence(Ordering::SeqCst);
            }
            if !stream.delivery_lock.cas::<U>(0, 1) {
                return;
            }
            let seen = self.deliver_all();
            // What an interrupt completes before this is found by the look below, what it completes
            // after it is its own to deliver: the look must not move up.
            stream.delivery_lock.unlock::<U>();
            if broken(Mistake::NoRecheck) || self.look() == seen {
                return;
            }
        }
    }

    /// Delivers until there is nothing to do; returns what it looked at last. By who holds the
    /// lock.
    #[inline]
    fn deliver_all(&self) -> Option<Look<'a>> {
        loop {
            let look = self.look()?;
            match look.due() {
                ToDo::Finalise => self.finalise(look.ring, look.next),
                ToDo::Seal => {
                    let end = look.ring.geometry.position(look.next, 0).sealed();
                    look.ring.show(end);
                    self.wake_readers();
                }
                ToDo::GoOn(ring) => {
                    self.stream.next.store(ring.first, Ordering::Relaxed);
                    self.stream
                        .delivering
                        .store(ptr::from_ref(ring).cast_mut(), Ordering::Release);
                }
                ToDo::Show(end) => {
                    look.ring.show(end);
                    self.hooks.deliver(self.number());
                    step();
                    self.wake_readers();
                    return Some(look);
                }
                ToDo::Nothing => return Some(look),
            }
        }
    }

    /// Looks at what is to be delivered next; `None` before the start.
    #[inline]
    pub(super) fn look(&self) -> Option<Look<'a>> {
        let ring = self.stream.delivering()?;
        let next = self.stream.next.load(Ordering::Relaxed);
        // The commit word FIRST: as many bytes as lie before a LATER position are all of them.
        let committed = ring.sub(next).committed();
        let pos = ring.position();
        Some(Look {
            ring,
            next,
            committed,
            pos,
        })
    }

    /// Whether something is complete, and nobody is about to deliver it. Asked where nothing of the
    /// CPU is under way, which is what every write leaves behind it, the answer is no.
    #[cfg(feature = "stress")]
    pub(crate) fn owes_delivery(&self) -> bool {
        let Some(_held) = self.hold() else {
            return false;
        };
        let seen = self.look();
        let is_due = seen.is_some_and(|look| !matches!(look.due(), ToDo::Nothing));
        // An interrupt that comes in between delivers what it completes, and may have changed what
        // was looked at.
        is_due && self.look() == seen
    }

    /// Makes packet `next` of `ring` readable.
    #[inline]
    fn finalise(&self, ring: &Ring, next: u64) {
        let stream = self.stream;
        let sub = ring.sub(next);
        let entry = ring.entry(next);
        debug_assert!(
            entry.is_packet(next) && entry.state() == State::Writing,
            "packet {next} is complete, but its entry says {entry:?}"
        );
        let closed = sub.closed();
        debug_assert!(
            closed.is_packet(next),
            "packet {next} is complete, but nobody closed it"
        );
        let packet = Packet {
            cpu: self.number(),
            sequence: stream.sequence.load(Ordering::Relaxed),
            ordinal: stream.ordinal.load(Ordering::Relaxed),
            records: sub.committed().records(),
            start: ring.records_start(next),
            content: closed.content() as usize,
            begin_ticks: sub.begin_ticks.load(Ordering::Relaxed),
            end_ticks: sub.end_ticks.load(Ordering::Relaxed),
            // Everything before the last packet is over: what is still lost is a write to a closed
            // stream.
            lost: if closed.is_final() {
                stream.lost.tell_all::<U>()
            } else {
                sub.lost.load()
            },
            overwritten: stream.overwritten.load(Ordering::Relaxed),
            is_final: closed.is_final(),
        };
        let block = entry.block();
        let geometry = &ring.geometry;
        let (start, end) = (geometry.start_reserve(), geometry.end_reserve());
        // SAFETY: the packet is complete: every record in it is committed, and it is not readable
        // yet. Only one context delivers. Header and trailer do not overlap (Geometry).
        let header = unsafe { ring.bytes_mut(block, 0, start) };
        // SAFETY: as above.
        let trailer = unsafe { ring.bytes_mut(block, geometry.subbuf_size() - end, end) };
        self.hooks.buffer_end(header, trailer, &packet);
        step();
        let info = ring.info(block);
        info.come_home(block);
        info.store(&packet, closed);
        // Release, each: a post-mortem reader that finds the counters moved on finds the note
        // above.
        let sequence = packet.sequence.wrapping_add(1);
        stream.sequence.store(sequence, Ordering::Release);
        let ordinal = packet.ordinal.wrapping_add(packet.records);
        stream.ordinal.store(ordinal, Ordering::Release);
        // Before the entry is given away: who prepares it next starts from zero.
        sub.forget_committed(geometry);
        let after = geometry.after(next);
        stream.next.store(after, Ordering::Relaxed);
        // Release: who takes the entry sees the bytes and what is known of them.
        sub.entry
            .store(entry.with_state(State::Readable).0, Ordering::Release);
        ring.show(geometry.position(after, 0));
        self.hooks.deliver(self.number());
        step();
        self.wake_readers();
    }
}

/// What delivery looks at. If it is the same again, there is nothing new to do.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    ring: &'a Ring,
    /// The packet to deliver next.
    next: u64,
    committed: Committed,
    pos: Position,
}

/// What delivery has to do.
pub(super) enum ToDo<'a> {
    /// The next packet is complete.
    Finalise,
    /// All of a sealed ring is delivered, and readers do not know.
    Seal,
    /// It has a successor.
    GoOn(&'a Ring),
    /// Records of the open packet are committed up to here, and not shown.
    Show(Position),
    Nothing,
}

impl PartialEq for Look<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (self.committed, self.pos) == (other.committed, other.pos)
            && self.next == other.next
            && ptr::eq(self.ring, other.ring)
    }
}

impl<'a> Look<'a> {
    #[inline]
    pub(super) fn due(&self) -> ToDo<'a> {
        let (ring, geometry) = (self.ring, &self.ring.geometry);
        if self.committed.is_complete() {
            return ToDo::Finalise;
        }
        let is_at = geometry.packet(self.pos) == self.next;
        if self.pos.is_sealed() && is_at {
            return match ring.successor() {
                _ if !ring.visible().is_sealed() => ToDo::Seal,
                Some(next) => ToDo::GoOn(next),
                None => ToDo::Nothing,
            };
        }
        let offset = geometry.offset(self.pos);
        let is_shown = geometry.delivery() == Delivery::Record
            && is_at
            && offset != 0
            && self.committed.bytes(geometry) == offset;
        if is_shown && self.pos != ring.visible() {
            return ToDo::Show(self.pos);
        }
        ToDo::Nothing
    }
}
