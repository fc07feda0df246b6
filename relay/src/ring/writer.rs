//! Reserve: one compare-and-swap on the write position, which also switches sub-buffers.

use super::entry::{Entry, State};
use super::geometry::Position;
use super::slot::Slot;
use super::stream::{DEPTH, Intent, Stream};
use super::{Closed, Hooks, Loss, Losses, Mode, PacketStart, Ring};
use crate::platform::Platform;
use crate::step::{Mistake, broken, step};
use crate::sync::{Ordering, compiler_fence};
use core::fmt;

/// What happened to a record that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The record is lost, for this reason; the stream's ledger has counted it.
    Lost(Loss),
    /// This CPU has no ring: its number is out of the channel's range, or its stream was not
    /// started. The channel has counted it.
    NoRing,
    /// A record of no bytes is no record. Nothing was counted.
    Empty,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost(Loss::Full) => "the buffer is full of unread records",
            Self::Lost(Loss::TooBig) => "the record does not fit into a sub-buffer",
            Self::Lost(Loss::Wrapped) => {
                "the next sub-buffer still has an uncommitted record of the previous lap"
            }
            Self::Lost(Loss::Nested) => "too many records of this CPU are under way",
            Self::Lost(Loss::Closed) => "the channel is closed",
            Self::Lost(Loss::Discarded) => "the record was discarded by its writer",
            Self::NoRing => "this CPU has no ring in the channel",
            Self::Empty => "a record must have at least one byte",
        })
    }
}

impl core::error::Error for WriteError {}

/// The pin that keeps the running code on its CPU; dropping it unpins.
#[derive(Debug)]
pub(crate) struct Pin<'a, P: Platform> {
    platform: &'a P,
    cpu: usize,
}

impl<'a, P: Platform> Pin<'a, P> {
    /// Pins the running code.
    #[inline(always)]
    pub(crate) fn new(platform: &'a P) -> Self {
        Self {
            platform,
            cpu: platform.pin(),
        }
    }

    /// The CPU it is pinned to.
    #[inline(always)]
    pub(crate) fn cpu(&self) -> usize {
        self.cpu
    }
}

impl<P: Platform> Drop for Pin<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        self.platform.unpin();
    }
}

/// The right to act as the owner of `stream`, for as long as the pin is held.
pub(crate) struct Writer<'a, P: Platform> {
    pub(super) stream: &'a Stream,
    pub(super) hooks: &'a dyn Hooks,
    pub(super) pin: Pin<'a, P>,
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

/// Why there is no [`Plan`].
pub(super) enum Obstacle {
    /// The position has moved: look again.
    Moved,
    /// There is no place.
    Lost(Loss),
}

impl<'a, P: Platform> Writer<'a, P> {
    /// A writer for the CPU that `pin` pins. `stream` must be that CPU's.
    #[inline(always)]
    pub(crate) fn new(stream: &'a Stream, hooks: &'a dyn Hooks, pin: Pin<'a, P>) -> Self {
        Self { stream, hooks, pin }
    }

    /// The time, in ticks.
    #[inline(always)]
    pub(super) fn now(&self) -> u64 {
        // An interrupt must find the clock read after what is read before it here, and before
        // what comes after; a platform's way to read it may tell the compiler nothing of memory.
        compiler_fence(Ordering::SeqCst);
        let ticks = self.pin.platform.now();
        compiler_fence(Ordering::SeqCst);
        ticks
    }

    /// The longest record that fits, in bytes.
    pub(crate) fn max_record(&self) -> Option<usize> {
        Some(self.stream.current()?.geometry.max_record())
    }

    /// Writes `bytes` as one record.
    #[inline]
    pub(crate) fn write(self, bytes: &[u8]) -> Result<(), WriteError> {
        let mut slot = self.reserve(bytes.len())?;
        if broken(Mistake::CommitBeforeBytes) {
            slot.publish(true);
            step();
            slot.copy_from(bytes);
            return Ok(());
        }
        slot.copy_from(bytes);
        step();
        slot.commit();
        Ok(())
    }

    /// Reserves `len` bytes.
    pub(crate) fn reserve(self, len: usize) -> Result<Slot<'a, P>, WriteError> {
        if len == 0 {
            return Err(WriteError::Empty);
        }
        let stream = self.stream;
        let Some(mut ring) = stream.current() else {
            return Err(WriteError::NoRing);
        };
        let Some(level) = stream.enter() else {
            stream.lose(Loss::Nested);
            return Err(WriteError::Lost(Loss::Nested));
        };
        step();
        let early = if broken(Mistake::ClockOutsideLoop) {
            self.now()
        } else {
            0
        };
        let (plan, ticks, losses) = loop {
            let pos = ring.position();
            step();
            // Inside the loop: a timestamp counts only if the swap below proves that nobody
            // reserved since `pos` was read (order of records = order of time).
            let ticks = if broken(Mistake::ClockOutsideLoop) {
                early
            } else {
                self.now()
            };
            step();
            let plan = if pos.is_sealed() {
                match ring.successor() {
                    Some(next) => {
                        ring = next;
                        step();
                        continue;
                    }
                    None => Err(Obstacle::Lost(Loss::Closed)),
                }
            } else {
                self.plan(ring, pos, len)
            };
            let plan = match plan {
                Ok(plan) => plan,
                Err(Obstacle::Moved) => continue,
                Err(Obstacle::Lost(loss)) => {
                    stream.lose(loss);
                    step();
                    stream.leave(level);
                    return Err(WriteError::Lost(loss));
                }
            };
            let losses = (plan.exact || plan.closes.is_some()).then(|| stream.lost.sample());
            step();
            let intent = Intent::new(plan.begin.0 >> 1, len as u64);
            stream.intents[level].store(intent.0, Ordering::Relaxed);
            step();
            if ring.pos.cas(pos.0, plan.end.0) {
                break (plan, ticks, losses);
            }
            step();
        };
        step();
        Ok(self.occupy(ring, &plan, len, level, ticks, losses))
    }

    /// The second half of a reservation, after the swap: closes the packet left behind, opens the
    /// new one.
    #[inline]
    fn occupy(
        self,
        ring: &'a Ring,
        plan: &Plan,
        len: usize,
        level: usize,
        ticks: u64,
        losses: Option<Losses>,
    ) -> Slot<'a, P> {
        let geometry = &ring.geometry;
        let losses = if broken(Mistake::LossesSampledLate) {
            losses.map(|_| self.stream.lost.sample())
        } else {
            losses
        };
        if let (Some((packet, offset)), Some(losses)) = (plan.closes, &losses) {
            self.close_packet(ring, packet, offset, ticks, losses, false);
            self.add(ring, packet, geometry.subbuf_size() as u64 - offset, false);
            step();
        }
        // Stable: claimed for this packet before the position came here, and not delivered before
        // this record is committed.
        let block = ring.entry(plan.packet).block();
        if plan.opens {
            self.open_packet(ring, plan.packet, block, ticks);
        }
        if plan.exact
            && let Some(losses) = &losses
        {
            self.close_packet(ring, plan.packet, geometry.limit(), ticks, losses, false);
        }
        let offset = geometry.offset(plan.begin) as usize;
        Slot::new(
            self,
            ring,
            plan.packet,
            block,
            offset,
            len,
            plan.begin,
            plan.end,
            level,
            ticks,
        )
    }

    /// Looks where `len` bytes can go if the position stays at `pos`, and makes sure that the
    /// sub-buffer is claimed.
    fn plan(&self, ring: &Ring, pos: Position, len: usize) -> Result<Plan, Obstacle> {
        let geometry = &ring.geometry;
        if len > geometry.max_record() && !broken(Mistake::TooBigAccepted) {
            return Err(Obstacle::Lost(Loss::TooBig));
        }
        let len = len as u64;
        let packet = geometry.packet(pos);
        let offset = geometry.offset(pos);
        if offset != 0 && offset + len <= geometry.limit() {
            let end = offset + len;
            let exact = end == geometry.limit() && !broken(Mistake::ExactFitStaysOpen);
            return Ok(Plan {
                begin: pos,
                end: geometry.position(
                    packet,
                    if exact {
                        geometry.subbuf_size() as u64
                    } else {
                        end
                    },
                ),
                packet,
                opens: false,
                closes: None,
                exact,
            });
        }
        let (next, closes) = if offset == 0 {
            (packet, None)
        } else {
            (geometry.after(packet), Some((packet, offset)))
        };
        self.prepare(ring, next, pos)?;
        let start = geometry.start_reserve() as u64;
        let end = start + len;
        let exact = end == geometry.limit();
        Ok(Plan {
            begin: geometry.position(next, start),
            end: geometry.position(
                next,
                if exact {
                    geometry.subbuf_size() as u64
                } else {
                    end
                },
            ),
            packet: next,
            opens: true,
            closes,
            exact,
        })
    }

    /// Claims the sub-buffer of packet `packet`, if that is not done yet. Idempotent: whoever
    /// comes first does it, nested writers included.
    pub(super) fn prepare(&self, ring: &Ring, packet: u64, pos: Position) -> Result<(), Obstacle> {
        let sub = ring.sub(packet);
        loop {
            let entry = ring.entry(packet);
            step();
            let refused = match entry.state() {
                State::Writing if entry.is_packet(packet) => return Ok(()),
                State::Writing => Some(Loss::Wrapped),
                State::Taken => Some(Loss::Full),
                State::Readable if ring.geometry.mode() == Mode::NoOverwrite => Some(Loss::Full),
                State::Readable | State::Empty => None,
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
            // In continuous mode the victim's count is read BEFORE the claim: after it, nested
            // writers may fill, deliver and lose the block to the next lap.
            let victims = |entry: Entry| match entry.state() {
                State::Readable => ring.info(entry.block()).records.load(Ordering::Relaxed),
                _ => 0,
            };
            let mut overwritten = victims(entry);
            step();
            if ring.position() != pos {
                return Err(Obstacle::Moved);
            }
            step();
            let claimed = Entry::new(packet, State::Writing, entry.block());
            // LOCKed: a reader on another CPU may be taking the same entry.
            let won =
                sub.ent
                    .compare_exchange(entry.0, claimed.0, Ordering::AcqRel, Ordering::Acquire);
            step();
            if won.is_err() {
                continue;
            }
            if broken(Mistake::ClaimBeforeCount) {
                overwritten = victims(entry);
            }
            if overwritten != 0 {
                self.stream.overwritten.add(overwritten);
                step();
            }
            return Ok(());
        }
    }

    /// Begins packet `packet`: notes its time, has its header started, and commits the header.
    pub(super) fn open_packet(&self, ring: &Ring, packet: u64, block: usize, ticks: u64) {
        ring.sub(packet).begin_ticks.store(ticks, Ordering::Relaxed);
        step();
        let reserve = ring.geometry.start_reserve();
        if reserve != 0 {
            let start = PacketStart {
                cpu: self.pin.cpu(),
                begin_ticks: ticks,
            };
            // SAFETY: the header belongs to the opener of the packet until it is committed below.
            let header = unsafe { ring.bytes_mut(block, 0, reserve) };
            self.hooks.buffer_start(header, &start);
            step();
            self.add(ring, packet, reserve as u64, false);
            if broken(Mistake::HeaderCountedTwice) {
                self.add(ring, packet, reserve as u64, false);
            }
        }
    }

    /// Notes how packet `packet` ended; the caller then commits what the closer owns of it.
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
        step();
        // Release, for the post-mortem reader: with the mark comes the rest.
        sub.closed
            .store(Closed::new(packet, content, is_final).0, Ordering::Release);
        self.stream.told.store(losses.total(), Ordering::Relaxed);
        step();
    }
}

impl Ring {
    /// `len` bytes at `offset` of `block`.
    ///
    /// # Safety
    /// The caller has reserved these bytes and not committed them, or delivers the packet; no
    /// other reference to them exists.
    #[expect(
        clippy::mut_from_ref,
        reason = "the bytes are not behind the reference: they are handed out by reservation"
    )]
    pub(super) unsafe fn bytes_mut(&self, block: usize, offset: usize, len: usize) -> &mut [u8] {
        self.track_write(block, offset, len);
        let first = self.at(block, offset, len);
        // SAFETY: `at` checked the range; it is initialised (the storage was); the caller has it
        // alone.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), len) }
    }
}

impl Stream {
    /// Takes a nesting level; `None` if all are in use. Owner only.
    #[inline(always)]
    fn enter(&self) -> Option<usize> {
        let level = self.depth.load(Ordering::Relaxed).trailing_ones() as usize;
        if level >= DEPTH {
            return None;
        }
        // An interrupt between the load and this has given its own level back by now.
        self.depth.set_bits(1 << level);
        Some(level)
    }

    /// Gives a nesting level back. Owner only.
    #[inline(always)]
    pub(super) fn leave(&self, level: usize) {
        self.intents[level].store(0, Ordering::Relaxed);
        self.depth.clear_bits(1 << level);
    }
}

impl<P: Platform> fmt::Debug for Writer<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("cpu", &self.pin.cpu())
            .finish_non_exhaustive()
    }
}
