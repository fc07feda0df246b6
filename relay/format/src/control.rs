//! Requests to a machine that runs, and its answers: what it shall log is switched while it does.
//!
//! A *message* is a header of [`HEADER`] bytes and a text, in a [frame] of its own. On
//! a serial line the frames lie among those of packets; each begins with [`BEGIN`], which tells it
//! from them. Who asks gives each [`Request`] a number, and the [`Answer`] has the same number. It
//! comes in one or more pieces, of which the last says how it went.
//!
//! ```
//! use relay_format::control::{Answer, End, Message, Request};
//!
//! let request = Request::Set { name: "log", value: "debug" };
//! let mut room = [0; relay_format::control::MAX_TEXT];
//! let message = request.message(7, &mut room)?;
//! assert_eq!(message.request(), Ok(Request::Set { name: "log", value: "debug" }));
//!
//! let answer = Answer { number: 7, piece: 0, end: Some(End::Done), text: b"debug" };
//! assert_eq!(answer.message().answer(), Some(answer));
//! # Ok::<(), relay_format::control::TooLong>(())
//! ```
//!
//! Nothing here has a state or allocates: any context.

use core::fmt;
use core::str;

use crate::frame::{self, NoRoom};

/// What each message begins with.
pub const MAGIC: [u8; 5] = [0xC1, b'c', b't', b'l', 0];

/// What its frame begins with, behind the delimiter: the encoding of [`MAGIC`], up to its zero. No
/// text begins so, and no frame of a packet.
pub const BEGIN: [u8; 5] = [5, 0xC1, b'c', b't', b'l'];

/// Bytes of a message's header.
pub const HEADER: usize = 12;

/// The most bytes of a message, with its header.
pub const MAX_MESSAGE: usize = 512;

/// The most bytes of a message's text.
pub const MAX_TEXT: usize = MAX_MESSAGE - HEADER;

/// The most bytes of a message's frame, with its delimiters.
pub const MAX_FRAME: usize = frame::max_size(MAX_MESSAGE);

/// The most bytes of it between them.
pub const MAX_BODY: usize = MAX_FRAME - 2;

/// The most pieces of an answer. What is longer is cut.
pub const MAX_PIECES: u16 = 256;

/// The number of the request [`Request::Set`].
pub const SET: u8 = 1;
/// The number of the request [`Request::Get`].
pub const GET: u8 = 2;
/// The number of the request [`Request::List`].
pub const LIST: u8 = 3;
/// The number of the request [`Request::Snapshot`].
pub const SNAPSHOT: u8 = 4;

/// The number of an answer's piece that others follow. All that are not less are answers.
pub const MORE: u8 = 128;
/// The number of the last piece of an answer: [`End::Done`].
pub const DONE: u8 = 129;
/// The same: [`End::Refused`].
pub const REFUSED: u8 = 130;
/// The same, but not of the machine: [`End::Undelivered`].
pub const UNDELIVERED: u8 = 131;

/// A message, of which only the form is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is: [`SET`] and the like.
    pub kind: u8,
    /// Which piece of an answer; 0 in a request.
    pub piece: u16,
    /// The number of the request.
    pub number: u32,
    /// What it says.
    pub text: &'a [u8],
}

/// What a frame holds is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMessage;

impl fmt::Display for NoMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this is no message: one has {HEADER} to {MAX_MESSAGE} bytes and begins with {MAGIC:x?}"
        )
    }
}

impl core::error::Error for NoMessage {}

impl<'a> Message<'a> {
    /// Reads what a frame holds.
    ///
    /// # Errors
    ///
    /// [`NoMessage`]: it is something else.
    pub fn read(contents: &'a [u8]) -> Result<Self, NoMessage> {
        let (header, text) = contents.split_first_chunk::<HEADER>().ok_or(NoMessage)?;
        let [m0, m1, m2, m3, m4, kind, p0, p1, n0, n1, n2, n3] = *header;
        if [m0, m1, m2, m3, m4] != MAGIC || text.len() > MAX_TEXT {
            return Err(NoMessage);
        }
        Ok(Self {
            kind,
            piece: u16::from_le_bytes([p0, p1]),
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            text,
        })
    }

    /// Its header, as it stands before the text.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER] {
        let [m0, m1, m2, m3, m4] = MAGIC;
        let [p0, p1] = self.piece.to_le_bytes();
        let [n0, n1, n2, n3] = self.number.to_le_bytes();
        [m0, m1, m2, m3, m4, self.kind, p0, p1, n0, n1, n2, n3]
    }

    /// Makes a frame of it, of at most [`MAX_FRAME`] bytes; how many it has.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: the buffer is smaller than the frame.
    pub fn frame(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        frame::write([&self.header()[..], self.text], buffer)
    }

    /// The request that it is.
    ///
    /// # Errors
    ///
    /// [`BadRequest`]: why it is none. An answer is none, either, and not to be answered:
    /// [`is_answer`](Self::is_answer).
    pub fn request(&self) -> Result<Request<'a>, BadRequest> {
        let text = str::from_utf8(self.text).map_err(|_| BadRequest::Text)?;
        match self.kind {
            SET => match text.split_once('=') {
                Some(("", _)) => Err(BadRequest::Name),
                Some((name, value)) => Ok(Request::Set { name, value }),
                None => Err(BadRequest::Value),
            },
            GET if text.is_empty() => Err(BadRequest::Name),
            GET => Ok(Request::Get { name: text }),
            LIST => Ok(Request::List),
            SNAPSHOT => Ok(Request::Snapshot),
            other => Err(BadRequest::Kind(other)),
        }
    }

    /// Whether it is an answer, of whatever kind. Who answers gets those, too, where a line sends
    /// back what comes over it.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.kind >= MORE
    }

    /// The piece of an answer that it is; `None` if it is none that is known.
    #[must_use]
    pub fn answer(&self) -> Option<Answer<'a>> {
        let end = match self.kind {
            MORE => None,
            DONE => Some(End::Done),
            REFUSED => Some(End::Refused),
            UNDELIVERED => Some(End::Undelivered),
            _ => return None,
        };
        Some(Answer {
            number: self.number,
            piece: self.piece,
            end,
            text: self.text,
        })
    }
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Give a switch a value. The answer's text is the value that it has then.
    Set {
        /// The switch.
        name: &'a str,
        /// The value.
        value: &'a str,
    },
    /// Tell the value of a switch.
    Get {
        /// The switch.
        name: &'a str,
    },
    /// Tell all switches: the answer's text has a line `NAME=VALUE` for each.
    List,
    /// Take a snapshot of what flight recorders hold. The answer's text is its number; it comes when
    /// the snapshot is asked for, not when it is taken.
    Snapshot,
}

/// A request is longer than a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name and value may have {} bytes together", MAX_TEXT - 1)
    }
}

impl core::error::Error for TooLong {}

impl Request<'_> {
    /// The message with this number that says it, put together in `room`.
    ///
    /// # Errors
    ///
    /// [`TooLong`]: it does not fit.
    pub fn message<'b>(
        &self,
        number: u32,
        room: &'b mut [u8; MAX_TEXT],
    ) -> Result<Message<'b>, TooLong> {
        let (kind, parts) = match self {
            Self::Set { name, value } => (SET, [*name, "=", *value]),
            Self::Get { name } => (GET, [*name, "", ""]),
            Self::List => (LIST, [""; 3]),
            Self::Snapshot => (SNAPSHOT, [""; 3]),
        };
        let mut length = 0;
        for part in parts {
            let end = length + part.len();
            let place = room.get_mut(length..end).ok_or(TooLong)?;
            place.copy_from_slice(part.as_bytes());
            length = end;
        }
        Ok(Message {
            kind,
            piece: 0,
            number,
            text: room.get(..length).ok_or(TooLong)?,
        })
    }
}

/// Why a message is no request. Its `Display` says what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// There is no request with this number.
    Kind(u8),
    /// Its text is not UTF-8.
    Text,
    /// It names no switch.
    Name,
    /// It gives no value.
    Value,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(
                f,
                "there is no request {kind}: {SET} (set), {GET} (get), {LIST} (list) or {SNAPSHOT} \
                 (snapshot) would be right"
            ),
            Self::Text => f.write_str("its text is no UTF-8"),
            Self::Name => f.write_str("it names nothing: NAME or NAME=VALUE would be right"),
            Self::Value => f.write_str("it gives no value: NAME=VALUE would be right"),
        }
    }
}

impl core::error::Error for BadRequest {}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was done, and the text is what was asked for.
    Done,
    /// It was not, and the text says why, and what would be right.
    Refused,
    /// It did not reach the machine: who passes requests on says why. No machine says so.
    Undelivered,
}

/// A piece of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The number of the request.
    pub number: u32,
    /// Which piece, from 0, below [`MAX_PIECES`].
    pub piece: u16,
    /// How the answer ends, with this piece; `None` if others follow.
    pub end: Option<End>,
    /// What follows the text of the piece before: UTF-8 in the end, but a piece may end within a
    /// character.
    pub text: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The message that says it.
    #[must_use]
    pub fn message(&self) -> Message<'a> {
        Message {
            kind: match self.end {
                None => MORE,
                Some(End::Done) => DONE,
                Some(End::Refused) => REFUSED,
                Some(End::Undelivered) => UNDELIVERED,
            },
            piece: self.piece,
            number: self.number,
            text: self.text,
        }
    }
}

#[cfg(test)]
mod tests;
