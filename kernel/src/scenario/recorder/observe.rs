//! Watching what another CPU writes, without disturbing it: packets are copied and checked.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use relay::record::Fields;
use relay::{Context, ObserveError, Observer, Packet};

use crate::logs::flood::{CHANNEL, Flood};

/// Packets that all watchers have checked.
static PACKETS: AtomicU64 = AtomicU64::new(0);
/// Records in them.
static RECORDS: AtomicU64 = AtomicU64::new(0);
/// Packets that were not as they should be.
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Packets that are looked at in a turn.
const TURN: usize = 4;

/// Who watches the stream of a CPU.
pub(super) struct Watch {
    cpu: usize,
    observer: Observer<'static>,
    copy: Vec<u8>,
    seen: Seen,
}

/// What was seen of a stream so far.
#[derive(Debug, Default)]
struct Seen {
    /// The packet that would follow the last one, and the number of its first record.
    next: Option<(u64, u64)>,
    /// The record that would follow the last one of each context. Unknown behind a gap.
    sequences: [Option<u64>; Context::ALL.len()],
    /// Records that were missing where none was overwritten.
    missing: u64,
}

impl Watch {
    /// Watches the stream of `cpu`; `None` if it has none, or there is no memory for a copy. Task
    /// context.
    pub(super) fn of(cpu: usize) -> Option<Self> {
        let size = CHANNEL.geometry(cpu)?.subbuf_size();
        let mut copy = Vec::new();
        copy.try_reserve_exact(size).ok()?;
        copy.extend(core::iter::repeat_n(0, size));
        Some(Self {
            cpu,
            observer: CHANNEL.observe(cpu).ok()?,
            copy,
            seen: Seen::default(),
        })
    }

    /// Looks at some packets that came since the last time.
    pub(super) fn look(&mut self) {
        for _ in 0..TURN {
            match self.observer.next_copy(&mut self.copy) {
                Ok(Some(packet)) => self.check(&packet),
                // Others may be copying just this one.
                Ok(None) | Err(ObserveError::Busy) => return,
                Err(error) => return self.complain(&error),
            }
        }
    }

    fn check(&mut self, packet: &Packet) {
        PACKETS.fetch_add(1, Ordering::Relaxed);
        let bytes = self.copy.get(packet.start..packet.content);
        match self.seen.check(self.cpu, packet, bytes.unwrap_or_default()) {
            Ok(records) => {
                RECORDS.fetch_add(records, Ordering::Relaxed);
            }
            Err(why) => self.complain(&why),
        }
    }

    fn complain(&self, why: &dyn core::fmt::Display) {
        if FAULTS.fetch_add(1, Ordering::Relaxed) == 0 {
            relay::error!("what was observed of cpu {} is wrong: {why}", self.cpu);
        }
    }
}

impl Seen {
    /// Checks the records of the next packet of `cpu` that could be copied: each by its checksum,
    /// all of a context in order, also over packets that follow one another, and without gaps but
    /// for what the packet says was lost. Returns how many there are.
    fn check(&mut self, cpu: usize, packet: &Packet, bytes: &[u8]) -> Result<u64, &'static str> {
        let next = (packet.sequence + 1, packet.ordinal + packet.records);
        match self.next.replace(next) {
            Some((sequence, ordinal)) if sequence == packet.sequence => {
                if ordinal != packet.ordinal {
                    return Err("records are missing between two packets");
                }
            }
            Some((sequence, ordinal)) if sequence > packet.sequence || ordinal > packet.ordinal => {
                return Err("packets are not in order");
            }
            // What lies in between was overwritten.
            _ => self.sequences = Default::default(),
        }
        let mut fields = Fields::new(bytes);
        let mut records = 0;
        while let Some(stamp) = fields.next_stamp().map_err(|malformed| malformed.reason)? {
            let record = Flood::read(&stamp, &mut fields, cpu)?;
            let next = self.sequences[record.context as usize].replace(record.sequence + 1);
            let missing = record.sequence.checked_sub(next.unwrap_or(record.sequence));
            self.missing += missing.ok_or("records of a context are not in order")?;
            records += 1;
        }
        if self.missing > packet.lost.total() {
            return Err("records of a context are missing");
        }
        match records == packet.records {
            true => Ok(records),
            false => Err("a packet holds another number of records than it says"),
        }
    }
}

/// Says what all have seen; whether that was something, and right.
pub(super) fn tell() -> bool {
    let [packets, records, faults] =
        [&PACKETS, &RECORDS, &FAULTS].map(|count| count.load(Ordering::Relaxed));
    relay::info!("observers checked {packets} packets with {records} records, {faults} were wrong");
    packets != 0 && faults == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::Losses;
    use relay::record::Stamp;

    /// Records of CPU 0 in task context, with these numbers.
    fn records(numbers: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for sequence in numbers.iter().copied() {
            let record = Flood {
                sequence,
                context: Context::Task,
                length: 3,
            };
            bytes.extend(Stamp::new(1, Context::Task, 0).to_bytes());
            bytes.extend(record.bytes(0));
        }
        bytes
    }

    fn packet(sequence: u64, ordinal: u64, records: u64) -> Packet {
        Packet {
            cpu: 0,
            sequence,
            ordinal,
            records,
            start: 0,
            content: 0,
            begin_ticks: 0,
            end_ticks: 0,
            lost: Losses::NONE,
            overwritten: 0,
            is_final: false,
        }
    }

    #[test]
    fn packets_that_follow_one_another_are_right_and_gaps_are_packets() {
        let mut seen = Seen::default();
        assert_eq!(seen.check(0, &packet(3, 10, 2), &records(&[10, 11])), Ok(2));
        assert_eq!(seen.check(0, &packet(4, 12, 1), &records(&[12])), Ok(1));
        // Overwritten in between.
        assert_eq!(seen.check(0, &packet(9, 90, 2), &records(&[90, 91])), Ok(2));
    }

    #[test]
    fn what_was_lost_may_be_missing() {
        let mut seen = Seen::default();
        assert_eq!(seen.check(0, &packet(3, 10, 2), &records(&[10, 11])), Ok(2));
        let mut lossy = packet(4, 12, 2);
        lossy.lost.0[0] = 3;
        assert_eq!(seen.check(0, &lossy, &records(&[13, 16])), Ok(2));
        lossy = packet(5, 14, 1);
        lossy.lost.0[0] = 3;
        assert!(seen.check(0, &lossy, &records(&[18])).is_err());
    }

    #[test]
    fn what_is_wrong_is_noticed() {
        let before = packet(3, 10, 2);
        let faults: [(Packet, Vec<u8>); 6] = [
            (packet(4, 13, 1), records(&[12])),
            (packet(2, 12, 1), records(&[12])),
            (packet(4, 12, 1), records(&[13])),
            (packet(4, 12, 2), records(&[12])),
            (packet(4, 12, 2), records(&[12, 12])),
            (packet(4, 12, 1), {
                let mut bytes = records(&[12]);
                bytes[relay::record::STAMP + 8] ^= 1;
                bytes
            }),
        ];
        for (packet, bytes) in faults {
            let mut seen = Seen::default();
            assert_eq!(seen.check(0, &before, &records(&[10, 11])), Ok(2));
            assert!(seen.check(0, &packet, &bytes).is_err(), "{packet:?}");
        }
    }
}
