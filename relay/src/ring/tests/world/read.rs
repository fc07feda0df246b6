//! Everything that reads: what is read is whole records that were not lost.

use super::cpu::FILLER;
use super::{Fate, World};
use crate::ring::{Losses, ObserveError, Observer, Packet, Reader, Records, SubBuffer};
use std::vec::Vec;

/// Where records are read before their packet is complete.
const NO_PACKET: Packet = Packet {
    cpu: 0,
    sequence: 0,
    ordinal: 0,
    records: 0,
    start: 0,
    content: 0,
    begin_ticks: 0,
    end_ticks: 0,
    lost: Losses::NONE,
    overwritten: 0,
    is_final: false,
};

impl World {
    /// What the observer copies are whole records that were not lost. Who writes in between may
    /// still be under way.
    pub(super) fn observe(&self) {
        let Ok(mut observer) = self.observer.try_borrow_mut() else {
            return;
        };
        let observer =
            observer.get_or_insert_with(|| Observer::open(self.stream(), 0).expect("started"));
        let mut bytes = [0; 256];
        loop {
            match observer.next_copy(&mut bytes) {
                Ok(Some(packet)) => self.inspect_copy(&packet, &bytes[..packet.content]),
                Ok(None) | Err(ObserveError::Busy | ObserveError::NoSpares) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(super) fn read_last(&self, count: usize) {
        let Ok(mut observer) = self.observer.try_borrow_mut() else {
            return;
        };
        let observer =
            observer.get_or_insert_with(|| Observer::open(self.stream(), 0).expect("started"));
        let mut bytes = [0; 256];
        let mut newest = None;
        let seen = observer.read_last(count, &mut bytes, |packet, bytes| {
            self.inspect_copy(packet, bytes);
            let next = newest.replace(packet.sequence);
            assert!(next.is_none_or(|next| next == packet.sequence + 1), "a gap");
        });
        match seen {
            Ok(seen) => assert!(seen <= count),
            Err(ObserveError::Busy | ObserveError::NoSpares) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn inspect_copy(&self, packet: &Packet, bytes: &[u8]) {
        let start = self.config.geometry.start_reserve();
        assert!(bytes[..start].iter().all(|byte| *byte == 0xA6));
        let ids = self.parse(&bytes[start..], packet.content - start);
        assert_eq!(ids.len() as u64, packet.records, "copy of {packet:?}");
    }

    /// Reads all records that are committed.
    pub(super) fn drain_records(&self) {
        let Ok(mut records) = self.records.try_borrow_mut() else {
            return;
        };
        let records = records
            .get_or_insert_with(|| Records::new(Reader::open(self.stream(), 0).expect("one")));
        while let Some(run) = records.next_run() {
            let ids = self.parse(run.bytes, run.bytes.len());
            let packet = Packet {
                begin_ticks: run.begin_ticks,
                ..NO_PACKET
            };
            self.seen.borrow_mut().push((packet, ids));
        }
    }

    pub(super) fn take(&self) -> Option<SubBuffer<'static>> {
        if self.is_by_record() {
            self.drain_records();
            return None;
        }
        // The reader may be at work: it is another CPU that went on meanwhile.
        let mut reader = self.reader.try_borrow_mut().ok()?;
        let reader =
            reader.get_or_insert_with(|| Reader::open(self.stream(), 0).expect("one reader"));
        self.is_taking.set(true);
        let taken = reader.next_subbuf();
        taken.iter().for_each(|taken| self.inspect(taken));
        self.is_taking.set(false);
        taken
    }

    pub(super) fn release(&self) {
        loop {
            // Nothing is borrowed when it is dropped: what comes in between may hold more.
            let taken = self.held.borrow_mut().pop();
            match taken {
                Some(taken) => self.give_back(taken),
                None => return,
            }
        }
    }

    pub(in crate::ring) fn drain(&self) {
        if self.is_by_record() {
            return self.drain_records();
        }
        while let Some(taken) = self.take() {
            self.give_back(taken);
        }
    }

    fn give_back(&self, taken: SubBuffer<'_>) {
        self.is_giving_back.set(true);
        drop(taken);
        self.is_giving_back.set(false);
    }

    /// Parses records byte by byte; returns their numbers, fillers left out.
    pub(super) fn parse(&self, bytes: &[u8], len: usize) -> Vec<u8> {
        let mut rest = &bytes[..len];
        let mut records = Vec::new();
        while let [len, ..] = *rest {
            let len = usize::from(len);
            assert!(len > 0 && len <= rest.len(), "torn record: {rest:x?}");
            let (record, after) = rest.split_at(len);
            rest = after;
            match record.get(1) {
                Some(&FILLER) => {}
                Some(&id) => {
                    assert_eq!(
                        record,
                        Self::record(id, len),
                        "foreign bytes in record {id}"
                    );
                    let fate = self.fates.borrow().get(&id).copied();
                    assert!(!matches!(fate, Some(Fate::Lost(_))), "record {id} was lost");
                    records.push(id);
                }
                None => assert_eq!(len, 1, "a record of one byte is a filler"),
            }
        }
        records
    }

    /// Parses a sub-buffer.
    fn inspect(&self, taken: &SubBuffer<'_>) {
        let packet = *taken.packet();
        let records = self.parse(taken.records(), taken.records().len());
        assert_eq!(
            records.len() as u64,
            packet.records,
            "records of {packet:?}"
        );
        let bytes = taken.bytes();
        let start = self.config.geometry.start_reserve();
        assert!(bytes[..start].iter().all(|byte| *byte == 0xA6));
        assert!(
            bytes[bytes.len() - self.config.geometry.end_reserve()..]
                .iter()
                .all(|byte| *byte == 0xA7)
        );
        self.seen.borrow_mut().push((packet, records));
    }
}
