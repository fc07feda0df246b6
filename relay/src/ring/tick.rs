//! The owner's periodic duty: what others ask of it is done here, by itself.
//!
//! ```text
//! tick():  join
//!          take the requests: flush, new ring, close
//!          continuous mode, and the ring has gone round: what is unread in older rings is overwritten
//!          t = clock
//!          nothing is under way, and nothing undelivered: quiet_since = t
//!          nothing is under way: left = serial of current, or of the ring that is being delivered, if that is older
//!          wake who would have been woken in an NMI
//! ```

use super::entry::State;
use super::geometry::{Geometry, Mode};
use super::owner::Owner;
use super::storage::Storage;
use super::stream::{Stream, TAKEN};
use super::succession::StreamError;
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::{Ordering, Usage};
use core::ptr::{self, NonNull, null_mut};

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Takes the requests of others: flush, another ring, close. Notes that nothing older is still
    /// to come, and which rings are used no more.
    ///
    /// Never from NMI context: an NMI may interrupt another tick.
    pub(crate) fn tick(&self) {
        self.join();
        // Before this is counted: what is interrupted counts, this does not.
        let is_idle = self.local.is_idle();
        let Some(held) = self.hold() else {
            return;
        };
        if self.stream.take_flush_request() {
            // Without room the losses are told of by a later packet.
            let _ = self.flush();
        }
        self.take_new_ring();
        self.take_close_request();
        self.overwrite_old_rings();
        let now = self.now();
        let is_drained = is_idle && self.stream.is_drained();
        let used = self.stream.oldest_in_use();
        drop(held);
        if is_drained && !U::SHARED {
            self.stream.quiet_since.store(now, Ordering::Release);
        }
        if let (true, Some(serial)) = (is_idle, used) {
            self.local.leave_rings_before(serial);
        }
        self.wake_for_nmis();
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
        let left = match self.go_on_in(ring) {
            Ok(()) => null_mut(),
            // Nothing is freed here: the end of the stream finds it.
            Err((_, unused)) => unused.as_ptr(),
        };
        place.store(left, Ordering::Release);
    }

    /// Ends the stream, if somebody has asked for it and there is room for the last packet.
    fn take_close_request(&self) {
        let wanted = &self.stream.remote.close_wanted;
        if !wanted.load(Ordering::Relaxed) {
            return;
        }
        // Who is just closing it may find no room, and give up: then this is still to be done.
        if !matches!(self.close(), Err(StreamError::NoRoom | StreamError::Busy)) {
            wanted.store(false, Ordering::Release);
        }
    }

    /// In continuous mode: once the ring has gone round, what nobody has read in older ones would
    /// have been overwritten if it had been here.
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
            for old in oldest.chain().take_while(|old| !ptr::eq(*old, ring)) {
                if self.overwrite_all(old) {
                    // They may have told of losses; and a packet must follow, for readers to see
                    // the gap.
                    self.stream.report_again();
                }
            }
        });
    }

    /// Takes all unread packets of a ring that has been left out of the way; whether there were any.
    /// What a reader holds stays.
    fn overwrite_all(&self, old: &Ring) -> bool {
        let end = old.geometry.packet(old.visible());
        let laps = 1..=old.geometry.subbuf_count() as u64;
        let gone = laps.filter(|back| self.overwrite_unread(old, old.geometry.before(end, *back)));
        gone.count() != 0
    }

    /// Takes packet `packet` of `old` out of the way, if it is unread; whether it was.
    fn overwrite_unread(&self, old: &Ring, packet: u64) -> bool {
        loop {
            let entry = old.entry(packet);
            if !entry.is_packet(packet) || !entry.state().is_unread() {
                return false;
            }
            let Some(records) = old.unread_in(entry) else {
                continue;
            };
            let empty = entry.with_state(State::Empty);
            if self.overwrite(old.sub(packet), entry, empty, records) {
                return true;
            }
        }
    }
}

impl Stream {
    /// Whether nothing is undelivered. Owner only.
    fn is_drained(&self) -> bool {
        let Some(ring) = self.current() else {
            return false;
        };
        let pos = ring.position();
        self.delivery_lock.load(Ordering::Relaxed) == 0
            && self.delivering().is_some_and(|at| ptr::eq(at, ring))
            && ring.geometry.offset(pos) == 0
            && ring.geometry.packet(pos) == self.next.load(Ordering::Relaxed)
    }

    /// The serial number of the oldest ring that writing or delivery is in.
    fn oldest_in_use(&self) -> Option<u64> {
        let writing = self.current()?.serial();
        let delivering = self.delivering()?.serial();
        Some(writing.min(delivering))
    }

    /// Leaves a ring of `geometry` in `storage` for the owner, which moves to it at its next tick.
    /// Any CPU, task context.
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
}
