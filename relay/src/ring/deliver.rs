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
//!               look again: something may have become complete in between
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
use super::position::Position;
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::step::{Mistake, broken, step};
use crate::sync::{Ordering, Usage, fence};
use core::ptr;

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Delivers what is complete. One context at a time: who finds another at it leaves, and the
    /// other looks again before it goes.
    #[cold]
    #[inline(never)]
    pub(crate) fn deliver(&self) {
        let stream = self.stream;
        loop {
            if U::SHARED {
                // What was committed before this is seen by a CPU that is found at it: it looks again
                // after a fence of its own.
                fence(Ordering::SeqCst);
            }
            if !stream.delivery_lock.cas::<U>(0, 1) {
                return;
            }
            while let Some(ring) = stream.delivering() {
                let next = stream.next.load(Ordering::Relaxed);
                if ring.is_complete(next) {
                    self.finalise(ring, next);
                } else if !self.advance(ring, next) {
                    self.show_records(ring, next);
                    break;
                }
            }
            // What an interrupt completes before this is found by the look below, what it completes
            // after it is its own to deliver: the look must not move up.
            stream.delivery_lock.unlock::<U>();
            if broken(Mistake::NoRecheck) || !self.is_deliverable() {
                return;
            }
        }
    }

    /// Whether there is something to deliver.
    pub(super) fn is_deliverable(&self) -> bool {
        let Some(ring) = self.stream.delivering() else {
            return false;
        };
        let next = self.stream.next.load(Ordering::Relaxed);
        ring.is_complete(next)
            || (ring.ends_at(next) && !ring.visible().is_sealed())
            || ring
                .committed_end(next)
                .is_some_and(|end| end != ring.visible())
    }

    /// Makes packet `next` of `ring` readable.
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
            // Everything before the last packet is over: what is still lost is a write to a closed stream.
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
        // SAFETY: the packet is complete: every record in it is committed, and it is not readable yet.
        // Only one context delivers. Header and trailer do not overlap (Geometry).
        let header = unsafe { ring.bytes_mut(block, 0, start) };
        // SAFETY: as above.
        let trailer = unsafe { ring.bytes_mut(block, geometry.subbuf_size() - end, end) };
        self.hooks.buffer_end(header, trailer, &packet);
        step();
        let info = ring.info(block);
        info.come_home(block);
        info.store(&packet, closed);
        // Release, each: a post-mortem reader that finds the counters moved on finds the note above.
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

    /// Makes the records of the open packet `next` readable, if delivery is by record and all that are
    /// reserved are committed.
    fn show_records(&self, ring: &Ring, next: u64) {
        let Some(end) = ring.committed_end(next) else {
            return;
        };
        if end != ring.visible() {
            ring.show(end);
            self.hooks.deliver(self.number());
            step();
            self.wake_readers();
        }
    }

    /// Leaves `ring` if it is sealed and all of it is delivered; true if there is more to look at.
    fn advance(&self, ring: &Ring, next: u64) -> bool {
        if !ring.ends_at(next) {
            return false;
        }
        if !ring.visible().is_sealed() {
            ring.show(ring.geometry.position(next, 0).sealed());
            self.wake_readers();
        }
        let Some(succ) = ring.successor() else {
            return false;
        };
        self.stream.next.store(succ.first, Ordering::Relaxed);
        self.stream
            .delivering
            .store(ptr::from_ref(succ).cast_mut(), Ordering::Release);
        true
    }
}

impl Ring {
    /// Whether every byte of packet `packet`, which is the next to be delivered, is committed.
    fn is_complete(&self, packet: u64) -> bool {
        self.sub(packet).committed().is_complete()
    }

    /// Whether the ring is sealed just before packet `packet`.
    fn ends_at(&self, packet: u64) -> bool {
        let pos = self.position();
        pos.is_sealed() && self.geometry.packet(pos) == packet
    }

    /// Where the committed records of the open packet `packet` end; `None` if delivery is not by record, or
    /// something before the position is not committed.
    fn committed_end(&self, packet: u64) -> Option<Position> {
        if self.geometry.delivery() != Delivery::Record {
            return None;
        }
        // The commit word FIRST: as many bytes as lie before a LATER position are all of them.
        let committed = self.sub(packet).committed();
        let pos = self.position();
        let is_open = self.geometry.packet(pos) == packet && self.geometry.offset(pos) != 0;
        let is_all = committed.bytes(&self.geometry) == self.geometry.offset(pos);
        (is_open && is_all && !committed.is_complete()).then_some(pos)
    }
}
