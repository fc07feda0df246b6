//! Messages: a few words, up to 256 bytes and a handle, sent to a port and answered.

use core::time::Duration;

use relay_abi::{Error, Handle, MESSAGE_BYTES, NO_HANDLE};

use crate::files::Owned;
use crate::sys::{self, Come, MessageRoom, Words};
use crate::time::nanos;

/// The bytes of a message; there is always room for as many as can come.
#[derive(Debug)]
pub struct Bytes {
    room: MessageRoom,
    length: usize,
}

impl Bytes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            room: [0; MESSAGE_BYTES],
            length: 0,
        }
    }

    /// These; what is too long is cut.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut all = Self::new();
        all.set(bytes);
        all
    }

    /// Becomes these; what is too long is cut.
    pub fn set(&mut self, bytes: &[u8]) {
        self.length = bytes.len().min(MESSAGE_BYTES);
        self.room[..self.length].copy_from_slice(&bytes[..self.length]);
    }

    /// What they are.
    #[must_use]
    pub fn get(&self) -> &[u8] {
        &self.room[..self.length]
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::new()
    }
}

/// What a message says beside its bytes; what it is about to say, with a handle that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Says {
    /// Three words.
    pub words: [u64; 3],
    /// A handle that the other side gets a copy of.
    pub pass: Option<Handle>,
}

impl Says {
    /// These words, and no handle.
    #[must_use]
    pub const fn words(words: [u64; 3]) -> Self {
        Self { words, pass: None }
    }

    fn to_words(self) -> Words {
        Words {
            words: self.words,
            handle: self.pass.unwrap_or(NO_HANDLE),
        }
    }
}

/// A message that has come, or an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the process that sent it; `None`: it is notification bits, in the first word.
    pub sender: Option<u32>,
    /// Three words.
    pub words: [u64; 3],
    /// A handle that has come with it.
    pub handle: Option<Owned>,
}

impl Message {
    fn of(come: Come, bytes: &mut Bytes) -> Self {
        bytes.length = come.length;
        // Bits come without a handle.
        let handle = match come.sender {
            0 => None,
            _ => sys::some_handle(come.said.handle),
        };
        Self {
            sender: (come.sender != 0).then_some(come.sender),
            words: come.said.words,
            handle: handle.map(Owned::new),
        }
    }

    /// The same of an answer, of which no sender is told.
    fn answer(come: Come, bytes: &mut Bytes) -> Self {
        bytes.length = come.length;
        Self {
            sender: None,
            words: come.said.words,
            handle: sys::some_handle(come.said.handle).map(Owned::new),
        }
    }
}

/// A port.
#[derive(Debug, PartialEq, Eq)]
pub struct Port(Owned);

impl Port {
    /// A new one, with all rights.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> Result<Self, Error> {
        sys::port_create().map(|handle| Self(Owned::new(handle)))
    }

    /// The port of a handle that has come.
    #[must_use]
    pub fn of(handle: Owned) -> Self {
        Self(handle)
    }

    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Sends a message, and waits for the answer, whose bytes are in `bytes` then.
    ///
    /// # Errors
    /// The kernel's: `Ended` if nobody will answer.
    pub fn call(&self, says: Says, bytes: &mut Bytes) -> Result<Message, Error> {
        call(self.handle(), says, bytes)
    }

    /// Waits for a message, whose bytes are in `bytes` then; without a time-out, for ever.
    ///
    /// # Errors
    /// The kernel's: `TimedOut` if nothing came.
    pub fn receive(&self, bytes: &mut Bytes, timeout: Option<Duration>) -> Result<Message, Error> {
        let timeout = timeout.map_or(u64::MAX, nanos);
        let come = sys::receive(self.handle(), timeout, &mut bytes.room)?;
        Ok(Message::of(come, bytes))
    }

    /// Answers the last message that the thread received, and waits for the next.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reply_receive(&self, says: Says, bytes: &mut Bytes) -> Result<Message, Error> {
        let said = says.to_words();
        let come = sys::reply_receive(self.handle(), &said, &mut bytes.room, bytes.length)?;
        Ok(Message::of(come, bytes))
    }

    /// Sets notification bits.
    ///
    /// # Errors
    /// The kernel's.
    pub fn notify(&self, bits: u64) -> Result<(), Error> {
        sys::notify(self.handle(), bits)
    }
}

/// Sends a message to a port that the program does not own, and waits for the answer.
///
/// # Errors
/// The kernel's.
pub fn call(port: Handle, says: Says, bytes: &mut Bytes) -> Result<Message, Error> {
    let said = says.to_words();
    let come = sys::port_call(port, &said, &mut bytes.room, bytes.length)?;
    Ok(Message::answer(come, bytes))
}

/// Answers the last message that the thread received. Who has sent it may be gone: that is not told.
///
/// # Errors
/// The kernel's: `NotFound` if there is none that was not answered.
pub fn reply(says: Says, answer: &[u8]) -> Result<(), Error> {
    sys::reply(&says.to_words(), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_cut_at_the_most_that_a_message_has() {
        let mut bytes = Bytes::of(&[7; 300]);
        assert_eq!(bytes.get(), [7; MESSAGE_BYTES]);
        bytes.set(b"abc");
        assert_eq!(bytes.get(), b"abc");
    }

    #[test]
    fn what_has_come_is_a_message_or_bits() {
        let come = |sender, handle| Come {
            length: 3,
            sender,
            said: Words {
                words: [1, 2, 3],
                handle,
            },
        };
        let mut bytes = Bytes::of(b"abcdef");
        let message = Message::of(come(5, 9), &mut bytes);
        assert_eq!((message.sender, message.words), (Some(5), [1, 2, 3]));
        assert_eq!(message.handle.map(|owned| owned.handle()), Some(9));
        assert_eq!(bytes.get(), b"abc");
        let bits = Message::of(come(0, 9), &mut bytes);
        assert_eq!((bits.sender, bits.handle), (None, None));
        assert_eq!(Message::of(come(5, NO_HANDLE), &mut bytes).handle, None);
    }
}
