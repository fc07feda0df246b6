//! A slot that never comes back: leaked, or kept open by a task that goes round the whole ring meanwhile.
//!
//! Packets are delivered in order, so everything behind it waits. A writer in *task* context that meets
//! such a packet a lap later knows that its slots belong to no context that was interrupted: whatever
//! interrupted the task has returned. It passes the packet over: the records in it count as overwritten,
//! those under way as lost (`wrapped`), and delivery goes on behind it. The sub-buffer stays with its slots;
//! until the last of them is committed or dropped, the ring goes on without it. A packet whose turn to use
//! it would be is *void*: no position is ever in it, and readers pass it by.
//!
//! A packet of which records were shown one by one (packet delivery) is not passed over: its one reader may be
//! looking at them.

use super::entry::{Entry, State};
use super::position::Position;
use super::subbuf::Committed;
use super::writer::{Obstacle, Writer};
use super::{Loss, Ring};
use crate::platform::{Context, Platform};
use crate::step::step;
use crate::sync::{Ordering, Usage};

impl<P: Platform, U: Usage> Writer<'_, P, U> {
    /// The first packet from `packet` on that has a sub-buffer, claimed, if the position stays at `pos`. None is claimed
    /// that lies a lap ahead: its sub-buffer is that of a packet before it.
    pub(super) fn find_packet(
        &self,
        ring: &Ring,
        packet: u64,
        pos: Position,
    ) -> Result<u64, Obstacle> {
        let geometry = &ring.geometry;
        let lap = geometry.subbuf_count() as u64;
        let mut packet = packet;
        // Each turn steps over a sub-buffer, or makes one to be stepped over.
        for _ in 0..2 * lap {
            if geometry.distance(geometry.packet(pos), packet) >= lap {
                break;
            }
            match self.prepare(ring, packet, pos) {
                Err(Obstacle::Void) => packet = geometry.after(packet),
                Err(Obstacle::Lost(Loss::Wrapped)) if self.pass_over() => {}
                result => return result.map(|()| packet),
            }
        }
        Err(if geometry.offset(pos) != 0 {
            Obstacle::CloseFirst
        } else if ring.position() != pos {
            Obstacle::Moved
        } else {
            Obstacle::Lost(Loss::Wrapped)
        })
    }

    /// After the swap that has taken the position from `pos` into packet `packet`: what lies between them is void. An
    /// interrupt may have claimed a sub-buffer there meanwhile, and emptied it again: delivery does not wait for that.
    pub(super) fn step_over(&self, ring: &Ring, pos: Position, packet: u64) {
        let geometry = &ring.geometry;
        let mut void = geometry.packet(pos);
        if geometry.offset(pos) != 0 && void != packet {
            void = geometry.after(void);
        }
        while void != packet {
            let entry = ring.entry(void);
            if entry.is_packet(void) {
                let older = geometry.before(void, geometry.subbuf_count() as u64);
                let empty = Entry::new(older, State::Empty, entry.block());
                ring.sub(void).ent.store(empty.0, Ordering::Release);
                step();
            }
            void = geometry.after(void);
        }
    }

    /// Passes over the packet that is to be delivered next, if it is closed and only slots that no
    /// interrupted context has keep it from being complete. Says whether delivery has gone on. Never where all CPUs write:
    /// what is under way on another is not known here.
    fn pass_over(&self) -> bool {
        let stream = self.stream;
        let before = stream.next.load(Ordering::Relaxed);
        if U::SHARED || self.platform().context() != Context::Task || !stream.busy.cas::<U>(0, 1) {
            return false;
        }
        step();
        if let Some(ring) = stream.delivering() {
            // What the position has passed by since delivery looked.
            while self.skip_void(ring, stream.next.load(Ordering::Relaxed)) {}
            self.abandon(ring, stream.next.load(Ordering::Relaxed));
        }
        stream.busy.unlock::<U>();
        self.deliver();
        stream.next.load(Ordering::Relaxed) != before
    }

    /// Gives up packet `packet` of `ring`, the next to be delivered. By who holds `busy`.
    fn abandon(&self, ring: &Ring, packet: u64) {
        let (stream, geometry) = (self.stream, &ring.geometry);
        let (entry, ent) = (ring.entry(packet), &ring.sub(packet).ent);
        // Not void; and not delivered, since it is the next: it is being written.
        let is_waiting = entry.is_packet(packet);
        let visible = ring.visible();
        let is_shown = geometry.packet(visible) == packet && geometry.offset(visible) != 0;
        if !is_waiting || is_shown || self.lacks(ring, packet).is_none() {
            return;
        }
        // From here on no slot gives its space back: the position does not come back into the packet.
        ent.store(entry.with_state(State::Abandoned).0, Ordering::Release);
        step();
        let Some((records, under_way)) = self.give_up_packet(ring, packet) else {
            // An interrupt has completed it, or opened it again.
            ent.store(entry.0, Ordering::Release);
            step();
            return;
        };
        stream.overwritten.add_carries::<U>(records);
        step();
        for _ in 0..under_way {
            stream.lose_slot::<U>(Loss::Wrapped);
            step();
        }
        self.note_lost(ring, packet);
        let ordinal = stream.ordinal.load(Ordering::Relaxed);
        stream
            .ordinal
            .store(ordinal.wrapping_add(records), Ordering::Release);
        step();
        self.go_on_behind(ring, packet);
    }

    /// Marks packet `packet` as given up, in one step: says how many records were committed by then, and how many are
    /// under way, which do not count themselves any more. `None` if it lacks nothing.
    fn give_up_packet(&self, ring: &Ring, packet: u64) -> Option<(u64, usize)> {
        loop {
            let (committed, under_way) = self.lacks(ring, packet)?;
            step();
            let given_up = committed.given_up();
            // A slot that an interrupt has brought back meanwhile has changed the word.
            if ring.sub(packet).hot.cas::<U>(committed.0, given_up.0) {
                step();
                return Some((committed.records(), under_way));
            }
        }
    }

    /// Notes at the slots of packet `packet` that they are counted as lost: one may be about to be discarded, by what a signal
    /// handler has interrupted.
    fn note_lost(&self, ring: &Ring, packet: u64) {
        let start = ring.geometry.position(packet, 0);
        for intent in self.local.intents() {
            if let Some(record) = intent.read()
                && record.begin.since(start) < ring.geometry.subbuf_size() as u64
            {
                intent.set_lost(record.len);
            }
            step();
        }
    }

    /// If packet `packet` is closed and lacks slots, and nothing else: what is committed of it, and how many of its records
    /// are under way, and not counted as lost.
    fn lacks(&self, ring: &Ring, packet: u64) -> Option<(Committed, usize)> {
        let geometry = &ring.geometry;
        // FIRST: what comes back after this changes it.
        let committed = ring.sub(packet).committed();
        step();
        if geometry.packet(ring.position()) == packet {
            return None;
        }
        let start = geometry.position(packet, 0);
        let size = geometry.subbuf_size() as u64;
        let (mut missing, mut under_way) = (0, 0);
        for intent in self.local.intents() {
            step();
            let Some(record) = intent.read() else {
                continue;
            };
            let offset = record.begin.since(start);
            if offset < size {
                // Who fills its packet also has the end reserve.
                let end = offset + record.len;
                missing += if end == geometry.limit() { size } else { end } - offset;
                under_way += usize::from(!record.is_lost);
            }
        }
        // Otherwise a task was interrupted by what takes itself for one, a signal handler: it goes on, and so may the packet.
        let is_all = missing == size - committed.bytes(geometry);
        (is_all && under_way != 0).then_some((committed, under_way))
    }

    /// Goes on behind packet `next`, if that is void; false if not. By who holds `busy`.
    pub(super) fn skip_void(&self, ring: &Ring, next: u64) -> bool {
        let is_void = ring.is_void(next);
        if is_void {
            self.go_on_behind(ring, next);
        }
        is_void
    }

    fn go_on_behind(&self, ring: &Ring, packet: u64) {
        let after = ring.geometry.after(packet);
        self.stream.next.store(after, Ordering::Relaxed);
        step();
        ring.show(ring.geometry.position(after, 0));
        step();
    }

    /// Before the end of the stream: passes over all that is closed and would never be complete, also the
    /// open packet if a slot of it is open.
    pub(super) fn pass_over_all(&self, ring: &Ring) {
        if U::SHARED || self.platform().context() != Context::Task {
            return;
        }
        let pos = ring.position();
        let geometry = &ring.geometry;
        let committed = ring.sub(geometry.packet(pos)).committed();
        if geometry.offset(pos) != 0 && committed.bytes(geometry) != geometry.offset(pos) {
            let _ = self.close_open_packet(ring, super::flush::Closing::Flush);
        }
        while self.pass_over() {}
    }

    /// At a closed stream, in a task: passes over what would keep it from coming to its end.
    pub(super) fn pass_over_after_the_end(&self) {
        if self.stream.has_ended() {
            while self.pass_over() {}
        }
    }

    /// Takes the sub-buffer of packet `packet`, which is with slots of an older one, back if they are gone by now;
    /// true if the entry must be looked at again.
    pub(super) fn take_back(&self, ring: &Ring, packet: u64) -> bool {
        let sub = ring.sub(packet);
        if !sub.committed().is_complete() || !self.stream.busy.cas::<U>(0, 1) {
            return false;
        }
        step();
        let entry = ring.entry(packet);
        if entry.state() == State::Abandoned {
            sub.forget_committed(&ring.geometry);
            step();
            // Release: who claims it begins with nothing committed.
            sub.ent
                .store(entry.with_state(State::Empty).0, Ordering::Release);
            step();
        }
        self.stream.busy.unlock::<U>();
        // What an interrupt has completed meanwhile.
        self.deliver();
        true
    }
}

impl Ring {
    /// Whether the position has passed by packet `packet` without ever having been in it.
    pub(super) fn is_void(&self, packet: u64) -> bool {
        // The position FIRST: a packet that it was in had its entry before that.
        let at = self.geometry.packet(self.position());
        !self.entry(packet).is_packet(packet) && self.geometry.is_before(packet, at)
    }

    /// Whether packet `packet`, which lies behind the position, is void, or not written yet: its sub-buffer is still about
    /// an older one.
    pub(super) fn is_gap(&self, packet: u64) -> bool {
        self.geometry.is_before(self.entry(packet).packet(), packet)
    }

    /// Whether the packet that begins at or before `position` was passed over, and its slots still have it.
    pub(super) fn is_passed_over(&self, position: Position) -> bool {
        let packet = self.geometry.packet(position);
        let entry = self.entry(packet);
        entry.is_packet(packet) && entry.state() == State::Abandoned
    }
}
