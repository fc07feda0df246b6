//! The open entries of a stream, and what its exits belong to.

use std::collections::HashMap;
use std::fmt;

use relay_format::Context;

use super::why::{Gap, Why};
use crate::records::Value;
use crate::wire::Header;

/// The most entries that are open at a time. Interrupts in interrupts are far fewer: more of them
/// are entries whose exits nobody writes.
pub const MAX_OPEN: usize = 64;

/// An end of something, by its class.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// What has the end.
    pub(super) kind: u32,
    /// Which end.
    pub(super) is_entry: bool,
    /// Whether the first field tells one such thing from another.
    pub(super) has_key: bool,
}

/// An entry without an exit yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: u32,
    key: Option<i128>,
    class: u16,
    number: u64,
    ticks: u64,
    context: Context,
    is_shown: bool,
}

/// The entry of an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its number in the stream.
    pub entry: u64,
    /// When it was, in ticks.
    pub begin: u64,
    /// How many such things lay in each other, as far as their entries are known, this one counted:
    /// from 1.
    pub depth: usize,
}

/// A record that something lasts since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Its CPU.
    pub cpu: u32,
    /// Its number in the stream of that.
    pub number: u64,
    /// When it was, in nanoseconds after the machine's start.
    pub ns: u64,
}

/// What lasts from one record of a thread to another one, maybe on another CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A system call.
    Call,
    /// A wake-up, from the waker to the run queue.
    Waking,
    /// A message, until somebody took it.
    Sent,
    /// A message, until it was answered.
    Asked,
}

/// What is known of a record that is one end of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// An exit, with its entry.
    Exit(Pair),
    /// The end of what a thread did, with its beginning.
    Since(Link, Since),
    /// A CPU's switch from one thread to another: since when the one had run, and, if it was woken,
    /// since when the other was.
    Switch {
        /// Since when the thread has run that is left.
        ran: Option<Since>,
        /// Since when the thread waits for its CPU that runs now.
        woken: Option<Since>,
    },
    /// An exit whose entry is not known.
    NoEntry(Why),
    /// An entry whose exit will not be known.
    NoExit(Why),
}

/// What is not known, and why; of a pair nothing.
impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(_) | Self::Since(..) | Self::Switch { .. } => Ok(()),
            Self::NoEntry(Why::Gap(gap)) => write!(f, "entry lost: {gap} before it"),
            Self::NoEntry(why) => write!(f, "no entry: {why}"),
            Self::NoExit(Why::Gap(gap)) => write!(f, "not paired: {gap} beside it"),
            Self::NoExit(why) => write!(f, "no exit: {why}"),
        }
    }
}

/// An entry whose exit is not known, found out when it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// The number of its class.
    pub class: u16,
    /// Its number in the stream.
    pub number: u64,
    /// When it was, in ticks; in nanoseconds, if it is what a thread did.
    pub ticks: u64,
    /// Why.
    pub why: Why,
    /// Whether it was [said](Pairing::note_shown) to be shown.
    pub is_shown: bool,
}

/// Pairs the records of one stream as they come.
#[derive(Clone, Debug, Default)]
pub struct Pairing {
    /// Classes that are ends.
    ends: HashMap<u16, End>,
    /// What is open, from the outside.
    open: Vec<Open>,
    /// The records that were lost while the packet was written that is read.
    doubt: Option<Gap>,
    /// The last gap before what is read.
    gap: Option<Gap>,
    /// Whether a task ran since: no interrupt is open that was entered before the gap.
    is_settled: bool,
    /// Entries whose exits are not known, not yet taken.
    unclosed: Vec<Unclosed>,
}

impl Pairing {
    /// Pairs classes of these numbers: entry and exit.
    #[must_use]
    pub fn new(classes: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let has_key = false;
        let ends = (0..).zip(classes).flat_map(|(kind, (entry, exit))| {
            [(entry, true), (exit, false)].map(|(class, is_entry)| {
                let end = End {
                    kind,
                    is_entry,
                    has_key,
                };
                (class, end)
            })
        });
        Self::with(ends.collect())
    }

    /// Pairs these classes.
    pub(super) fn with(ends: HashMap<u16, End>) -> Self {
        Self {
            ends,
            ..Self::default()
        }
    }

    /// Takes the header of the next packet, whose records follow, and that of the packet before it.
    pub fn packet(&mut self, last: Option<&Header>, header: &Header) {
        let before = last.map_or(0, |last| last.ordinal.saturating_add(last.records));
        let number = last.map_or(0, |last| last.number.saturating_add(1));
        let missing = header.ordinal.saturating_sub(before);
        if missing > 0 || header.number > number {
            self.gap(Gap::Missing(missing));
        }
        let lost = |header: &Header| header.lost.total().saturating_add(header.uncommitted);
        let lost = lost(header).saturating_sub(last.map_or(0, lost));
        self.lost(lost);
    }

    /// So many records were lost while the packet was written whose records follow.
    pub fn lost(&mut self, records: u64) {
        if let Some(gap) = self.doubt.take() {
            self.gap(gap);
        }
        if records > 0 {
            let gap = Gap::Lost(records);
            self.gap(gap);
            self.doubt = Some(gap);
        }
    }

    /// Something is not there of the stream, here.
    pub fn gap(&mut self, gap: Gap) {
        self.close(0, Why::Gap(gap));
        self.gap = Some(gap);
        self.is_settled = false;
    }

    /// Takes a record: the number of its class, its own number in the stream, its time, context and
    /// fields. What is known of it, if it is an end of something.
    pub fn record(
        &mut self,
        class: u16,
        number: u64,
        ticks: u64,
        context: Context,
        values: &[Value<'_>],
    ) -> Option<Fit> {
        let fit = self.fit(class, number, ticks, context, values);
        if context == Context::Task {
            self.is_settled = true;
        }
        fit
    }

    fn fit(
        &mut self,
        class: u16,
        number: u64,
        ticks: u64,
        context: Context,
        values: &[Value<'_>],
    ) -> Option<Fit> {
        let end = self.ends.get(&class).copied();
        if let Some(gap) = self.doubt {
            let why = Why::Gap(gap);
            return Some(match end?.is_entry {
                true => Fit::NoExit(why),
                false => Fit::NoEntry(why),
            });
        }
        let key = end.filter(|end| end.has_key).and_then(|_| values.first());
        let key = key.and_then(Value::as_integer);
        if let Some(End {
            kind,
            is_entry: false,
            ..
        }) = end
        {
            let is_own = |open: &Open| open.kind == kind && open.key == key;
            let Some(at) = self.open.iter().rposition(is_own) else {
                let is_before = context == Context::Task || !self.is_settled;
                let gap = self.gap.filter(|_| is_before);
                return Some(Fit::NoEntry(gap.map_or(Why::Unwritten, Why::Gap)));
            };
            // What was entered in it was left, too.
            self.close(at + 1, Why::Unwritten);
            let entry = self.open.pop()?;
            return Some(Fit::Exit(Pair {
                entry: entry.number,
                begin: entry.ticks,
                depth: at + 1,
            }));
        }
        // An interrupt is over when what it interrupted goes on.
        let is_going_on = |open: &Open| open.context > context;
        if let Some(at) = self.open.iter().position(is_going_on) {
            self.close(at, Why::Unwritten);
        }
        let end = end?;
        if self.open.len() == MAX_OPEN {
            let outermost = self.open.remove(0);
            self.note(outermost, Why::TooMany);
        }
        self.open.push(Open {
            kind: end.kind,
            key,
            class,
            number,
            ticks,
            context,
            is_shown: false,
        });
        None
    }

    /// Notes that the record that was taken last is shown to somebody.
    pub fn note_shown(&mut self, number: u64) {
        if let Some(last) = self.open.last_mut().filter(|last| last.number == number) {
            last.is_shown = true;
        }
    }

    /// The stream is at its end.
    pub fn finish(&mut self) {
        self.close(0, Why::End);
    }

    /// The entries whose exits are not known, as far as that was found out since they were taken
    /// last. Until then they are kept.
    pub fn take_unclosed(&mut self) -> Vec<Unclosed> {
        std::mem::take(&mut self.unclosed)
    }

    /// Gives up what is open from a place on.
    fn close(&mut self, from: usize, why: Why) {
        for open in self.open.split_off(from.min(self.open.len())) {
            self.note(open, why);
        }
    }

    fn note(&mut self, open: Open, why: Why) {
        self.unclosed.push(Unclosed {
            class: open.class,
            number: open.number,
            ticks: open.ticks,
            why,
            is_shown: open.is_shown,
        });
    }
}
