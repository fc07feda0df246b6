//! The promise, checked at rest; and what a CPU leaves that is stopped anywhere.

use super::{FILLER, Fate, World};
use crate::ring::deliver::ToDo;
use crate::ring::words::Ring;
use crate::ring::{Flushed, Loss, Losses, Mode, Packet, Salvage, Stopped};
use crate::sync::Ordering;
use std::collections::BTreeMap;
use std::vec::Vec;

impl World {
    /// Looks at what a CPU that is stopped right here leaves: every record whose writer has heard
    /// `Ok`, that no reader has taken and that is not overwritten, whole and once; nothing that
    /// was lost. Returns how many records were under way, and whether something is in doubt.
    pub(in crate::ring) fn autopsy(&self) -> (usize, bool) {
        // SAFETY: the caller is the one CPU, and writes nothing while the result is used.
        let stopped = unsafe { Stopped::new(0) };
        let (mut holes, mut in_doubt) = (0, false);
        let mut found = Vec::new();
        let mut numbers = Vec::new();
        let mut packets = Vec::new();
        for packet in Salvage::new(self.stream(), stopped) {
            packets.push((*packet.packet(), packet.is_closed()));
            holes += packet.uncommitted();
            in_doubt |= packet.is_cut();
            let mut number = packet.packet().ordinal;
            for mut rest in packet.committed() {
                while let [len, ..] = *rest {
                    let len = usize::from(len);
                    assert!(
                        len > 1 && len <= rest.len(),
                        "torn record in {packet:?}: {rest:x?}"
                    );
                    let (record, after) = rest.split_at(len);
                    rest = after;
                    if record[1] != FILLER {
                        assert_eq!(record, Self::record(record[1], len), "in {packet:?}");
                        found.push(record[1]);
                        numbers.push(number);
                        number += 1;
                    }
                }
            }
            if !packet.is_cut() {
                let known = packet.packet();
                assert_eq!(number - known.ordinal, known.records, "in {packet:?}");
            }
        }
        assert!(numbers.is_sorted_by(|a, b| a < b), "numbers: {numbers:?}");
        let fates = self.fates.borrow();
        let seen = self.seen.borrow();
        let taken: Vec<u8> = seen.iter().flat_map(|(_, ids)| ids).copied().collect();
        let held = self.held.borrow();
        for id in &found {
            assert_eq!(
                found.iter().filter(|other| *other == id).count(),
                1,
                "{id} twice"
            );
            assert!(
                !matches!(fates.get(id), Some(Fate::Lost(_))),
                "{id} was lost, and is found"
            );
            assert!(
                !held.is_empty() || self.is_giving_back.get() || !taken.contains(id),
                "{id} was given back, and is found"
            );
        }
        let continuous = self.config.geometry.mode() == Mode::Continuous;
        let is_written = |id: &u8| matches!(fates.get(id), Some(Fate::Written { .. }));
        let missing = fates.keys().filter(|id| is_written(id));
        let missing = missing
            .filter(|id| !taken.contains(id) && !found.contains(id))
            .count();
        // What is overwritten is told by the last packet; at least by the stream's own count, where
        // none is left that could tell.
        let told = packets.last().map_or(0, |(last, _)| last.overwritten);
        let stream = self.stream();
        let is_final = packets.last().is_some_and(|(last, _)| last.is_final);
        let late = if is_final {
            stream.overwriting.load(Ordering::Relaxed)
        } else {
            0
        };
        let overwritten = told.max(stream.stats().overwritten + late);
        assert!(continuous || self.was_reset.get() || overwritten == 0);
        assert!(
            in_doubt || self.is_taking.get() || missing as u64 <= overwritten,
            "{missing} records were committed and are not found, {overwritten} are overwritten"
        );
        if !self.is_taking.get() {
            self.check_salvaged(&packets);
        }
        (holes, in_doubt)
    }

    /// What a stopped CPU's packets say of themselves follows from one to the next, and from what
    /// the reader has taken: who has some of them can tell which the others are.
    fn check_salvaged(&self, packets: &[(Packet, bool)]) {
        let stream = self.stream();
        let seen = self.seen.borrow();
        let continuous = self.config.geometry.mode() == Mode::Continuous;
        // By number; what was taken is as it was taken.
        let mut all: BTreeMap<u64, (Packet, bool)> = BTreeMap::new();
        for (packet, _) in seen.iter() {
            all.insert(packet.sequence, (*packet, true));
        }
        for found in packets {
            if let Some((taken, _)) = all.insert(found.0.sequence, *found) {
                assert_eq!(taken, found.0, "a packet that was taken");
            }
        }
        let mut before: Option<(Packet, bool)> = None;
        let mut gone = 0;
        for (packet, is_closed) in all.values() {
            let (sequence, ordinal) =
                before.map_or((0, 0), |(p, _)| (p.sequence + 1, p.ordinal + p.records));
            gone += packet.ordinal.saturating_sub(ordinal);
            if !continuous {
                let is = (packet.sequence, packet.ordinal);
                assert_eq!(is, (sequence, ordinal), "{packet:?} after {before:?}");
            }
            assert!(packet.ordinal >= ordinal, "{packet:?} after {before:?}");
            assert!(packet.begin_ticks <= packet.end_ticks, "{packet:?}");
            if let Some((before, _)) = before {
                assert!(!before.is_final, "{packet:?} after {before:?}");
                for loss in Loss::ALL {
                    assert!(
                        packet.lost.get(loss) >= before.lost.get(loss),
                        "{packet:?} after {before:?}"
                    );
                }
                assert!(packet.overwritten >= before.overwritten);
            }
            before = Some((*packet, *is_closed));
        }
        // Nor is a record gone that the last packet does not tell of. It tells of more only if a
        // context was just overwriting some: at most eight of two bytes each, in three contexts. A
        // stream that was closed by what interrupted that context does not know of them.
        if let Some((last, _)) = before.filter(|(last, _)| !last.is_final) {
            let told = last.overwritten;
            let most = gone + 3 * 8;
            assert!(
                (gone..=most).contains(&told),
                "{gone} are overwritten, {last:?} tells of {told}"
            );
        }
        // Nobody has lost a record that the last packet does not tell of, unless the stream is
        // closed.
        let is_closed = stream
            .current()
            .is_some_and(|ring| ring.position().is_sealed());
        if let Some((last, _)) = before {
            let lost = stream.stats().lost;
            if !is_closed {
                assert_eq!(last.lost, lost, "{last:?}");
            } else if last.is_final {
                let others = Loss::ALL.into_iter().filter(|loss| *loss != Loss::Closed);
                let told = |lost: &Losses| others.clone().map(|loss| lost.get(loss)).sum::<u64>();
                assert_eq!(told(&last.lost), told(&lost), "{last:?}, {lost:?}");
            }
        }
    }

    /// Brings the stream to rest and checks that every attempt is accounted for.
    pub(in crate::ring) fn check(&self) {
        self.check_delivered();
        if self.is_by_record() {
            self.check_shown();
        }
        self.release();
        self.drain();
        self.check_rings();
        if !self.closed.get() {
            assert_ne!(self.owner().flush(), Flushed::NoRoom);
            self.drain();
        }
        self.check_rest();
        if !self.is_by_record() {
            self.check_packets();
        }
        self.check_sum();
    }

    /// When no context is at work, what was committed can be read at once, where delivery is by
    /// record.
    fn check_shown(&self) {
        self.drain_records();
        let read: Vec<u8> = self
            .seen
            .borrow()
            .iter()
            .flat_map(|(_, ids)| ids.clone())
            .collect();
        let fates = self.fates.borrow();
        let overwritten = self.stream().stats().overwritten;
        let unread = fates
            .iter()
            .filter(|(id, fate)| matches!(fate, Fate::Written { .. }) && !read.contains(id))
            .count();
        assert_eq!(unread as u64, overwritten, "committed, but not to be read");
    }

    /// When no context is at work, no ring is left behind that nobody can use.
    fn check_rings(&self) {
        *self.observer.borrow_mut() = None;
        self.owner().tick();
        self.drain();
        self.reclaim();
        let rings = self.stream().oldest().unwrap().chain();
        assert_eq!(rings.count(), 1, "rings are left behind");
    }

    /// When no context is at work, no complete packet is left behind.
    fn check_delivered(&self) {
        let stream = self.stream();
        let next = stream.next.load(Ordering::Relaxed);
        let to_do = self.owner().look().map(|look| look.due());
        assert!(
            matches!(to_do, Some(ToDo::Nothing)),
            "packet {next} is complete, or its ring has ended, and nobody delivers it"
        );
    }

    fn check_rest(&self) {
        let stream = self.stream();
        assert!(stream.local.is_idle(), "an intent is still taken");
        assert_eq!(
            stream.delivery_lock.load(Ordering::Relaxed),
            0,
            "delivery is still busy"
        );
        assert_eq!(self.cpu().pins.get(), 0, "a pin is left");
        assert_eq!(stream.local.under_way().count(), 0);
        let last = stream.oldest().unwrap().chain().last();
        assert!(
            std::ptr::eq::<Ring>(stream.current().unwrap(), last.unwrap()),
            "writers are left at an old ring"
        );
    }

    fn check_packets(&self) {
        let seen = self.seen.borrow();
        let fates = self.fates.borrow();
        let continuous = self.config.geometry.mode() == Mode::Continuous;
        let (mut sequence, mut ordinal, mut time, mut missed) = (0, 0, 0, 0);
        let mut lost = Losses::default();
        for (packet, records) in seen.iter() {
            assert!(packet.sequence >= sequence, "{packet:?} after {sequence}");
            if (!continuous && !self.was_reset.get()) || packet.sequence == sequence {
                assert_eq!(packet.sequence, sequence, "a packet is missing");
                assert_eq!(
                    packet.ordinal, ordinal,
                    "records are missing before {packet:?}"
                );
            }
            missed += packet.ordinal - ordinal;
            sequence = packet.sequence + 1;
            ordinal = packet.ordinal + packet.records;
            assert!(time <= packet.begin_ticks && packet.begin_ticks <= packet.end_ticks);
            for id in records {
                let Some(Fate::Written { ticks }) = fates.get(id) else {
                    panic!(
                        "record {id} was delivered, but its writer heard {:?}",
                        fates.get(id)
                    );
                };
                assert!(
                    *ticks <= packet.end_ticks,
                    "record {id} is younger than {packet:?}"
                );
            }
            time = packet.end_ticks;
            for loss in Loss::ALL {
                assert!(packet.lost.get(loss) >= lost.get(loss), "{loss:?} fell");
            }
            lost = packet.lost;
        }
        assert_eq!(
            self.stream().stats().overwritten,
            missed,
            "overwritten against ordinals"
        );
        assert!(continuous || self.was_reset.get() || missed == 0);
        if let (true, Some((last, _))) = (self.closed.get(), seen.last()) {
            assert!(last.is_final, "the last packet of a closed stream is final");
        }
        let finals = seen.iter().filter(|(packet, _)| packet.is_final).count();
        assert_eq!(finals, usize::from(self.closed.get()));
        let stats = self.stream().stats();
        assert_eq!(stats.records, ordinal);
        if !self.closed.get() {
            assert_eq!(stats.lost, lost, "the last packet tells of all losses");
        }
    }

    fn check_sum(&self) {
        let fates = self.fates.borrow();
        let seen = self.seen.borrow();
        let mut delivered = BTreeMap::new();
        for id in seen.iter().flat_map(|(_, ids)| ids) {
            *delivered.entry(*id).or_insert(0) += 1;
        }
        assert!(
            delivered.values().all(|times| *times == 1),
            "delivered twice: {delivered:?}"
        );
        let stats = self.stream().stats();
        let written = fates
            .values()
            .filter(|fate| matches!(fate, Fate::Written { .. }))
            .count() as u64;
        assert_eq!(
            written,
            delivered.len() as u64 + stats.overwritten,
            "written = delivered + overwritten"
        );
        for loss in Loss::ALL {
            let told = fates
                .values()
                .filter(|fate| **fate == Fate::Lost(loss))
                .count() as u64;
            assert_eq!(stats.lost.get(loss), told, "{loss:?}: what writers heard");
        }
        assert_eq!(
            fates.len() as u64,
            delivered.len() as u64 + stats.overwritten + stats.lost.total(),
            "attempted = delivered + overwritten + lost"
        );
    }
}
