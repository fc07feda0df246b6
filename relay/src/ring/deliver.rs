//! Delivery: complete packets become readable, in order, each once.

use super::entry::State;
use super::writer::Writer;
use super::{Closed, HOT_RECORD, Packet, Ring, hot_bytes, hot_records};
use crate::platform::Platform;
use crate::step::{Mistake, broken, step};
use crate::sync::{Ordering, compiler_fence};
use core::ptr;

impl<P: Platform> Writer<'_, P> {
    /// Commits `bytes` of packet `packet`, and one record if `record`. Whoever completes the
    /// packet delivers it.
    #[inline(always)]
    pub(super) fn add(&self, ring: &Ring, packet: u64, bytes: u64, record: bool) {
        let records = if record { HOT_RECORD } else { 0 };
        let hot = ring.sub(packet).hot.add(records | bytes);
        let size = ring.geometry.subbuf_size() as u64;
        debug_assert!(
            hot_bytes(hot) <= size,
            "packet {packet}: more committed than there is"
        );
        step();
        if hot_bytes(hot) == size {
            self.deliver();
        }
    }

    /// Delivers what is complete. One context at a time: who finds another at it leaves, and the
    /// other looks again before it goes.
    #[cold]
    pub(super) fn deliver(&self) {
        let stream = self.stream;
        loop {
            if !stream.busy.cas(0, 1) {
                return;
            }
            step();
            while let Some(ring) = stream.delivering() {
                let next = stream.next.load(Ordering::Relaxed);
                if ring.is_complete(next) {
                    self.finalise(ring, next);
                } else if !self.advance(ring, next) {
                    break;
                }
                step();
            }
            step();
            stream.busy.store(0, Ordering::Release);
            // What an interrupt completes before this store is found by the look below, what it
            // completes after it is its own to deliver: the look must not move up.
            compiler_fence(Ordering::SeqCst);
            step();
            if broken(Mistake::NoRecheck) || !self.is_deliverable() {
                return;
            }
        }
    }

    /// Whether there is something to deliver.
    pub(super) fn is_deliverable(&self) -> bool {
        let Some(ring) = self.stream.delivering() else {
            return false;
        };
        let next = self.stream.next.load(Ordering::Relaxed);
        ring.is_complete(next) || (ring.ends_at(next) && !ring.is_finished())
    }

    /// Makes packet `next` of `ring` readable.
    fn finalise(&self, ring: &Ring, next: u64) {
        let stream = self.stream;
        let sub = ring.sub(next);
        let entry = ring.entry(next);
        debug_assert!(
            entry.is_packet(next) && entry.state() == State::Writing,
            "packet {next} is complete, but its entry says {entry:?}"
        );
        let closed = Closed(sub.closed.load(Ordering::Relaxed));
        debug_assert!(
            closed.is_packet(next),
            "packet {next} is complete, but nobody closed it"
        );
        step();
        let packet = Packet {
            cpu: self.pin.cpu(),
            sequence: stream.sequence.load(Ordering::Relaxed),
            ordinal: stream.ordinal.load(Ordering::Relaxed),
            records: hot_records(sub.hot.load(Ordering::Relaxed)),
            content: closed.content() as usize,
            begin_ticks: sub.begin_ticks.load(Ordering::Relaxed),
            end_ticks: sub.end_ticks.load(Ordering::Relaxed),
            lost: sub.lost.load(),
            overwritten: stream.overwritten.load(Ordering::Relaxed),
            is_final: closed.is_final(),
        };
        let block = entry.block();
        let geometry = &ring.geometry;
        let (start, end) = (geometry.start_reserve(), geometry.end_reserve());
        // SAFETY: the packet is complete: every slot in it is gone, and it is not readable yet.
        // Only one context delivers. Header and trailer do not overlap (Geometry).
        let header = unsafe { ring.bytes_mut(block, 0, start) };
        // SAFETY: as above.
        let trailer = unsafe { ring.bytes_mut(block, geometry.subbuf_size() - end, end) };
        self.hooks.buffer_end(header, trailer, &packet);
        step();
        ring.info(block).store(&packet, closed);
        step();
        // Release, each: a post-mortem reader that finds the counters moved on finds the note above.
        let sequence = packet.sequence.wrapping_add(1);
        stream.sequence.store(sequence, Ordering::Release);
        step();
        let ordinal = packet.ordinal.wrapping_add(packet.records);
        stream.ordinal.store(ordinal, Ordering::Release);
        step();
        // Before the entry is given away: who claims it next starts from zero.
        sub.hot.store(0, Ordering::Release);
        step();
        let after = geometry.after(next);
        stream.next.store(after, Ordering::Relaxed);
        step();
        // Release: who takes the entry sees the bytes and what is known of them.
        sub.ent
            .store(entry.with_state(State::Readable).0, Ordering::Release);
        step();
        ring.visible
            .store(geometry.position(after, 0).0, Ordering::Release);
        step();
        self.hooks.deliver(self.pin.cpu());
    }

    /// Leaves `ring` if it is sealed and all of it is delivered; true if there is more to look at.
    fn advance(&self, ring: &Ring, next: u64) -> bool {
        if !ring.ends_at(next) {
            return false;
        }
        let end = ring.geometry.position(next, 0).sealed();
        // Release: a reader that sees the end sees the successor, which was set before the seal.
        ring.visible.store(end.0, Ordering::Release);
        step();
        let Some(succ) = ring.successor() else {
            return false;
        };
        self.stream.next.store(succ.first, Ordering::Relaxed);
        self.stream
            .dring
            .store(ptr::from_ref(succ).cast_mut(), Ordering::Release);
        true
    }
}

impl Ring {
    /// Whether every byte of packet `packet` is committed.
    #[inline]
    pub(super) fn is_complete(&self, packet: u64) -> bool {
        let hot = self.sub(packet).hot.load(Ordering::Relaxed);
        hot_bytes(hot) == self.geometry.subbuf_size() as u64
    }

    /// Whether the ring is sealed just before packet `packet`.
    fn ends_at(&self, packet: u64) -> bool {
        let pos = self.position();
        pos.is_sealed() && self.geometry.packet(pos) == packet
    }

    /// Whether readers know that nothing more comes in this ring.
    fn is_finished(&self) -> bool {
        super::Position(self.visible.load(Ordering::Relaxed)).is_sealed()
    }
}
