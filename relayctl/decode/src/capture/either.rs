//! Bytes of which nobody has said what they are: packets back to back, as a port has them, or the
//! frames of a serial line. What comes first tells.
//!
//! They are read as a line, and kept beside it, until a sound frame or the sound header of a packet
//! outside of one has come. There is no such header within a frame: its encoding has no zeros.

use memchr::memmem;

use super::line::{LinePort, LineSink};
use super::port::Port;
use crate::wire::{Damage, Found, HEADER_SIZE, Header, Kind, LineReader, MAGIC};

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
    /// Up to here no header begins in them.
    looked: usize,
    /// Text of them that was not handed over: all that is there already can wait.
    text: Vec<u8>,
    /// What is damaged in them, if they are of a line.
    damage: Vec<(Damage, Vec<u8>)>,
    /// Whether what is found from here on is told at once.
    is_told: bool,
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
            has_frame: false,
        };
        Self {
            state: State::Open(Box::new(open)),
        }
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
                        Is::Line => State::Line(open.into_line()),
                        Is::Port => State::Port(open.into_port()),
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
            State::Open(mut open) => match open.end(&mut text) {
                Is::Line => open.into_line().finish(text),
                Is::Port => open.into_port().finish(),
            },
        }
    }
}

/// What it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Line,
    Port,
}

impl Open {
    /// Takes the next bytes; what they are, if that is known now.
    fn push(&mut self, chunk: &[u8], text: &mut dyn FnMut(&[u8])) -> Option<Is> {
        self.held.extend_from_slice(chunk);
        if self.has_header() {
            return Some(Is::Port);
        }
        let mut reader = std::mem::take(&mut self.reader);
        reader.push(chunk, |found| self.take(found, text));
        self.reader = reader;
        if self.held.len() > MAX_HELD {
            // Much text before the first frame, or much that is nothing.
            self.tell(text);
            let excess = self.held.len() - HEADER_SIZE;
            self.held.drain(..excess);
            self.looked = self.looked.saturating_sub(excess);
        }
        self.has_frame.then_some(Is::Line)
    }

    /// There will be no more bytes.
    fn end(&mut self, text: &mut dyn FnMut(&[u8])) -> Is {
        let mut reader = std::mem::take(&mut self.reader);
        reader.finish(|found| self.take(found, text));
        // What is neither is a port's: fragments.
        match self.is_told {
            true => Is::Line,
            false => Is::Port,
        }
    }

    /// Whether a packet begins outside of frames.
    fn has_header(&mut self) -> bool {
        let magic = MAGIC.to_le_bytes();
        for at in memmem::find_iter(&self.held[self.looked..], &magic) {
            match Header::of(&self.held[self.looked + at..]) {
                Some(Ok(_)) => return true,
                Some(Err(_)) => {}
                None => break,
            }
        }
        self.looked = self.held.len().saturating_sub(HEADER_SIZE - 1);
        false
    }

    /// Takes what was found, if it is a line.
    fn take(&mut self, found: Found<'_>, text: &mut dyn FnMut(&[u8])) {
        if let Found::Packet(..) = found {
            self.has_frame = true;
            self.tell(text);
        }
        match found {
            _ if self.is_told => self.sink.take(found, text),
            Found::Text(bytes) => match self.kind {
                Kind::Live => self.sink.take(found, text),
                Kind::Stored => self.text.extend_from_slice(bytes),
            },
            Found::Damage(damage, bytes) => self.damage.push((damage, bytes.to_vec())),
            Found::Packet(..) => {}
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
            self.sink.take(Found::Damage(damage, &bytes), |_| {});
        }
    }

    /// It is a line: all was told.
    fn into_line(self) -> LinePort {
        LinePort::new(self.reader, self.sink)
    }

    /// It is a port: nothing was told.
    fn into_port(mut self) -> Port {
        self.port.push(&self.held);
        self.port
    }
}
