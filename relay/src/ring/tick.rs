//! The owner's periodic duty: what others ask of it is done here, by itself. And how full it is.

use super::position::Position;
use super::stream::Stream;
use super::succession::StreamError;
use super::writer::Writer;
use super::{Geometry, Mode, Ring, Storage};
use crate::platform::Platform;
use crate::ring::entry::State;
use crate::step::step;
use crate::sync::{Ordering, Usage};
use core::ptr::{self, NonNull, null_mut};

/// Instead of a new ring: the owner is about to go on in it.
pub(super) const TAKEN: NonNull<Ring> = NonNull::dangling();

impl<P: Platform, U: Usage> Writer<'_, P, U> {
    /// Takes the requests of others: flush, another ring, close. Notes that nothing older is still to
    /// come, and which rings are used no more.
    ///
    /// Never from NMI context: an NMI may interrupt another tick.
    pub(crate) fn tick(&self) {
        self.join();
        // Before this is counted: what is interrupted counts, this does not.
        let is_idle = self.local.is_idle();
        let is_quiet = is_idle || self.local.is_idle_but(|at| self.stream.is_passed_over(at));
        let Some(held) = self.hold() else {
            return;
        };
        if self.stream.take_flush_request() {
            // Without room the losses are told of by a later packet.
            let _ = self.flush();
        }
        step();
        self.take_new_ring();
        step();
        self.take_close_request();
        step();
        self.overwrite_old_rings();
        let now = self.now();
        let is_drained = is_quiet && self.stream.is_drained();
        let used = self.stream.oldest_in_use();
        drop(held);
        if is_drained && !U::SHARED {
            self.stream.quiet_since.store(now, Ordering::Release);
        }
        // Looked at again: a hook may have put a slot aside.
        if let (true, Some(serial)) = (is_idle && self.local.is_idle(), used) {
            self.local.leave_rings_before(serial);
        }
    }

    /// Goes on in the ring that somebody has left for this stream.
    fn take_new_ring(&self) {
        let place = &self.stream.remote.new_ring;
        // The plain load keeps an idle tick from owning the line.
        let offered = place.load(Ordering::Relaxed);
        let Some(ring) = NonNull::new(offered).filter(|ring| *ring != TAKEN) else {
            return;
        };
        // Nobody offers another meanwhile: this one may have to go back.
        let won =
            place.compare_exchange(offered, TAKEN.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
        if won.is_err() {
            return;
        }
        step();
        let left = match self.go_on_in(ring) {
            Ok(()) => null_mut(),
            // Nothing is freed here: the end of the stream finds it.
            Err((_, unused)) => unused.as_ptr(),
        };
        place.store(left, Ordering::Release);
    }

    /// Ends the stream, if somebody has asked for it and there is room for the last packet.
    fn take_close_request(&self) {
        self.pass_over_after_the_end();
        let wanted = &self.stream.remote.close_wanted;
        if !wanted.load(Ordering::Relaxed) {
            return;
        }
        // Who is just closing it may find no room, and give up: then this is still to be done.
        if !matches!(self.close(), Err(StreamError::NoRoom | StreamError::Busy)) {
            wanted.store(false, Ordering::Release);
        }
    }

    /// In continuous mode: once the ring has gone round, what nobody has read in older ones would have
    /// been overwritten if it had been here.
    fn overwrite_old_rings(&self) {
        let Some(ring) = self.stream.current() else {
            return;
        };
        let geometry = &ring.geometry;
        let written = geometry.distance(ring.first, geometry.packet(ring.position()));
        if geometry.mode() != Mode::Continuous || written < geometry.subbuf_count() as u64 {
            return;
        }
        self.overwrite_before(ring);
    }

    /// Takes what is unread in rings before `ring` out of the way, and counts it as overwritten.
    pub(super) fn overwrite_before(&self, ring: &Ring) {
        self.stream.hold_oldest(|oldest| {
            let mut at = Some(oldest);
            while let Some(old) = at.filter(|old| !ptr::eq(*old, ring)) {
                let (packets, records) = old.overwrite_all();
                self.stream.overwritten.add_carries::<U>(records);
                if packets != 0 {
                    // They may have told of losses; and a packet must follow, for readers to see the gap.
                    self.stream.untell();
                }
                at = old.successor();
            }
        });
    }

    /// Notes how much of the ring is unread when packet `packet` is opened.
    pub(super) fn note_fill(&self, ring: &Ring, packet: u64) {
        let count = ring.geometry.subbuf_count() as u64;
        let is_unread = |quarters: u64| {
            let back = ring.geometry.before(packet, (count * quarters / 4).max(1));
            let entry = ring.entry(back);
            entry.is_packet(back) && entry.state() != State::Empty
        };
        if let Some(quarters) = (1..4).rev().find(|quarters| is_unread(*quarters)) {
            self.note_peak(quarters);
        }
    }

    /// Notes that a record was lost because the ring was full.
    pub(super) fn note_full(&self) {
        self.note_peak(4);
    }

    fn note_peak(&self, quarters: u64) {
        let peak = &self.stream.peak;
        let before = peak.load(Ordering::Relaxed);
        if quarters > before {
            // A context that comes in between may be forgotten: it is a hint.
            peak.store(quarters, Ordering::Relaxed);
            step();
            if quarters >= 3 && before < 3 {
                self.hooks.needs_resize(self.number());
            }
        }
    }
}

impl Ring {
    /// Takes all unread packets of a ring that has been left out of the way; returns how many, and how many
    /// records they held. What a reader holds stays.
    fn overwrite_all(&self) -> (u64, u64) {
        let (mut packets, mut overwritten) = (0, 0);
        let end = self.geometry.packet(self.visible());
        for back in 1..=self.geometry.subbuf_count() as u64 {
            if let Some(records) = self.overwrite(self.geometry.before(end, back)) {
                packets += 1;
                overwritten += records;
            }
        }
        (packets, overwritten)
    }

    /// Takes packet `packet` out of the way, if it is unread; returns how many records it held.
    fn overwrite(&self, packet: u64) -> Option<u64> {
        loop {
            let entry = self.entry(packet);
            if !entry.is_packet(packet) || !matches!(entry.state(), State::Readable | State::Lent) {
                return None;
            }
            step();
            let Some(records) = self.unread_in(entry) else {
                continue;
            };
            step();
            let empty = entry.with_state(State::Empty);
            // LOCKed: a reader on another CPU may be taking the same entry.
            let won = self.sub(packet).ent.compare_exchange(
                entry.0,
                empty.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if won.is_ok() {
                return Some(records);
            }
        }
    }

    /// Whether some of its packets are not read, or a reader has them.
    pub(super) fn has_unread(&self) -> bool {
        let end = self.geometry.packet(self.visible());
        (1..=self.geometry.subbuf_count() as u64).any(|back| {
            let packet = self.geometry.before(end, back);
            let entry = self.entry(packet);
            entry.is_packet(packet)
                && match entry.state() {
                    State::Empty => false,
                    // All of its slots are gone, and nobody has taken it back.
                    State::Abandoned => !self.sub(packet).committed().is_complete(),
                    _ => true,
                }
        })
    }
}

impl Stream {
    /// Whether nothing is undelivered. Owner only.
    fn is_drained(&self) -> bool {
        let Some(ring) = self.current() else {
            return false;
        };
        let pos = ring.position();
        self.busy.load(Ordering::Relaxed) == 0
            && self.delivering().is_some_and(|at| ptr::eq(at, ring))
            && ring.geometry.offset(pos) == 0
            && ring.geometry.packet(pos) == self.next.load(Ordering::Relaxed)
    }

    /// Whether the packet that `position` lies in was passed over, in whatever ring. Owner only, who holds no level here.
    fn is_passed_over(&self, position: Position) -> bool {
        let is_over = self.hold_oldest(|oldest| {
            let mut rings = core::iter::successors(Some(oldest), |ring| ring.successor());
            rings.any(|ring| ring.is_passed_over(position))
        });
        is_over.unwrap_or(false)
    }

    /// The serial number of the oldest ring that writing or delivery is in.
    fn oldest_in_use(&self) -> Option<u64> {
        let writing = self.current()?.serial();
        let delivering = self.delivering()?.serial();
        Some(writing.min(delivering))
    }

    /// Leaves a ring of `geometry` in `storage` for the owner, who goes on in it at its next tick. Any
    /// CPU, task context.
    pub(crate) fn offer(&self, storage: Storage, geometry: Geometry) -> Result<(), StreamError> {
        if self.is_closed() {
            return Err(StreamError::Closed);
        }
        let ring = self
            .hold_oldest(|_| self.build_next(storage, geometry))
            .ok_or(StreamError::NotStarted)??;
        let place = &self.remote.new_ring;
        let won = place.compare_exchange(
            null_mut(),
            ring.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if won.is_err() {
            // SAFETY: just built, and nobody has seen it.
            unsafe { Ring::destroy(ring) };
            return Err(StreamError::Busy);
        }
        Ok(())
    }

    /// Asks the owner to end the stream at its next tick. Any CPU.
    pub(crate) fn want_close(&self) {
        self.remote.close_wanted.store(true, Ordering::Release);
    }

    /// How many quarters of the ring were unread, at most, since this was asked last: 4 if something was
    /// lost for want of room. Any CPU.
    pub(crate) fn take_peak(&self) -> u64 {
        self.peak.swap(0, Ordering::Relaxed)
    }

    /// Takes no notice of `peak` after all. Any CPU.
    #[cfg(feature = "alloc")]
    pub(crate) fn put_back_peak(&self, peak: u64) {
        self.peak.fetch_max(peak, Ordering::Relaxed);
    }
}
