//! The records of one packet.

use std::fmt;

use relay_format::stamp::{self, EVENTS, TIME_BITS};
use relay_format::{Context, filler};

use super::event::Event;
use super::schema::Channel;
use super::value::{Reader, Value, ValueError};
use crate::tsdl::{TsdlError, Unreadable};
use crate::wire::Header;

/// What comes before a record's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The event class.
    pub id: u16,
    /// When it was reserved, in ticks.
    pub ticks: u64,
    /// Where the writer ran.
    pub context: Context,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'s> {
    /// Class, time and context.
    pub stamp: Stamp,
    /// Its number in the stream.
    pub number: u64,
    /// What the metadata says about it.
    pub event: &'s Event,
    /// Who wrote it.
    pub who: Who,
}

/// Who wrote a record, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The process, by its number.
    pub process: Option<i64>,
    /// The thread, by its number.
    pub thread: Option<i64>,
}

impl Who {
    /// Reads it, in front of a record's fields.
    fn read(event: &Event, reader: &mut Reader<'_>) -> Result<Self, ValueError> {
        if event.context.fields.is_empty() {
            return Ok(Self::default());
        }
        let mut values = Vec::new();
        reader.fields(&event.context, &mut values)?;
        let number = |at: usize| i64::try_from(values.get(at)?.as_integer()?).ok();
        let [process, thread] = event.who.map(|at| at.and_then(number));
        Ok(Self { process, thread })
    }
}

/// Why the rest of a packet cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Which record of the packet, from 0.
    pub index: u64,
    /// Where in the packet it begins, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub what: RecordFault,
}

/// What can be wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Its beginning or its fields cannot be read.
    Value(ValueError),
    /// The metadata does not know its class.
    Event(u16),
    /// What the metadata says about its class is not understood.
    Unreadable {
        /// The class.
        event: String,
        /// What is not understood.
        error: TsdlError,
    },
    /// No such context.
    Context(u8),
    /// It is not between the record before it and the packet's end.
    Time {
        /// Its time.
        ticks: u64,
        /// The earliest that would be right.
        from: u64,
        /// The latest that would be right.
        to: u64,
    },
    /// The packet's header promises another number of records.
    Count {
        /// What the header promises.
        promised: u64,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, offset, .. } = self;
        if let RecordFault::Count { promised } = self.what {
            return write!(f, "it has {index} records, its header says {promised}");
        }
        write!(f, "record {index}, at byte {offset} of it: ")?;
        match &self.what {
            RecordFault::Value(error) => error.fmt(f),
            RecordFault::Event(id) => write!(f, "the metadata knows no event {id} here"),
            RecordFault::Unreadable { event, error } => {
                write!(f, "the fields of {event} cannot be read: {error}")
            }
            RecordFault::Context(context) => {
                write!(f, "context {context}; 0, 1 and 2 would be right")
            }
            RecordFault::Time { ticks, from, to } => {
                write!(f, "time {ticks} is not between {from} and {to}")
            }
            RecordFault::Count { .. } => Ok(()),
        }
    }
}

impl std::error::Error for RecordError {}

/// Where in a packet its reading has got to; knows no bytes, so that it can be
/// kept beside them.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The next byte of the contents.
    at: usize,
    /// Records read.
    read: u64,
    /// Time of the last one, or of the packet's opening.
    last: u64,
    /// Where the next record's fields begin, once its stamp was read.
    next: Option<(Stamp, usize)>,
}

impl Position {
    /// At a packet's beginning.
    #[must_use]
    pub fn begin(header: &Header) -> Self {
        Self {
            at: 0,
            read: 0,
            last: header.begin,
            next: None,
        }
    }

    /// How many records were read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Makes an error here.
    fn error(&self, header: &Header, contents: &[u8], what: RecordFault) -> RecordError {
        let before = header.content_size.saturating_sub(contents.len() as u64);
        RecordError {
            index: self.read,
            offset: before.saturating_add(self.at as u64),
            what,
        }
    }

    /// Reads what comes before the next record's fields, behind fillers; `None`
    /// at the end of the packet.
    ///
    /// # Errors
    ///
    /// When what comes is no record, or the header has promised more or fewer.
    pub fn peek(&mut self, header: &Header, contents: &[u8]) -> Result<Option<Stamp>, RecordError> {
        loop {
            if let Some((stamp, _)) = self.next {
                return Ok(Some(stamp));
            }
            let Some(rest) = contents.get(self.at..).filter(|rest| !rest.is_empty()) else {
                let is_short = header.is_cut && self.read < header.records;
                if self.read != header.records && !is_short {
                    let promised = header.records;
                    return Err(self.error(header, contents, RecordFault::Count { promised }));
                }
                return Ok(None);
            };
            let found = self.stamp(header, rest);
            match found.map_err(|what| self.error(header, contents, what))? {
                (stamp, Some(skip)) => {
                    self.at += skip;
                    self.last = stamp.ticks;
                }
                (stamp, None) => self.next = Some((stamp, self.at + stamp::SIZE)),
            }
        }
    }

    /// Reads a stamp, and the length if it is a filler's.
    fn stamp(&self, header: &Header, rest: &[u8]) -> Result<(Stamp, Option<usize>), RecordFault> {
        let cut = || RecordFault::Value(ValueError::Cut);
        let (head, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let read = stamp::Stamp::from_bytes(*head);
        let ticks = extend(read.time(), header.begin);
        let ticks = ticks.filter(|ticks| (self.last..=header.end).contains(ticks));
        let ticks = ticks.ok_or(RecordFault::Time {
            ticks: extend(read.time(), header.begin).unwrap_or(u64::MAX),
            from: self.last,
            to: header.end,
        })?;
        let number = head[stamp::SIZE - 1] >> (8 - stamp::CONTEXT_BITS);
        let context = read.context().ok_or(RecordFault::Context(number))?;
        let id = read.id();
        let stamp = Stamp { id, ticks, context };
        if id < EVENTS {
            return Ok((stamp, None));
        }
        let length = filler::length(id, rest).ok_or_else(cut)?;
        Ok((stamp, Some(stamp::SIZE + length)))
    }

    /// Goes on behind the record of a kind that [`peek`](Self::peek) has found, without making its
    /// values; false, and nowhere, if these are needed for it.
    ///
    /// # Errors
    ///
    /// As those of [`take`](Self::take).
    pub(crate) fn skip(
        &mut self,
        event: &Event,
        header: &Header,
        contents: &[u8],
    ) -> Result<bool, RecordError> {
        let Some((stamp, fields)) = self.next else {
            return Ok(false);
        };
        if event.unreadable.is_some() {
            return Ok(false);
        }
        let mut reader = Reader::new(contents.get(fields..).unwrap_or_default());
        let skipped = match reader.skip(&event.context) {
            Ok(true) => reader.skip(&event.fields),
            other => other,
        };
        let skipped = skipped.map_err(RecordFault::Value);
        if !skipped.map_err(|what| self.error(header, contents, what))? {
            return Ok(false);
        }
        self.next = None;
        self.at = contents.len() - reader.rest.len();
        self.read += 1;
        self.last = stamp.ticks;
        Ok(true)
    }

    /// Reads the record that [`peek`](Self::peek) has found, its fields into
    /// `values`, and goes on behind it; `None` if it has found none.
    ///
    /// # Errors
    ///
    /// When the metadata does not know it, or not how long it is, or the contents end within it.
    pub fn take<'a, 's>(
        &mut self,
        channel: &'s Channel,
        header: &Header,
        contents: &'a [u8],
        values: &mut Vec<Value<'a>>,
    ) -> Result<Option<Record<'s>>, RecordError> {
        values.clear();
        let Some((stamp, fields)) = self.next.take() else {
            return Ok(None);
        };
        let event = channel.event(stamp.id).ok_or(RecordFault::Event(stamp.id));
        let event = event.map_err(|what| self.error(header, contents, what))?;
        let mut reader = Reader::new(contents.get(fields..).unwrap_or_default());
        let mut who = Who::default();
        let read = match &event.unreadable {
            None => Who::read(event, &mut reader)
                .and_then(|found| {
                    who = found;
                    reader.fields(&event.fields, values)
                })
                .map_err(RecordFault::Value),
            Some(Unreadable {
                size: Some(size), ..
            }) => {
                let skipped = reader.bytes(*size).map(drop);
                skipped.map_err(RecordFault::Value)
            }
            Some(Unreadable { error, .. }) => Err(RecordFault::Unreadable {
                event: event.title(),
                error: error.clone(),
            }),
        };
        if let Err(what) = read {
            return Err(self.error(header, contents, what));
        }
        let number = header.ordinal.saturating_add(self.read);
        self.at = contents.len() - reader.rest.len();
        self.read += 1;
        self.last = stamp.ticks;
        Ok(Some(Record {
            stamp,
            number,
            event,
            who,
        }))
    }
}

/// The first time not before `begin` whose lower bits are `low`.
fn extend(low: u64, begin: u64) -> Option<u64> {
    let lap = 1 << TIME_BITS;
    let ticks = (begin & !(lap - 1)) | low;
    match ticks < begin {
        true => ticks.checked_add(lap),
        false => Some(ticks),
    }
}

/// The records of one packet, in order.
#[derive(Debug)]
pub struct Records<'a, 's> {
    /// The packet's channel.
    channel: &'s Channel,
    /// Its header.
    header: &'a Header,
    /// Its contents.
    contents: &'a [u8],
    /// The next record.
    position: Position,
    /// The fields of the last record.
    values: Vec<Value<'a>>,
}

impl<'a, 's> Records<'a, 's> {
    /// Begins with a packet's first record. `packet` is the whole packet.
    #[must_use]
    pub fn new(channel: &'s Channel, header: &'a Header, packet: &'a [u8]) -> Self {
        Self {
            channel,
            header,
            contents: header.contents(packet),
            position: Position::begin(header),
            values: Vec::new(),
        }
    }

    /// The next record with its fields; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the rest of the packet cannot be read.
    pub fn next_record(&mut self) -> Result<Option<(Record<'s>, &[Value<'a>])>, RecordError> {
        if self.position.peek(self.header, self.contents)?.is_none() {
            return Ok(None);
        }
        let record =
            self.position
                .take(self.channel, self.header, self.contents, &mut self.values)?;
        Ok(record.map(|record| (record, self.values.as_slice())))
    }

    /// How many records were read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.position.read()
    }
}
