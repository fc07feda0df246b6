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
    uncommitted: usize,
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
                uncommitted: 0,
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
            End::Open(geometry.offset(pos))
        } else if closed.is_packet(self.packet) {
            End::Closed(closed.content())
        } else {
            End::Unknown
        };
        let candidates = self.intents_in(ring);
        let puzzle = Puzzle {
            size: geometry.subbuf_size() as u64,
            header: geometry.start_reserve() as u64,
            trailer: geometry.end_reserve() as u64,
            committed: hot_bytes(hot),
            end,
        };
        let reading = puzzle.solve(&candidates);
        SalvagedPacket {
            ring,
            block,
            end: (reading.end as usize).min(geometry.subbuf_size()),
            holes: reading.holes,
            uncommitted: reading.uncommitted,
            is_complete: false,
            is_cut: reading.in_doubt,
            ordinal: self
                .ordinal
                .unwrap_or_else(|| self.stream.ordinal.load(Ordering::Relaxed)),
            records: hot_records(hot).wrapping_add(reading.uncounted),
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
                    is_written: intent.is_written(),
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

impl Holes {
    fn push(&mut self, hole: &Candidate) {
        self.ranges[self.count] = (hole.offset, hole.len);
        self.count += 1;
    }

    fn pop(&mut self) {
        self.count -= 1;
        self.ranges[self.count] = (0, 0);
    }

    fn as_slice(&self) -> &[(usize, usize)] {
        &self.ranges[..self.count]
    }
}

/// A range that a record under way may have reserved.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    offset: usize,
    len: usize,
    is_written: bool,
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

/// Where a packet ends, in bytes from its start.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The write position stands in it, here.
    Open(u64),
    /// It was closed here; the rest may be committed, too.
    Closed(u64),
    /// Its closer stopped before it noted the end, let alone committed the rest.
    Unknown,
}

/// What there is in a packet that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    /// Where it ends.
    end: u64,
    holes: Holes,
    /// Records that are not written.
    uncommitted: usize,
    /// Records that are written, but not counted.
    uncounted: u64,
    in_doubt: bool,
}

impl Reading {
    /// Lets the content end before the holes that it ends with: whether their places were taken
    /// makes no difference then.
    fn trim(&mut self) {
        while let Some(&(offset, len)) = self.holes.as_slice().last()
            && (offset + len) as u64 == self.end
        {
            self.end = offset as u64;
            self.holes.pop();
        }
    }

    /// Whether the same records are whole, with the same numbers.
    fn is_same_content(&self, other: &Self) -> bool {
        (self.end, self.holes, self.uncounted) == (other.end, other.holes, other.uncounted)
    }
}

/// What is known of a packet that is not complete, in bytes.
struct Puzzle {
    size: u64,
    header: u64,
    trailer: u64,
    committed: u64,
    end: End,
}

impl Puzzle {
    /// Where the packet ends, what is uncommitted before that, and whether something was cut off.
    ///
    /// A record whose bytes are written is whole, whether its commit was counted or not. Any other
    /// candidate is a hole, unless its swap had not happened when the CPU stopped. The commit word
    /// tells: of all readings, the one that explains it must be the only one.
    fn solve(&self, candidates: &Candidates) -> Reading {
        let candidates = candidates.as_slice();
        let mut only = None;
        for set in 0..1u32 << candidates.len() {
            // In the set: holes, and whole records whose commit was not counted.
            let mut holes = Holes::default();
            let (mut missing, mut uncounted) = (0, 0);
            let mut exact_is_missing = false;
            for (i, candidate) in candidates.iter().enumerate() {
                if set >> i & 1 == 0 {
                    continue;
                }
                missing += candidate.len as u64;
                exact_is_missing |= (candidate.offset + candidate.len) as u64 == self.limit();
                if candidate.is_written {
                    uncounted += 1;
                } else {
                    holes.push(candidate);
                }
            }
            let Some(end) = self.explain(missing, exact_is_missing, &holes, candidates) else {
                continue;
            };
            let mut reading = Reading {
                end: end.max(self.header),
                uncommitted: holes.count,
                holes,
                uncounted,
                in_doubt: false,
            };
            reading.trim();
            match &mut only {
                None => only = Some(reading),
                Some(other) if other.is_same_content(&reading) => {
                    other.uncommitted = other.uncommitted.max(reading.uncommitted);
                }
                Some(_) => return self.cut(candidates),
            }
        }
        only.unwrap_or_else(|| self.cut(candidates))
    }

    /// In doubt: only what lies before the first record under way is certain.
    fn cut(&self, candidates: &[Candidate]) -> Reading {
        Reading {
            end: candidates
                .first()
                .map_or(self.header, |first| first.offset as u64),
            holes: Holes::default(),
            uncommitted: candidates
                .iter()
                .filter(|candidate| !candidate.is_written)
                .count(),
            uncounted: 0,
            in_doubt: true,
        }
    }

    /// Where records end at the latest.
    fn limit(&self) -> u64 {
        self.size - self.trailer
    }

    /// Where the packet ends if `missing` bytes of records are reserved and not counted, one that
    /// ends at the limit among them or not, and `holes` are not written; `None` if that cannot be.
    fn explain(
        &self,
        missing: u64,
        exact_is_missing: bool,
        holes: &Holes,
        candidates: &[Candidate],
    ) -> Option<u64> {
        let ranges = holes.as_slice();
        let overlap = |offset: usize, len: usize, other: &Candidate| {
            other.is_written && offset < other.offset + other.len && other.offset < offset + len
        };
        let taken = |(offset, len): &(usize, usize)| {
            candidates.iter().any(|other| overlap(*offset, *len, other))
        };
        let collide = ranges
            .windows(2)
            .any(|pair| pair[0].0 + pair[0].1 > pair[1].0);
        if collide || ranges.iter().any(taken) {
            return None;
        }
        let whole = candidates.iter().filter(|candidate| candidate.is_written);
        let reaches = ranges
            .iter()
            .map(|(offset, len)| offset + len)
            .chain(whole.map(|candidate| candidate.offset + candidate.len))
            .max()
            .unwrap_or(0) as u64;
        // The opener commits the header right before it writes its record: if that is under way,
        // the header may be uncommitted, too.
        let header_open = ranges
            .first()
            .is_some_and(|(offset, _)| *offset as u64 == self.header);
        let headers: &[u64] = if header_open { &[0, self.header] } else { &[0] };
        for header in headers {
            let content = self.committed + missing + header;
            let end = match self.end {
                End::Open(end) => (content == end).then_some(end),
                // The record that fills a packet exactly also commits the rest of it ...
                End::Closed(end) if end == self.limit() => {
                    let rest = if exact_is_missing { 0 } else { self.trailer };
                    (content == end + rest).then_some(end)
                }
                // ... otherwise the closer does.
                End::Closed(end) => (content == end || content == self.size).then_some(end),
                End::Unknown => (content <= self.limit()).then_some(content),
            };
            if let Some(end) = end.filter(|end| reaches <= *end) {
                return Some(end);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records under way: offset, length, whether the bytes are written.
    fn candidates(items: &[(usize, usize, bool)]) -> Candidates {
        let mut all = Candidates::default();
        for &(offset, len, is_written) in items {
            all.push(Candidate {
                offset,
                len,
                is_written,
            });
        }
        all.sort();
        all
    }

    /// What a packet of 64 bytes with a header of 8 ends with: where, how many holes, in doubt.
    fn solved(committed: u64, end: End, items: &[(usize, usize, bool)]) -> (u64, usize, bool) {
        let puzzle = Puzzle {
            size: 64,
            header: 8,
            trailer: 0,
            committed,
            end,
        };
        let reading = puzzle.solve(&candidates(items));
        (reading.end, reading.uncommitted, reading.in_doubt)
    }

    #[test]
    fn a_record_that_is_not_written_is_a_hole() {
        assert_eq!(solved(24, End::Open(32), &[(8, 8, false)]), (32, 1, false));
        // At the end, it is as if the packet ended before it.
        assert_eq!(solved(24, End::Open(32), &[(24, 8, false)]), (24, 1, false));
        assert_eq!(
            solved(16, End::Open(32), &[(16, 8, false), (24, 8, false)]),
            (16, 2, false)
        );
    }

    #[test]
    fn a_written_record_is_whole_whether_it_was_counted_or_not() {
        assert_eq!(solved(24, End::Open(32), &[(16, 8, true)]), (32, 0, false));
        assert_eq!(solved(32, End::Open(32), &[(16, 8, true)]), (32, 0, false));
    }

    #[test]
    fn an_intent_without_a_swap_is_nothing() {
        assert_eq!(solved(32, End::Open(32), &[(32, 8, false)]), (32, 0, false));
        // Another record came to the place that it wanted.
        assert_eq!(solved(32, End::Open(32), &[(16, 8, false)]), (32, 0, false));
    }

    #[test]
    fn an_open_header_and_a_committed_rest_are_understood() {
        assert_eq!(solved(8, End::Open(24), &[(8, 8, false)]), (24, 1, false));
        // Closed at 32, padding of 32 committed, 8 bytes under way.
        assert_eq!(
            solved(56, End::Closed(32), &[(16, 8, false)]),
            (32, 1, false)
        );
        // Nothing is under way, but the padding.
        assert_eq!(solved(32, End::Closed(32), &[]), (32, 0, false));
    }

    #[test]
    fn what_is_in_doubt_is_cut_off() {
        // One of two places was taken by a committed record: which?
        let both = [(16, 8, false), (24, 8, false)];
        assert_eq!(solved(24, End::Open(32), &both), (16, 2, true));
        // Nothing explains the sum.
        assert_eq!(solved(9, End::Open(32), &[]), (8, 0, true));
        // Was the last place taken before the closer stopped? Nothing is written there either way.
        assert_eq!(solved(24, End::Unknown, &[(24, 8, false)]), (24, 1, false));
    }
}
