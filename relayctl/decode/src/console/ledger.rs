//! Checks the promise from the console text alone: for every CPU,
//! `attempted = delivered + lost + uncommitted`.
//!
//! What was delivered is counted here, by record number; what was attempted and
//! lost is the guest's claim, made when it closes a stream. Both must agree. What the console was
//! too slow for it says where it was: these records are the capture's to prove.

use std::collections::BTreeMap;

use relay_format::{Context, Loss, Severity};

use super::line::{EndNotice, Line, LostNotice, Record};
use crate::balance::{Balance, Lost, Verdict};

/// CPUs that are told apart. More than any machine QEMU offers here; a guest
/// that claims more gets its records counted as [`Ledger::foreign`].
pub const MAX_CPUS: usize = 1024;

/// Separate gaps in one stream's numbers that are remembered, so that a record
/// which comes late can be told from one which comes twice.
const MAX_GAPS: usize = 256;

/// What was seen of one CPU's stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Different records that were seen.
    pub delivered: u64,
    /// One more than the highest record number seen.
    pub next: u64,
    /// Records that were seen again.
    pub duplicates: u64,
    /// Records that came after one with a higher number.
    pub out_of_order: u64,
    /// Records stamped earlier than the record before them.
    pub backward_stamps: u64,
    /// Records by severity, in the order of [`Severity::ALL`].
    pub severities: [u64; Severity::ALL.len()],
    /// Records by context, in the order of [`Context::ALL`].
    pub contexts: [u64; Context::ALL.len()],
    /// Losses that were announced between records.
    pub announced: Lost,
    /// Records that the console says it was too slow for.
    pub passed_over: u64,
    /// Records that were reserved but not committed when the machine panicked.
    pub uncommitted: u64,
    /// The guest's account of the stream, made when it was closed.
    pub end: Option<EndNotice>,
    /// In a panic: how many records the guest says it printed.
    pub printed: Option<u64>,
    /// Number ranges that were skipped, `(first, behind last)`, ascending.
    gaps: Vec<(u64, u64)>,
    /// Time of the last record in microseconds.
    last_time_us: u64,
    /// Records that came after the end of their stream.
    after_end: u64,
    /// A record that may come once more, because it was cut off.
    repeat: Option<u64>,
    /// Further ends of a stream that had ended.
    extra_ends: u64,
}

impl Stream {
    /// Takes the stream's next record.
    fn record(&mut self, record: &Record<'_>) {
        match record.number {
            // A number that leaves no room for the count behind it is no number.
            u64::MAX => self.out_of_order += 1,
            number if number >= self.next => {
                if number > self.next && self.gaps.len() < MAX_GAPS {
                    self.gaps.push((self.next, number));
                }
                self.next = number + 1;
                self.delivered += 1;
            }
            number if self.fill(number) => {
                self.out_of_order += 1;
                self.delivered += 1;
            }
            number => {
                self.duplicates += u64::from(self.repeat.take() != Some(number));
                return;
            }
        }
        self.after_end += u64::from(self.end.is_some());
        self.backward_stamps += u64::from(record.time_us < self.last_time_us);
        self.last_time_us = record.time_us;
        self.severities[record.severity as usize] += 1;
        self.contexts[record.context as usize] += 1;
    }

    /// Takes a number out of the gaps; false if it is in none.
    fn fill(&mut self, number: u64) -> bool {
        let Some(at) = self
            .gaps
            .iter()
            .position(|&(from, to)| from <= number && number < to)
        else {
            return false;
        };
        let (from, to) = self.gaps.remove(at);
        if number + 1 < to {
            self.gaps.insert(at, (number + 1, to));
        }
        if from < number {
            self.gaps.insert(at, (from, number));
        }
        self.gaps.truncate(MAX_GAPS);
        true
    }

    /// Takes a notice of losses.
    fn lost(&mut self, notice: &LostNotice) {
        self.announced += notice.reasons;
    }

    /// Takes the end of the stream.
    fn ended(&mut self, notice: EndNotice) {
        self.extra_ends += u64::from(self.end.is_some());
        self.end = Some(notice);
    }

    /// Record numbers below the highest one seen that were not seen.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.next.saturating_sub(self.delivered)
    }

    /// The stream's sums. Of an open stream only what was seen or announced is
    /// known to have been attempted.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let lost = self.end.map_or(self.announced, |end| end.reasons);
        let explained = self
            .delivered
            .saturating_add(lost.total())
            .saturating_add(self.uncommitted);
        let attempted = match self.end {
            // What it was too slow for was not the console's to deliver.
            Some(end) => end.attempted.saturating_sub(end.skipped),
            None => explained.saturating_add(self.unexplained_gaps()),
        };
        Balance {
            attempted,
            delivered: self.delivered,
            lost,
            overwritten: 0,
            uncommitted: self.uncommitted,
            unaccounted: attempted
                .saturating_sub(explained)
                .max(self.unexplained_gaps()),
        }
    }

    /// Skipped numbers that are not explained: by the console, which was too slow, or by a
    /// discarded or an uncommitted record. Only those hold a number and are not printed.
    fn unexplained_gaps(&self) -> u64 {
        let lost = self.end.map_or(self.announced, |end| end.reasons);
        self.skipped()
            .saturating_sub(lost.get(Loss::Discarded))
            .saturating_sub(self.uncommitted)
            .saturating_sub(self.passed_over)
    }

    /// How far the promise is proven for this stream.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut wrong = Vec::new();
        let mut check = |count: u64, what: &str| {
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        };
        check(self.unexplained_gaps(), "record numbers never came");
        check(self.duplicates, "records came twice");
        check(self.out_of_order, "records came out of order");
        check(
            self.backward_stamps,
            "records are stamped earlier than the record before them",
        );
        check(self.after_end, "records came after the end of the stream");
        check(self.extra_ends, "ends of a stream that had ended");
        if let Some(printed) = self.printed
            && printed != self.delivered
        {
            wrong.push(format!(
                "the guest says it printed {printed} records, {} came",
                self.delivered
            ));
        }
        if let Some(end) = &self.end {
            self.check_claims(end, &mut wrong);
        }
        Verdict::of(wrong, self.end.is_none())
    }

    /// Compares the guest's account with what was seen.
    fn check_claims(&self, end: &EndNotice, wrong: &mut Vec<String>) {
        let lost = end.reasons.total();
        if lost != end.lost {
            let claimed = end.lost;
            wrong.push(format!(
                "{claimed} records lost in all, but {lost} by reason"
            ));
        }
        if end.delivered != self.delivered {
            wrong.push(format!(
                "the guest delivered {}, the host received {}",
                end.delivered, self.delivered
            ));
        }
        if end.skipped != self.passed_over {
            wrong.push(format!(
                "the guest says that it skipped {} records, and named {}",
                end.skipped, self.passed_over
            ));
        }
        let explained = self
            .delivered
            .saturating_add(lost)
            .saturating_add(self.uncommitted);
        if end.attempted.saturating_sub(end.skipped) != explained {
            wrong.push(format!(
                "attempted {}, but {} delivered + {} skipped + {lost} lost + {} uncommitted",
                end.attempted, self.delivered, end.skipped, self.uncommitted
            ));
        }
        for ((reason, announced), (_, total)) in
            self.announced.named().into_iter().zip(end.reasons.named())
        {
            if announced > total {
                wrong.push(format!(
                    "{announced} losses ({reason}) were announced, the end says {total}"
                ));
            }
        }
    }
}

/// The streams of all CPUs.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What was seen, by CPU.
    streams: BTreeMap<u32, Stream>,
    /// Records lost on CPUs without a ring, as the console says at its end.
    no_ring: u64,
    /// Lines about CPUs beyond [`MAX_CPUS`].
    foreign: u64,
    /// CPU and number of the last record.
    last: Option<(u32, u64)>,
}

impl Ledger {
    /// Creates a ledger that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line of console text. Lines that are neither records nor
    /// notices about a stream do not count.
    pub fn take(&mut self, line: &Line<'_>) {
        match line {
            Line::Record(record) => {
                self.last = Some((record.cpu, record.number));
                self.on(record.cpu, |s| s.record(record));
            }
            Line::Cut => {
                if let Some((cpu, number)) = self.last.take() {
                    self.on(cpu, |s| s.repeat = Some(number));
                }
            }
            Line::Lost(notice) => self.on(notice.cpu, |s| s.lost(notice)),
            Line::Skipped(notice) => self.on(notice.cpu, |s| {
                s.passed_over = s.passed_over.saturating_add(notice.skipped);
            }),
            Line::End(notice) => self.on(notice.cpu, |s| s.ended(*notice)),
            Line::Uncommitted { cpu, count } => {
                self.on(*cpu, |s| {
                    s.uncommitted = s.uncommitted.saturating_add(*count)
                });
            }
            Line::NotClosed { cpu, printed } => self.on(*cpu, |s| s.printed = Some(*printed)),
            Line::NoRing(count) => self.no_ring = self.no_ring.saturating_add(*count),
            Line::Continuation(_) | Line::Notice(_) | Line::Fallback(_) | Line::Text(_) => {}
        }
    }

    /// Applies `change` to a CPU's stream.
    fn on(&mut self, cpu: u32, change: impl FnOnce(&mut Stream)) {
        if usize::try_from(cpu).is_ok_and(|cpu| cpu < MAX_CPUS) {
            change(self.streams.entry(cpu).or_default());
        } else {
            self.foreign += 1;
        }
    }

    /// The streams by CPU, ascending.
    pub fn streams(&self) -> impl Iterator<Item = (u32, &Stream)> {
        self.streams.iter().map(|(cpu, stream)| (*cpu, stream))
    }

    /// How many CPUs have said something, if any.
    #[must_use]
    pub fn cpus(&self) -> Option<u32> {
        let cpus = u32::try_from(self.streams.len()).ok();
        cpus.filter(|cpus| *cpus > 0)
    }

    /// Lines about CPUs that cannot exist.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Records that the console says it was too slow for.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        let streams = self.streams.values().map(|stream| stream.passed_over);
        streams.fold(0, u64::saturating_add)
    }

    /// The sums over all streams.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let ringless = Balance {
            attempted: self.no_ring,
            lost: Lost {
                no_ring: self.no_ring,
                ..Lost::default()
            },
            ..Balance::default()
        };
        let streams = self.streams.values().map(Stream::balance);
        streams.chain([ringless]).sum()
    }

    /// The verdict over all streams.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let foreign = match self.foreign {
            0 => Vec::new(),
            lines => vec![format!("{lines} lines about CPUs beyond {MAX_CPUS}")],
        };
        let streams = self.streams.iter().map(|(cpu, stream)| {
            let problems = |problem| format!("cpu {cpu}: {problem}");
            match stream.verdict() {
                Verdict::Broken(wrong) => {
                    Verdict::Broken(wrong.into_iter().map(problems).collect())
                }
                sound => sound,
            }
        });
        Verdict::of_all(foreign, streams)
    }
}

#[cfg(test)]
mod tests;
