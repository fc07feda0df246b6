//! The post-mortem: what a stopped CPU left in its rings. Read only; not a word of the stopped
//! CPU's is changed, so it can be done again, or by somebody else.
//!
//! A CPU may be stopped between any two instructions. Complete packets are taken as they are. In a
//! packet that is still open, the bytes of a record under way (a *hole*) are known from the
//! intents; the commit word tells whether the intents explain exactly what is missing. If they do
//! not, the packet is cut at the first place that is in doubt, and says so.

use super::entry::State;
use super::ledger::Losses;
use super::packet::{Closed, Packet};
use super::puzzle::{Candidate, Candidates, End, Holes, Puzzle};
use super::stream::Stream;
use super::words::Ring;
use crate::sync::Ordering;
use core::fmt;

/// The packets that a stopped CPU left, oldest first, those that readers gave back not among them:
/// see
/// [`Channel::salvage`](crate::Channel::salvage).
///
/// The numbers are those of the stream, so that they tell which packets a reader has had before: a
/// sub-buffer that is taken and not given back is found here, too. After the last packet, if losses are left that none has told of, comes an empty
/// one that does.
///
/// Panic context: it reads, allocates nothing, and waits for nobody.
#[derive(Clone)]
pub struct Salvage<'a> {
    stream: &'a Stream,
    cpu: usize,
    walk: Walk<'a>,
    /// The packet that was found last.
    last: Option<Packet>,
    /// The number of the last one that was found with a reader.
    away: Option<u64>,
    is_over: bool,
}

/// The places where packets may be, oldest first: all rings, their last lap.
#[derive(Clone)]
struct Walk<'a> {
    ring: Option<&'a Ring>,
    packet: u64,
    remaining: u64,
}

/// A packet as a stopped CPU left it. Panic context.
pub struct SalvagedPacket<'a> {
    ring: &'a Ring,
    block: usize,
    end: usize,
    holes: Holes,
    uncommitted: usize,
    is_complete: bool,
    is_closed: bool,
    is_cut: bool,
    packet: Packet,
}

/// The proof that a CPU has stopped. Having one tells you: that CPU writes no record any more; or
/// it is the calling CPU, which writes none as long as it uses what the proof has given it.
#[derive(Debug)]
pub struct Stopped {
    cpu: usize,
}

impl Stopped {
    /// Takes the caller's word for it. Panic context.
    ///
    /// # Safety
    /// CPU `cpu` has stopped for good (it acknowledged, and executes nothing of the kernel any
    /// more), and that happens-before this call; or it is the calling CPU, and no record is written
    /// on it, nor do contexts that it interrupted go on, as long as the [`Salvage`] that the result
    /// is used for, or anything got from that, is used. For as long, nobody frees rings of the
    /// CPU's streams ([`Channel::reclaim`](crate::Channel::reclaim)) or opens or goes on with a
    /// reader of them.
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

impl<'a> Walk<'a> {
    /// Begins with the first packet that `ring` may still hold.
    fn enter(ring: Option<&'a Ring>) -> Self {
        let Some(ring) = ring else {
            return Self {
                ring,
                packet: 0,
                remaining: 0,
            };
        };
        let geometry = &ring.geometry;
        let pos = ring.position();
        let is_open = geometry.offset(pos) != 0;
        let end = if is_open {
            geometry.after(geometry.packet(pos))
        } else {
            geometry.packet(pos)
        };
        let written = geometry.distance(ring.first, end);
        let remaining = written.min(geometry.subbuf_count() as u64);
        Self {
            ring: Some(ring),
            packet: geometry.before(end, remaining),
            remaining,
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    /// A ring, and the number of a packet in it.
    type Item = (&'a Ring, u64);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ring = self.ring?;
            if self.remaining == 0 {
                *self = Self::enter(ring.successor());
                continue;
            }
            let packet = self.packet;
            self.packet = ring.geometry.after(packet);
            self.remaining -= 1;
            return Some((ring, packet));
        }
    }
}

impl<'a> Salvage<'a> {
    /// The packets left in `stream`, which is that of the CPU that has stopped.
    pub(crate) fn new(stream: &'a Stream, stopped: Stopped) -> Self {
        Self {
            stream,
            cpu: stopped.cpu(),
            walk: Walk::enter(stream.oldest()),
            last: None,
            away: None,
            is_over: false,
        }
    }

    /// Packet `packet` of `ring`, unless it is gone.
    fn look(&self, ring: &'a Ring, packet: u64) -> Option<SalvagedPacket<'a>> {
        let entry = ring.entry(packet);
        if entry.state() == State::Empty || !entry.is_packet(packet) {
            return None;
        }
        let info = ring.info(entry.block());
        let noted = info.closed().is_packet(packet);
        if entry.state() == State::Writing && !noted {
            return Some(self.reconstruct(ring, packet, entry.block()));
        }
        // Where a reader is copying it, the bytes are elsewhere.
        let block = info.home().min(ring.geometry.blocks() - 1);
        let packet = info.load(self.cpu, ring.records_start(packet));
        Some(SalvagedPacket::complete(ring, block, packet))
    }

    /// The next packet that a reader has taken against a spare block, and not given back: nobody
    /// knows whether it has made use of it.
    fn next_away(&self) -> Option<SalvagedPacket<'a>> {
        let rings = core::iter::successors(self.stream.oldest(), |ring| ring.successor());
        let packets = rings.flat_map(|ring| {
            let found = ring.taken_away();
            found.map(move |block| {
                let packet = ring.info(block).load(self.cpu, 0);
                (ring, block, packet.sequence)
            })
        });
        let later = packets.filter(|(.., sequence)| self.away.is_none_or(|last| *sequence > last));
        let (ring, block, sequence) = later.min_by_key(|(.., sequence)| *sequence)?;
        // Of all packets only the stream's first begins in another way.
        let number = match sequence {
            0 => ring.first,
            _ => ring.geometry.after(ring.first),
        };
        let start = ring.records_start(number);
        let packet = ring.info(block).load(self.cpu, start);
        Some(SalvagedPacket::complete(ring, block, packet))
    }

    /// An open packet: where it ends, what in it is uncommitted, and its numbers.
    fn reconstruct(&self, ring: &'a Ring, packet: u64, block: usize) -> SalvagedPacket<'a> {
        let geometry = &ring.geometry;
        let start = ring.records_start(packet);
        let sub = ring.sub(packet);
        let committed = sub.committed();
        let closing = ring.closing(packet);
        let pos = ring.position();
        let end = if geometry.packet(pos) == packet && !pos.is_sealed() {
            End::Open(geometry.offset(pos))
        } else {
            closing
                .as_ref()
                .map_or(End::Unknown, |closing| End::Closed(closing.word.content()))
        };
        let puzzle = Puzzle {
            size: geometry.subbuf_size() as u64,
            header: start as u64,
            trailer: geometry.end_reserve() as u64,
            committed: committed.bytes(geometry),
            end,
        };
        let reading = puzzle.solve(&self.intents_in(ring, packet));
        let records = committed.records().wrapping_add(reading.uncounted);
        // The mark of a packet that is still open is one that its writer may take back.
        let closing = closing.filter(|_| !matches!(end, End::Open(_)));
        let begin_ticks = sub.opened_at();
        let mut found = SalvagedPacket {
            ring,
            block,
            end: (reading.end as usize).min(geometry.subbuf_size()),
            holes: reading.holes,
            uncommitted: reading.uncommitted,
            is_complete: false,
            is_closed: closing.is_some(),
            is_cut: reading.in_doubt,
            packet: self.numbered(start, records, begin_ticks),
        };
        found.packet.content += found.committed().map(<[u8]>::len).sum::<usize>();
        if let Some(closing) = closing {
            found.packet.is_final = closing.word.is_final();
            found.packet.end_ticks = closing.end_ticks.max(begin_ticks);
            // The final packet tells of all losses, once it is delivered.
            found.packet.lost = if found.packet.is_final {
                self.stream.lost.sample()
            } else {
                closing.lost
            };
        }
        found
    }

    /// A packet that is not complete, of which nothing is known behind its headers of `start`
    /// bytes, with the numbers that follow from what was found before and from the stream's own
    /// counts: those lag behind what was found, or what was found last is not the last that there
    /// was.
    fn numbered(&self, start: usize, records: u64, begin_ticks: u64) -> Packet {
        let stream = self.stream;
        let (sequence, ordinal) = self.last.map_or((0, 0), |last| {
            let ordinal = last.ordinal.wrapping_add(last.records);
            (last.sequence.wrapping_add(1), ordinal)
        });
        // What a packet tells of losses is not more than what a later one tells.
        let mut later = self.walk.clone();
        let later = later.find_map(|(ring, packet)| ring.closing(packet));
        Packet {
            cpu: self.cpu,
            sequence: sequence.max(stream.sequence.load(Ordering::Relaxed)),
            ordinal: ordinal.max(stream.ordinal.load(Ordering::Relaxed)),
            records,
            start,
            content: start,
            begin_ticks,
            end_ticks: begin_ticks,
            lost: later.map_or_else(|| stream.lost.sample(), |closing| closing.lost),
            overwritten: stream.gone(),
            is_final: false,
        }
    }

    /// An empty packet that tells of losses, or of what was overwritten, if there is some that no
    /// packet has told of. What is lost in a closed stream nobody tells of.
    fn untold(&self) -> Option<SalvagedPacket<'a>> {
        let ring = self.stream.current()?;
        let lost = self.stream.lost.sample();
        let is_told = match &self.last {
            Some(last) => {
                last.is_final || (last.lost == lost && last.overwritten >= self.stream.gone())
            }
            // Whether the packets before have told of all that is overwritten, nobody knows.
            None => {
                let reported = self.stream.reported_losses.load(Ordering::Relaxed);
                reported == lost.total() && self.stream.gone() == 0
            }
        };
        let pos = ring.position();
        if is_told || (pos.is_sealed() && ring.successor().is_none()) {
            return None;
        }
        let start = ring.geometry.start_reserve();
        let begin_ticks = self.stream.quiet_since.load(Ordering::Relaxed);
        Some(SalvagedPacket {
            ring,
            block: 0,
            end: start,
            holes: Holes::default(),
            uncommitted: 0,
            is_complete: false,
            is_closed: false,
            is_cut: false,
            packet: self.numbered(start, 0, begin_ticks),
        })
    }

    /// The intents that lie in the packet.
    fn intents_in(&self, ring: &Ring, packet: u64) -> Candidates {
        let geometry = &ring.geometry;
        let base = geometry.position(packet, 0);
        let mut candidates = Candidates::default();
        for record in self.stream.local.under_way() {
            let (offset, len) = (record.begin.since(base), record.len as usize);
            let size = geometry.subbuf_size();
            if offset < size as u64 && len <= size - offset as usize {
                candidates.push(Candidate {
                    offset: offset as usize,
                    len,
                    kept: record.kept as usize,
                    is_written: record.is_written,
                    is_given_up: record.is_given_up,
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
        let before = self.walk.clone();
        let found = loop {
            let Some((ring, packet)) = self.walk.next() else {
                break None;
            };
            if let Some(found) = self.look(ring, packet) {
                break Some(found);
            }
        };
        let next = found.as_ref().map(|found| found.packet.sequence);
        let away = self.next_away();
        let away = away.filter(|away| next.is_none_or(|next| away.packet.sequence < next));
        if let Some(away) = away {
            self.walk = before;
            self.away = Some(away.packet.sequence);
            return Some(away);
        }
        if let Some(found) = found {
            self.last = Some(found.packet);
            return Some(found);
        }
        if core::mem::replace(&mut self.is_over, true) {
            return None;
        }
        self.untold()
    }
}

impl fmt::Debug for Salvage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvage")
            .field("cpu", &self.cpu)
            .field("packet", &self.walk.packet)
            .field("remaining", &self.walk.remaining)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Records of a stopped CPU that were overwritten. Each context that was stopped while it
    /// overwrote a packet may have counted its records twice, or not have overwritten it: this is
    /// never less than what is gone.
    fn gone(&self) -> u64 {
        let counted = self.overwritten.load(Ordering::Relaxed);
        counted.wrapping_add(self.overwriting.load(Ordering::Relaxed))
    }
}

/// What the closer of a packet has noted.
struct Closing {
    /// Written last.
    word: Closed,
    end_ticks: u64,
    lost: Losses,
}

impl Ring {
    /// How packet `packet` was closed; `None` if it was not, or its closer has not noted it.
    fn closing(&self, packet: u64) -> Option<Closing> {
        let sub = self.sub(packet);
        // Acquire: with the mark comes the rest.
        let word = sub.closed();
        word.is_packet(packet).then(|| Closing {
            word,
            end_ticks: sub.end_ticks.load(Ordering::Relaxed),
            lost: sub.lost.load(),
        })
    }
}

impl<'a> SalvagedPacket<'a> {
    /// A packet that was delivered, whose bytes are in block `block`.
    fn complete(ring: &'a Ring, block: usize, packet: Packet) -> Self {
        Self {
            ring,
            block,
            end: packet.content.min(ring.geometry.subbuf_size()),
            holes: Holes::default(),
            uncommitted: 0,
            is_complete: true,
            is_closed: true,
            is_cut: false,
            packet,
        }
    }

    /// What is known of the packet. Of one that is not [complete](Self::is_complete) the numbers
    /// are those that it would have got, its records are those that are committed, its content is
    /// the start reserve and what [`committed`](Self::committed) gives. Its times are at best those
    /// that were noted: its begin is not after its first record, but may be that of an older
    /// packet; the end of one that is not [closed](Self::is_closed) is not known, and says its
    /// begin.
    #[must_use]
    pub fn packet(&self) -> &Packet {
        &self.packet
    }

    /// Whether it was closed, so that its end and its losses are what its closer noted.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
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
        let start = self.packet.start.min(self.end);
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
            .field("packet", &self.packet)
            .field("end", &self.end)
            .field("holes", &self.holes)
            .field("is_complete", &self.is_complete)
            .field("is_cut", &self.is_cut)
            .finish_non_exhaustive()
    }
}
