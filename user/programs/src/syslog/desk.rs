//! All streams, merged by time, told to syslog and handed on.
//!
//! A turn takes packets, makes messages of the oldest records, writes them with the marks of their
//! streams, and hands on the packets whose records were all told.
//!
//! **Order.** The oldest record of all streams comes first. It is held back while a stream that has
//! none may still bring an older one: until its quiet time has passed, or [`PATIENCE_NS`]. Where a
//! stream holds as many packets as it can, nothing is held back any more: its CPU would lose records.
//!
//! **Nobody waits for syslog.** If it takes nothing for [`STUCK_NS`], or for [`MOMENT_NS`] while a
//! stream holds as many packets as it can, what waits is passed over, and so is what comes, until
//! there is room again. How many records that are is counted.

use alloc::vec::Vec;
use core::fmt;

use relay_abi::{Error, Mark, PollItem, SYSLOG_BYTES, ready};

use super::classes::Classes;
use super::date::Clock;
use super::feed::{Feed, Stream};
use super::message;

/// How long a record is held back for older ones, in nanoseconds.
pub const PATIENCE_NS: u64 = 200_000_000;
/// How long syslog may take nothing.
pub const STUCK_NS: u64 = 1_000_000_000;
/// How long, where the capture would wait for it.
pub const MOMENT_NS: u64 = 20_000_000;

/// The way to syslog.
pub trait Way {
    /// Sends messages, and sets marks: all, or nothing.
    ///
    /// # Errors
    /// The kernel's: `Again` if there is no room.
    fn write(&mut self, messages: &[u8], marks: &[Mark]) -> Result<(), Error>;

    /// Whether there is room for messages.
    fn has_room(&mut self) -> bool;

    /// Its handle, for waiting.
    fn handle(&self) -> u32;
}

/// Whether syslog listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ear {
    /// It does.
    Open,
    /// It has had no room since then, in ticks.
    Stuck(u64),
    /// What comes is passed over until it has some.
    Deaf,
}

/// What a turn has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Something has moved: there may be more.
    pub has_moved: bool,
    /// Records are held back.
    pub is_holding: bool,
}

/// All of it.
pub struct Desk<S: Stream, W> {
    feeds: Vec<Feed<S>>,
    way: Option<W>,
    classes: Classes,
    clock: Clock,
    /// Messages that were not taken yet, and how many.
    out: Vec<u8>,
    count: u64,
    ear: Ear,
    marks: Vec<Mark>,
    /// Records told, and passed over.
    told: u64,
    unsaid: u64,
}

impl<S: Stream, W: Way> Desk<S, W> {
    /// Tells of these streams by that way; without one, only hands packets on.
    #[must_use]
    pub fn new(feeds: Vec<Feed<S>>, way: Option<W>, classes: Classes, clock: Clock) -> Self {
        Self {
            feeds,
            way,
            classes,
            clock,
            out: Vec::with_capacity(SYSLOG_BYTES),
            count: 0,
            ear: Ear::Open,
            marks: Vec::new(),
            told: 0,
            unsaid: 0,
        }
    }

    /// Records that were told, and that were passed over because syslog did not listen or because
    /// they could not be read.
    #[must_use]
    pub fn counts(&self) -> [u64; 2] {
        [self.told, self.unsaid]
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether all streams have ended, and everything was handed on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.feeds.iter().all(Feed::is_done)
    }

    /// Whether all that was written before a time, in ticks, was told, or passed over.
    #[must_use]
    pub fn is_caught_up(&self, ticks: u64) -> bool {
        self.feeds.iter().all(|feed| feed.is_caught_up(ticks))
    }

    /// What is to be waited for, as many as there is room for.
    pub fn wanted(&self, items: &mut Vec<PollItem>, most: usize) {
        items.clear();
        let item = |handle, wanted| PollItem {
            handle,
            wanted,
            found: 0,
        };
        if let Some(way) = &self.way
            && self.ear != Ear::Open
        {
            items.push(item(way.handle(), ready::WRITABLE));
        }
        for feed in &self.feeds {
            let more = match feed.wants_more() {
                true => ready::READABLE | ready::ENDED,
                false => 0,
            };
            let room = if feed.is_blocked() {
                ready::WRITABLE
            } else {
                0
            };
            if more | room != 0 && items.len() < most {
                items.push(item(feed.stream.handle(), more | room));
            }
        }
    }

    /// Takes, tells and hands on. The time is `now`, in ticks.
    ///
    /// # Errors
    /// [`Error::Killed`].
    pub fn turn(&mut self, now: u64) -> Result<Turn, Error> {
        let mut has_moved = false;
        for feed in &mut self.feeds {
            has_moved |= feed.refill(&mut self.classes)?;
        }
        let is_holding = match self.listens() {
            true => self.fill(now),
            false => {
                self.skip();
                false
            }
        };
        has_moved |= self.send(now)?;
        for feed in &mut self.feeds {
            has_moved |= feed.submit()?;
        }
        Ok(Turn {
            has_moved,
            is_holding,
        })
    }

    /// Whether there is somebody to tell.
    fn listens(&mut self) -> bool {
        let Some(way) = &mut self.way else {
            return false;
        };
        if self.ear == Ear::Deaf && way.has_room() {
            self.ear = Ear::Open;
        }
        self.ear != Ear::Deaf
    }

    /// Makes messages, as long as there is room. True: records are held back.
    fn fill(&mut self, now: u64) -> bool {
        let patience = now.saturating_sub(self.clock.ticks(PATIENCE_NS));
        while self.out.len() + message::MOST <= SYSLOG_BYTES {
            let (place, until) = match self.oldest(patience) {
                Ok(found) => found,
                Err(is_holding) => return is_holding,
            };
            let (classes, clock) = (&mut self.classes, &mut self.clock);
            let (feed, out) = (&mut self.feeds[place], &mut self.out);
            if let Some((found, missing)) = feed.take_gap() {
                message::write_gap(out, clock, &found, missing);
                self.unsaid += missing;
                continue;
            }
            while out.len() + message::MOST <= SYSLOG_BYTES
                && feed.time().is_ok_and(|time| time <= until)
                && !feed.has_gap()
            {
                let is_told = feed.tell(classes, |found, record| {
                    message::write(out, clock, found, record);
                });
                self.count += u64::from(is_told);
            }
            self.unsaid += feed.take_unreadable();
        }
        false
    }

    /// The stream with the oldest record, and up to when it has the oldest. Without one: whether one
    /// is held back.
    fn oldest(&self, patience: u64) -> Result<(usize, u64), bool> {
        let (mut oldest, mut second, mut horizon) = (None, u64::MAX, u64::MAX);
        let (mut is_pressed, mut is_asked) = (false, true);
        for (place, feed) in self.feeds.iter().enumerate() {
            is_pressed |= feed.is_held_back();
            match (feed.time(), oldest) {
                (Ok(time), Some((_, before))) if time >= before => second = second.min(time),
                (Ok(time), before) => {
                    second = before.map_or(second, |(_, before)| second.min(before));
                    oldest = Some((place, time));
                }
                (Err(quiet), _) => {
                    horizon = horizon.min(quiet);
                    is_asked &= !feed.is_at_limit();
                }
            }
        }
        let (place, time) = oldest.ok_or(false)?;
        // If a stream cannot go on, the oldest that there is must. Not if others have just been read
        // to their end: more of them may be there.
        let limit = match is_pressed && is_asked && self.out.is_empty() {
            true => u64::MAX,
            false => horizon.max(patience),
        };
        match time <= limit {
            true => Ok((place, second.min(limit))),
            false => Err(true),
        }
    }

    /// Passes over all that there is.
    fn skip(&mut self) {
        let skipped: u64 = self.feeds.iter_mut().map(Feed::skip).sum();
        if self.way.is_some() {
            self.unsaid += skipped;
        }
    }

    /// Sends what there is. True: it was taken.
    fn send(&mut self, now: u64) -> Result<bool, Error> {
        self.marks.clear();
        let marks = self.feeds.iter().filter(|feed| feed.number() > feed.told);
        self.marks.extend(marks.map(|feed| Mark {
            file: feed.stream.handle(),
            zero: 0,
            told: feed.number(),
        }));
        if self.marks.is_empty() {
            return Ok(false);
        }
        let Some(way) = &mut self.way else {
            // There is nobody who would be told twice.
            self.told_all();
            return Ok(true);
        };
        let error = match way.write(&self.out, &self.marks) {
            Ok(()) => {
                self.told += self.count;
                if !self.out.is_empty() {
                    self.ear = Ear::Open;
                }
                self.told_all();
                return Ok(true);
            }
            Err(error) => error,
        };
        let since = match (error, self.ear) {
            (Error::Killed, _) => return Err(Error::Killed),
            // It never takes anything again.
            (error, _) if error != Error::Again => 0,
            (_, Ear::Stuck(since)) => since,
            _ => {
                self.ear = Ear::Stuck(now);
                now
            }
        };
        let waited = self.clock.nanoseconds(now.saturating_sub(since));
        let is_pressed = self.feeds.iter().any(Feed::is_at_limit);
        if since != 0 && waited < if is_pressed { MOMENT_NS } else { STUCK_NS } {
            return Ok(false);
        }
        self.ear = Ear::Deaf;
        self.out.clear();
        self.unsaid += core::mem::take(&mut self.count);
        match way.write(&[], &self.marks) {
            Err(Error::Killed) => return Err(Error::Killed),
            // Without the marks the next one may tell some of this, which was not told.
            Err(_) | Ok(()) => self.told_all(),
        }
        Ok(true)
    }

    /// What was read is told, or passed over, for good.
    fn told_all(&mut self) {
        self.out.clear();
        self.count = 0;
        for feed in &mut self.feeds {
            feed.told = feed.number();
        }
    }
}

impl<S: Stream, W> fmt::Debug for Desk<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("ear", &self.ear)
            .field("told", &self.told)
            .field("unsaid", &self.unsaid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
