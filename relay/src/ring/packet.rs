//! What is known of a packet: for people, and as words that travel with its block.

use super::entry::Entry;
use super::ledger::{LossRecord, Losses};
use crate::sync::step::step;
use crate::sync::{AtomicU64, GroupedU64, Ordering};

/// What is known of a packet: from [`SubBuffer::packet`](crate::SubBuffer::packet) and its like.
/// With the packets before it, it proves that nothing is missing: the chapter
/// [the ledger](crate#the-ledger) says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The CPU it belongs to.
    pub cpu: usize,
    /// Its number in the stream, from 0, without gaps (also over ring replacements).
    pub sequence: u64,
    /// The number of its first record in the stream: how many records lie in the packets before.
    pub ordinal: u64,
    /// How many records lie in it.
    pub records: u64,
    /// Bytes before its first record: the start reserve, and in the stream's first packet the
    /// channel start reserve.
    pub start: usize,
    /// Bytes used: those before the first record, and the records; without padding and end reserve.
    pub content: usize,
    /// The time of its opening, in ticks.
    pub begin_ticks: u64,
    /// The time of its closing, in ticks: not before its last record, not after the first of the
    /// next packet.
    pub end_ticks: u64,
    /// Records lost up to its closing, since the stream began, by reason; the final packet tells of
    /// all.
    pub lost: Losses,
    /// Records overwritten before they were read, as counted at its delivery (continuous mode). A
    /// hint that may lag: what is certain are the gaps between [ordinals](Self::ordinal). In the
    /// last packet of a CPU that was stopped it does not lag, but may count the packets twice that
    /// were just being overwritten, one for each context.
    pub overwritten: u64,
    /// Whether the stream was closed with this packet: it is the last one.
    pub is_final: bool,
}

/// The closer's word: which packet was closed at which offset, and whether it is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed(pub(super) u64);

impl Closed {
    const FINAL: u64 = 1 << 32;

    pub(super) fn new(packet: u64, content: u64, is_final: bool) -> Self {
        Self(packet << 33 | if is_final { Self::FINAL } else { 0 } | content)
    }

    /// The number of the packet, modulo 2^31.
    pub(super) fn packet(self) -> u64 {
        self.0 >> 33
    }

    pub(super) fn is_packet(self, packet: u64) -> bool {
        self.packet() == packet & (u64::MAX >> 33)
    }

    pub(super) fn is_final(self) -> bool {
        self.0 & Self::FINAL != 0
    }

    pub(super) fn content(self) -> u64 {
        self.0 & (Self::FINAL - 1)
    }
}

/// How many records a packet holds, and of which packet that is said: its number modulo 2^31 above
/// 32 bits of count. One word, because the block that it is about may come to stand for another
/// packet between two looks at the entry (an observer lends one packet after the other with the
/// same spare), and for the first again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted(u64);

impl Counted {
    const PACKET_MASK: u64 = u64::MAX >> 33;

    fn new(packet: u64, records: u64) -> Self {
        Self((packet & Self::PACKET_MASK) << 32 | records)
    }

    fn is_of(self, packet: u64) -> bool {
        self.0 >> 32 == packet & Self::PACKET_MASK
    }

    fn records(self) -> u64 {
        self.0 & 0xFFFF_FFFF
    }
}

/// What the deliverer leaves about the packet in a block. It travels with the block when a reader
/// takes it. All fields are published by the Release store that makes the entry readable.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct BlockInfo {
    sequence: GroupedU64,
    ordinal: GroupedU64,
    /// See [`Counted`].
    records: AtomicU64,
    begin_ticks: GroupedU64,
    end_ticks: GroupedU64,
    overwritten: GroupedU64,
    lost: LossRecord,
    /// The block that the packet's bytes are in: another than this one while a reader has lent it.
    home: AtomicU64,
    /// The closer's word, stored last: says which packet the rest is about.
    closed: AtomicU64,
}

impl BlockInfo {
    /// What is known of block `block`, in which no packet was: as if of packet `before`.
    pub(super) fn new(block: usize, before: u64) -> Self {
        Self {
            sequence: GroupedU64::new(0),
            ordinal: GroupedU64::new(0),
            records: AtomicU64::new(Counted::new(before, 0).0),
            begin_ticks: GroupedU64::new(0),
            end_ticks: GroupedU64::new(0),
            overwritten: GroupedU64::new(0),
            lost: LossRecord::new(),
            home: AtomicU64::new(block as u64),
            closed: AtomicU64::new(Closed::new(before, 0, false).0),
        }
    }

    /// How many records the packet of `entry` holds; `None` if this is about another one by now.
    #[inline]
    pub(super) fn records_of(&self, entry: Entry) -> Option<u64> {
        let counted = Counted(self.records.load(Ordering::Relaxed));
        counted.is_of(entry.packet()).then_some(counted.records())
    }

    /// The closer's word. Acquire: the rest comes with it.
    #[inline]
    pub(super) fn closed(&self) -> Closed {
        Closed(self.closed.load(Ordering::Acquire))
    }

    /// The block that the packet's bytes are in.
    #[inline]
    pub(super) fn home(&self) -> usize {
        self.home.load(Ordering::Relaxed) as usize
    }

    /// Makes this, of a spare block, stand for `lent`, whose block a reader takes away for a while.
    pub(super) fn stand_for(&self, lent: &Self, cpu: usize) {
        let home = lent.home.load(Ordering::Relaxed);
        self.home.store(home, Ordering::Relaxed);
        self.store(&lent.load(cpu, 0), lent.closed());
    }

    /// The block is where its packet is, again.
    #[inline]
    pub(super) fn come_home(&self, block: usize) {
        self.home.store(block as u64, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn store(&self, packet: &Packet, closed: Closed) {
        step();
        self.sequence.store(packet.sequence, Ordering::Relaxed);
        self.ordinal.store(packet.ordinal, Ordering::Relaxed);
        let records = Counted::new(closed.packet(), packet.records);
        self.records.store(records.0, Ordering::Relaxed);
        self.begin_ticks
            .store(packet.begin_ticks, Ordering::Relaxed);
        self.end_ticks.store(packet.end_ticks, Ordering::Relaxed);
        self.overwritten
            .store(packet.overwritten, Ordering::Relaxed);
        self.lost.store(&packet.lost);
        // Release: a post-mortem reader that sees the mark sees the rest.
        self.closed.store(closed.0, Ordering::Release);
    }

    /// What is known of the packet of CPU `cpu`, whose records begin at `start`.
    #[inline]
    pub(super) fn load(&self, cpu: usize, start: usize) -> Packet {
        let closed = self.closed();
        Packet {
            cpu,
            sequence: self.sequence.load(Ordering::Relaxed),
            ordinal: self.ordinal.load(Ordering::Relaxed),
            records: Counted(self.records.load(Ordering::Relaxed)).records(),
            start,
            content: closed.content() as usize,
            begin_ticks: self.begin_ticks.load(Ordering::Relaxed),
            end_ticks: self.end_ticks.load(Ordering::Relaxed),
            lost: self.lost.load(),
            overwritten: self.overwritten.load(Ordering::Relaxed),
            is_final: closed.is_final(),
        }
    }
}
