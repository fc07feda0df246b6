//! Closing the open packet before it is full.
//!
//! ```text
//! flush():  p = pos;  t = clock;  sample the losses
//!           a packet is open: CAS(pos, p, its end)
//!           none is, and losses are told of by no packet: prepare it, CAS(pos, p, its end)
//!           otherwise there is nothing to do
//!           it was not open: open it, at a time that is not older than quiet_since
//!           close it; add(the rest of it)
//! ```
//!
//! Sealing a ring and ending a stream are the same with SEALED set by the swap.

use super::ledger::Losses;
use super::owner::Owner;
use super::phase::Phase;
use super::stream::Stream;
use super::switch::Obstacle;
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::{Ordering, Usage};

/// What a flush did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// There was nothing to hand over.
    Nothing,
    /// A packet was closed; it is readable as soon as its last record is committed.
    Packet,
    /// There are losses to tell of, but no free sub-buffer to tell of them in.
    NoRoom,
}

/// How a packet is closed without a record that follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The stream goes on in the same ring.
    Flush,
    /// The ring takes no more records: it has a successor.
    Seal,
    /// The stream ends here.
    Final,
}

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Hands over what the open packet holds. Also, if records were lost since the last packet
    /// was closed, an empty packet that says so.
    pub(crate) fn flush(&self) -> Flushed {
        let (Some(_held), Some(mut ring)) = (self.hold(), self.stream.current()) else {
            return Flushed::Nothing;
        };
        loop {
            match self.close_open_packet(ring, Closing::Flush) {
                Ok(flushed) => return flushed,
                Err(Obstacle::Lost(_)) => return Flushed::NoRoom,
                Err(_) => {
                    if ring.position().is_sealed() {
                        match ring.successor() {
                            Some(next) => ring = next,
                            None => return Flushed::Nothing,
                        }
                    }
                }
            }
        }
    }

    /// Closes the packet at the write position as `closing` says.
    pub(super) fn close_open_packet(
        &self,
        ring: &Ring,
        closing: Closing,
    ) -> Result<Flushed, Obstacle> {
        let geometry = &ring.geometry;
        let size = geometry.subbuf_size() as u64;
        let _phase = self.local.phases.enter(Phase::Loaded);
        let pos = ring.position();
        if pos.is_sealed() {
            return Err(Obstacle::Moved);
        }
        let ticks = self.now();
        let offset = geometry.offset(pos);
        let is_open = offset != 0;
        let losses = self.stream.lost.sample();
        let makes_packet = match closing {
            Closing::Flush => !self.stream.has_reported(&losses),
            Closing::Seal => false,
            Closing::Final => true,
        };
        let packet = geometry.packet(pos);
        if !is_open && makes_packet {
            self.prepare(ring, packet, pos)?;
        }
        let boundary = geometry.position(packet, size);
        let target = match closing {
            Closing::Flush if is_open => boundary,
            Closing::Flush if !makes_packet => return Ok(Flushed::Nothing),
            Closing::Flush => boundary,
            Closing::Seal if is_open => boundary.sealed(),
            Closing::Seal => pos.sealed(),
            Closing::Final => boundary.sealed(),
        };
        if target == pos.sealed() {
            // A ring that is sealed between two packets: there is nothing to close.
            return if ring.pos.cas::<U>(pos.0, target.0) {
                self.deliver();
                Ok(Flushed::Nothing)
            } else {
                Err(Obstacle::Moved)
            };
        }
        let has_succeeded = ring.pos.cas::<U>(pos.0, target.0);
        self.local.phases.note_swap(has_succeeded);
        if !has_succeeded {
            return Err(Obstacle::Moved);
        }
        let _phase = self.local.phases.enter(Phase::Switch);
        let (used, ticks) = if is_open {
            (offset, ticks)
        } else {
            // A tick that came between the clock and the swap has promised that nothing older
            // comes. None can promise more now: the packet is undelivered.
            let ticks = ticks.max(self.stream.quiet_since.load(Ordering::Relaxed));
            let block = ring.entry(packet).block();
            self.open_packet(ring, packet, block, ticks);
            (geometry.start_reserve() as u64, ticks)
        };
        let is_final = closing == Closing::Final;
        // No packet comes after the last one: it tells of what was lost up to now.
        let losses = if is_final {
            self.stream.lost.sample()
        } else {
            losses
        };
        self.close_packet(ring, packet, used, ticks, &losses, is_final);
        self.add(ring.sub(packet), size - used);
        Ok(Flushed::Packet)
    }
}

impl Stream {
    /// Whether a closed packet has told of all of `losses`.
    fn has_reported(&self, losses: &Losses) -> bool {
        self.reported_losses.load(Ordering::Relaxed) == losses.total()
    }

    /// Has the next flush make a packet, whether records were lost or not.
    pub(super) fn report_again(&self) {
        let told = self.reported_losses.load(Ordering::Relaxed);
        self.reported_losses
            .store(told.wrapping_sub(1), Ordering::Relaxed);
    }
}
