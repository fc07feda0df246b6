//! What is known of a stream: for people, and for who resizes.

use super::entry::State;
use super::geometry::Geometry;
use super::ledger::Losses;
use super::stream::Stream;
use super::words::Ring;
use crate::sync::Ordering;

/// The counts of a stream, from its start: see [`Channel::stats`](crate::Channel::stats). Exact
/// when its CPU is quiet; while it writes they may be of slightly different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets delivered.
    pub packets: u64,
    /// Records in them.
    pub records: u64,
    /// Records lost so far, by reason.
    pub lost: Losses,
    /// Records overwritten before they were read.
    pub overwritten: u64,
}

/// The state of a stream and of its ring, for people and for who resizes: see
/// [`Channel::info`](crate::Channel::info).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The shape of the ring that is written to.
    pub geometry: Geometry,
    /// The counts of the stream.
    pub stats: StreamStats,
    /// How many rings there are: more than one while older ones are not read or not freed.
    pub rings: usize,
    /// Complete packets that nobody has consumed.
    pub unread: u64,
    /// Complete packets that a reader holds, in place.
    pub taken: u64,
    /// Bytes of the unread packets that hold no record: headers and padding.
    pub unused: u64,
    /// Bytes reserved in the open packet, its header included.
    pub open: usize,
    /// Whether another ring was asked for that the stream has not gone on in yet.
    pub is_resize_due: bool,
    /// Whether the stream has ended.
    pub is_closed: bool,
}

impl Stream {
    /// The geometry of the ring to write to. Any CPU.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        // Rings are freed from the oldest on, up to the one to write to: with the oldest, all are
        // held.
        self.hold_oldest(|_| self.current().map(|ring| ring.geometry))?
    }

    /// What is known of it. Any CPU.
    pub(crate) fn info(&self) -> Option<StreamInfo> {
        self.hold_oldest(|oldest| {
            // First, Acquire: if none is due, the ring that was is the current one.
            let is_resize_due = !self.remote.new_ring.load(Ordering::Acquire).is_null();
            let current = self.current()?;
            let (mut rings, mut unread, mut taken, mut unused) = (0, 0, 0, 0);
            for ring in oldest.chain() {
                rings += 1;
                for (state, used) in ring.complete_packets() {
                    unread += u64::from(state != State::Taken);
                    taken += u64::from(state == State::Taken);
                    unused += ring.geometry.subbuf_size() as u64 - used;
                }
            }
            Some(StreamInfo {
                geometry: current.geometry,
                stats: self.stats(),
                rings,
                unread,
                taken,
                unused,
                open: current.geometry.offset(current.position()) as usize,
                is_resize_due,
                is_closed: self.has_ended(),
            })
        })?
    }

    /// Whether it has ended. Any CPU.
    pub(crate) fn is_closed(&self) -> bool {
        self.hold_oldest(|_| self.has_ended()).unwrap_or(false)
    }

    /// The counts as they are now. Any CPU; exact only when the owner is quiet.
    pub(crate) fn stats(&self) -> StreamStats {
        StreamStats {
            packets: self.sequence.load(Ordering::Relaxed),
            records: self.ordinal.load(Ordering::Relaxed),
            lost: self.lost.sample(),
            overwritten: self.overwritten.load(Ordering::Relaxed),
        }
    }

    /// How many quarters of the ring were unread, at most, since this was asked last: 4 if
    /// something was lost for want of room. Any CPU.
    pub(crate) fn take_peak(&self) -> u64 {
        self.peak.swap(0, Ordering::Relaxed)
    }

    /// Takes no notice of `peak` after all. Any CPU.
    #[cfg(feature = "alloc")]
    pub(crate) fn put_back_peak(&self, peak: u64) {
        self.peak.fetch_max(peak, Ordering::Relaxed);
    }
}

impl Ring {
    /// The complete packets that are not given back: their state, and bytes of records in them.
    fn complete_packets(&self) -> impl Iterator<Item = (State, u64)> {
        let geometry = &self.geometry;
        let end = geometry.packet(self.visible());
        (1..=geometry.subbuf_count() as u64).filter_map(move |back| {
            let packet = geometry.before(end, back);
            let entry = self.entry(packet);
            let is_there = entry.state().is_unread() || entry.state() == State::Taken;
            let content = self.info(entry.block()).closed().content();
            let used = content.saturating_sub(self.records_start(packet) as u64);
            (entry.is_packet(packet) && is_there).then_some((entry.state(), used))
        })
    }
}
