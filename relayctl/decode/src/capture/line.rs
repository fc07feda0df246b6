//! A serial line as a source of a capture: packets in frames, among text and noise.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::writer::{Shared, lock, take};
use crate::wire::{Found, LineReader, Piece};

/// Takes the bytes of a serial line, in a thread of its own if wanted.
#[derive(Debug)]
pub struct LinePort {
    /// Finds the frames.
    reader: LineReader,
    /// What becomes of them.
    sink: LineSink,
}

/// Where what is found on a line goes.
#[derive(Debug)]
pub(super) struct LineSink {
    /// The port's number.
    pub(super) number: u32,
    /// What all ports write to.
    pub(super) shared: Arc<Mutex<Shared>>,
}

impl LinePort {
    pub(super) fn new(reader: LineReader, sink: LineSink) -> Self {
        Self { reader, sink }
    }

    /// Takes the next bytes, in chunks of any length, and hands over the text among them. It never
    /// fails: what cannot be written is counted, and told by [`Capture::finish`].
    ///
    /// [`Capture::finish`]: super::Capture::finish
    pub fn push(&mut self, chunk: &[u8], mut text: impl FnMut(&[u8])) {
        let Self { reader, sink } = self;
        reader.push(chunk, |found| sink.take(found, &mut text));
    }

    /// Ends the line: what is left of it is text, or damaged.
    pub fn finish(mut self, mut text: impl FnMut(&[u8])) {
        let Self { reader, sink } = &mut self;
        reader.finish(|found| sink.take(found, &mut text));
    }
}

impl LineSink {
    /// Takes what was found.
    pub(super) fn take(&self, found: Found<'_>, mut text: impl FnMut(&[u8])) {
        match found {
            Found::Packet(header, packet) => {
                take(&self.shared, self.number, Piece::Packet(header, packet));
                lock(&self.shared).store().totals.line.frames += 1;
            }
            Found::Text(bytes) => {
                lock(&self.shared).store().totals.line.text += bytes.len() as u64;
                text(bytes);
            }
            Found::Damage(damage, bytes) => {
                let mut shared = lock(&self.shared);
                let store = shared.store();
                store.totals.line.add(&damage);
                store.fragment(Path::new(""), self.number, bytes);
            }
        }
    }
}
