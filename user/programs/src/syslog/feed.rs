//! One stream on its way to syslog, and how far it was read.
//!
//! ```text
//! taken from the kernel      read           told           submitted: gone
//! held: [ packet, packet, packet, ... ]     number >= told
//! ```
//!
//! Packets are held until all their records were told, and then handed on in their order. What is
//! held when the program dies the kernel has again, and the next one takes it again: it goes on with
//! the record that the stream's mark names.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use relay_abi::Error;
use relay_format::packet::{self, Header};
use relay_format::stamp::{Stamp, extend};
use relay_rt::relay::record::Fields;

use super::classes::Classes;
use super::message::Found;
use super::record::{self, Record};

/// A stream, as the kernel gives it to who drains it.
pub trait Stream {
    /// A packet that was taken. Dropping it gives it back to the stream, in its place.
    type Packet: Held;

    /// The handle, for marks and for waiting.
    fn handle(&self) -> u32;

    /// Takes the next packet.
    ///
    /// # Errors
    /// The kernel's: `Again`, `Ended`.
    fn take(&self) -> Result<Self::Packet, Error>;

    /// A time in ticks: what could not be taken then is not older.
    ///
    /// # Errors
    /// The kernel's.
    fn quiet_since(&self) -> Result<u64, Error>;
}

/// A packet that was taken.
pub trait Held: Sized {
    /// Its bytes where they lie, if they can be seen there.
    fn bytes(&self) -> Option<&[u8]>;

    /// A copy of them.
    ///
    /// # Errors
    /// The kernel's.
    fn copy(&self) -> Result<Vec<u8>, Error>;

    /// Has it leave the machine.
    ///
    /// # Errors
    /// The kernel's, with the packet: `Again` if there is no room.
    fn submit(self) -> Result<(), (Error, Self)>;
}

/// A packet, and what is known of it.
struct Taken<P> {
    packet: P,
    /// Its bytes, if they cannot be seen where they lie.
    copy: Option<Vec<u8>>,
    /// The number of its channel.
    channel: u32,
    /// When it was opened and closed, in ticks.
    begin: u64,
    end: u64,
    /// The numbers of its first record, and of the first behind it; 0: it has none.
    first: u64,
    behind: u64,
}

impl<P: Held> Taken<P> {
    fn new(packet: P) -> Result<Self, Error> {
        let copy = match packet.bytes() {
            Some(_) => None,
            None => Some(packet.copy()?),
        };
        let mut taken = Self {
            packet,
            copy,
            channel: 0,
            begin: 0,
            end: 0,
            first: 0,
            behind: 0,
        };
        if let Some(header) = taken.bytes().first_chunk() {
            let header = Header::from_bytes(header);
            taken.channel = header.stream_id;
            (taken.begin, taken.end) = (header.timestamp_begin, header.timestamp_end);
            taken.first = header.ordinal;
            // One without records is done with as soon as it comes.
            taken.behind = match header.records {
                0 => 0,
                records => header.ordinal.saturating_add(records),
            };
        }
        Ok(taken)
    }

    fn bytes(&self) -> &[u8] {
        let copy = self.copy.as_deref();
        copy.or_else(|| self.packet.bytes()).unwrap_or_default()
    }

    /// What is behind the header, from a place on.
    fn rest(&self, at: usize) -> &[u8] {
        self.bytes().get(packet::SIZE + at..).unwrap_or_default()
    }
}

/// The place of the record that comes next.
#[derive(Clone, Copy, Debug)]
struct Next {
    stamp: Stamp,
    /// When it was written, in ticks.
    ticks: u64,
    /// Where it begins behind its stamp, in bytes behind the header.
    at: usize,
}

/// How far one packet was read.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// Which of those that are held it is; behind the last: a packet that is not here yet.
    packet: usize,
    /// Bytes read behind the header.
    at: usize,
    /// Records read.
    records: u64,
}

/// A stream, and how far it was read.
pub struct Feed<S: Stream> {
    /// The stream.
    pub stream: S,
    /// The name of its channel, and its CPU.
    channel: String,
    cpu: u64,
    held: VecDeque<Taken<S::Packet>>,
    /// How many may be held: more would stop the writer.
    most: usize,
    cursor: Cursor,
    next: Option<Next>,
    /// The number of the record that comes next.
    number: u64,
    /// The mark: what was told for good.
    pub told: u64,
    /// What is not here is not older, in ticks.
    quiet: u64,
    /// Nothing more comes.
    is_ended: bool,
    /// What it leaves the machine through is full.
    is_blocked: bool,
    /// Records that could not be read since this was asked for.
    unreadable: u64,
    /// Records before the next one that are not there.
    gap: u64,
}

impl<S: Stream> Feed<S> {
    /// The stream of a channel and a CPU, whose mark is `told`, of which up to `most` packets are
    /// held.
    #[must_use]
    pub fn new(stream: S, channel: &str, cpu: u64, told: u64, most: usize) -> Self {
        Self {
            stream,
            channel: channel.into(),
            cpu,
            held: VecDeque::new(),
            most: most.max(1),
            cursor: Cursor::default(),
            next: None,
            number: told,
            told,
            quiet: 0,
            is_ended: false,
            is_blocked: false,
            unreadable: 0,
            gap: 0,
        }
    }

    /// Takes packets, as many as may be held. True: there were some.
    ///
    /// # Errors
    /// [`Error::Killed`].
    pub fn refill(&mut self, classes: &mut Classes) -> Result<bool, Error> {
        let before = self.held.len();
        while self.wants_more() {
            // The time first: what could be taken then is found now.
            let quiet = match self.next {
                Some(_) => None,
                None => Some(self.stream.quiet_since()?),
            };
            match self.stream.take().and_then(Taken::new) {
                Ok(taken) => self.held.push_back(taken),
                Err(Error::Killed) => return Err(Error::Killed),
                Err(Error::Again) => {
                    self.quiet = quiet.unwrap_or(self.quiet);
                    break;
                }
                Err(Error::NoRoom) => break,
                Err(_) => self.is_ended = true,
            }
            self.settle(classes);
        }
        Ok(self.held.len() != before)
    }

    /// Whether it takes another packet.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        !self.is_ended && self.held.len() < self.most
    }

    /// Whether as many packets are held as can be, and not because the way out is full: the writer
    /// will lose records soon.
    #[must_use]
    pub fn is_at_limit(&self) -> bool {
        self.held.len() >= self.most && !self.is_blocked
    }

    /// The same, and nothing of them was read: older records of others are waited for.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.is_at_limit() && self.cursor.packet == 0
    }

    /// Whether what it leaves the machine through is full.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Whether nothing more comes, and nothing is held.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_ended && self.held.is_empty()
    }

    /// When the record that comes next was written, in ticks. Without one: `Err`, with the time that
    /// it is not older than; none if nothing comes.
    ///
    /// # Errors
    /// There is none now.
    pub fn time(&self) -> Result<u64, u64> {
        match self.next {
            Some(next) => Ok(next.ticks),
            None if self.is_ended => Err(u64::MAX),
            None => Err(self.quiet),
        }
    }

    /// Whether all that was written before a time, in ticks, was told.
    #[must_use]
    pub fn is_caught_up(&self, ticks: u64) -> bool {
        let is_read = self.next.is_none() && self.told == self.number;
        is_read && (self.is_ended || self.quiet >= ticks)
    }

    /// The number of the record that comes next.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Gives the next record to `tell`, and goes behind it. Nothing if there is none.
    pub fn tell(
        &mut self,
        classes: &mut Classes,
        tell: impl FnOnce(&Found<'_>, &Record<'_>),
    ) -> bool {
        let taken = self.held.get(self.cursor.packet);
        let Some((next, taken)) = self.next.zip(taken) else {
            return false;
        };
        let mut fields = Fields::new(taken.rest(next.at));
        let record = record::read(classes, taken.channel, next.stamp, &mut fields);
        if let Some(record) = &record {
            let found = Found {
                channel: &self.channel,
                cpu: self.cpu,
                number: self.number,
                ticks: next.ticks,
            };
            tell(&found, record);
            self.number += 1;
            self.cursor.records += 1;
            self.cursor.at = next.at + fields.offset();
        }
        let is_read = record.is_some();
        self.next = None;
        if !is_read {
            self.pass_over();
        }
        self.settle(classes);
        is_read
    }

    /// Whether records before the next one are not there.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.gap != 0
    }

    /// Records before the next one that are not there: they had left the machine before somebody
    /// looked, or were overwritten. Where they were, and how many; `None` if there are none. Once.
    pub fn take_gap(&mut self) -> Option<(Found<'_>, u64)> {
        let (next, missing) = (self.next?, core::mem::take(&mut self.gap));
        let found = Found {
            channel: &self.channel,
            cpu: self.cpu,
            number: self.number - missing,
            ticks: next.ticks,
        };
        (missing != 0).then_some((found, missing))
    }

    /// Passes over all that is held; returns how many records that are.
    pub fn skip(&mut self) -> u64 {
        let ends = self.held.iter().map(|taken| taken.behind);
        let behind = ends.fold(self.number, u64::max);
        let first = self.held.get(self.cursor.packet);
        let from = first.map_or(self.number, |taken| self.number.max(taken.first));
        self.number = self.number.max(behind);
        self.cursor = Cursor {
            packet: self.held.len(),
            ..Cursor::default()
        };
        self.next = None;
        // What was found missing before the next one was not told either.
        behind.saturating_sub(from) + core::mem::take(&mut self.gap)
    }

    /// Records that could not be read since the last call.
    pub fn take_unreadable(&mut self) -> u64 {
        core::mem::take(&mut self.unreadable)
    }

    /// Passes over the rest of the packet that is being read.
    fn pass_over(&mut self) {
        if let Some(taken) = self.held.get(self.cursor.packet) {
            self.unreadable += taken.behind.saturating_sub(self.number);
            self.number = self.number.max(taken.behind);
        }
    }

    /// Goes to the next record that was not told, if there is none.
    fn settle(&mut self, classes: &mut Classes) {
        while self.next.is_none()
            && let Some(taken) = self.held.get(self.cursor.packet)
        {
            if self.number >= taken.behind {
                self.cursor = Cursor {
                    packet: self.cursor.packet + 1,
                    ..Cursor::default()
                };
                continue;
            }
            self.gap += taken.first.saturating_sub(self.number);
            self.number = self.number.max(taken.first);
            let rest = taken.rest(self.cursor.at);
            let mut fields = Fields::new(rest);
            let Ok(Some(stamp)) = fields.next_stamp() else {
                self.pass_over();
                continue;
            };
            let at = self.cursor.at + fields.offset();
            if taken.first + self.cursor.records == self.number {
                let ticks = extend(stamp.time(), taken.begin).min(taken.end);
                self.next = Some(Next { stamp, ticks, at });
                return;
            }
            // It was told before.
            match record::read(classes, taken.channel, stamp, &mut fields) {
                Some(_) => {
                    self.cursor.at += fields.offset();
                    self.cursor.records += 1;
                }
                None => self.pass_over(),
            }
        }
    }

    /// Hands on the packets whose records were all told. True: there were some.
    ///
    /// # Errors
    /// [`Error::Killed`].
    pub fn submit(&mut self) -> Result<bool, Error> {
        self.is_blocked = false;
        let mut has_moved = false;
        while self.cursor.packet > 0
            && let Some(taken) = self.held.pop_front_if(|taken| taken.behind <= self.told)
        {
            match taken.packet.submit() {
                Ok(()) => {
                    self.cursor.packet -= 1;
                    has_moved = true;
                }
                Err((Error::Killed, _)) => return Err(Error::Killed),
                Err((Error::Again, packet)) => {
                    self.held.push_front(Taken { packet, ..taken });
                    self.is_blocked = true;
                    break;
                }
                // The kernel has taken the stream back: what is held is its own again.
                Err(_) => {
                    self.held.clear();
                    (self.cursor, self.next) = (Cursor::default(), None);
                    self.number = self.told;
                    self.is_ended = true;
                    break;
                }
            }
        }
        Ok(has_moved)
    }
}

impl<S: Stream> fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("channel", &self.channel)
            .field("cpu", &self.cpu)
            .field("number", &self.number)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
