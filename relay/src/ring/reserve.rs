//! Reserve: one compare-and-swap on the write position, which also switches sub-buffers.
//!
//! ```text
//! reserve(len):  (its place, an intent, is taken)
//!                r = current
//!          loop: p = r.pos
//!                t = clock
//!                p is sealed: r = r.succ and again; there is none: lost(closed)
//!                longer than a packet takes: lost(too_big)
//!                fits behind p: begin = p
//!                else: k' = the next packet, or the one that p stands at the start of
//!                      prepare(k'), or again, or lost(full | wrapped)
//!                      begin = start of k' + start reserve
//!                end = begin + len
//!                that is the limit: end = start of the next packet          [exact fit]
//!                a packet is closed: sample the losses
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
//! The time and the sample of the losses count only if the swap shows that nobody has reserved since `p` was read: so records
//! are in the order of their times, and a packet tells of no loss that came after it.

use super::geometry::Delivery;
use super::intent::Intent;
use super::ledger::{Loss, Losses};
use super::owner::Owner;
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
    /// Commits the record of `len` bytes, whose bytes are stored. Says whether somebody must deliver.
    pub(super) fn commit<U: Usage>(&self, len: u64) -> bool {
        self.intent.set_written(len);
        // A record that ends exactly at the limit also owns the end reserve.
        let bytes = self.end.since(self.begin);
        let carries = self.sub.commit.add_carries::<U>(Committed::step(bytes, 1));
        carries || self.ring.geometry.delivery() == Delivery::Record
    }
}

/// Where a record can go, if the position does not move.
struct Plan {
    /// Where it begins and ends.
    begin: Position,
    end: Position,
    /// The packet it lies in.
    packet: u64,
    /// It is the first of its packet.
    opens: bool,
    /// It leaves this packet behind, whose last used byte is here.
    closes: Option<(u64, u64)>,
    /// It fills its packet to the last byte: the end is the start of the next one.
    exact: bool,
}

impl<'a, P: Platform, U: Usage> Owner<'a, P, U> {
    /// Reserves `len` bytes, wherever they go, for the record whose place is `intent`.
    pub(super) fn reserve(&self, intent: &'a Intent, len: usize) -> Result<Reservation<'a>, Loss> {
        let stream = self.stream;
        let Some(mut ring) = stream.current() else {
            return Err(Loss::Closed);
        };
        let early = if broken(Mistake::ClockOutsideLoop) {
            self.now()
        } else {
            0
        };
        loop {
            let pos = ring.position();
            // Inside the loop: a timestamp counts only if the swap below proves that nobody
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
            let plan = match self.plan(ring, pos, len) {
                Ok(plan) => plan,
                Err(Obstacle::Moved) => continue,
                Err(Obstacle::Lost(loss)) => return Err(loss),
            };
            let losses = if plan.exact || plan.closes.is_some() {
                stream.lost.sample()
            } else {
                Losses::NONE
            };
            intent.announce(plan.begin, len as u64);
            if ring.pos.cas::<U>(pos.0, plan.end.0) {
                return Ok(self.occupy(ring, &plan, len, intent, ticks, &losses));
            }
            intent.withdraw();
        }
    }

    /// The second half of a reservation, after the swap: closes the packet left behind, opens the
    /// new one.
    #[inline]
    fn occupy(
        &self,
        ring: &'a Ring,
        plan: &Plan,
        len: usize,
        intent: &'a Intent,
        ticks: u64,
        losses: &Losses,
    ) -> Reservation<'a> {
        let geometry = &ring.geometry;
        let late = broken(Mistake::LossesSampledLate).then(|| self.stream.lost.sample());
        let losses = late.as_ref().unwrap_or(losses);
        if let Some((packet, offset)) = plan.closes {
            self.close_packet(ring, packet, offset, ticks, losses, false);
            self.add(ring.sub(packet), geometry.subbuf_size() as u64 - offset);
        }
        // Stable: prepared for this packet before the position came here, and not delivered before
        // this record is committed.
        let block = ring.entry(plan.packet).block();
        if plan.opens {
            self.open_packet(ring, plan.packet, block, ticks);
        }
        if plan.exact {
            self.close_packet(ring, plan.packet, geometry.limit(), ticks, losses, false);
        }
        let offset = geometry.offset(plan.begin) as usize;
        let bytes = ring.at(block, offset, len);
        ring.track_write(bytes, len);
        Reservation {
            ring,
            sub: ring.sub(plan.packet),
            bytes,
            begin: plan.begin,
            end: plan.end,
            ticks,
            intent,
        }
    }

    /// Looks where `len` bytes can go if the position stays at `pos`, and makes sure that the
    /// sub-buffer is prepared.
    #[inline]
    fn plan(&self, ring: &Ring, pos: Position, len: usize) -> Result<Plan, Obstacle> {
        let geometry = &ring.geometry;
        if len > geometry.max_record() && !broken(Mistake::TooBigAccepted) {
            return Err(Obstacle::Lost(Loss::TooBig));
        }
        let len = len as u64;
        let (packet, offset) = (geometry.packet(pos), geometry.offset(pos));
        let fits = offset != 0 && offset + len <= geometry.limit();
        let mut plan = if fits {
            Plan {
                begin: pos,
                end: pos,
                packet,
                opens: false,
                closes: None,
                exact: false,
            }
        } else {
            let closes = (offset != 0).then_some((packet, offset));
            let packet = closes.map_or(packet, |(packet, _)| geometry.after(packet));
            self.prepare(ring, packet, pos)?;
            let begin = geometry.position(packet, geometry.start_reserve() as u64);
            Plan {
                begin,
                end: begin,
                packet,
                opens: true,
                closes,
                exact: false,
            }
        };
        let end = geometry.offset(plan.begin) + len;
        plan.exact = end == geometry.limit() && !(fits && broken(Mistake::ExactFitStaysOpen));
        let end = if plan.exact {
            geometry.subbuf_size() as u64
        } else {
            end
        };
        plan.end = geometry.position(plan.packet, end);
        Ok(plan)
    }
}
