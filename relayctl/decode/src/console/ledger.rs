//! Checks the promise from the console text alone: for every CPU,
//! `attempted = delivered + lost + uncommitted`.
//!
//! What was delivered is counted here, by record number; what was attempted and
//! lost is the guest's claim, made when it closes a stream. Both must agree.

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
            Some(end) => end.attempted,
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

    /// Skipped numbers that neither a discarded nor an uncommitted record explains:
    /// only those two hold a number and are not printed.
    fn unexplained_gaps(&self) -> u64 {
        let lost = self.end.map_or(self.announced, |end| end.reasons);
        self.skipped()
            .saturating_sub(lost.get(Loss::Discarded))
            .saturating_sub(self.uncommitted)
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
        let explained = self
            .delivered
            .saturating_add(lost)
            .saturating_add(self.uncommitted);
        if end.attempted != explained {
            wrong.push(format!(
                "attempted {}, but {} delivered + {lost} lost + {} uncommitted = {explained}",
                end.attempted, self.delivered, self.uncommitted
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
            Line::End(notice) => self.on(notice.cpu, |s| s.ended(*notice)),
            Line::Uncommitted { cpu, count } => {
                self.on(*cpu, |s| {
                    s.uncommitted = s.uncommitted.saturating_add(*count)
                });
            }
            Line::NotClosed { cpu, printed } => self.on(*cpu, |s| s.printed = Some(*printed)),
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

    /// Lines about CPUs that cannot exist.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// The sums over all streams.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.streams.values().map(Stream::balance).sum()
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds console text and returns the ledger.
    fn ledger(text: &str) -> Ledger {
        let mut ledger = Ledger::new();
        for line in text.lines() {
            ledger.take(&Line::parse(line));
        }
        ledger
    }

    fn record(cpu: u32, number: u64) -> String {
        format!("[    1.000000] {cpu}:{number} task INFO  m f.rs:1: x\n")
    }

    fn end(cpu: u32, attempted: u64, delivered: u64, full: u64) -> String {
        format!(
            "-- cpu {cpu}: end of stream: attempted {attempted}, delivered {delivered}, \
             lost {full} (full {full}, too_big 0, wrapped 0, nested 0, closed 0, discarded 0)\n"
        )
    }

    fn broken(ledger: &Ledger) -> String {
        match ledger.verdict() {
            Verdict::Broken(reasons) => reasons.join("; "),
            other => panic!("should be broken, is {other:?}"),
        }
    }

    #[test]
    fn a_closed_stream_balances() {
        let text = record(0, 0) + &record(0, 1) + &end(0, 5, 2, 3);
        let ledger = ledger(&text);
        assert_eq!(ledger.verdict(), Verdict::Complete);
        let expected = Balance {
            attempted: 5,
            delivered: 2,
            lost: relay_format::Losses([3, 0, 0, 0, 0, 0]).into(),
            ..Balance::default()
        };
        assert_eq!(ledger.balance(), expected);
    }

    #[test]
    fn nothing_seen_proves_nothing() {
        assert_eq!(ledger("").verdict(), Verdict::Open);
    }

    #[test]
    fn a_stream_without_end_is_open() {
        let ledger = ledger(&(record(0, 0) + &record(1, 0) + &end(1, 1, 1, 0)));
        assert_eq!(ledger.verdict(), Verdict::Open);
        assert_eq!(ledger.balance().attempted, 2);
    }

    #[test]
    fn a_gap_is_unaccounted() {
        let gap = record(0, 0) + &record(0, 3);
        assert_eq!(ledger(&gap).balance().unaccounted, 2);
        assert!(broken(&ledger(&gap)).contains("cpu 0: 2 record numbers never came"));
        // Also when the guest claims to have delivered them.
        let closed = gap + &end(0, 4, 4, 0);
        assert_eq!(ledger(&closed).balance().unaccounted, 2);
        assert!(broken(&ledger(&closed)).contains("the guest delivered 4, the host received 2"));
    }

    #[test]
    fn a_missing_tail_is_unaccounted() {
        let ledger = ledger(&(record(0, 0) + &end(0, 4, 1, 0)));
        assert_eq!(ledger.balance().unaccounted, 3);
        assert!(broken(&ledger).contains("attempted 4, but 1 delivered + 0 lost"));
    }

    #[test]
    fn a_gap_of_discarded_records_is_explained() {
        let text = record(0, 0)
            + &record(0, 2)
            + "-- cpu 0: end of stream: attempted 3, delivered 2, lost 1 (full 0, discarded 1)\n";
        assert_eq!(ledger(&text).verdict(), Verdict::Complete);
    }

    #[test]
    fn late_and_double_records_are_told_apart() {
        let text = record(0, 0) + &record(0, 4) + &record(0, 2) + &record(0, 2) + &record(0, 4);
        let ledger = ledger(&text);
        let (_, stream) = ledger.streams().next().expect("one stream");
        assert_eq!(
            (stream.delivered, stream.out_of_order, stream.duplicates),
            (3, 1, 2)
        );
        assert_eq!(stream.skipped(), 2);
    }

    #[test]
    fn time_may_not_run_backward_within_a_cpu() {
        let early = "[    0.500000] 0:1 task INFO  m f.rs:1: x\n";
        assert!(broken(&ledger(&(record(0, 0) + early))).contains("stamped earlier"));
        // Another CPU's clock is another stream's business.
        let other = "[    0.500000] 1:0 task INFO  m f.rs:1: x\n";
        assert_eq!(ledger(&(record(0, 0) + other)).verdict(), Verdict::Open);
    }

    #[test]
    fn more_losses_announced_than_claimed_is_broken() {
        let text = record(0, 0)
            + "-- cpu 0: 7 records lost before 0:1 (full 7)\n"
            + &record(0, 1)
            + &end(0, 5, 2, 3);
        assert!(broken(&ledger(&text)).contains("7 losses (full) were announced"));
    }

    #[test]
    fn losses_by_reason_must_add_up() {
        let text = record(0, 0)
            + "-- cpu 0: end of stream: attempted 4, delivered 1, lost 3 (full 2, closed 2)\n";
        assert!(broken(&ledger(&text)).contains("3 records lost in all, but 4 by reason"));
    }

    #[test]
    fn a_panic_leaves_streams_open() {
        let text = record(2, 0)
            + "-- cpu 2: 1 records uncommitted at panic\n"
            + "-- cpu 2: stream is not closed, 1 records printed\n";
        let good = ledger(&text);
        assert_eq!(good.verdict(), Verdict::Open);
        let expected = Balance {
            attempted: 2,
            delivered: 1,
            uncommitted: 1,
            ..Balance::default()
        };
        assert_eq!(good.balance(), expected);
        assert!(
            broken(&ledger(
                &text.replace("1 records printed", "2 records printed")
            ))
            .contains("says it printed 2")
        );
    }

    #[test]
    fn a_record_that_was_cut_off_comes_again() {
        let cut = record(0, 0) + &record(0, 1) + "-- the line above was cut off\n";
        let good = ledger(&(cut.clone() + &record(0, 1) + &record(0, 2)));
        assert_eq!(
            (good.verdict(), good.balance().delivered),
            (Verdict::Open, 3)
        );
        // Once, and no other one.
        assert!(broken(&ledger(&(cut.clone() + &record(0, 1) + &record(0, 1)))).contains("twice"));
        assert!(broken(&ledger(&(cut + &record(0, 0)))).contains("twice"));
    }

    #[test]
    fn a_stream_ends_once() {
        let twice = record(0, 0) + &end(0, 1, 1, 0) + &end(0, 1, 1, 0);
        assert!(broken(&ledger(&twice)).contains("1 ends of a stream that had ended"));
        let after = end(0, 1, 1, 0) + &record(0, 0);
        assert!(broken(&ledger(&after)).contains("after the end"));
    }

    #[test]
    fn absurd_claims_are_bounded() {
        let mut text = record(4_000_000, 0) + &record(0, u64::MAX) + &record(0, u64::MAX - 1);
        for n in 0..2000 {
            text += &record(1, n * 2);
        }
        text += &end(1, u64::MAX, u64::MAX, u64::MAX);
        let ledger = ledger(&text);
        assert_eq!(ledger.foreign(), 1);
        assert!(ledger.streams().all(|(_, s)| s.gaps.len() <= MAX_GAPS));
        assert!(matches!(ledger.verdict(), Verdict::Broken(_)));
        let _ = ledger.balance();
    }

    proptest! {
        /// Against a simple model: a set of all numbers seen.
        #[test]
        fn delivered_is_what_a_set_would_count(numbers in prop::collection::vec(0u64..60, 0..120)) {
            let text: String = numbers.iter().map(|n| record(0, *n)).collect();
            let ledger = ledger(&text);
            let seen: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
            let balance = ledger.balance();
            prop_assert_eq!(balance.delivered, seen.len() as u64);
            let highest = seen.last().map_or(0, |n| n + 1);
            prop_assert_eq!(balance.unaccounted, highest - seen.len() as u64);
            let in_order = numbers.windows(2).all(|w| w[0] + 1 == w[1])
                && numbers.first().is_none_or(|n| *n == 0);
            prop_assert_eq!(matches!(ledger.verdict(), Verdict::Broken(_)), !in_order);
        }
    }
}
