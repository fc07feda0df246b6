//! A serial line as a source of a capture: packets in frames, among text and noise.

use std::path::Path;
use std::sync::mpsc::SyncSender;
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

/// So many bytes of text, or of damage, are written at once: there may be a piece for every other
/// byte.
const AT_ONCE: usize = 4096;

/// Where what is found on a line goes.
#[derive(Debug)]
pub(super) struct LineSink {
    /// The port's number.
    number: u32,
    /// Whether text is what is expected there, and not counted.
    is_console: bool,
    /// What all ports write to.
    shared: Arc<Mutex<Shared>>,
    /// Who gets messages of the machine, if somebody wants them.
    answers: Option<SyncSender<Vec<u8>>>,
    /// Text that is not written yet.
    text: Vec<u8>,
    /// The same of what is damaged.
    damaged: Vec<u8>,
}

impl LinePort {
    pub(super) fn new(reader: LineReader, sink: LineSink) -> Self {
        Self { reader, sink }
    }

    /// Gives messages of the machine among the packets to `answers`: what their frames hold,
    /// [`Message`](relay_format::control::Message). Nobody waits: those that it has no room for are
    /// dropped.
    pub fn answer_to(&mut self, answers: SyncSender<Vec<u8>>) {
        self.sink.answer_to(answers);
    }

    /// Takes the next bytes, in chunks of any length. Text among them is kept with the
    /// [console's](super::Capture::console), and handed over. It never fails: what cannot be written is
    /// counted, and told by [`Capture::finish`](super::Capture::finish).
    pub fn push(&mut self, chunk: &[u8], mut text: impl FnMut(&[u8])) {
        let Self { reader, sink } = self;
        reader.push(chunk, |found| sink.take(found, &mut text));
        sink.flush(&mut text);
    }

    /// Ends the line: what is left of it is text, or damaged.
    pub fn finish(mut self, mut text: impl FnMut(&[u8])) {
        let Self { reader, sink } = &mut self;
        reader.finish(|found| sink.take(found, &mut text));
        sink.flush(&mut text);
    }
}

impl LineSink {
    pub(super) fn new(number: u32, is_console: bool, shared: Arc<Mutex<Shared>>) -> Self {
        Self {
            number,
            is_console,
            shared,
            answers: None,
            text: Vec::new(),
            damaged: Vec::new(),
        }
    }

    /// See [`LinePort::answer_to`].
    pub(super) fn answer_to(&mut self, answers: SyncSender<Vec<u8>>) {
        self.answers = Some(answers);
    }

    /// Takes what was found. It may be written with what follows: [`flush`](Self::flush) ends that.
    pub(super) fn take(&mut self, found: Found<'_>, text: &mut dyn FnMut(&[u8])) {
        match found {
            Found::Packet(header, packet) => {
                take(&self.shared, self.number, Piece::Packet(header, packet));
                lock(&self.shared).store().totals.line.frames += 1;
            }
            Found::Message(contents) => {
                lock(&self.shared).store().totals.line.messages += 1;
                if let Some(answers) = &self.answers {
                    // Who asked may have gone, or may ask again.
                    let _ = answers.try_send(contents.to_vec());
                }
            }
            Found::Text(bytes) => {
                self.text.extend_from_slice(bytes);
                if self.text.len() >= AT_ONCE {
                    self.flush_text(text);
                }
            }
            Found::Damage(damage, bytes) => {
                lock(&self.shared).store().totals.line.add(&damage);
                self.damaged.extend_from_slice(bytes);
                if self.damaged.len() >= AT_ONCE {
                    self.flush_damaged();
                }
            }
        }
    }

    /// Writes what was taken, and hands text over.
    pub(super) fn flush(&mut self, text: &mut dyn FnMut(&[u8])) {
        self.flush_text(text);
        self.flush_damaged();
    }

    fn flush_text(&mut self, text: &mut dyn FnMut(&[u8])) {
        let bytes = &self.text;
        if bytes.is_empty() {
            return;
        }
        let mut shared = lock(&self.shared);
        let store = shared.store();
        if !self.is_console {
            store.totals.line.text += bytes.len() as u64;
        }
        store.console(bytes);
        // Whoever shows it may take its time.
        drop(shared);
        text(bytes);
        self.text.clear();
    }

    fn flush_damaged(&mut self) {
        if !self.damaged.is_empty() {
            let mut shared = lock(&self.shared);
            let store = shared.store();
            store.fragment(Path::new(""), self.number, &self.damaged);
            self.damaged.clear();
        }
    }
}
