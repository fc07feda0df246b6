//! A stream goes on in another ring, or ends.
//!
//! ```text
//! succeed():  build the new ring, its positions far from those of all others
//!             CAS(old.succ, null, new)
//!             seal the old ring: a flush, with SEALED
//!             current = new
//!             deliver()
//!
//! close():    CAS(r.succ, null, r): meanwhile others hear Busy
//!             close the open packet, or an empty one, with SEALED and FINAL
//!             there is no room for it: r.succ = null, NoRoom
//! ```
//!
//! When the final packet is delivered, each counter of losses but that of writes to a closed stream
//! is read and marked as told, in one step. Whoever comes across a ring that has a successor and is
//! not sealed seals it first.

use super::flush::Closing;
use super::geometry::{Delivery, Geometry};
use super::owner::Owner;
use super::storage::{Storage, StorageError};
use super::stream::Stream;
use super::switch::Obstacle;
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::{Ordering, Usage};
use core::fmt;
use core::ptr::{self, NonNull, null_mut};

/// Why a stream could not be closed, reset, or its ring replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The stream was never started, or the channel has none for this CPU.
    NotStarted,
    /// It is closed already.
    Closed,
    /// The context that this one interrupted, or another CPU, is about to close it, which may yet
    /// fail; or the owner has not taken an earlier request: try again later.
    Busy,
    /// There is no free sub-buffer for the closing packet: consume some and try again.
    NoRoom,
    /// The new ring's reserves, mode or delivery are not those of the stream.
    OtherKind,
    /// Where records are delivered one by one, some of what would be given up may have been read
    /// already: there is no reset.
    ByRecord,
    /// It is the stream of another CPU, which alone can do this.
    NotOwner,
    /// The new ring's memory was refused.
    Storage(StorageError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("the stream was not started, or the channel has none for this CPU"),
            Self::Closed => f.write_str("the stream is closed already"),
            Self::Busy => {
                f.write_str("the stream is just being closed or resized; try again later")
            }
            Self::NoRoom => f.write_str(
                "no free sub-buffer is left for the closing packet; consume some and try again",
            ),
            Self::OtherKind => f.write_str(
                "a stream keeps its reserves, mode and delivery: only sizes and counts can change",
            ),
            Self::ByRecord => f.write_str(
                "a stream whose records are delivered one by one cannot be reset; read it to its end",
            ),
            Self::NotOwner => {
                f.write_str("it is the stream of another CPU: have it done there")
            }
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StreamError {}

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Ends the stream: later writes are lost (`closed`), and its last packet says that it is.
    pub(crate) fn close(&self) -> Result<(), StreamError> {
        let _held = self.hold().ok_or(StreamError::NotStarted)?;
        let mut ring = self.stream.current().ok_or(StreamError::NotStarted)?;
        loop {
            match ring.succ.compare_exchange(
                null_mut(),
                ring.closed_mark(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(_) => {
                    ring = self
                        .sealed_successor(ring)
                        .ok_or_else(|| ring.end_error())?;
                }
            }
        }
        loop {
            match self.close_open_packet(ring, Closing::Final) {
                Ok(_) => return Ok(()),
                Err(Obstacle::Lost(_)) => {
                    // Nothing was sealed: the stream goes on until there is room.
                    ring.succ.store(null_mut(), Ordering::Release);
                    return Err(StreamError::NoRoom);
                }
                Err(_) => {}
            }
        }
    }

    /// Goes on in a new ring of `geometry` in `storage`. The old one is sealed and drained in
    /// order.
    pub(crate) fn succeed(&self, storage: Storage, geometry: Geometry) -> Result<(), StreamError> {
        let _held = self.hold().ok_or(StreamError::NotStarted)?;
        let new = self.stream.build_next(storage, geometry)?;
        self.go_on_in(new).map_err(|(error, unused)| {
            // SAFETY: nobody has seen it.
            unsafe { Ring::destroy(unused) };
            error
        })
    }

    /// Begins anew in a ring of the same geometry, in `storage`: what is unread is overwritten.
    pub(crate) fn reset(&self, storage: Storage) -> Result<(), StreamError> {
        let _held = self.hold().ok_or(StreamError::NotStarted)?;
        let geometry = self.stream.geometry().ok_or(StreamError::NotStarted)?;
        if geometry.delivery() == Delivery::Record {
            return Err(StreamError::ByRecord);
        }
        self.succeed(storage, geometry)?;
        if let Some(ring) = self.stream.current() {
            self.overwrite_before(ring);
        }
        Ok(())
    }

    /// Goes on in `new`, a ring that was built for this stream; gives it back if that cannot be.
    pub(super) fn go_on_in(&self, new: NonNull<Ring>) -> Result<(), (StreamError, NonNull<Ring>)> {
        let (Some(_held), Some(mut old)) = (self.hold(), self.stream.current()) else {
            return Err((StreamError::NotStarted, new));
        };
        loop {
            // SAFETY: alive, and nobody else has seen it yet.
            let serial = unsafe { &new.as_ref().serial };
            serial.store(old.serial().wrapping_add(1), Ordering::Relaxed);
            match old.succ.compare_exchange(
                null_mut(),
                new.as_ptr(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(_) => match self.sealed_successor(old) {
                    Some(next) => old = next,
                    None => return Err((old.end_error(), new)),
                },
            }
        }
        self.seal(old);
        self.stream.forward_current(old, new);
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
}

impl Ring {
    /// Why a ring that is its own successor cannot be closed or replaced.
    fn end_error(&self) -> StreamError {
        if self.position().is_sealed() {
            StreamError::Closed
        } else {
            StreamError::Busy
        }
    }
}

impl Stream {
    /// Builds a ring of `geometry` in `storage` that this stream could go on in. Any CPU that has
    /// an intent, or is counted in `held`, or holds the chain.
    pub(super) fn build_next(
        &self,
        storage: Storage,
        geometry: Geometry,
    ) -> Result<NonNull<Ring>, StreamError> {
        let current = self.current().ok_or(StreamError::NotStarted)?;
        if !geometry.can_follow(&current.geometry) {
            return Err(StreamError::OtherKind);
        }
        // Far from all positions of the rings that are still in use, also of others that are built
        // now and come before this one: what is under way there is not mistaken for something in
        // this one.
        let number = self
            .remote
            .built
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1);
        let far = number.wrapping_mul(1 << 40);
        let far = current.position().unsealed().0.wrapping_add(far);
        let first = far / geometry.subbuf_size() as u64;
        Ring::build(storage, geometry, first).map_err(StreamError::Storage)
    }

    /// Lets writers begin at `new`, unless a nested succession has moved on already.
    fn forward_current(&self, old: &Ring, new: NonNull<Ring>) {
        let mut from = self.current.load(Ordering::Acquire);
        // `current` may lag behind `old` if this succession interrupted another one.
        // SAFETY: `current` is never null again, and the caller is counted in `held`.
        while !ptr::eq(from, new.as_ptr()) && unsafe { &*from }.serial() <= old.serial() {
            match self.current.compare_exchange(
                from,
                new.as_ptr(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(now) => from = now,
            }
        }
    }
}
