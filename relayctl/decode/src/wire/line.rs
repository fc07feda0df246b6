//! Finds frames on a serial line, among text and noise, as `docs/FORMAT.md` has them.
//!
//! The line is cut at each [`DELIMITER`]. A piece is one of these:
//!
//! - It begins like a frame: a code of COBS, then a packet's magic number, or a message's. It is
//!   held until its delimiter comes, and is a frame if all of it is sound. Once its header is there,
//!   its length has a limit: what goes on behind that is no part of it.
//! - It begins otherwise. It is text, and passed on at once, up to the first byte that no text has.
//! - From such a byte on, and in a frame that is not sound, it is noise up to the delimiter. A line
//!   of text in it is passed on when it is whole: after a reset firmware may write behind half a
//!   frame. A frame that has about the length that its header says has none.
//!
//! ```text
//!            code, magic              sound, or not
//!  Begin ------------------> Frame ----------------> Begin
//!    |                         | header unsound, or too long
//!    | else                    v
//!    v    no byte of text    Noise ------ delimiter -> Begin
//!  Text ---------------------> ^
//!    `------------------------------------ delimiter -> Begin
//! ```

use std::fmt;
use std::mem;

use memchr::memchr;
use relay_format::control;
use relay_format::frame::{self, DELIMITER, MAX_BODY, NoFrame};
use relay_format::packet::{MAGIC, SIZE as HEADER_SIZE};

use super::header::{Header, HeaderError};

/// Bytes that tell whether a piece begins like a frame.
const BEGIN: usize = 1 + size_of_val(&MAGIC);
const _: () = assert!(BEGIN == control::BEGIN.len());

/// The least code that a frame begins with: there is no zero in the magic number behind it.
const LEAST_CODE: u8 = BEGIN as u8;

/// So many bytes of a frame have its header in them: with two codes at most, and one byte more.
const HEADER: usize = HEADER_SIZE + 3;

/// So many bytes more than it should have a frame may have: some were added or doubled.
const SLACK: usize = 16;

/// The least length of a line of text within noise: shorter ones come by chance.
const LEAST_TEXT: usize = 5;

/// What was found on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole packet, from a sound frame.
    Packet(&'a Header, &'a [u8]),
    /// What a sound frame holds that is a message of the machine: an answer to what it was asked.
    Message(&'a [u8]),
    /// Text, or a part of it, that somebody else has written.
    Text(&'a [u8]),
    /// Bytes of the line that are neither.
    Damage(Damage, &'a [u8]),
}

/// Bytes of a line that are neither a sound frame nor text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin, in bytes from the line's beginning.
    pub at: u64,
    /// How many they are.
    pub length: u64,
    /// What they were taken for.
    pub why: Why,
}

/// Why bytes of a line are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They do not begin like one, and are no text.
    Noise,
    /// They begin like one, and there is none.
    Frame(NoFrame),
    /// It has no packet: its header is wrong.
    Header(HeaderError),
    /// The packet has another size, in bytes, than its header says.
    Size {
        /// What the header says.
        says: u64,
        /// What there is.
        is: u64,
    },
    /// It does not end where it should.
    Endless,
    /// The line ends within it.
    CutOff,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise => f.write_str("neither text nor a frame"),
            Self::Frame(why) => write!(f, "a frame, but {why}"),
            Self::Header(why) => write!(f, "a frame, but its packet is none: {why}"),
            Self::Size { says, is } => {
                write!(f, "a frame, but its packet has {is} bytes, and says {says}")
            }
            Self::Endless => f.write_str("a frame, but there is no end where it should be"),
            Self::CutOff => f.write_str("a frame, but the line ends within it"),
        }
    }
}

/// Where what was found goes.
type Sink<'a> = &'a mut dyn FnMut(Found<'_>);

/// What the piece of the line is that is being read.
#[derive(Clone, Copy, Debug)]
enum State {
    /// A frame, as far as `held` shows.
    Begin,
    /// A frame, all of which is `held`, of at most so many bytes; `None` until its header has come.
    Frame(Option<usize>),
    /// Text.
    Text,
    /// Neither. `held` are bytes of it that were not told yet: up to `line` noise, then a line that
    /// may be text.
    Noise {
        /// What it was taken for.
        why: Why,
        /// Where the line begins in `held`.
        line: usize,
        /// Whether all bytes of that line are of text.
        is_text: bool,
    },
}

/// Reads a line, whose bytes come in chunks of any length, single ones for example. It keeps no
/// more than one frame.
#[derive(Debug)]
pub struct LineReader {
    state: State,
    /// Bytes that came and were not told yet.
    held: Vec<u8>,
    /// How many bytes were told: the place of the first one that is held.
    told: u64,
    /// A frame, while it is decoded.
    decoded: Vec<u8>,
    /// Whether noise is told as text.
    is_lenient: bool,
}

impl LineReader {
    /// At the beginning of a line that is there for frames.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Begin,
            held: Vec::new(),
            told: 0,
            decoded: Vec::new(),
            is_lenient: false,
        }
    }

    /// At the beginning of a console: all that does not begin like a frame is text, whatever bytes
    /// it has, until the first frame has come.
    #[must_use]
    pub fn console() -> Self {
        Self {
            is_lenient: true,
            ..Self::new()
        }
    }

    /// Takes the next bytes, and hands over what they complete, in order.
    pub fn push(&mut self, chunk: &[u8], mut found: impl FnMut(Found<'_>)) {
        self.feed(chunk, &mut found);
    }

    /// The same.
    fn feed(&mut self, mut chunk: &[u8], found: Sink<'_>) {
        while !chunk.is_empty() {
            let taken = match self.state {
                State::Text => self.text(chunk, found),
                State::Frame(limit) => self.frame(chunk, limit, found),
                State::Begin | State::Noise { .. } => {
                    self.byte(chunk[0], found);
                    1
                }
            };
            chunk = &chunk[taken..];
        }
    }

    /// Hands over what is left: there will be no more bytes.
    pub fn finish(&mut self, mut found: impl FnMut(Found<'_>)) {
        if let State::Frame(_) = self.state {
            // The delimiter may be all that is missing.
            self.end_frame(Some(Why::CutOff), &mut found);
        }
        self.end_piece(&mut found);
    }

    /// Takes bytes of text, and says how many: up to the delimiter, or a byte that is none.
    fn text(&mut self, chunk: &[u8], found: Sink<'_>) -> usize {
        let is_text = |byte: u8| byte != DELIMITER && (self.is_lenient || is_text(byte));
        let end = chunk.iter().position(|byte| !is_text(*byte));
        let text = &chunk[..end.unwrap_or(chunk.len())];
        self.tell_text(text, found);
        let Some(byte) = chunk.get(text.len()) else {
            return chunk.len();
        };
        if *byte != DELIMITER {
            self.state = noise(Why::Noise);
        }
        self.byte(*byte, found);
        text.len() + 1
    }

    /// Takes bytes of a frame, and says how many: up to the delimiter, or as far as it can go.
    fn frame(&mut self, chunk: &[u8], limit: Option<usize>, found: Sink<'_>) -> usize {
        // With a limit: to the first byte that is too many.
        let wanted = limit.map_or(HEADER, |limit| limit + 1);
        let room = wanted.saturating_sub(self.held.len());
        let near = &chunk[..room.min(chunk.len())];
        let end = memchr(DELIMITER, near);
        let of_frame = &near[..end.unwrap_or(near.len())];
        self.held.extend_from_slice(of_frame);
        if end.is_some() {
            self.end_frame(None, found);
            self.end_piece(found);
        } else if self.held.len() >= wanted {
            match limit.map_or_else(|| self.limit(), |_| Err(Why::Endless)) {
                Ok(limit) => self.state = State::Frame(Some(limit)),
                Err(why) => self.spoil(why, found),
            }
        }
        end.map_or(near.len(), |end| end + 1)
    }

    /// How long the frame can be whose header has come.
    fn limit(&self) -> Result<usize, Why> {
        let header = frame::peek(&self.held).ok_or(Why::Frame(NoFrame::Encoding))?;
        let header = Header::parse(&header).map_err(Why::Header)?;
        let size = usize::try_from(header.packet_size).ok();
        match size.filter(|size| *size <= frame::MAX_PACKET) {
            Some(size) => Ok(frame::max_size(size) - 2 + SLACK),
            None => Err(Why::Frame(NoFrame::TooLong)),
        }
    }

    /// Takes a byte of a piece of which nothing is known yet, or which is noise.
    fn byte(&mut self, byte: u8, found: Sink<'_>) {
        if byte == DELIMITER {
            return self.end_piece(found);
        }
        match &mut self.state {
            State::Begin => {
                self.held.push(byte);
                if !begins_like_frame(&self.held) {
                    // From the first byte on.
                    let held = mem::take(&mut self.held);
                    self.state = State::Text;
                    self.feed(&held, found);
                } else if self.held.len() == BEGIN {
                    let is_message = self.held == control::BEGIN;
                    self.state = State::Frame(is_message.then_some(control::MAX_BODY));
                }
            }
            State::Noise { line, is_text, .. } => {
                self.held.push(byte);
                *is_text &= self::is_text(byte);
                if byte == b'\n' {
                    if *is_text && self.held.len() - *line >= LEAST_TEXT {
                        let line = *line;
                        return self.end_line(line, found);
                    }
                    *line = self.held.len();
                    *is_text = true;
                }
                if self.held.len() >= MAX_BODY {
                    self.tell_noise(found);
                }
            }
            State::Text | State::Frame(_) => {
                self.feed(&[byte], found);
            }
        }
    }

    /// Tells what is held of a piece that has ended.
    fn end_piece(&mut self, found: Sink<'_>) {
        match self.state {
            State::Begin => {
                let held = mem::take(&mut self.held);
                if !held.is_empty() {
                    self.state = State::Text;
                    self.feed(&held, found);
                    return self.end_piece(found);
                }
            }
            State::Noise { .. } => self.tell_noise(found),
            State::Text | State::Frame(_) => {}
        }
        self.state = State::Begin;
        self.told += 1;
    }

    /// Decodes the frame that is held. If it is none, that is for `why` if it is given.
    fn end_frame(&mut self, why: Option<Why>, found: Sink<'_>) {
        self.decoded.clear();
        self.decoded.extend_from_slice(&self.held);
        let read = frame::read(&mut self.decoded).map_err(Why::Frame);
        let read = read.and_then(|contents| {
            if contents.starts_with(&control::MAGIC) {
                return Ok((None, contents));
            }
            match Header::of(contents) {
                Some(Ok(header)) if header.packet_size == contents.len() as u64 => {
                    Ok((Some(header), contents))
                }
                Some(Ok(header)) => Err(Why::Size {
                    says: header.packet_size,
                    is: contents.len() as u64,
                }),
                Some(Err(why)) => Err(Why::Header(why)),
                None => Err(Why::Frame(NoFrame::TooShort)),
            }
        });
        match read {
            Ok((header, contents)) => {
                found(match &header {
                    Some(header) => Found::Packet(header, contents),
                    None => Found::Message(contents),
                });
                self.told += self.held.len() as u64;
                self.held.clear();
                self.state = State::Text;
                self.is_lenient = false;
            }
            Err(is) => {
                let is_whole = matches!(self.state, State::Frame(Some(limit))
                    if limit - self.held.len() <= 3 * SLACK);
                match why {
                    // All of it is there, more or less: there is nobody's text in it.
                    None if is_whole && !self.is_lenient => {
                        self.state = noise(is);
                        self.tell_noise(found);
                    }
                    _ => self.spoil(why.unwrap_or(is), found),
                }
            }
        }
    }

    /// What is held is no frame: it is noise, maybe with text in it.
    fn spoil(&mut self, why: Why, found: Sink<'_>) {
        if self.is_lenient {
            self.state = State::Text;
            let held = mem::take(&mut self.held);
            return self.tell_text(&held, found);
        }
        self.state = noise(why);
        for byte in mem::take(&mut self.held) {
            self.byte(byte, found);
        }
    }

    /// Tells a line of text within noise, and what lies before it.
    fn end_line(&mut self, line: usize, found: Sink<'_>) {
        let held = mem::take(&mut self.held);
        let (noise, text) = held.split_at(line);
        self.tell_damage(noise, found);
        self.tell_text(text, found);
        if let State::Noise { line, is_text, .. } = &mut self.state {
            (*line, *is_text) = (0, true);
        }
    }

    /// Tells all that is held as noise.
    fn tell_noise(&mut self, found: Sink<'_>) {
        let held = mem::take(&mut self.held);
        self.tell_damage(&held, found);
        if let State::Noise { line, is_text, .. } = &mut self.state {
            // The rest of a line that was begun.
            (*line, *is_text) = (0, false);
        }
    }

    fn tell_text(&mut self, text: &[u8], found: Sink<'_>) {
        if !text.is_empty() {
            self.told += text.len() as u64;
            found(Found::Text(text));
        }
    }

    fn tell_damage(&mut self, noise: &[u8], found: Sink<'_>) {
        let State::Noise { why, .. } = self.state else {
            return;
        };
        if !noise.is_empty() {
            let (at, length) = (self.told, noise.len() as u64);
            self.told += length;
            found(Found::Damage(Damage { at, length, why }, noise));
        }
    }
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Noise from the next byte on.
fn noise(why: Why) -> State {
    State::Noise {
        why,
        line: 0,
        is_text: false,
    }
}

/// Whether a piece that begins with these bytes may be a frame: at most [`BEGIN`].
fn begins_like_frame(bytes: &[u8]) -> bool {
    let magic = MAGIC.to_le_bytes();
    let Some((code, rest)) = bytes.split_first() else {
        return true;
    };
    *code >= LEAST_CODE && magic.starts_with(rest) || control::BEGIN.starts_with(bytes)
}

/// Whether text has such a byte: what UTF-8 and terminals know.
fn is_text(byte: u8) -> bool {
    match byte {
        b'\t' | b'\n' | b'\r' | 0x07 | 0x08 | 0x0b | 0x0c | 0x1b => true,
        // Nowhere in UTF-8.
        0xc0 | 0xc1 | 0xf5.. => false,
        _ => byte >= b' ' && byte != 0x7f,
    }
}

#[cfg(test)]
mod tests;
