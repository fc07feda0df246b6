//! Closing the open packet before it is full: flush, seal, succession, close.

use super::stream::Stream;
use super::writer::{Obstacle, Writer};
use super::{Geometry, Losses, Ring, Storage, StorageError};
use crate::platform::Platform;
use crate::step::step;
use crate::sync::Ordering;
use core::fmt;
use core::ptr::{self, NonNull, null_mut};

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

/// Why a stream could not be closed or its ring replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseError {
    /// The stream was never started.
    NotStarted,
    /// It is closed already.
    Closed,
    /// The context that this one interrupted is about to close it, which may yet fail: try again
    /// later.
    Busy,
    /// There is no free sub-buffer for the closing packet: consume some and try again.
    NoRoom,
    /// The new ring's memory was refused.
    Storage(StorageError),
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("this CPU has no ring in the channel"),
            Self::Closed => f.write_str("the stream is closed already"),
            Self::Busy => f.write_str("the stream is just being closed; try again later"),
            Self::NoRoom => f.write_str(
                "no free sub-buffer is left for the closing packet; consume some and try again",
            ),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CloseError {}

/// How a packet is closed without a record that follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// The stream goes on in the same ring.
    Flush,
    /// The ring takes no more records: it has a successor.
    Seal,
    /// The stream ends here.
    Final,
}

impl<P: Platform> Writer<'_, P> {
    /// Hands over what the open packet holds. Also, if records were lost since the last packet
    /// was closed, an empty packet that says so.
    pub(crate) fn flush(&self) -> Flushed {
        let Some(mut ring) = self.stream.current() else {
            return Flushed::Nothing;
        };
        loop {
            match self.close_open_packet(ring, Closing::Flush) {
                Ok(flushed) => return flushed,
                Err(Obstacle::Lost(_)) => return Flushed::NoRoom,
                Err(Obstacle::Moved) => {
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

    /// Ends the stream: later writes are lost (`closed`), and its last packet says that it is.
    pub(crate) fn close(&self) -> Result<(), CloseError> {
        let mut ring = self.stream.current().ok_or(CloseError::NotStarted)?;
        loop {
            match ring.succ.compare_exchange(
                null_mut(),
                ring.closed_mark(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(_) => {
                    let next = self.sealed_successor(ring);
                    ring = next.ok_or_else(|| ring.close_error())?;
                }
            }
            step();
        }
        step();
        loop {
            match self.close_open_packet(ring, Closing::Final) {
                Ok(_) => return Ok(()),
                Err(Obstacle::Moved) => {}
                Err(Obstacle::Lost(_)) => {
                    // Nothing was sealed: the stream goes on until there is room.
                    ring.succ.store(null_mut(), Ordering::Release);
                    return Err(CloseError::NoRoom);
                }
            }
        }
    }

    /// Goes on in a new ring of `geometry` in `storage`. The old one is sealed and drained in order.
    pub(crate) fn succeed(&self, storage: Storage, geometry: Geometry) -> Result<(), CloseError> {
        let mut old = self.stream.current().ok_or(CloseError::NotStarted)?;
        // Intents hold 32 bits of a position, and do not say in which ring: the new ring begins
        // as far from the old one as those bits allow.
        let far = (old.position().unsealed().0 >> 1).wrapping_add(1 << 31);
        let first = far / geometry.subbuf_size() as u64;
        let new = Ring::build(storage, geometry, first).map_err(CloseError::Storage)?;
        step();
        loop {
            match old.succ.compare_exchange(
                null_mut(),
                new.as_ptr(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(_) => match self.sealed_successor(old) {
                    Some(next) => old = next,
                    None => {
                        // SAFETY: just built, and nobody has seen it.
                        unsafe { Ring::destroy(new) };
                        return Err(old.close_error());
                    }
                },
            }
            step();
        }
        step();
        self.seal(old);
        step();
        self.stream.forward_current(old, new);
        step();
        self.deliver();
        Ok(())
    }

    /// Lets no more records into `ring`, which has a successor.
    fn seal(&self, ring: &Ring) {
        while !ring.position().is_sealed() {
            // Only `Moved` can go wrong here: sealing needs no free sub-buffer.
            let _ = self.close_open_packet(ring, Closing::Seal);
        }
    }

    /// The successor of `ring`, if it has one. The succession that set it may have been
    /// interrupted before it sealed `ring`; that is done here, since what comes into the successor
    /// must not be older than what is in `ring`.
    fn sealed_successor<'r>(&self, ring: &'r Ring) -> Option<&'r Ring> {
        let next = ring.successor()?;
        self.seal(ring);
        Some(next)
    }

    /// Closes the packet at the write position as `closing` says.
    fn close_open_packet(&self, ring: &Ring, closing: Closing) -> Result<Flushed, Obstacle> {
        let geometry = &ring.geometry;
        let size = geometry.subbuf_size() as u64;
        let pos = ring.position();
        step();
        if pos.is_sealed() {
            return Err(Obstacle::Moved);
        }
        let ticks = self.now();
        step();
        let packet = geometry.packet(pos);
        let offset = geometry.offset(pos);
        let is_open = offset != 0;
        let losses = self.stream.lost.sample();
        let boundary = geometry.position(packet, size);
        let target = match closing {
            Closing::Flush if is_open => boundary,
            Closing::Flush if self.stream.has_told(&losses) => return Ok(Flushed::Nothing),
            Closing::Flush => boundary,
            Closing::Seal if is_open => boundary.sealed(),
            Closing::Seal => pos.sealed(),
            Closing::Final => boundary.sealed(),
        };
        if target == pos.sealed() {
            // A ring that is sealed between two packets: there is nothing to close.
            step();
            return if ring.pos.cas(pos.0, target.0) {
                step();
                self.deliver();
                Ok(Flushed::Nothing)
            } else {
                Err(Obstacle::Moved)
            };
        }
        if !is_open {
            self.prepare(ring, packet, pos)?;
        }
        step();
        if !ring.pos.cas(pos.0, target.0) {
            return Err(Obstacle::Moved);
        }
        step();
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
        step();
        self.close_packet(ring, packet, used, ticks, &losses, is_final);
        self.add(ring, packet, size - used, false);
        Ok(Flushed::Packet)
    }

    /// The owner's periodic duty: hands the open packet over if the reader has asked for it, and
    /// notes that nothing older is still to come.
    ///
    /// Never from NMI context: an NMI may interrupt another tick.
    pub(crate) fn tick(&self) {
        if self.stream.take_flush_request() {
            // Without room the losses are told of by a later packet.
            let _ = self.flush();
        }
        let now = self.now();
        if self.stream.is_drained() {
            self.stream.quiet_since.store(now, Ordering::Release);
        }
    }
}

impl Ring {
    /// Why a ring that is its own successor cannot be closed or replaced.
    fn close_error(&self) -> CloseError {
        if self.position().is_sealed() {
            CloseError::Closed
        } else {
            CloseError::Busy
        }
    }
}

impl Stream {
    /// Whether a closed packet has told of all of `losses`.
    fn has_told(&self, losses: &Losses) -> bool {
        self.told.load(Ordering::Relaxed) == losses.total()
    }

    /// Whether no record is under way or undelivered. Owner only.
    fn is_drained(&self) -> bool {
        let Some(ring) = self.current() else {
            return false;
        };
        let pos = ring.position();
        self.depth.load(Ordering::Relaxed) == 0
            && self.busy.load(Ordering::Relaxed) == 0
            && self.delivering().is_some_and(|at| ptr::eq(at, ring))
            && ring.geometry.offset(pos) == 0
            && ring.geometry.packet(pos) == self.next.load(Ordering::Relaxed)
    }

    /// Lets writers begin at `new`, unless a nested succession has moved on already.
    fn forward_current(&self, old: &Ring, new: NonNull<Ring>) {
        let mut from = self.cur.load(Ordering::Acquire);
        // `cur` may lag behind `old` if this succession interrupted another one.
        while !ptr::eq(from, new.as_ptr()) && self.is_before(from, old) {
            match self
                .cur
                .compare_exchange(from, new.as_ptr(), Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(now) => from = now,
            }
        }
    }

    /// Whether `ring` is `last` or comes before it in the chain.
    fn is_before(&self, ring: *const Ring, last: &Ring) -> bool {
        let mut at = self.oldest();
        let mut seen = false;
        while let Some(this) = at {
            seen |= ptr::eq(this, ring);
            if ptr::eq(this, last) {
                return seen;
            }
            at = this.successor();
        }
        false
    }
}
