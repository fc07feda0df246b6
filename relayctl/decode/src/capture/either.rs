//! Bytes of which nobody has said what they are: packets back to back, as a port has them, or the
//! frames of a serial line. What comes first tells.
//!
//! They are read as a line, and kept beside it, until a sound frame or the sound header of a packet
//! outside of one has come. There is no such header within a frame: its encoding has no zeros. How
//! the bytes are cut into chunks makes no difference.

use std::sync::mpsc::SyncSender;

use memchr::memmem;

use super::line::{LinePort, LineSink};
use super::port::Port;
use crate::wire::{Damage, Found, Header, Kind, LineReader, MAGIC};

/// How many bytes are kept that may turn out to be of a port.
const MAX_HELD: usize = 1 << 20;

/// Takes bytes of either kind.
#[derive(Debug)]
pub struct EitherPort {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing has told yet.
    Open(Box<Open>),
    /// It is a line.
    Line(LinePort),
    /// It is a port.
    Port(Port),
    /// It has ended.
    Ended,
}

/// What came before it is known what it is.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// Reads it as a line.
    reader: LineReader,
    /// Takes what it finds.
    sink: LineSink,
    /// Takes it as packets.
    port: Port,
    /// The bytes themselves; fewer if they were too many.
    held: Vec<u8>,
    /// Up to here no header begins in them, and the reader has them.
    looked: usize,
    /// Text of them that was not handed over: all that is there already can wait.
    text: Vec<u8>,
    /// What is damaged in them, if they are of a line.
    damage: Vec<(Damage, Vec<u8>)>,
    /// Whether what is found from here on is told at once.
    is_told: bool,
    /// Whether text was handed over.
    has_text: bool,
    /// Whether a frame was found.
    has_frame: bool,
}

impl EitherPort {
    pub(super) fn new(kind: Kind, sink: LineSink, port: Port) -> Self {
        let open = Open {
            kind,
            reader: LineReader::new(),
            sink,
            port,
            held: Vec::new(),
            looked: 0,
            text: Vec::new(),
            damage: Vec::new(),
            is_told: false,
            has_text: false,
            has_frame: false,
        };
        Self {
            state: State::Open(Box::new(open)),
        }
    }

    /// See [`LinePort::answer_to`]. A port has no messages among its packets.
    pub fn answer_to(&mut self, answers: SyncSender<Vec<u8>>) {
        match &mut self.state {
            State::Open(open) => open.sink.answer_to(answers),
            State::Line(line) => line.answer_to(answers),
            State::Port(_) | State::Ended => {}
        }
    }

    /// Whether it has turned out to be a line.
    #[must_use]
    pub fn is_line(&self) -> bool {
        matches!(self.state, State::Line(_))
    }

    /// Takes the next bytes, in chunks of any length. If they are of a line, text among them is kept
    /// with the console's, and handed over.
    pub fn push(&mut self, chunk: &[u8], mut text: impl FnMut(&[u8])) {
        match &mut self.state {
            State::Line(line) => line.push(chunk, text),
            State::Port(port) => port.push(chunk),
            State::Ended => {}
            State::Open(open) => {
                let is = open.push(chunk, &mut text);
                if let Some(is) = is
                    && let State::Open(open) = std::mem::replace(&mut self.state, State::Ended)
                {
                    self.state = match is {
                        Is::Line => State::Line(open.into_line(&mut text)),
                        Is::Port(at) => State::Port(open.into_port(at, &mut text)),
                    };
                }
            }
        }
    }

    /// Ends it.
    pub fn finish(self, mut text: impl FnMut(&[u8])) {
        match self.state {
            State::Line(line) => line.finish(text),
            State::Port(port) => port.finish(),
            State::Ended => {}
            State::Open(open) => match open.is_told {
                true => open.into_line(&mut text).finish(text),
                // What is neither is a port's: fragments.
                false => {
                    let end = open.held.len();
                    open.into_port(end, &mut text).finish();
                }
            },
        }
    }
}

/// What it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Line,
    /// A port, whose first header begins here in what is held.
    Port(usize),
}

/// Whether a packet begins outside of frames.
enum Begins {
    /// Here.
    At(usize),
    /// Not before here, if at all.
    NotBefore(usize),
}

impl Open {
    /// Takes the next bytes; what they are, if that is known now.
    fn push(&mut self, chunk: &[u8], text: &mut dyn FnMut(&[u8])) -> Option<Is> {
        self.held.extend_from_slice(chunk);
        let begins = self.header();
        let (Begins::At(end) | Begins::NotBefore(end)) = begins;
        let looked = std::mem::replace(&mut self.looked, end);
        let mut reader = std::mem::take(&mut self.reader);
        let of_line = std::mem::take(&mut self.held);
        reader.push(&of_line[looked..end], |found| self.take(found, text));
        self.sink.flush(text);
        (self.reader, self.held) = (reader, of_line);
        if self.has_frame {
            return Some(Is::Line);
        }
        if let Begins::At(at) = begins {
            return Some(Is::Port(at));
        }
        if self.held.len() > MAX_HELD {
            // Much text before the first frame, or much that is nothing.
            self.tell(text);
            self.held.drain(..end);
            self.looked = 0;
        }
        None
    }

    /// Looks for the header of a packet.
    fn header(&self) -> Begins {
        let magic = MAGIC.to_le_bytes();
        let mut from = self.looked;
        while let Some(at) = memmem::find(&self.held[from..], &magic) {
            match Header::of(&self.held[from + at..]) {
                Some(Ok(_)) => return Begins::At(from + at),
                Some(Err(_)) => from += at + 1,
                None => return Begins::NotBefore(from + at),
            }
        }
        // The end may be the beginning of one.
        let end = self.held.len();
        let is_begin = |at: &usize| magic.starts_with(&self.held[*at..]);
        let begin = (end.saturating_sub(magic.len()).max(from)..end).find(is_begin);
        Begins::NotBefore(begin.unwrap_or(end))
    }

    /// Takes what was found, if it is a line.
    fn take(&mut self, found: Found<'_>, text: &mut dyn FnMut(&[u8])) {
        if let Found::Packet(..) | Found::Message(_) = found {
            self.has_frame = true;
            self.tell(text);
        }
        match found {
            _ if self.is_told => self.sink.take(found, text),
            Found::Text(bytes) => match self.kind {
                Kind::Live => {
                    self.has_text = true;
                    self.sink.take(found, text);
                }
                Kind::Stored => self.text.extend_from_slice(bytes),
            },
            Found::Damage(damage, bytes) => self.damage.push((damage, bytes.to_vec())),
            Found::Packet(..) | Found::Message(_) => {}
        }
    }

    /// Tells what was kept of a line, and what comes from here on.
    fn tell(&mut self, text: &mut dyn FnMut(&[u8])) {
        self.is_told = true;
        let kept = std::mem::take(&mut self.text);
        if !kept.is_empty() {
            self.sink.take(Found::Text(&kept), text);
        }
        for (damage, bytes) in std::mem::take(&mut self.damage) {
            self.sink.take(Found::Damage(damage, &bytes), text);
        }
        self.sink.flush(text);
    }

    /// It is a line: all that was found was told.
    fn into_line(self, text: &mut dyn FnMut(&[u8])) -> LinePort {
        let mut line = LinePort::new(self.reader, self.sink);
        line.push(&self.held[self.looked..], text);
        line
    }

    /// It is a port, whose first header begins at `at` in what is held. What comes before that is
    /// fragments, but for text that was handed over.
    fn into_port(mut self, at: usize, text: &mut dyn FnMut(&[u8])) -> Port {
        if !self.is_told && !self.has_text {
            self.port.push(&self.held);
            return self.port;
        }
        let mut reader = std::mem::take(&mut self.reader);
        let held = std::mem::take(&mut self.held);
        reader.push(&held[self.looked..at], |found| self.take(found, text));
        reader.finish(|found| self.take(found, text));
        self.sink.flush(text);
        for (_, bytes) in std::mem::take(&mut self.damage) {
            self.port.fragment(&bytes);
        }
        self.port.push(&held[at..]);
        self.port
    }
}

#[cfg(test)]
mod tests;
