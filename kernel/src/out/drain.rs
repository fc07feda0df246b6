//! The drain: takes what every CPU has logged, and merges it by time.
//!
//! It knows nothing but the [copies](super::copies) of the log's packets, so that it holds up
//! nobody. What was lost, and what was skipped because it was too slow, it says where it happened.

use alloc::boxed::Box;
use alloc::vec;
use core::array;

use relay::Losses;
use relay::clients::klog::{self, Record};
use relay::record::{Fields, Malformed, extend};

use super::copies::{Copied, Copies};
use crate::logs::klog::MAX_PACKET;

/// What comes out of the drain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A record, with its number in the stream of its CPU.
    Record {
        /// The CPU that logged it.
        cpu: usize,
        /// How many records of that CPU came before it.
        number: u64,
        /// What it says.
        record: Record<'a>,
    },
    /// Records were lost here.
    Lost {
        /// The CPU that could not log them.
        cpu: usize,
        /// The number of the record that came next.
        before: u64,
        /// How many, by reason.
        lost: Losses,
    },
    /// Records were passed over here: the drain was too slow for them.
    Skipped {
        /// The CPU that logged them.
        cpu: usize,
        /// The number of the record that comes next.
        before: u64,
        /// How many.
        records: u64,
    },
    /// The stream of this CPU was closed, and this was all of it.
    End {
        /// The CPU.
        cpu: usize,
        /// Records that came out of the drain.
        delivered: u64,
        /// Records that it has passed over.
        skipped: u64,
        /// Records that were lost, by reason.
        lost: Losses,
    },
    /// A packet holds something that is no record. The rest of it was passed over.
    Damaged {
        /// The CPU that wrote it.
        cpu: usize,
        /// The number of the record that should have been there.
        number: u64,
        /// What is wrong.
        malformed: Malformed,
    },
}

/// What is read of all CPUs of a log.
#[derive(Debug)]
pub(crate) struct Drain<const CPUS: usize> {
    feeds: [Option<Feed>; CPUS],
}

/// What is being read of one CPU.
#[derive(Debug)]
struct Feed {
    copies: &'static Copies,
    /// The records of the packet that is being read.
    buffer: Box<[u8]>,
    taken: Option<Taken>,
    /// Losses that an item has told of.
    told: Losses,
    /// The number of the record that comes next.
    number: u64,
    /// Records given out.
    delivered: u64,
    /// Records passed over.
    skipped: u64,
    /// What is not there yet is younger.
    quiet_since: u64,
    ended: bool,
}

/// A packet, and how far it was read.
#[derive(Debug)]
struct Taken {
    packet: Copied,
    /// Bytes read.
    offset: usize,
    /// The time of what comes next.
    ticks: u64,
}

impl<const CPUS: usize> Drain<CPUS> {
    /// Reads `copies`: those of CPUs with numbers below `CPUS`. Allocates. It is the only one that
    /// releases them.
    pub(crate) fn of(copies: impl Iterator<Item = (usize, &'static Copies)>) -> Self {
        let mut feeds = array::from_fn(|_| None);
        for (cpu, copies) in copies {
            if let Some(feed) = feeds.get_mut(cpu) {
                *feed = Some(Feed::new(copies));
            }
        }
        Self { feeds }
    }

    /// Looks for what has come.
    pub(crate) fn refill(&mut self) {
        self.feeds.iter_mut().flatten().for_each(Feed::refill);
    }

    /// The oldest of what is there, unless something older may still come: from a CPU that
    /// `is_live` and has given nothing as young as that. What is older than `patience` (a time in
    /// ticks) is not held back.
    pub(crate) fn next(
        &mut self,
        is_live: impl Fn(usize) -> bool,
        patience: u64,
    ) -> Option<Item<'_>> {
        self.feeds.iter_mut().flatten().for_each(Feed::settle);
        let feeds = self
            .feeds
            .iter()
            .enumerate()
            .filter_map(|(cpu, feed)| feed.as_ref().map(|feed| (cpu, feed)));
        let (ticks, cpu) = feeds
            .clone()
            .filter_map(|(cpu, feed)| Some((feed.taken.as_ref()?.ticks, cpu)))
            .min()?;
        let horizon = feeds
            .filter(|(cpu, feed)| feed.taken.is_none() && !feed.ended && is_live(*cpu))
            .map(|(_, feed)| feed.quiet_since)
            .min()
            .unwrap_or(u64::MAX);
        if ticks > horizon && ticks > patience {
            return None;
        }
        self.feeds[cpu].as_mut()?.step(cpu)
    }

    /// Whether every stream was closed and read to its end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.feeds.iter().flatten().all(|feed| feed.ended)
    }

    /// The CPUs whose streams were not read to their end, with the records given out of each.
    pub(crate) fn open_streams(&self) -> impl Iterator<Item = (usize, u64)> {
        let feeds = self.feeds.iter().enumerate();
        feeds.filter_map(|(cpu, feed)| {
            let feed = feed.as_ref()?;
            (!feed.ended).then_some((cpu, feed.delivered))
        })
    }
}

impl Feed {
    fn new(copies: &'static Copies) -> Self {
        Self {
            copies,
            buffer: vec![0; MAX_PACKET].into_boxed_slice(),
            taken: None,
            told: Losses::default(),
            number: 0,
            delivered: 0,
            skipped: 0,
            quiet_since: 0,
            ended: false,
        }
    }

    /// Takes the next packet, if none is being read and there is one.
    fn refill(&mut self) {
        if self.taken.is_some() || self.ended {
            return;
        }
        // The time first: what was there then is found now.
        self.quiet_since = self.copies.quiet();
        self.taken = self.copies.first().map(|packet| {
            self.copies.read(&packet, &mut self.buffer);
            let mut taken = Taken {
                packet,
                offset: 0,
                ticks: 0,
            };
            taken.look_ahead(&self.buffer, 0);
            taken
        });
    }

    /// Releases packets that were read to their end and have nothing more to tell, and goes on with
    /// the next.
    fn settle(&mut self) {
        while let Some(taken) = &self.taken {
            let packet = &taken.packet;
            let tells = self.told != packet.lost || (packet.is_final && !self.ended);
            if !taken.is_at_end() || self.number < packet.ordinal || tells {
                return;
            }
            // Behind damage there may be records that were not found.
            self.number = packet.end();
            self.copies.release(packet);
            self.taken = None;
            self.refill();
        }
    }

    /// Gives out the next item of the packet that is being read: what was passed over before it,
    /// its records, what it says of losses, the end of the stream.
    fn step(&mut self, cpu: usize) -> Option<Item<'_>> {
        let taken = self.taken.as_mut()?;
        let packet = taken.packet;
        if self.number < packet.ordinal {
            let records = packet.ordinal - self.number;
            self.number = packet.ordinal;
            self.skipped += records;
            return Some(Item::Skipped {
                cpu,
                before: packet.ordinal,
                records,
            });
        }
        if !taken.is_at_end() {
            let item = taken.step(&self.buffer, cpu, self.number);
            self.number += 1;
            self.delivered += u64::from(matches!(item, Item::Record { .. }));
            return Some(item);
        }
        if self.told != packet.lost {
            let lost = packet.lost.since(&self.told);
            self.told = packet.lost;
            return Some(Item::Lost {
                cpu,
                before: packet.end(),
                lost,
            });
        }
        self.ended = true;
        Some(Item::End {
            cpu,
            delivered: self.delivered,
            skipped: self.skipped,
            lost: packet.lost,
        })
    }
}

impl Taken {
    fn is_at_end(&self) -> bool {
        self.offset >= self.packet.length
    }

    /// Goes to the next item from `offset` on, and finds out when it was logged: at the end, and
    /// where a stamp is malformed, when the packet was closed. Looks at no more than the record's
    /// stamp; no record is younger than its packet's end, whatever its stamp says.
    fn look_ahead(&mut self, buffer: &[u8], offset: usize) {
        let records = buffer.get(..self.packet.length).unwrap_or_default();
        let mut fields = Fields::new(records.get(offset..).unwrap_or_default());
        let Copied {
            begin_ticks,
            end_ticks,
            ..
        } = self.packet;
        (self.offset, self.ticks) = match fields.next_stamp() {
            Ok(Some(stamp)) => {
                let ticks = extend(stamp.time(), begin_ticks);
                (offset, ticks.min(end_ticks))
            }
            Ok(None) => (records.len(), end_ticks),
            Err(_) => (offset, end_ticks),
        };
    }

    /// Gives out the next record, of which there is one, with this number.
    fn step<'b>(&mut self, buffer: &'b [u8], cpu: usize, number: u64) -> Item<'b> {
        let records = buffer.get(..self.packet.length).unwrap_or_default();
        let from = self.offset;
        let mut fields = Fields::new(records.get(from..).unwrap_or_default());
        let record = klog::next(&mut fields, self.packet.begin_ticks);
        // Behind something malformed the next record cannot be found.
        let after = match record {
            Ok(_) => from + fields.offset(),
            Err(_) => records.len(),
        };
        self.look_ahead(buffer, after);
        let malformed = match record {
            Ok(Some(record)) => {
                return Item::Record {
                    cpu,
                    number,
                    record,
                };
            }
            Ok(None) => Malformed {
                offset: from,
                reason: "there is none",
            },
            Err(malformed) => Malformed {
                offset: from + malformed.offset,
                ..malformed
            },
        };
        Item::Damaged {
            cpu,
            number,
            malformed,
        }
    }
}

#[cfg(test)]
mod tests;
