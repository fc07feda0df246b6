//! All streams of a capture as one, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use super::filter::Filter;
use crate::capture::{Item, OpenError, PacketReader, PacketSource, Stored, Stream};
use crate::console::{Losses, Severity};
use crate::decode::{Channel, Position, Record, Schema, Value};
use crate::tsdl::Type;
use crate::wire::Header;

/// A record, with what belongs to it.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Its channel.
    pub channel: &'a Channel,
    /// Its CPU.
    pub cpu: u32,
    /// Its time in nanoseconds since power-on.
    pub ns: u64,
    /// Its severity, if it has one.
    pub severity: Option<Severity>,
    /// The record.
    pub record: Record<'a>,
    /// The number of its packet.
    pub packet: u64,
}

/// What comes next.
#[derive(Debug)]
pub enum Next<'a, 'v> {
    /// A record with its fields.
    Record(Shown<'a>, &'v [Value<'v>]),
    /// Losses, or damage, where they were found.
    Note(String),
}

/// One stream on its way.
#[derive(Debug)]
struct Cursor<'a, S> {
    /// The stream.
    stream: &'a Stream,
    /// Its channel.
    channel: &'a Channel,
    /// Its packets.
    source: S,
    /// The packet.
    buffer: Vec<u8>,
    /// Its header, and how far it is read.
    packet: Option<(Header, Position)>,
    /// The header of the packet before.
    last: Option<Header>,
    /// Notes that come before the next record.
    notes: Vec<String>,
    /// The time that the stream has got to, in ticks.
    ticks: u64,
    /// Whether it has nothing to show now.
    is_dry: bool,
}

/// All wanted streams of a capture as one sequence, ordered by time, then CPU,
/// then channel. It keeps one packet of each stream in memory.
#[derive(Debug)]
pub struct Merge<'a, S> {
    /// The capture's folder.
    folder: &'a Path,
    /// What its metadata says.
    schema: &'a Schema,
    /// What is wanted.
    filter: &'a Filter,
    /// The streams.
    cursors: Vec<Cursor<'a, S>>,
    /// Which stream comes next: by time, CPU, place.
    heap: BinaryHeap<Reverse<(u64, u32, usize)>>,
}

impl<'a> Merge<'a, PacketReader<'a>> {
    /// Begins with a capture that is there.
    ///
    /// # Errors
    ///
    /// When a stream cannot be read.
    pub fn of(stored: &'a Stored, filter: &'a Filter) -> Result<Self, OpenError> {
        let open = |stream| stored.packets(stream);
        Self::new(
            &stored.folder,
            &stored.schema,
            &stored.streams,
            filter,
            open,
        )
    }
}

impl<'a, S: PacketSource> Merge<'a, S> {
    /// Begins with some of a capture's streams, whose packets `open` gives.
    ///
    /// # Errors
    ///
    /// When a stream cannot be read.
    pub fn new(
        folder: &'a Path,
        schema: &'a Schema,
        streams: &'a [Stream],
        filter: &'a Filter,
        open: impl Fn(&'a Stream) -> Result<Option<S>, OpenError>,
    ) -> Result<Self, OpenError> {
        let mut merge = Self {
            folder,
            schema,
            filter,
            cursors: Vec::new(),
            heap: BinaryHeap::new(),
        };
        for stream in streams {
            let channel = &schema.channels[stream.channel];
            if !filter.has_stream(&channel.name, stream.cpu) {
                continue;
            }
            let Some(source) = open(stream)? else {
                continue;
            };
            merge.cursors.push(Cursor {
                stream,
                channel,
                source,
                buffer: Vec::new(),
                packet: None,
                last: None,
                notes: Vec::new(),
                ticks: 0,
                is_dry: true,
            });
            merge.queue(merge.cursors.len() - 1)?;
        }
        Ok(merge)
    }

    /// Lets a stream wait for its turn.
    fn queue(&mut self, place: usize) -> Result<(), OpenError> {
        let Some(cursor) = self.cursors.get_mut(place) else {
            return Ok(());
        };
        let advanced = cursor.advance(self.schema, self.filter);
        let more = advanced.map_err(|error| {
            let path = self.folder.join("trace").join(&cursor.stream.file);
            OpenError::Io(path, error)
        })?;
        cursor.is_dry = !more;
        match more {
            true => self
                .heap
                .push(Reverse((cursor.ticks, cursor.stream.cpu, place))),
            // Its packet is not needed any more.
            false => cursor.buffer = Vec::new(),
        }
        Ok(())
    }

    /// Gives everything that is there to `show`, until it is content.
    ///
    /// # Errors
    ///
    /// The first of `show`.
    pub fn each<E: From<OpenError>>(
        &mut self,
        show: impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_while(|_| true, show)
    }

    /// Gives to `show` what is there, up to the first record or note whose stream
    /// `is_ripe` does not let go.
    ///
    /// # Errors
    ///
    /// The first of `show`.
    pub fn each_while<E: From<OpenError>>(
        &mut self,
        is_ripe: impl Fn(&S) -> bool,
        mut show: impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(Reverse((_, _, place))) = self.heap.peek() {
            let place = *place;
            if let Some(cursor) = self.cursors.get_mut(place) {
                if !is_ripe(&cursor.source) {
                    break;
                }
                cursor.show(self.schema, self.filter, &mut show)?;
            }
            self.heap.pop();
            self.queue(place)?;
        }
        Ok(())
    }

    /// Lets every stream have what came for it: `add` gives it to its source.
    ///
    /// # Errors
    ///
    /// When a stream cannot be read.
    pub fn add(&mut self, mut add: impl FnMut(&Stream, &mut S)) -> Result<(), OpenError> {
        for place in 0..self.cursors.len() {
            let Some(cursor) = self.cursors.get_mut(place) else {
                break;
            };
            add(cursor.stream, &mut cursor.source);
            if cursor.is_dry {
                self.queue(place)?;
            }
        }
        Ok(())
    }

    /// Where the packets come from.
    pub fn sources(&self) -> impl Iterator<Item = &S> {
        self.cursors.iter().map(|cursor| &cursor.source)
    }

    /// Whether all streams were shown up to their closing packets.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let is_closed = |last: &Option<Header>| last.is_some_and(|last| last.is_final);
        let mut cursors = self.cursors.iter();
        cursors.all(|cursor| cursor.is_dry && is_closed(&cursor.last))
    }
}

impl<S: PacketSource> Cursor<'_, S> {
    /// Goes on to the next note or record; false at the end.
    fn advance(&mut self, schema: &Schema, filter: &Filter) -> std::io::Result<bool> {
        loop {
            if !self.notes.is_empty() {
                return Ok(true);
            }
            if let Some((header, position)) = &mut self.packet {
                match position.peek(header, header.contents(&self.buffer)) {
                    Ok(Some(stamp)) => {
                        self.ticks = stamp.ticks;
                        return Ok(true);
                    }
                    Ok(None) => self.last = self.packet.take().map(|(header, _)| header),
                    Err(error) => {
                        let number = header.number;
                        self.note(format!("packet {number}: {error}"));
                        self.last = self.packet.take().map(|(header, _)| header);
                        continue;
                    }
                }
            }
            match self.source.next(&mut self.buffer)? {
                None => return Ok(false),
                Some(Item::Problem { offset, what }) => {
                    self.note(format!("{} at {offset}: {what}", self.stream.file));
                }
                Some(Item::Unlisted { .. }) => {}
                Some(Item::Packet { offset, header }) => {
                    let belongs = header.uuid == schema.uuid
                        && header.stream_id == self.channel.number
                        && header.cpu == self.stream.cpu;
                    if !belongs {
                        let file = &self.stream.file;
                        self.note(format!("{file} at {offset}: a packet of another stream"));
                        continue;
                    }
                    self.ticks = header.begin;
                    let is_wanted = filter.has_begun(schema.nanoseconds(header.end))
                        && filter.is_not_over(schema.nanoseconds(header.begin));
                    if is_wanted {
                        self.note_losses(schema, &header);
                        self.packet = Some((header, Position::begin(&header)));
                    } else {
                        self.last = Some(header);
                    }
                }
            }
        }
    }

    /// Notes what was lost since the packet before.
    fn note_losses(&mut self, schema: &Schema, header: &Header) {
        let before = self.last.map_or(Losses::default(), |last| last.lost);
        let reasons = header.lost.named().into_iter().zip(before.named());
        let reasons: Vec<_> = reasons
            .map(|((name, now), (_, before))| (name, now.saturating_sub(before)))
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let (mut from, mut next, mut number) = (0, 0, 0);
        if let Some(last) = &self.last {
            (from, next) = (last.end, last.ordinal + last.records);
            number = last.number + 1;
        }
        let [from, to] = [from, header.end].map(|ticks| seconds(schema.nanoseconds(ticks)));
        let span = format!("between {} and {}", from.trim_start(), to.trim_start());
        if !reasons.is_empty() {
            let lost = header.lost.total().saturating_sub(before.total());
            self.note(format!(
                "{lost} records lost {span} ({})",
                reasons.join(", ")
            ));
        }
        let gap = header.ordinal.saturating_sub(next);
        if header.number > number {
            let last = header.number - 1;
            self.note(format!(
                "packets {number} to {last} are missing: {gap} records {span}"
            ));
        } else if gap > 0 {
            self.note(format!("{gap} records overwritten {span}"));
        }
        if header.is_salvaged {
            let before = self.last.map_or(0, |last| last.uncommitted);
            let (number, records) = (header.number, header.uncommitted.saturating_sub(before));
            let cut = match header.is_cut {
                true => ", cut where it is in doubt",
                false => "",
            };
            self.note(format!(
                "packet {number} was salvaged from a stopped CPU, {records} records uncommitted{cut}"
            ));
        }
    }

    /// Notes something.
    fn note(&mut self, what: String) {
        let (channel, cpu) = (&self.channel.name, self.stream.cpu);
        self.notes.push(format!("-- {channel} cpu {cpu}: {what}"));
    }

    /// Shows what [`advance`](Self::advance) has found.
    fn show<E>(
        &mut self,
        schema: &Schema,
        filter: &Filter,
        show: &mut impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.notes.is_empty() {
            return self
                .notes
                .drain(..)
                .try_for_each(|note| show(Next::Note(note)));
        }
        let Some((header, position)) = &mut self.packet else {
            return Ok(());
        };
        let mut values = Vec::new();
        let contents = header.contents(&self.buffer);
        match position.take(self.channel, header, contents, &mut values) {
            Ok(Some(record)) => {
                let ns = schema.nanoseconds(record.stamp.ticks);
                let severity = severity(&record, &values);
                let is_wanted =
                    filter.has_begun(ns) && filter.is_not_over(ns) && filter.has_severity(severity);
                let shown = Shown {
                    channel: self.channel,
                    cpu: self.stream.cpu,
                    ns,
                    severity,
                    record,
                    packet: header.number,
                };
                match is_wanted {
                    true => show(Next::Record(shown, &values)),
                    false => Ok(()),
                }
            }
            Ok(None) => Ok(()),
            Err(error) => {
                let number = header.number;
                self.note(format!("packet {number}: {error}"));
                self.last = self.packet.take().map(|(header, _)| header);
                Ok(())
            }
        }
    }
}

/// The severity of a record: its field `severity`, by the label.
fn severity(record: &Record<'_>, values: &[Value<'_>]) -> Option<Severity> {
    let place = record.event.field("severity")?;
    let field = record.event.fields.fields.get(place)?;
    let Type::Enum(class) = &field.kind else {
        return None;
    };
    let label = class.label(values.get(place)?.as_integer()?)?;
    Severity::from_name(label)
}

/// A time as the console shows it: seconds with six decimals in twelve columns.
fn seconds(ns: u64) -> String {
    format!("{:>5}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}
