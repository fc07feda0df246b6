//! A serial line as a source of a capture: packets in frames, among text and noise.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::shared::{Shared, lock, take};
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
    /// Whether text is what is expected there, and not counted.
    pub(super) is_console: bool,
    /// What all ports write to.
    pub(super) shared: Arc<Mutex<Shared>>,
}

impl LinePort {
    pub(super) fn new(reader: LineReader, sink: LineSink) -> Self {
        Self { reader, sink }
    }

    /// Takes the next bytes, in chunks of any length. Text among them is kept with the
    /// [console's](super::Capture::console), and handed over. It never fails: what cannot be written is
    /// counted, and told by [`Capture::finish`](super::Capture::finish).
    ///
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
                let mut shared = lock(&self.shared);
                if !self.is_console {
                    shared.store().totals.line.text += bytes.len() as u64;
                }
                shared.store().console(bytes);
                // Whoever shows it may take its time.
                drop(shared);
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
