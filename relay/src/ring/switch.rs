//! The switch: closing a packet and opening the next.
//!
//! ```text
//! prepare(k):  look at entry[k]
//!              WRITING for k: done, by us or by a context that interrupted us
//!              WRITING for another lap: pos has moved: look again; else lost(wrapped)
//!              TAKEN, or READABLE or LENT and not overwriting: pos has moved: look again; else lost(full)
//!              EMPTY, or READABLE or LENT and overwriting:
//!                  n = records of the victim; they are about another packet by now: look again
//!                  pos has moved: look again
//!                  overwrite: CAS(entry[k], what it was, {k, WRITING, same block}), LOCKed, or look again
//!
//! overwrite(n): overwriting += n
//!               CAS, LOCKed;  it has succeeded: overwritten += n
//!               overwriting -= n
//!
//! close(k):    end_ticks, lost of k = time and losses that the swap has validated
//!              closed of k = where its records end, and whether it is the last
//!              add(k, the rest of it)
//!
//! open(k):     begin_ticks of k = the time that the swap has validated
//!              origin of k, then bound of k, Release
//!              pos is in k still: open = k
//!              buffer_start hook
//!              add(k, start reserve)
//!
//! add(k, bytes, records):  commit[k] += both, by one instruction
//!              it carries (all bytes are there), or delivery is by record: deliver()
//! ```
//!
//! Only the owner of the swap opens and closes. What a nested context finds half done it does not
//! touch: it finds the packet prepared, and looks for itself.

use super::entry::{Entry, State};
use super::geometry::Mode;
use super::hooks::PacketStart;
use super::ledger::{Loss, Losses};
use super::owner::Owner;
use super::packet::Closed;
use super::position::Position;
use super::subbuf::{Committed, Sub};
use super::words::Ring;
use crate::platform::Platform;
use crate::sync::step::{Mistake, broken, step};
use crate::sync::{Ordering, Usage};
use core::ptr;

/// Why there is no place for a record.
pub(super) enum Obstacle {
    /// The position has moved: look again.
    Moved,
    /// There is no place.
    Lost(Loss),
}

impl<P: Platform, U: Usage> Owner<'_, P, U> {
    /// Makes the sub-buffer of packet `packet` the owner's, if that is not done yet; returns its
    /// block, which counts if the position stays at `pos`. Idempotent: whoever comes first does it,
    /// nested writers included.
    #[inline]
    pub(super) fn prepare(
        &self,
        ring: &Ring,
        packet: u64,
        pos: Position,
    ) -> Result<usize, Obstacle> {
        let sub = ring.sub(packet);
        let overwrites = ring.geometry.mode() == Mode::Continuous;
        loop {
            let entry = ring.entry(packet);
            let refused = match entry.state() {
                State::Writing if entry.is_packet(packet) => return Ok(entry.block()),
                State::Writing => Some(Loss::Wrapped),
                State::Taken => Some(Loss::Full),
                State::Readable | State::Lent if !overwrites => Some(Loss::Full),
                State::Readable | State::Lent | State::Empty => None,
            };
            if let Some(loss) = refused {
                // What the entry says counts only if the position is where it was: otherwise the
                // packet may have been written, delivered and read in between.
                let moved = ring.position() != pos && !broken(Mistake::NoMovedCheck);
                return Err(if moved {
                    Obstacle::Moved
                } else {
                    Obstacle::Lost(loss)
                });
            }
            // In continuous mode the victim's count is read BEFORE it is prepared: after that,
            // nested writers may fill, deliver and lose the block to the next lap.
            let Some(mut overwritten) = ring.unread_in(entry) else {
                continue;
            };
            if ring.position() != pos {
                return Err(Obstacle::Moved);
            }
            let prepared = Entry::new(packet, State::Writing, entry.block());
            if broken(Mistake::PrepareBeforeCount) {
                overwritten = 0;
            }
            if !self.overwrite(sub, entry, prepared, overwritten) {
                continue;
            }
            if broken(Mistake::PrepareBeforeCount) {
                overwritten = ring.unread_in(entry).unwrap_or(0);
                self.stream.overwritten.add_carries::<U>(overwritten);
            }
            return Ok(entry.block());
        }
    }

    /// Makes an entry another, if it is still what it was, and counts `records` that are overwritten
    /// with it; whether it was. Announced before, so that the post-mortem of a CPU that stops in
    /// between never knows of less than what is gone.
    #[inline]
    pub(super) fn overwrite(&self, sub: &Sub, is: Entry, wanted: Entry, records: u64) -> bool {
        let stream = self.stream;
        if records != 0 {
            stream.overwriting.add_carries::<U>(records);
        }
        // LOCKed: a reader on another CPU may be taking the same entry.
        let won = sub
            .entry
            .compare_exchange(is.0, wanted.0, Ordering::AcqRel, Ordering::Acquire);
        if records != 0 {
            if won.is_ok() {
                stream.overwritten.add_carries::<U>(records);
            }
            stream.overwriting.add_carries::<U>(records.wrapping_neg());
        }
        won.is_ok()
    }

    /// Begins packet `packet`: notes its time, lets writers find it, has its header started, and
    /// commits the header.
    #[inline]
    pub(super) fn open_packet(&self, ring: &Ring, packet: u64, block: usize, ticks: u64) {
        let sub = ring.sub(packet);
        sub.begin_ticks.store(ticks, Ordering::Relaxed);
        ring.describe(packet, block);
        // Where something has moved on meanwhile, its descriptor stays.
        if ring.geometry.packet(ring.position()) == packet {
            let sub = ptr::from_ref(sub).cast_mut();
            ring.open.store(sub, Ordering::Release);
        }
        self.note_fill(ring, packet);
        let reserve = ring.geometry.start_reserve();
        if reserve != 0 {
            let start = PacketStart {
                cpu: self.number(),
                begin_ticks: ticks,
            };
            // SAFETY: the header belongs to the opener of the packet until it is committed below.
            let header = unsafe { ring.bytes_mut(block, 0, reserve) };
            self.hooks.buffer_start(header, &start);
            step();
            self.add(sub, reserve as u64);
            if broken(Mistake::HeaderCountedTwice) {
                self.add(sub, reserve as u64);
            }
        }
    }

    /// Notes how packet `packet` ended; the caller then commits what the closer owns of it.
    #[inline]
    pub(super) fn close_packet(
        &self,
        ring: &Ring,
        packet: u64,
        content: u64,
        ticks: u64,
        losses: &Losses,
        is_final: bool,
    ) {
        let sub = ring.sub(packet);
        sub.end_ticks.store(ticks, Ordering::Relaxed);
        sub.lost.store(losses);
        // Release, for the post-mortem reader: with the mark comes the rest.
        sub.closed
            .store(Closed::new(packet, content, is_final).0, Ordering::Release);
        self.stream
            .reported_losses
            .store(losses.total(), Ordering::Relaxed);
    }

    /// Commits `bytes` that are no record: header, padding. Whoever completes the packet delivers
    /// it.
    #[inline]
    pub(super) fn add(&self, sub: &Sub, bytes: u64) {
        if sub.commit.add_carries::<U>(Committed::step(bytes, 0)) {
            self.deliver();
        }
    }

    /// Notes how much of the ring is unread when packet `packet` is opened.
    #[inline]
    fn note_fill(&self, ring: &Ring, packet: u64) {
        let count = ring.geometry.subbuf_count() as u64;
        let is_unread = |quarters: u64| {
            let back = ring.geometry.before(packet, (count * quarters / 4).max(1));
            let entry = ring.entry(back);
            entry.is_packet(back) && entry.state() != State::Empty
        };
        let before = self.stream.peak.load(Ordering::Relaxed);
        // What is unread lies behind the position: where a quarter is not, two are not.
        let peak = (before + 1..4)
            .take_while(|quarters| is_unread(*quarters))
            .last();
        if let Some(quarters) = peak {
            self.note_peak(before, quarters);
        }
    }

    /// Notes that a record was lost because the ring was full.
    pub(super) fn note_full(&self) {
        let before = self.stream.peak.load(Ordering::Relaxed);
        if before < 4 {
            self.note_peak(before, 4);
        }
    }

    #[cold]
    fn note_peak(&self, before: u64, quarters: u64) {
        // A context that comes in between may be forgotten: it is a hint.
        self.stream.peak.store(quarters, Ordering::Relaxed);
        if quarters >= 3 && before < 3 {
            self.hooks.needs_resize(self.number());
            step();
        }
    }
}
