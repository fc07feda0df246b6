//! The post-mortem: what a stopped CPU left in its rings. Read only; not a word of the stopped
//! CPU's is changed, so it can be done again, by somebody else, or on a memory dump.
//!
//! A CPU may be stopped between any two instructions. Complete packets are taken as they are. In a
//! packet that is still open, the bytes of a record under way (a *hole*) are known from the
//! intents; the commit word tells whether the intents explain exactly what is missing. If they do
//! not, the packet is cut at the first place that is in doubt, and says so.

use super::entry::State;
use super::local::Local;
use super::puzzle::{Candidate, Candidates, End, Holes, Puzzle};
use super::stream::Stream;
use super::{Packet, Ring};
use crate::sync::Ordering;
use core::fmt;

/// The packets that a stopped CPU left, oldest first: see
/// [`Channel::salvage`](crate::Channel::salvage).
pub struct Salvage<'a> {
    stream: &'a Stream,
    local: &'a Local,
    cpu: usize,
    ring: Option<&'a Ring>,
    packet: u64,
    remaining: u64,
    ordinal: Option<u64>,
}

/// A packet as a stopped CPU left it.
pub struct SalvagedPacket<'a> {
    ring: &'a Ring,
    block: usize,
    start: usize,
    end: usize,
    holes: Holes,
    uncommitted: usize,
    is_complete: bool,
    is_cut: bool,
    ordinal: u64,
    records: u64,
    begin_ticks: u64,
}

/// The proof that a CPU has stopped. Having one tells you: that CPU writes no record any more; or
/// it is the calling CPU, which writes none as long as it uses what the proof has given it.
#[derive(Debug)]
pub struct Stopped {
    cpu: usize,
}

impl Stopped {
    /// Takes the caller's word for it.
    ///
    /// # Safety
    /// CPU `cpu` has stopped for good (it acknowledged, and executes nothing of the kernel any
    /// more), and that happens-before this call; or it is the calling CPU, and no record is
    /// written on it, nor do contexts that it interrupted go on, as long as the [`Salvage`] that
    /// the result is used for, or anything got from that, is used.
    #[must_use]
    pub const unsafe fn new(cpu: usize) -> Self {
        Self { cpu }
    }

    /// The CPU that has stopped.
    #[must_use]
    pub const fn cpu(&self) -> usize {
        self.cpu
    }
}

impl<'a> Salvage<'a> {
    /// The packets left in `stream`, which is that of the CPU that has stopped.
    pub(crate) fn new(stream: &'a Stream, stopped: Stopped) -> Self {
        let mut this = Self {
            stream,
            local: &stream.local,
            cpu: stopped.cpu(),
            ring: None,
            packet: 0,
            remaining: 0,
            ordinal: None,
        };
        this.enter(stream.oldest());
        this
    }

    /// Goes to the first packet that `ring` may still hold.
    fn enter(&mut self, ring: Option<&'a Ring>) {
        self.ring = ring;
        let Some(ring) = ring else { return };
        let geometry = &ring.geometry;
        let pos = ring.position();
        let is_open = geometry.offset(pos) != 0;
        let end = if is_open {
            geometry.after(geometry.packet(pos))
        } else {
            geometry.packet(pos)
        };
        let written = geometry.distance(ring.first, end);
        self.remaining = written.min(geometry.subbuf_count() as u64);
        self.packet = geometry.before(end, self.remaining);
    }

    /// The packet `self.packet` of `ring`, unless it is gone.
    fn look(&mut self, ring: &'a Ring) -> Option<SalvagedPacket<'a>> {
        let entry = ring.entry(self.packet);
        if !entry.is_packet(self.packet) || entry.state() == State::Empty {
            return None;
        }
        let info = ring.info(entry.block());
        let noted = info.closed().is_packet(self.packet);
        let packet = if entry.state() != State::Writing || noted {
            let packet: Packet = info.load(self.cpu);
            SalvagedPacket {
                ring,
                // A reader may have been copying it.
                block: info.home().min(ring.geometry.blocks() - 1),
                start: ring.records_start(self.packet),
                end: packet.content.min(ring.geometry.subbuf_size()),
                holes: Holes::default(),
                uncommitted: 0,
                is_complete: true,
                is_cut: false,
                ordinal: packet.ordinal,
                records: packet.records,
                begin_ticks: packet.begin_ticks,
            }
        } else {
            self.reconstruct(ring, entry.block())
        };
        self.ordinal = Some(packet.ordinal.wrapping_add(packet.records));
        Some(packet)
    }

    /// An open packet: where it ends, and what in it is uncommitted.
    fn reconstruct(&self, ring: &'a Ring, block: usize) -> SalvagedPacket<'a> {
        let geometry = &ring.geometry;
        let sub = ring.sub(self.packet);
        let committed = sub.committed();
        let closed = sub.closed();
        let pos = ring.position();
        let end = if geometry.packet(pos) == self.packet && !pos.is_sealed() {
            End::Open(geometry.offset(pos))
        } else if closed.is_packet(self.packet) {
            End::Closed(closed.content())
        } else {
            End::Unknown
        };
        let candidates = self.intents_in(ring);
        let puzzle = Puzzle {
            size: geometry.subbuf_size() as u64,
            header: ring.records_start(self.packet) as u64,
            trailer: geometry.end_reserve() as u64,
            committed: committed.bytes(geometry),
            end,
        };
        let reading = puzzle.solve(&candidates);
        SalvagedPacket {
            ring,
            block,
            start: ring.records_start(self.packet),
            end: (reading.end as usize).min(geometry.subbuf_size()),
            holes: reading.holes,
            uncommitted: reading.uncommitted,
            is_complete: false,
            is_cut: reading.in_doubt,
            ordinal: self
                .ordinal
                .unwrap_or_else(|| self.stream.ordinal.load(Ordering::Relaxed)),
            records: committed.records().wrapping_add(reading.uncounted),
            begin_ticks: sub.begin_ticks.load(Ordering::Relaxed),
        }
    }

    /// The intents that lie in the packet.
    fn intents_in(&self, ring: &Ring) -> Candidates {
        let geometry = &ring.geometry;
        let base = geometry.position(self.packet, 0);
        let mut candidates = Candidates::default();
        for intent in self.local.intents() {
            let Some((begin, len, is_written)) = intent.read() else {
                continue;
            };
            let (offset, len) = (begin.since(base), len as usize);
            let size = geometry.subbuf_size();
            if offset < size as u64 && len <= size - offset as usize {
                candidates.push(Candidate {
                    offset: offset as usize,
                    len,
                    is_written,
                });
            }
        }
        candidates.sort();
        candidates
    }
}

impl<'a> Iterator for Salvage<'a> {
    type Item = SalvagedPacket<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ring = self.ring?;
            if self.remaining == 0 {
                self.enter(ring.successor());
                continue;
            }
            let found = self.look(ring);
            self.remaining -= 1;
            self.packet = ring.geometry.after(self.packet);
            if found.is_some() {
                return found;
            }
        }
    }
}

impl fmt::Debug for Salvage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvage")
            .field("cpu", &self.cpu)
            .field("packet", &self.packet)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl<'a> SalvagedPacket<'a> {
    /// The number of its first record in the stream.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// How many records are committed in it.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The time of its opening, in ticks.
    #[must_use]
    pub fn begin_ticks(&self) -> u64 {
        self.begin_ticks
    }

    /// How many records were under way in it.
    #[must_use]
    pub fn uncommitted(&self) -> usize {
        self.uncommitted
    }

    /// Whether it was complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether something of it had to be left out because it is in doubt.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The committed records: runs of whole records, in order, with the uncommitted ones left out.
    pub fn committed(&self) -> impl Iterator<Item = &'a [u8]> {
        let start = self.start.min(self.end);
        (0..=self.holes.count).filter_map(move |i| {
            let from = match i.checked_sub(1) {
                Some(before) => {
                    let (offset, len) = self.holes.ranges[before];
                    offset + len
                }
                None => start,
            };
            let to = if i < self.holes.count {
                self.holes.ranges[i].0
            } else {
                self.end
            };
            (from < to).then(|| self.slice(from, to - from))
        })
    }

    fn slice(&self, offset: usize, len: usize) -> &'a [u8] {
        // SAFETY: nobody writes it: the owner has stopped (`Stopped`).
        unsafe { self.ring.slice(self.block, offset, len) }
    }
}

impl fmt::Debug for SalvagedPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SalvagedPacket")
            .field("ordinal", &self.ordinal)
            .field("records", &self.records)
            .field("end", &self.end)
            .field("holes", &self.holes)
            .field("is_complete", &self.is_complete)
            .field("is_cut", &self.is_cut)
            .finish_non_exhaustive()
    }
}
