//! Reserve: one compare-and-swap on the write position, which also switches sub-buffers.
//!
//! ```text
//! reserve(len):  (its place, an intent, is taken)
//!                r = current
//!          loop: p = r.pos
//!                t = clock
//!                p is sealed: r = r.succ and again; there is none: lost(closed)
//!                longer than a packet takes: lost(too_big)
//!                fits behind p, and t < time_limit of its packet: begin = p
//!                else: k' = the next packet, or the one that p stands at the start of
//!                      prepare(k'), or again, or lost(full | wrapped)
//!                      begin = start of k' + start reserve
//!                end = begin + len
//!                that is the limit: end = start of the next packet          [exact fit]
//!                a packet is closed: sample the losses
//!                a packet k' is opened: time_limit of k' = t + 2^39
//!                intent = (begin, len)
//!                CAS(r.pos, p, end), or again
//!
//!                left packet k behind: close(k)
//!                opened packet k': open(k')
//!                exact fit: close(k') at the limit, but for the rest of it: the commit of the record adds that
//!
//! commit:        intent |= WRITTEN
//!                add(k', end - begin, one record)
//!                intent = 0
//! ```
//!
//! A stamp has the lower 40 bits of the time: a packet takes no record that is 2^39 ticks younger
//! than itself. The limit is there before the position is in the packet, so that whoever interrupts
//! the opener finds it. Where another context opens the packet instead, it may find an older limit;
//! then the packet ends earlier than it must.
//!
//! The time and the sample of the losses count only if the swap shows that nobody has reserved
//! since `p` was read: so records are in the order of their times, and a packet tells of no loss
//! that came after it.

use super::geometry::Delivery;
use super::intent::Intent;
use super::ledger::{Loss, Losses};
use super::owner::Owner;
use super::phase::Phase;
use super::position::Position;
use super::subbuf::{Committed, Sub};
use super::switch::Obstacle;
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::Usage;
use crate::sync::step::{Mistake, broken};
use core::ptr::NonNull;

/// Space for a record. Having one tells you: nobody else uses its bytes, and its intent is yours.
pub(crate) struct Reservation<'a> {
    pub(super) ring: &'a Ring,
    pub(super) sub: &'a Sub,
    pub(super) bytes: NonNull<u8>,
    pub(super) begin: Position,
    /// Where the next record begins: not at once behind this one, if it fills its packet.
    pub(super) end: Position,
    pub(super) ticks: u64,
    pub(super) intent: &'a Intent,
}

impl Reservation<'_> {
    /// Commits the record, whose bytes are stored. Says whether somebody must deliver.
    #[inline]
    pub(super) fn commit<U: Usage>(&self) -> bool {
        self.intent.set_written();
        // A record that ends exactly at the limit also owns the end reserve.
        let bytes = self.end.since(self.begin);
        let carries = self.sub.commit.add_carries::<U>(Committed::step(bytes, 1));
        carries || self.ring.geometry.delivery() == Delivery::Record
    }
}

impl<'a, P: Platform, U: Usage> Owner<'a, P, U> {
    /// Reserves `len` bytes, wherever they go, for the record whose place is `intent`.
    #[inline(always)]
    pub(super) fn reserve(&self, intent: &'a Intent, len: usize) -> Result<Reservation<'a>, Loss> {
        let Some(mut ring) = self.stream.current() else {
            return Err(Loss::Closed);
        };
        let early = if broken(Mistake::ClockOutsideLoop) {
            self.now()
        } else {
            0
        };
        loop {
            let _phase = self.local.phases.enter(Phase::Loaded);
            let pos = ring.position();
            // Inside the loop: a timestamp counts only if the swap proves that nobody
            // reserved since `pos` was read (order of records = order of time).
            let ticks = if broken(Mistake::ClockOutsideLoop) {
                early
            } else {
                self.now()
            };
            if pos.is_sealed() {
                ring = ring.successor().ok_or(Loss::Closed)?;
                continue;
            }
            let geometry = &ring.geometry;
            if len > geometry.max_record() && !broken(Mistake::TooBigAccepted) {
                return Err(Loss::TooBig);
            }
            let wanted = Wanted {
                pos,
                ticks,
                len: len as u64,
                intent,
            };
            let offset = geometry.offset(pos);
            let fits = offset != 0 && offset + wanted.len <= geometry.limit();
            let found = if fits && ring.sub(geometry.packet(pos)).takes(ticks) {
                self.behind(ring, wanted)
            } else {
                self.in_next(ring, wanted)
            };
            match found {
                Ok(reservation) => return Ok(reservation),
                Err(Obstacle::Moved) => {}
                Err(Obstacle::Lost(loss)) => return Err(loss),
            }
        }
    }

    /// The record goes behind the last one, where it fits, if the position does not move.
    #[inline(always)]
    fn behind(&self, ring: &'a Ring, wanted: Wanted<'a>) -> Result<Reservation<'a>, Obstacle> {
        let geometry = &ring.geometry;
        let (packet, begin) = (geometry.packet(wanted.pos), wanted.pos);
        let offset = geometry.offset(begin) + wanted.len;
        let is_exact = offset == geometry.limit() && !broken(Mistake::ExactFitStaysOpen);
        let end = ring.end_at(packet, offset, is_exact);
        if !is_exact {
            self.swap(&wanted, ring, begin, end)?;
        } else {
            let losses = self.stream.lost.sample();
            self.swap(&wanted, ring, begin, end)?;
            let _phase = self.local.phases.enter(Phase::Switch);
            let losses = self.late_sample().unwrap_or(losses);
            self.close_packet(ring, packet, offset, wanted.ticks, &losses, false);
        }
        Ok(wanted.reservation(ring, packet, begin, end))
    }

    /// The record goes to the start of the next packet, if the position does not move: that which
    /// it stands at the start of, or the one behind the open one, which is closed.
    #[inline]
    fn in_next(&self, ring: &'a Ring, wanted: Wanted<'a>) -> Result<Reservation<'a>, Obstacle> {
        let geometry = &ring.geometry;
        let (at, used) = (geometry.packet(wanted.pos), geometry.offset(wanted.pos));
        let packet = if used == 0 { at } else { geometry.after(at) };
        let block = self.prepare(ring, packet, wanted.pos)?;
        let start = geometry.start_reserve() as u64;
        let offset = start + wanted.len;
        let is_exact = offset == geometry.limit();
        let (begin, end) = (
            geometry.position(packet, start),
            ring.end_at(packet, offset, is_exact),
        );
        let losses = self.stream.lost.sample();
        ring.sub(packet).limit_time(wanted.ticks);
        self.swap(&wanted, ring, begin, end)?;
        let _phase = self.local.phases.enter(Phase::Switch);
        let losses = self.late_sample().unwrap_or(losses);
        let ticks = wanted.ticks;
        if used != 0 {
            self.close_packet(ring, at, used, ticks, &losses, false);
            self.add(ring.sub(at), geometry.subbuf_size() as u64 - used);
        }
        self.open_packet(ring, packet, block, ticks);
        if is_exact {
            self.close_packet(ring, packet, offset, ticks, &losses, false);
        }
        Ok(wanted.reservation(ring, packet, begin, end))
    }

    /// Takes the space from `begin` to `end`, if the position has not moved.
    #[inline]
    fn swap(
        &self,
        wanted: &Wanted<'_>,
        ring: &Ring,
        begin: Position,
        end: Position,
    ) -> Result<(), Obstacle> {
        wanted.intent.announce(begin, Intent::of(wanted.len));
        let has_succeeded = ring.pos.cas::<U>(wanted.pos.0, end.0);
        self.local.phases.note_swap(has_succeeded);
        if has_succeeded {
            return Ok(());
        }
        wanted.intent.withdraw();
        Err(Obstacle::Moved)
    }

    /// What a mistake takes for the losses at the swap.
    #[inline(always)]
    fn late_sample(&self) -> Option<Losses> {
        broken(Mistake::LossesSampledLate).then(|| self.stream.lost.sample())
    }
}

/// What is to be reserved, and what was seen before.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    pos: Position,
    /// The time after that.
    ticks: u64,
    len: u64,
    intent: &'a Intent,
}

impl<'a> Wanted<'a> {
    /// What was taken, in `packet`.
    #[inline]
    fn reservation(
        self,
        ring: &'a Ring,
        packet: u64,
        begin: Position,
        end: Position,
    ) -> Reservation<'a> {
        // Stable: prepared for this packet before the position came here, and not delivered before
        // this record is committed.
        let block = ring.entry(packet).block();
        let offset = ring.geometry.offset(begin) as usize;
        let bytes = ring.at(block, offset, self.len as usize);
        ring.track_write(bytes, self.len as usize);
        Reservation {
            ring,
            sub: ring.sub(packet),
            bytes,
            begin,
            end,
            ticks: self.ticks,
            intent: self.intent,
        }
    }
}

impl Ring {
    /// Where the next record goes behind one that ends at `offset` of `packet`, and fills it or
    /// not.
    #[inline]
    fn end_at(&self, packet: u64, offset: u64, is_exact: bool) -> Position {
        let size = self.geometry.subbuf_size() as u64;
        let offset = if is_exact { size } else { offset };
        self.geometry.position(packet, offset)
    }
}
