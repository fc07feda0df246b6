//! Reserve: one compare-and-swap on the write position, which also switches sub-buffers.

use super::entry::{Entry, State};
use super::fast::{self, Any, Claim, Source};
use super::flush::Closing;
use super::local::{Held, Left, Level, Local};
use super::packet::Closed;
use super::position::Position;
use super::slot::Slot;
use super::stream::Stream;
use super::subbuf::{Committed, Sub};
use super::{Hooks, Loss, Losses, Mode, PacketStart, Ring};
use crate::platform::Platform;
use crate::step::{Mistake, broken, step};
use crate::sync::{Ordering, PerCpu, Usage};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

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
    /// The event id is one of the fillers', which readers skip: those of events are below
    /// [`record::EVENTS`](crate::record::EVENTS). Nothing was counted.
    FillerId,
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
            Self::FillerId => "event ids from 0xFFFD on are those of fillers; use a smaller one",
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

    /// The platform that it pins on.
    #[inline(always)]
    pub(super) fn platform(&self) -> &'a P {
        self.platform
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
        // SAFETY: `new` pinned, once, and this is the end of it.
        unsafe { self.platform.unpin() };
    }
}

/// The right to act as the owner of `stream`, for as long as the pin is held.
pub(crate) struct Writer<'a, P: Platform, U: Usage = PerCpu> {
    pub(super) stream: &'a Stream,
    pub(super) local: &'a Local,
    pub(super) hooks: &'a dyn Hooks,
    pub(super) pin: Pin<'a, P>,
    usage: PhantomData<U>,
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
    /// The packet has no sub-buffer: look at the next one.
    Void,
    /// The only sub-buffer is that of the open packet: close it, and look again.
    CloseFirst,
}

impl<'a, P: Platform, U: Usage> Writer<'a, P, U> {
    /// A writer for the CPU that `pin` pins, whose words are in `local`. `stream` is that CPU's, or that
    /// of all CPUs.
    #[inline(always)]
    pub(crate) fn new(
        stream: &'a Stream,
        local: &'a Local,
        hooks: &'a dyn Hooks,
        pin: Pin<'a, P>,
    ) -> Self {
        Self {
            stream,
            local,
            hooks,
            pin,
            usage: PhantomData,
        }
    }

    /// The number of the stream: its CPU's, or 0 for that of all CPUs.
    pub(super) fn number(&self) -> usize {
        if U::SHARED { 0 } else { self.pin.cpu() }
    }

    /// The platform.
    pub(super) fn platform(&self) -> &P {
        self.pin.platform
    }

    /// Lets this CPU use the stream, if that has a ring. What a CPU uses that has not joined may be freed
    /// under it.
    pub(super) fn join(&self) {
        if self.stream.is_started() {
            self.local.join();
        }
    }

    /// Counts an operation that is no record as under way, until the result is dropped; `None` if the stream has no ring.
    pub(super) fn hold(&self) -> Option<Held<'a>> {
        self.join();
        // The stream may have been started just now: then this CPU has not joined, and must not look at the ring.
        self.local.has_joined().then(|| self.local.hold())
    }

    /// The time, in ticks.
    pub(super) fn now(&self) -> u64 {
        fast::now(self.pin.platform)
    }

    /// The longest record that fits, in bytes.
    pub(crate) fn max_record(&self) -> Option<usize> {
        let _held = self.hold()?;
        Some(self.stream.current()?.geometry.max_record())
    }

    /// Writes `record`, which has not gone the fast way.
    pub(crate) fn put_slowly(self, record: Any<'_>) -> Result<(), WriteError> {
        let len = record.len();
        if let Some(level) = self.take_another(len) {
            let (stream, local, platform) = (self.stream, self.local, self.platform());
            if fast::put_at::<U, _>(stream, local, platform, record, level, || self.deliver()) {
                return Ok(());
            }
        }
        let claim = self.claim_slowly(len)?;
        let Self {
            stream,
            local,
            hooks,
            pin,
            ..
        } = self;
        let slot = Slot::<P, U>::behind(stream, local, hooks, pin, &claim, len);
        if broken(Mistake::CommitBeforeBytes) {
            slot.commit_unwritten(record);
            return Ok(());
        }
        // SAFETY: the slot has as many bytes as the record, and this is all that uses them.
        unsafe { record.store(slot.first(), slot.timestamp()) };
        step();
        slot.commit();
        Ok(())
    }

    /// Reserves `len` bytes, and leaves the claim for who makes a slot of it.
    pub(crate) fn leave_claim(&self, len: usize) -> Result<Left<'a>, WriteError> {
        let nested = self.take_another(len).and_then(|level| {
            fast::claim_at::<U>(self.stream, self.local, self.platform(), len, true, level)
        });
        let claim = match nested {
            Some(claim) => claim,
            None => self.claim_slowly(len)?,
        };
        Ok(self.local.leave_claim(&claim))
    }

    /// Takes a level with which a record of `len` bytes may go the fast way after all: one that interrupts another.
    fn take_another(&self, len: usize) -> Option<Level> {
        let level = fast::is_short(len).then(|| self.local.take_another())?;
        step();
        level
    }

    /// Reserves `len` bytes: the whole way, wherever they go.
    fn claim_slowly(&self, len: usize) -> Result<Claim<'a>, WriteError> {
        if len == 0 {
            return Err(WriteError::Empty);
        }
        let stream = self.stream;
        if !stream.is_started() {
            return Err(WriteError::NoRing);
        }
        self.local.join();
        let Some(level) = self.local.take_any() else {
            return Err(WriteError::Lost(stream.lose::<U>(Loss::Nested)));
        };
        step();
        match self.search(level, len) {
            Ok((ring, plan, ticks, losses)) => {
                step();
                Ok(self.occupy(ring, &plan, len, level, ticks, losses))
            }
            Err(loss) => {
                step();
                let loss = stream.lose::<U>(loss);
                if loss == Loss::Full {
                    self.note_full();
                }
                step();
                self.local.give_back(level);
                Err(WriteError::Lost(loss))
            }
        }
    }

    /// Finds a place for `len` bytes and takes it by the swap. The level is held.
    fn search(
        &self,
        level: Level,
        len: usize,
    ) -> Result<(&'a Ring, Plan, u64, Option<Losses>), Loss> {
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
            step();
            // Inside the loop: a timestamp counts only if the swap below proves that nobody
            // reserved since `pos` was read (order of records = order of time).
            let ticks = if broken(Mistake::ClockOutsideLoop) {
                early
            } else {
                self.now()
            };
            step();
            if pos.is_sealed() {
                ring = ring.successor().ok_or(Loss::Closed)?;
                step();
                continue;
            }
            let plan = match self.plan(ring, pos, len) {
                Ok(plan) => plan,
                Err(Obstacle::Moved | Obstacle::Void) => continue,
                Err(Obstacle::CloseFirst) => {
                    let _ = self.close_open_packet(ring, Closing::Flush);
                    continue;
                }
                Err(Obstacle::Lost(loss)) => return Err(loss),
            };
            let losses = (plan.exact || plan.closes.is_some()).then(|| stream.lost.sample());
            step();
            if plan.opens {
                // Who comes in between the swap and the opening finds the time of the packet here.
                self.local.note_ticks(level, ticks);
                step();
            }
            let intent = self.local.intent(level);
            intent.announce(plan.begin, len as u64);
            step();
            if ring.pos.cas::<U>(pos.0, plan.end.0) {
                self.step_over(ring, pos, plan.packet);
                return Ok((ring, plan, ticks, losses));
            }
            intent.withdraw();
            step();
        }
    }

    /// The second half of a reservation, after the swap: closes the packet left behind, opens the
    /// new one.
    fn occupy(
        &self,
        ring: &'a Ring,
        plan: &Plan,
        len: usize,
        level: Level,
        ticks: u64,
        losses: Option<Losses>,
    ) -> Claim<'a> {
        let geometry = &ring.geometry;
        let losses = if broken(Mistake::LossesSampledLate) {
            losses.map(|_| self.stream.lost.sample())
        } else {
            losses
        };
        if let (Some((packet, offset)), Some(losses)) = (plan.closes, &losses) {
            self.close_packet(ring, packet, offset, ticks, losses, false);
            self.add(ring.sub(packet), geometry.subbuf_size() as u64 - offset);
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
        let bytes = ring.at(block, offset, len);
        ring.track_write(bytes, len);
        Claim {
            ring,
            sub: ring.sub(plan.packet),
            bytes,
            begin: plan.begin,
            end: plan.end,
            ticks,
            level,
        }
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
        let next = self.find_packet(ring, next, pos)?;
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
        let overwrites = ring.geometry.mode() == Mode::Continuous;
        loop {
            let entry = ring.entry(packet);
            step();
            let refused = match entry.state() {
                State::Writing if entry.is_packet(packet) => return Ok(()),
                State::Writing => Some(Loss::Wrapped),
                // Whoever is interrupted may yet find that there is nothing to give up.
                State::Abandoned if !sub.committed().is_given_up() => Some(Loss::Wrapped),
                State::Abandoned if self.take_back(ring, packet) => continue,
                State::Abandoned => return Err(Obstacle::Void),
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
            // In continuous mode the victim's count is read BEFORE the claim: after it, nested
            // writers may fill, deliver and lose the block to the next lap.
            let Some(mut overwritten) = ring.unread_in(entry) else {
                continue;
            };
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
                overwritten = ring.unread_in(entry).unwrap_or(0);
            }
            if overwritten != 0 {
                self.stream.overwritten.add_carries::<U>(overwritten);
                step();
            }
            return Ok(());
        }
    }

    /// Begins packet `packet`: notes its time, lets writers find it, has its header started, and commits
    /// the header.
    pub(super) fn open_packet(&self, ring: &Ring, packet: u64, block: usize, ticks: u64) {
        let sub = ring.sub(packet);
        sub.begin_ticks.store(ticks, Ordering::Relaxed);
        step();
        sub.describe(ring, packet, block);
        // Where something has moved on meanwhile, its descriptor stays.
        if ring.geometry.packet(ring.position()) == packet {
            step();
            let sub = ptr::from_ref(sub).cast_mut();
            ring.open.store(sub, Ordering::Release);
            step();
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

    /// Commits `bytes` that are no record: header, padding, filling. Whoever completes the packet
    /// delivers it.
    pub(super) fn add(&self, sub: &Sub, bytes: u64) {
        let carries = sub.hot.add_carries::<U>(Committed::step(bytes, 0));
        step();
        if carries {
            self.deliver();
        }
    }
}

impl Sub {
    /// Makes this the descriptor of `packet`, which is written to `block`.
    pub(super) fn describe(&self, ring: &Ring, packet: u64, block: usize) {
        let data: NonNull<u8> = ring.at(block, 0, ring.geometry.subbuf_size());
        self.data.store(data.as_ptr(), Ordering::Relaxed);
        step();
        // Release: who sees the packet's start sees its block.
        self.start
            .store(ring.geometry.position(packet, 0).0, Ordering::Release);
        step();
    }
}

impl Ring {
    /// Records that `entry` says are unread; `None` if it says so no more.
    pub(super) fn unread_in(&self, entry: Entry) -> Option<u64> {
        match entry.state() {
            State::Readable | State::Lent => self.info(entry.block()).records_of(entry),
            _ => Some(0),
        }
    }
}
