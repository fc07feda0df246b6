//! The console's lines that wait to be shown: so many, and no more.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use relay_decode::console::{Line, MAX_CPUS};

/// How much text may wait, in bytes.
const MAX_WAITING: usize = 1 << 20;

/// What each line costs beside its text, in bytes.
const LINE: usize = 64;

/// What a line is to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first line of a record: its CPU, number, and time in microseconds.
    Record(u32, u64, u64),
    /// It is about what came before a record, which packets tell, too: CPU and number.
    Before(u32, u64),
    /// It belongs to the record above.
    More,
    /// Anything else.
    Other,
}

impl Kind {
    /// What a line is.
    pub(super) fn of(line: &Line<'_>) -> Self {
        let is_known = |cpu: u32| (cpu as usize) < MAX_CPUS;
        match line {
            Line::Record(record) if is_known(record.cpu) => {
                Self::Record(record.cpu, record.number, record.time_us)
            }
            Line::Lost(notice) if is_known(notice.cpu) => Self::Before(notice.cpu, notice.before),
            Line::Skipped(notice) if is_known(notice.cpu) => {
                Self::Before(notice.cpu, notice.before)
            }
            Line::Continuation(_) | Line::Cut => Self::More,
            _ => Self::Other,
        }
    }
}

/// A line that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// When it came.
    pub(super) came: Instant,
    /// What it is.
    pub(super) kind: Kind,
    /// Its text, safe to show.
    pub(super) text: String,
}

/// Lines that found no room.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Records, by their CPU.
    pub(super) records: BTreeMap<u32, u64>,
    /// Lines that belong to no record.
    pub(super) others: u64,
}

impl Gap {
    /// Counts a line.
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Record(cpu, ..) => *self.records.entry(cpu).or_default() += 1,
            Kind::More => {}
            Kind::Before(..) | Kind::Other => self.others += 1,
        }
    }
}

/// So many records of which CPU.
pub(super) struct Counts<'a>(pub(super) &'a BTreeMap<u32, u64>);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self
            .0
            .values()
            .fold(0, |sum: u64, n| sum.saturating_add(*n));
        let noun = if total == 1 { "record" } else { "records" };
        write!(f, "{total} {noun} (")?;
        for (at, (cpu, count)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}cpu {cpu}: {count}")?;
        }
        f.write_str(")")
    }
}

/// The lines that wait. When there are too many, the oldest go: the end of a log is worth more.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The lines.
    queue: VecDeque<Waiting>,
    /// What they cost.
    bytes: usize,
    /// What went.
    gap: Gap,
}

impl Lines {
    /// Takes a line.
    pub(super) fn push(&mut self, line: Waiting) {
        self.bytes += LINE + line.text.len();
        self.queue.push_back(line);
        while self.bytes > MAX_WAITING {
            let Some(line) = self.pop() else { break };
            self.gap.add(line.kind);
        }
    }

    /// The next line.
    pub(super) fn front(&self) -> Option<&Waiting> {
        self.queue.front()
    }

    /// Takes the next line out.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let line = self.queue.pop_front()?;
        self.bytes -= LINE + line.text.len();
        Some(line)
    }

    /// What found no room before the next line; told once.
    pub(super) fn gap(&mut self) -> Option<Gap> {
        let gap = std::mem::take(&mut self.gap);
        (gap != Gap::default()).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_and_are_counted() {
        let mut lines = Lines::default();
        let texts = (0..20_000).map(|number| {
            let record = format!("[    1.000000] 3:{number} task INFO  m f.rs:1: x");
            [
                record,
                "            | more".to_owned(),
                "-- note".to_owned(),
            ]
        });
        for text in texts.flatten() {
            let kind = Kind::of(&Line::parse(&text));
            let came = Instant::now();
            lines.push(Waiting { came, kind, text });
            assert!(lines.bytes <= MAX_WAITING);
        }
        let gap = lines.gap().expect("there was no room for all");
        assert_eq!(lines.gap(), None);
        let (mut records, mut others) = (0, 0);
        while let Some(line) = lines.pop() {
            records += u64::from(matches!(line.kind, Kind::Record(..)));
            others += u64::from(line.kind == Kind::Other);
        }
        assert_eq!(lines.bytes, 0);
        assert!(records > 4000, "{records}");
        let gone = gap.records.get(&3).copied();
        assert_eq!(
            (gone, gap.others),
            (Some(20_000 - records), 20_000 - others)
        );
        let text = Counts(&[(0, 12), (3, 1)].into()).to_string();
        assert_eq!(text, "13 records (cpu 0: 12, cpu 3: 1)");
    }
}
