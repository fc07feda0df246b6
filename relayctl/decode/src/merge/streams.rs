//! Streams, and which of them comes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use super::cursor::Cursor;
use super::filter::Filter;
use super::order::Order;
use super::shown::Next;
use super::wanted::Wanted;
use crate::capture::{OpenError, PacketReader, PacketSource, Stored, Stream};
use crate::records::Schema;
use crate::wire::Header;

/// All wanted streams of a capture as one sequence, ordered by time, then CPU,
/// then channel. It keeps one packet of each stream in memory.
#[derive(Debug)]
pub struct Merge<'a, S> {
    /// The capture's folder.
    folder: &'a Path,
    /// What its metadata says.
    schema: &'a Schema,
    /// What is wanted.
    wanted: Wanted<'a>,
    /// The streams.
    cursors: Vec<Cursor<'a, S>>,
    /// Which stream comes next: by time, CPU, place.
    heap: BinaryHeap<Reverse<(u64, u32, usize)>>,
    /// What was shown.
    order: Order,
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
            wanted: Wanted::new(schema, filter),
            cursors: Vec::new(),
            heap: BinaryHeap::new(),
            order: Order::default(),
        };
        for stream in streams {
            let channel = &schema.channels[stream.channel];
            // Nothing of it will ever come.
            if channel.is_taken {
                continue;
            }
            let is_shown = filter.has_stream(&channel.name, stream.cpu);
            // Threads may go to CPUs that nobody wants to see.
            let is_followed =
                merge.wanted.threads[stream.channel].is_some() && filter.has_channel(&channel.name);
            if !is_shown && !is_followed {
                continue;
            }
            let Some(source) = open(stream)? else {
                continue;
            };
            merge.cursors.push(Cursor::new(
                stream,
                channel,
                source,
                filter.spans,
                !is_shown,
            ));
            merge.queue(merge.cursors.len() - 1)?;
        }
        Ok(merge)
    }

    /// Lets a stream wait for its turn.
    fn queue(&mut self, place: usize) -> Result<(), OpenError> {
        let Some(cursor) = self.cursors.get_mut(place) else {
            return Ok(());
        };
        let advanced = cursor.advance(self.schema, &mut self.wanted);
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
        mut show: impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_while(|_| true, &mut show)?;
        self.finish(show)
    }

    /// Gives to `show` what there is to say at the end of all streams: no more comes.
    ///
    /// # Errors
    ///
    /// The first of `show`.
    pub(super) fn finish<E>(
        &mut self,
        mut show: impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for threads in self.wanted.threads.iter_mut().flatten() {
            threads.finish();
        }
        for cursor in &mut self.cursors {
            if let Some(threads) = &mut self.wanted.threads[cursor.stream.channel] {
                // The first of a channel's streams tells it for all.
                cursor.note_threads(threads.take_unclosed());
            }
            if cursor.finish(self.schema) {
                cursor.show(self.schema, &mut self.wanted, &mut self.order, &mut show)?;
            }
        }
        Ok(())
    }

    /// Gives to `show` what is there, up to the first record or note whose stream
    /// `is_ripe` does not let go.
    ///
    /// # Errors
    ///
    /// The first of `show`.
    pub(super) fn each_while<E: From<OpenError>>(
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
                cursor.show(self.schema, &mut self.wanted, &mut self.order, &mut show)?;
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
    pub(super) fn add(&mut self, mut add: impl FnMut(&Stream, &mut S)) -> Result<(), OpenError> {
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
    pub(super) fn sources(&self) -> impl Iterator<Item = &S> {
        self.cursors.iter().map(|cursor| &cursor.source)
    }

    /// Whether all streams were shown up to their closing packets.
    pub(super) fn is_over(&self) -> bool {
        let is_closed = |last: &Option<Header>| last.is_some_and(|last| last.is_final);
        let mut cursors = self.cursors.iter();
        cursors.all(|cursor| cursor.is_dry && is_closed(&cursor.last))
    }
}
