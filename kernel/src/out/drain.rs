//! The drain: takes what every CPU has logged, and merges it by time.
//!
//! It knows nothing but the log's files, so that it could run outside the kernel. It consumes: a
//! sub-buffer that was read to its end is the writer's again. Nobody waits for it; what a CPU logs
//! while its ring is full is lost, and the drain says so where it happened.

use core::array;

use relay::clients::klog::{self, Record};
use relay::fs::File;
use relay::record::{Fields, Malformed, extend};
use relay::{Losses, OpenError, Reader, SubBuffer};

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
    /// The stream of this CPU was closed, and this was all of it.
    End {
        /// The CPU.
        cpu: usize,
        /// Records that came out of the drain.
        delivered: u64,
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

/// The readers of all CPUs of a log.
#[derive(Debug)]
pub(crate) struct Drain<const CPUS: usize> {
    feeds: [Option<Feed>; CPUS],
}

/// What is being read of one CPU.
#[derive(Debug)]
struct Feed {
    reader: Reader<'static>,
    taken: Option<Taken>,
    /// Losses that an item has told of.
    told: Losses,
    /// Records given out.
    delivered: u64,
    /// What is not taken yet is younger.
    quiet_since: u64,
    ended: bool,
}

/// A sub-buffer, and how far it was read.
#[derive(Debug)]
struct Taken {
    subbuf: SubBuffer<'static>,
    /// Bytes read.
    offset: usize,
    /// The number of the record that comes next.
    number: u64,
    /// The time of what comes next.
    ticks: u64,
}

impl<const CPUS: usize> Drain<CPUS> {
    /// Opens `files`: those of a log whose CPUs have numbers below `CPUS`.
    ///
    /// # Errors
    /// [`OpenError::Busy`] if one of them is being read by somebody else.
    pub(crate) fn open(files: impl Iterator<Item = File>) -> Result<Self, OpenError> {
        let mut feeds = array::from_fn(|_| None);
        for file in files {
            if let Some(feed) = feeds.get_mut(file.cpu()) {
                *feed = Some(Feed::new(file.open()?));
            }
        }
        Ok(Self { feeds })
    }

    /// Looks for what has become readable, and asks for the rest where there is nothing.
    pub(crate) fn refill(&mut self) {
        self.feeds.iter_mut().flatten().for_each(Feed::refill);
    }

    /// Gives sub-buffers that were read to their end to `done`, and goes on with the next.
    pub(crate) fn settle(&mut self, mut done: impl FnMut(SubBuffer<'static>)) {
        for feed in self.feeds.iter_mut().flatten() {
            feed.settle(&mut done);
        }
    }

    /// The oldest of what is there, after [`settle`](Self::settle), unless something older may
    /// still come: from a CPU that `is_live` and has given nothing as young as that. What is older
    /// than `patience` (a time in ticks) is not held back.
    pub(crate) fn next(
        &mut self,
        is_live: impl Fn(usize) -> bool,
        patience: u64,
    ) -> Option<Item<'_>> {
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
    fn new(reader: Reader<'static>) -> Self {
        Self {
            reader,
            taken: None,
            told: Losses::default(),
            delivered: 0,
            quiet_since: 0,
            ended: false,
        }
    }

    /// Takes the next sub-buffer, if none is being read and there is one; asks for it otherwise.
    fn refill(&mut self) {
        if self.taken.is_some() || self.ended {
            return;
        }
        // The time first: what was readable then is found now.
        self.quiet_since = self.reader.quiet_since();
        match self.reader.next_subbuf() {
            Some(subbuf) => self.taken = Some(Taken::new(subbuf)),
            None => self.reader.request_flush(),
        }
    }

    /// Gives what was read to its end to `done` and goes on with the next.
    fn settle(&mut self, done: &mut impl FnMut(SubBuffer<'static>)) {
        while let Some(taken) = &self.taken {
            let packet = taken.subbuf.packet();
            let tells = self.told != packet.lost || (packet.is_final && !self.ended);
            if !taken.is_at_end() || tells {
                return;
            }
            if let Some(taken) = self.taken.take() {
                done(taken.subbuf);
            }
            self.refill();
        }
    }

    /// Gives out the next item of the sub-buffer that is being read: its records, then what it
    /// says of losses, then the end of the stream.
    fn step(&mut self, cpu: usize) -> Option<Item<'_>> {
        let taken = self.taken.as_mut()?;
        let packet = *taken.subbuf.packet();
        if !taken.is_at_end() {
            let item = taken.step(cpu);
            self.delivered += u64::from(matches!(item, Item::Record { .. }));
            return Some(item);
        }
        if self.told != packet.lost {
            let before = packet.ordinal.wrapping_add(packet.records);
            let lost = packet.lost.since(&self.told);
            self.told = packet.lost;
            return Some(Item::Lost { cpu, before, lost });
        }
        self.ended = true;
        Some(Item::End {
            cpu,
            delivered: self.delivered,
            lost: packet.lost,
        })
    }
}

impl Taken {
    fn new(subbuf: SubBuffer<'static>) -> Self {
        let (offset, ticks) = look_ahead(&subbuf, 0);
        Self {
            offset,
            number: subbuf.packet().ordinal,
            ticks,
            subbuf,
        }
    }

    fn is_at_end(&self) -> bool {
        self.offset >= self.subbuf.records().len()
    }

    /// Gives out the next record, of which there is one.
    fn step(&mut self, cpu: usize) -> Item<'_> {
        let Self {
            subbuf,
            offset,
            number,
            ticks,
        } = self;
        let records = subbuf.records();
        let mut fields = Fields::new(records.get(*offset..).unwrap_or_default());
        let record = klog::next(&mut fields, subbuf.packet().begin_ticks);
        let (from, own) = (*offset, *number);
        // Behind something malformed the next record cannot be found.
        let after = match record {
            Ok(_) => from + fields.offset(),
            Err(_) => records.len(),
        };
        (*offset, *ticks) = look_ahead(subbuf, after);
        *number += 1;
        let malformed = match record {
            Ok(Some(record)) => {
                return Item::Record {
                    cpu,
                    number: own,
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
            number: own,
            malformed,
        }
    }
}

/// Where the next item of a sub-buffer begins, from `offset` on, and when it was logged: at the
/// end, and where a stamp is malformed, when the packet was closed. Looks at no more than the
/// record's stamp; no record is younger than its packet's end, whatever its stamp says.
fn look_ahead(subbuf: &SubBuffer<'static>, offset: usize) -> (usize, u64) {
    let (packet, records) = (subbuf.packet(), subbuf.records());
    let mut fields = Fields::new(records.get(offset..).unwrap_or_default());
    match fields.next_stamp() {
        Ok(Some(stamp)) => {
            let ticks = extend(stamp.time(), packet.begin_ticks);
            (offset, ticks.min(packet.end_ticks))
        }
        Ok(None) => (records.len(), packet.end_ticks),
        Err(_) => (offset, packet.end_ticks),
    }
}

#[cfg(test)]
mod tests;
