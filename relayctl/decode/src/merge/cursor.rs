//! One stream of a merge, on its way from packet to packet.

use relay_format::Losses;

use super::note::{Note, Span, What};
use super::order::Order;
use super::shown::{Next, Shown};
use super::wanted::{Place, Wanted};
use crate::capture::{Item, PacketSource, Stream};
use crate::pairs::{Fit, Gap, Pairing, Since, Unclosed};
use crate::records::{Channel, Line, Position, RecordError, Schema, Stamp};
use crate::wire::Header;

/// One stream on its way.
#[derive(Debug)]
pub(super) struct Cursor<'a, S> {
    /// The stream.
    pub(super) stream: &'a Stream,
    /// Its channel.
    pub(super) channel: &'a Channel,
    /// Its packets.
    pub(super) source: S,
    /// The packet.
    pub(super) buffer: Vec<u8>,
    /// Its header, and how far it is read.
    packet: Option<(Header, Position)>,
    /// The header of the packet before.
    pub(super) last: Option<Header>,
    /// Notes that come before the next record.
    notes: Vec<Note>,
    /// Whether it is read only for what it tells about threads of other CPUs.
    is_hidden: bool,
    /// Whether the record that comes next is wanted.
    is_wanted: bool,
    /// Pairs entries and exits, if that is wanted.
    pairing: Option<Pairing>,
    /// The time that the stream has got to, in ticks.
    pub(super) ticks: u64,
    /// Whether it has nothing to show now.
    pub(super) is_dry: bool,
    /// How many records its packets have so far, as their headers say.
    pub(super) records: u64,
}

impl<'a, S: PacketSource> Cursor<'a, S> {
    /// Before a stream's first packet; entries and exits are paired, or not; it is shown, or
    /// [hidden](Self::is_hidden).
    pub(super) fn new(
        stream: &'a Stream,
        channel: &'a Channel,
        source: S,
        is_paired: bool,
        is_hidden: bool,
    ) -> Self {
        Self {
            stream,
            channel,
            source,
            buffer: Vec::new(),
            packet: None,
            last: None,
            notes: Vec::new(),
            is_hidden,
            is_wanted: false,
            pairing: is_paired.then(|| Pairing::of(channel)),
            ticks: 0,
            is_dry: true,
            records: 0,
        }
    }

    /// Goes on to the next note or wanted record; false at the end.
    pub(super) fn advance(
        &mut self,
        schema: &Schema,
        wanted: &mut Wanted<'a>,
    ) -> std::io::Result<bool> {
        loop {
            if !self.notes.is_empty() {
                return Ok(true);
            }
            let Some((place, position)) =
                Self::place(self.stream, self.channel, &self.buffer, &mut self.packet)
            else {
                match self.next_packet(schema, wanted)? {
                    true => continue,
                    false => return Ok(false),
                }
            };
            let found = wanted.next(&place, position, &mut Vec::new(), self.pairing.as_mut());
            match found {
                Ok(Some(found)) => {
                    self.ticks = found.stamp.ticks;
                    self.is_wanted = found.is_wanted && !self.is_hidden;
                    // What was passed over may have left some open.
                    self.note_unclosed(schema);
                    return Ok(true);
                }
                Ok(None) => {
                    let in_doubt = place.header.records.saturating_sub(position.read());
                    if in_doubt > 0 {
                        self.gap(schema, wanted, Gap::Missing(in_doubt));
                    }
                    self.last = self.packet.take().map(|(header, _)| header);
                }
                Err(error) => self.damaged(schema, wanted, &error),
            }
        }
    }

    /// Counts the wanted records up to the end; notes are given to `note`.
    pub(super) fn count(
        &mut self,
        schema: &Schema,
        wanted: &mut Wanted<'a>,
        note: &mut impl FnMut(Note),
    ) -> std::io::Result<u64> {
        let mut count = 0;
        loop {
            self.notes.drain(..).for_each(&mut *note);
            let Some((place, position)) =
                Self::place(self.stream, self.channel, &self.buffer, &mut self.packet)
            else {
                match self.next_packet(schema, wanted)? {
                    true => continue,
                    false => return Ok(count),
                }
            };
            match wanted.count(&place, position, &mut count) {
                Ok(()) => self.last = self.packet.take().map(|(header, _)| header),
                Err(error) => self.damaged(schema, wanted, &error),
            }
        }
    }

    /// Where reading has got to in a packet.
    fn place<'p>(
        stream: &Stream,
        channel: &'a Channel,
        buffer: &'p [u8],
        packet: &'p mut Option<(Header, Position)>,
    ) -> Option<(Place<'p, 'a>, &'p mut Position)> {
        let (header, position) = packet.as_mut()?;
        let place = Place {
            channel,
            at: stream.channel,
            header,
            contents: header.contents(buffer),
        };
        Some((place, position))
    }

    /// Goes on to the next packet that may have wanted records, or to a note; false at the end.
    fn next_packet(&mut self, schema: &Schema, wanted: &mut Wanted<'a>) -> std::io::Result<bool> {
        while self.notes.is_empty() && self.packet.is_none() {
            match self.source.next(&mut self.buffer)? {
                None => return Ok(false),
                Some(Item::Problem { offset, what }) => {
                    let what = format!("{} at {offset}: {what}", self.stream.file);
                    self.note(What::Damage(what));
                    self.gap(schema, wanted, Gap::Damage);
                }
                Some(Item::Unlisted { .. }) => {}
                Some(Item::Packet { offset, header }) => {
                    let belongs = header.uuid == schema.uuid
                        && header.stream_id == self.channel.number
                        && header.cpu == self.stream.cpu;
                    if !belongs {
                        let file = &self.stream.file;
                        let what = format!("{file} at {offset}: a packet of another stream");
                        self.note(What::Damage(what));
                        continue;
                    }
                    self.ticks = header.begin;
                    self.records = self.records.saturating_add(header.records);
                    if wanted.has_packet(&header) {
                        self.note_losses(schema, &header);
                        if let Some(pairing) = &mut self.pairing {
                            pairing.packet(self.last.as_ref(), &header);
                        }
                        if let Some(threads) = &mut wanted.threads[self.stream.channel] {
                            threads.packet(self.stream.cpu, self.last.as_ref(), &header);
                            self.note_threads(threads.take_unclosed());
                        }
                        self.note_unclosed(schema);
                        self.packet = Some((header, Position::begin(&header)));
                    } else {
                        self.gap(schema, wanted, Gap::Unread);
                        self.last = Some(header);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Notes that the rest of the packet cannot be read.
    fn damaged(&mut self, schema: &Schema, wanted: &mut Wanted<'a>, error: &RecordError) {
        if let Some((header, _)) = self.packet.take() {
            self.note(What::Damage(format!("packet {}: {error}", header.number)));
            self.gap(schema, wanted, Gap::Damage);
            self.last = Some(header);
        }
    }

    /// Notes what was lost since the packet before.
    fn note_losses(&mut self, schema: &Schema, header: &Header) {
        let last = self.last;
        let (mut next, mut number, mut from) = (0, 0, 0);
        if let Some(last) = &last {
            next = last.ordinal + last.records;
            number = last.number + 1;
            from = last.end;
        }
        let span = Span {
            from_ns: schema.nanoseconds(from),
            to_ns: schema.nanoseconds(header.end),
        };
        let before = last.map_or(Losses::NONE, |last| last.lost);
        // A stranger's counts may fall.
        let counts = header.lost.0.into_iter().zip(before.0);
        let mut counts = counts.map(|(now, before)| now.saturating_sub(before));
        let lost = Losses(std::array::from_fn(|_| counts.next().unwrap_or_default()));
        if lost != Losses::NONE {
            self.note(What::Lost(lost, span));
        }
        let gap = header.ordinal.saturating_sub(next);
        if header.number > number {
            self.note(What::Missing {
                packets: (number, header.number - 1),
                records: gap,
                span,
            });
        } else if gap > 0 {
            self.note(What::Overwritten(gap, span));
        }
        if header.is_salvaged {
            let before = last.map_or(0, |last| last.uncommitted);
            self.note(What::Salvaged {
                packet: header.number,
                uncommitted: header.uncommitted.saturating_sub(before),
                is_cut: header.is_cut,
            });
        }
    }

    /// Notes that something is not there, for entries and exits.
    fn gap(&mut self, schema: &Schema, wanted: &mut Wanted<'a>, gap: Gap) {
        if let Some(threads) = &mut wanted.threads[self.stream.channel] {
            threads.gap(self.stream.cpu, gap);
            self.note_threads(threads.take_unclosed());
        }
        if let Some(pairing) = &mut self.pairing {
            pairing.gap(gap);
            self.note_unclosed(schema);
        }
    }

    /// Notes entries that were shown, and have no exit that is known.
    fn note_unclosed(&mut self, schema: &Schema) {
        let Some(pairing) = &mut self.pairing else {
            return;
        };
        for unclosed in pairing.take_unclosed() {
            if unclosed.is_shown {
                let event = self.channel.event(unclosed.class);
                self.note(What::Unclosed {
                    event: event.map_or_else(String::new, |event| event.name.clone()),
                    number: unclosed.number,
                    ns: schema.nanoseconds(unclosed.ticks),
                    why: unclosed.why,
                });
            }
        }
    }

    /// Notes calls of threads that were shown, and have no exit that is known.
    pub(super) fn note_threads(&mut self, unclosed: Vec<(u32, Unclosed)>) {
        let channel = self.channel;
        let notes = unclosed.into_iter().filter(|(_, it)| it.is_shown);
        self.notes.extend(notes.map(|(cpu, unclosed)| {
            let event = channel.event(unclosed.class);
            Note {
                channel: channel.name.clone(),
                cpu,
                what: What::Unclosed {
                    event: event.map_or_else(String::new, |event| event.name.clone()),
                    number: unclosed.number,
                    ns: unclosed.ticks,
                    why: unclosed.why,
                },
            }
        }));
    }

    /// Notes what is still open at the end of the stream; whether there is something.
    pub(super) fn finish(&mut self, schema: &Schema) -> bool {
        if let Some(pairing) = &mut self.pairing {
            pairing.finish();
        }
        self.note_unclosed(schema);
        !self.notes.is_empty()
    }

    /// Notes something.
    fn note(&mut self, what: What) {
        if self.is_hidden {
            return;
        }
        self.notes.push(Note {
            channel: self.channel.name.clone(),
            cpu: self.stream.cpu,
            what,
        });
    }

    /// Shows what [`advance`](Self::advance) has found; what comes too late for its place in the
    /// order is said to.
    pub(super) fn show<E>(
        &mut self,
        schema: &Schema,
        wanted: &mut Wanted<'a>,
        order: &mut Order,
        show: &mut impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.notes.is_empty() {
            return self.show_notes(show);
        }
        let Some((header, position)) = &mut self.packet else {
            return Ok(());
        };
        let mut values = Vec::new();
        let contents = header.contents(&self.buffer);
        match position.take(self.channel, header, contents, &mut values) {
            Ok(Some(record)) => {
                let ns = schema.nanoseconds(record.stamp.ticks);
                let Stamp { id, ticks, context } = record.stamp;
                let fit = self.pairing.as_mut().and_then(|pairing| {
                    let fit = pairing.record(id, record.number, ticks, context, &values);
                    if self.is_wanted {
                        pairing.note_shown(record.number);
                    }
                    fit
                });
                let (cpu, number) = (self.stream.cpu, record.number);
                let threads = wanted.threads[self.stream.channel].as_mut();
                let threads = threads.filter(|threads| threads.concerns(id));
                let (of_threads, unclosed) = match threads {
                    Some(threads) => {
                        let fit = threads.record(id, Since { cpu, number, ns }, &values);
                        if self.is_wanted {
                            threads.note_shown(cpu, number);
                        }
                        (fit, threads.take_unclosed())
                    }
                    None => (None, Vec::new()),
                };
                let fit = fit.or(of_threads);
                if !self.is_wanted {
                    self.note_threads(unclosed);
                    self.note_unclosed(schema);
                    return self.show_notes(show);
                }
                let severity = Line::new(record.event, &values).severity();
                let stream = u64::from(self.channel.number) << 32 | u64::from(self.stream.cpu);
                if let Some(before) = order.take(stream, record.stamp.ticks) {
                    show(Next::Note(Note {
                        channel: self.channel.name.clone(),
                        cpu: self.stream.cpu,
                        what: What::Late(schema.nanoseconds(before)),
                    }))?;
                }
                let shown = Shown {
                    channel: self.channel,
                    cpu: self.stream.cpu,
                    ns,
                    severity,
                    record,
                    packet: header.number,
                    is_late: order.is_late(),
                    fit,
                    begin_ns: match fit {
                        Some(Fit::Exit(pair)) => Some(schema.nanoseconds(pair.begin)),
                        _ => None,
                    },
                };
                show(Next::Record(shown, &values))?;
                // Behind the record that tells: what it left open was entered before.
                self.note_threads(unclosed);
                self.note_unclosed(schema);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                self.damaged(schema, wanted, &error);
                Ok(())
            }
        }
    }

    /// Shows the notes that wait.
    fn show_notes<E>(
        &mut self,
        show: &mut impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut notes = self.notes.drain(..);
        notes.try_for_each(|note| show(Next::Note(note)))
    }
}
