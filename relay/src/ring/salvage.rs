//! The post-mortem: what a stopped CPU left in its rings. Read only; not a word of the stopped
//! CPU's is changed, so it can be done again, by somebody else, or on a memory dump.
//!
//! A CPU may be stopped between any two instructions. Complete packets are taken as they are. In a
//! packet that is still open, the bytes of a record under way (a *hole*) are known from the
//! intents; the commit word tells whether the intents explain exactly what is missing. If they do
//! not, the packet is cut at the first place that is in doubt, and says so.

use super::entry::State;
use super::stream::{DEPTH, Intent, Stream};
use super::{Closed, Packet, Ring, hot_bytes, hot_records};
use crate::sync::Ordering;
use core::fmt;

/// The packets that a stopped CPU left, oldest first: see
/// [`Channel::salvage`](crate::Channel::salvage).
pub struct Salvage<'a> {
    stream: &'a Stream,
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
    end: usize,
    holes: Holes,
    is_complete: bool,
    is_cut: bool,
    ordinal: u64,
    records: u64,
    begin_ticks: u64,
}

/// Uncommitted ranges of a packet: offset and length in bytes, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holes {
    ranges: [(usize, usize); DEPTH],
    count: usize,
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
        let block = entry.block();
        let info = ring.info(block);
        let noted = Closed(info.closed.load(Ordering::Acquire)).is_packet(self.packet);
        let packet = if entry.state() != State::Writing || noted {
            let packet: Packet = info.load(self.cpu);
            SalvagedPacket {
                ring,
                block,
                end: packet.content.min(ring.geometry.subbuf_size()),
                holes: Holes::default(),
                is_complete: true,
                is_cut: false,
                ordinal: packet.ordinal,
                records: packet.records,
                begin_ticks: packet.begin_ticks,
            }
        } else {
            self.reconstruct(ring, block)
        };
        self.ordinal = Some(packet.ordinal.wrapping_add(packet.records));
        Some(packet)
    }

    /// An open packet: where it ends, and what in it is uncommitted.
    fn reconstruct(&self, ring: &'a Ring, block: usize) -> SalvagedPacket<'a> {
        let geometry = &ring.geometry;
        let sub = ring.sub(self.packet);
        let hot = sub.hot.load(Ordering::Relaxed);
        let closed = Closed(sub.closed.load(Ordering::Acquire));
        let pos = ring.position();
        let end = if geometry.packet(pos) == self.packet && !pos.is_sealed() {
            Some(geometry.offset(pos))
        } else if closed.is_packet(self.packet) {
            Some(closed.content())
        } else {
            None
        };
        let candidates = self.intents_in(ring);
        let puzzle = Puzzle {
            size: geometry.subbuf_size() as u64,
            header: geometry.start_reserve() as u64,
            trailer: geometry.end_reserve() as u64,
            committed: hot_bytes(hot),
            end,
        };
        let (end, holes, is_cut) = puzzle.solve(&candidates);
        SalvagedPacket {
            ring,
            block,
            end: (end as usize).min(geometry.subbuf_size()),
            holes,
            is_complete: false,
            is_cut,
            ordinal: self
                .ordinal
                .unwrap_or_else(|| self.stream.ordinal.load(Ordering::Relaxed)),
            records: hot_records(hot),
            begin_ticks: sub.begin_ticks.load(Ordering::Relaxed),
        }
    }

    /// The intents that lie in the packet.
    fn intents_in(&self, ring: &Ring) -> Candidates {
        let geometry = &ring.geometry;
        let base = (geometry.position(self.packet, 0).0 >> 1) as u32;
        let mut candidates = Candidates::default();
        for word in &self.stream.intents {
            let intent = Intent(word.load(Ordering::Relaxed));
            let offset = intent.start().wrapping_sub(base) as usize;
            let len = intent.len() as usize;
            let fits = offset < geometry.subbuf_size() && len <= geometry.subbuf_size() - offset;
            if len != 0 && fits {
                candidates.push(Candidate {
                    offset,
                    len,
                    is_won: intent.is_won(),
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
        self.holes.count
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
        let start = self.ring.geometry.start_reserve().min(self.end);
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
        self.ring.track_read(self.block, offset, len);
        let first = self.ring.at(self.block, offset, len);
        // SAFETY: `at` checked the range, and it is initialised. Nobody writes it: the owner has
        // stopped (`Stopped`).
        unsafe { core::slice::from_raw_parts(first.as_ptr(), len) }
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

/// A range that a record under way may have reserved.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    offset: usize,
    len: usize,
    is_won: bool,
}

/// The candidates of one packet, by offset.
#[derive(Clone, Copy, Debug, Default)]
struct Candidates {
    items: [Candidate; DEPTH],
    count: usize,
}

impl Candidates {
    fn push(&mut self, candidate: Candidate) {
        if let Some(place) = self.items.get_mut(self.count) {
            *place = candidate;
            self.count += 1;
        }
    }

    fn sort(&mut self) {
        self.items[..self.count].sort_unstable_by_key(|candidate| candidate.offset);
    }

    fn as_slice(&self) -> &[Candidate] {
        &self.items[..self.count]
    }
}

/// What is known of an open packet, in bytes.
struct Puzzle {
    size: u64,
    header: u64,
    trailer: u64,
    committed: u64,
    end: Option<u64>,
}

impl Puzzle {
    /// Where the packet ends, what is uncommitted before that, and whether something was cut off.
    ///
    /// A candidate whose reservation is known to have succeeded is a hole, unless the CPU stopped
    /// between its commit and the moment when it withdrew the intent; one that is not known to is
    /// none, unless the CPU stopped right after the swap. So the obvious reading is tried first,
    /// then every other; it must be the only one that explains the commit word.
    fn solve(&self, candidates: &Candidates) -> (u64, Holes, bool) {
        let candidates = candidates.as_slice();
        let obvious = candidates
            .iter()
            .enumerate()
            .fold(0u32, |set, (i, candidate)| {
                set | u32::from(candidate.is_won) << i
            });
        let holes_of = |set: u32| {
            let mut holes = Holes::default();
            for (i, candidate) in candidates.iter().enumerate() {
                if set >> i & 1 != 0 {
                    holes.ranges[holes.count] = (candidate.offset, candidate.len);
                    holes.count += 1;
                }
            }
            holes
        };
        if let Some(end) = self.explain(&holes_of(obvious)) {
            return (end, holes_of(obvious), false);
        }
        let mut only = None;
        let mut readings = 0;
        for set in 0..1u32 << candidates.len() {
            let holes = holes_of(set);
            if let Some(end) = self.explain(&holes) {
                only = Some((end, holes));
                readings += 1;
            }
        }
        match only {
            Some((end, holes)) if readings == 1 => (end, holes, false),
            _ => {
                // In doubt: what lies before the first record under way is certain.
                let certain = candidates.first().map_or(self.header, |c| c.offset as u64);
                (
                    certain.min(self.end.unwrap_or(certain)),
                    Holes::default(),
                    true,
                )
            }
        }
    }

    /// Where the packet ends if exactly `holes` are uncommitted; `None` if that cannot be.
    fn explain(&self, holes: &Holes) -> Option<u64> {
        let ranges = &holes.ranges[..holes.count];
        let missing = ranges.iter().map(|(_, len)| *len as u64).sum::<u64>();
        let reaches = ranges
            .last()
            .map_or(0, |(offset, len)| (offset + len) as u64);
        // The opener commits the header right before it writes its record: if that is under way,
        // the header may be uncommitted, too.
        let header_open = ranges
            .first()
            .is_some_and(|(offset, _)| *offset as u64 == self.header);
        let headers: &[u64] = if header_open { &[0, self.header] } else { &[0] };
        for header in headers {
            match self.end {
                Some(end) => {
                    let content = self.committed + missing + header;
                    // The closer, or the record that fills the packet, commits the rest of it.
                    let rest = self.size - end;
                    let whole = content == end || content == end + rest;
                    if whole && reaches <= end {
                        return Some(end);
                    }
                }
                None => {
                    let end = self.committed + missing + header;
                    if end <= self.size - self.trailer && reaches <= end {
                        return Some(end);
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(items: &[(usize, usize, bool)]) -> Candidates {
        let mut all = Candidates::default();
        for &(offset, len, is_won) in items {
            all.push(Candidate {
                offset,
                len,
                is_won,
            });
        }
        all.sort();
        all
    }

    fn puzzle(committed: u64, end: Option<u64>) -> Puzzle {
        Puzzle {
            size: 64,
            header: 8,
            trailer: 0,
            committed,
            end,
        }
    }

    #[test]
    fn a_won_intent_is_a_hole() {
        let (end, holes, cut) = puzzle(24, Some(32)).solve(&candidates(&[(16, 8, true)]));
        assert_eq!(
            (end, holes.count, holes.ranges[0], cut),
            (32, 1, (16, 8), false)
        );
    }

    #[test]
    fn a_committed_record_whose_intent_still_stands_is_no_hole() {
        let (end, holes, cut) = puzzle(32, Some(32)).solve(&candidates(&[(16, 8, true)]));
        assert_eq!((end, holes.count, cut), (32, 0, false));
    }

    #[test]
    fn a_swap_that_was_not_noted_is_a_hole() {
        let (end, holes, cut) = puzzle(24, Some(32)).solve(&candidates(&[(24, 8, false)]));
        assert_eq!((end, holes.count, cut), (32, 1, false));
    }

    #[test]
    fn an_open_header_and_a_committed_rest_are_understood() {
        let open = candidates(&[(8, 8, true)]);
        assert_eq!(puzzle(0, Some(16)).solve(&open).0, 16);
        // Closed at 32, padding of 32 committed, 8 bytes under way.
        let closed = puzzle(24 + 32, Some(32)).solve(&candidates(&[(16, 8, true)]));
        assert_eq!((closed.0, closed.1.count, closed.2), (32, 1, false));
        // The closer stopped before it noted the end.
        let unknown = puzzle(24, None).solve(&candidates(&[(16, 8, true)]));
        assert_eq!((unknown.0, unknown.1.count, unknown.2), (32, 1, false));
    }

    #[test]
    fn what_is_in_doubt_is_cut_off() {
        // One of two records of the same length is committed: which?
        let both = candidates(&[(16, 8, true), (24, 8, true)]);
        let (end, holes, cut) = puzzle(24, Some(32)).solve(&both);
        assert_eq!((end, holes.count, cut), (16, 0, true));
        // Nothing explains the sum.
        let (end, _, cut) = puzzle(9, Some(32)).solve(&candidates(&[]));
        assert_eq!((end, cut), (8, true));
    }
}
