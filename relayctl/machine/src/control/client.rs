//! Who asks.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use relay_format::control::{
    End, MAX_BODY, MAX_FRAME, MAX_PIECES, MAX_TEXT, Message, Request, TooLong,
};
use relay_format::frames::Frames;

use super::socket;

/// How long an answer is waited for before the request is said again: a line may have damaged it.
const AGAIN: Duration = Duration::from_secs(2);

/// What a machine has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done; what was asked for.
    Done(String),
    /// It was not; why, and what would be right.
    Refused(String),
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The request is too long.
    TooLong(TooLong),
    /// The desk cannot be talked to.
    Io(io::Error),
    /// The desk was closed: the machine has ended, or who records it.
    Closed,
    /// The request could not be passed on to the machine.
    Undelivered(String),
    /// There was none for so long.
    Silent(Duration),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Closed => f.write_str("the machine ended before it answered"),
            Self::Undelivered(why) => f.write_str(why),
            Self::Silent(time) => write!(
                f,
                "no answer in {} s: the machine hears nothing, or its kernel answers no requests; \
                 --timeout would wait longer",
                time.as_secs_f32()
            ),
        }
    }
}

impl std::error::Error for AskError {}

/// Somebody who asks a machine, through the desk of who records it.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    frames: Frames<MAX_BODY>,
    /// The number of the last request.
    last: u32,
}

impl Client {
    /// Goes to the desk in a capture's folder.
    ///
    /// # Errors
    ///
    /// When there is none: the capture is not being made, or its machine cannot be asked.
    pub fn connect(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            stream: socket::connect(folder)?,
            frames: Frames::new(),
            last: 0,
        })
    }

    /// Asks, and waits for the answer as long as `patience`.
    ///
    /// # Errors
    ///
    /// [`AskError`]: why there is none.
    pub fn ask(&mut self, request: &Request<'_>, patience: Duration) -> Result<Reply, AskError> {
        self.last = self.last.wrapping_add(1);
        let mut room = [0; MAX_TEXT];
        let message = request.message(self.last, &mut room);
        let message = message.map_err(AskError::TooLong)?;
        let mut frame = [0; MAX_FRAME];
        let size = message.frame(&mut frame).unwrap_or_default();
        let frame = &frame[..size];
        let begin = Instant::now();
        let mut again = begin;
        let mut answer = Gathered::default();
        loop {
            let now = Instant::now();
            if now.duration_since(begin) >= patience {
                return Err(AskError::Silent(patience));
            }
            if now >= again {
                again = now + AGAIN;
                self.send(frame, begin + patience)?;
            }
            let until = again.min(begin + patience);
            if let Some(reply) = self.receive(&mut answer, until.saturating_duration_since(now))? {
                return reply;
            }
        }
    }

    /// Sends a frame.
    fn send(&mut self, frame: &[u8], until: Instant) -> Result<(), AskError> {
        let wait = until.saturating_duration_since(Instant::now());
        let wait = wait.max(Duration::from_millis(1));
        let sent = self.stream.set_write_timeout(Some(wait));
        let sent = sent.and_then(|()| self.stream.write_all(frame));
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => AskError::Closed,
            _ => AskError::Io(error),
        })
    }

    /// Receives what comes within `wait`; the answer, if that was the rest of it.
    fn receive(
        &mut self,
        answer: &mut Gathered,
        wait: Duration,
    ) -> Result<Option<Result<Reply, AskError>>, AskError> {
        let wait = wait.max(Duration::from_millis(1));
        self.stream
            .set_read_timeout(Some(wait))
            .map_err(AskError::Io)?;
        let mut buffer = [0; 4096];
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(AskError::Closed),
            Ok(length) => length,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::Interrupted => Ok(None),
                    io::ErrorKind::ConnectionReset => Err(AskError::Closed),
                    _ => Err(AskError::Io(error)),
                };
            }
        };
        let mut reply = None;
        for byte in &buffer[..length] {
            if let Some(contents) = self.frames.push(*byte)
                && let Ok(message) = Message::read(contents)
                && message.number == self.last
                && reply.is_none()
            {
                reply = answer.add(&message);
            }
        }
        Ok(reply)
    }
}

/// The pieces of an answer that have come. Those of a request that was said twice are alike.
#[derive(Debug, Default)]
struct Gathered {
    pieces: Vec<Option<Vec<u8>>>,
    end: Option<(u16, End)>,
}

impl Gathered {
    /// Adds a piece; the answer, if all of it is there now.
    fn add(&mut self, message: &Message<'_>) -> Option<Result<Reply, AskError>> {
        let answer = message.answer()?;
        if answer.piece >= MAX_PIECES {
            return None;
        }
        let place = usize::from(answer.piece);
        if self.pieces.len() <= place {
            self.pieces.resize(place + 1, None);
        }
        self.pieces[place] = Some(answer.text.to_vec());
        if let Some(end) = answer.end {
            self.end = Some((answer.piece, end));
        }
        let (last, end) = self.end?;
        let pieces = self.pieces.get(..=usize::from(last))?;
        let pieces: Option<Vec<&[u8]>> = pieces.iter().map(Option::as_deref).collect();
        let text = String::from_utf8_lossy(&pieces?.concat()).into_owned();
        Some(match end {
            End::Done => Ok(Reply::Done(text)),
            End::Refused => Ok(Reply::Refused(text)),
            End::Undelivered => Err(AskError::Undelivered(text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use relay_format::control::Answer;

    use super::*;

    fn piece(piece: u16, end: Option<End>, text: &[u8]) -> Message<'_> {
        let number = 1;
        Answer {
            number,
            piece,
            end,
            text,
        }
        .message()
    }

    #[test]
    fn an_answer_is_whole_when_all_pieces_are_there() {
        let mut gathered = Gathered::default();
        assert!(gathered.add(&piece(2, Some(End::Done), b"c")).is_none());
        assert!(gathered.add(&piece(0, None, b"a\xc3")).is_none());
        assert!(gathered.add(&piece(0, None, b"a\xc3")).is_none());
        assert!(
            gathered
                .add(&piece(u16::MAX, Some(End::Done), b"x"))
                .is_none()
        );
        let reply = gathered.add(&piece(1, None, b"\xa4b"));
        assert!(matches!(reply, Some(Ok(Reply::Done(text))) if text == "a\u{e4}bc"));
        let refused = Gathered::default().add(&piece(0, Some(End::Refused), b"\xff"));
        assert!(matches!(refused, Some(Ok(Reply::Refused(text))) if text == "\u{fffd}"));
        // A request is no answer.
        let request = Message {
            kind: 1,
            piece: 0,
            number: 1,
            text: b"",
        };
        assert!(Gathered::default().add(&request).is_none());
    }
}
