//! Passes on what a machine says to syslog: messages of RFC 5424, which its program `logd` writes
//! to the port `relay.syslog`.
//!
//! ```text
//! port --> reader: frames --> queue --> sender --> udp:, tcp:, unix:, or a file
//! ```
//!
//! The receiver cannot hold up the machine for good, nor anything else of the host. While it moves
//! it is waited for, and then so are the queue, the port, and `logd`, which knows what to do. When
//! it takes nothing for [a second](queue::STALL), or cannot be reached, messages that find no room
//! are given up, and counted. A connection that breaks is made anew, after pauses that grow; what
//! was being written then is written once more, from its beginning.
//!
//! Nothing that the machine says is trusted: see [`frames`] and `clean`.

mod clean;
mod destination;
mod frames;
mod output;
mod queue;
mod sender;
#[cfg(test)]
mod tests;
mod told;

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clean::clean;
pub use destination::Destination;
pub use frames::{Faults, FrameError, Frames, MAX_MESSAGE};
use output::Output;
use queue::{LIMIT, Queue, ROOM, STALL};
use sender::Sender;
pub use told::Told;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// How often a sender that is about to end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Passes messages on, in a thread.
#[derive(Debug)]
pub struct Syslog {
    to: Destination,
    queue: Arc<Queue>,
    sender: JoinHandle<()>,
}

/// Takes what the machine says.
#[derive(Clone, Debug)]
pub struct Intake {
    queue: Arc<Queue>,
}

impl Syslog {
    /// Begins. `tell` is told, in that thread, when the receiver cannot be reached, and when it can
    /// be again.
    ///
    /// # Errors
    ///
    /// When a file cannot be written to. Other receivers may come later.
    pub fn start(to: Destination, tell: impl Fn(&str) + Send + 'static) -> io::Result<Self> {
        let output = match to {
            Destination::File(_) => Some(Output::open(&to, 0)?),
            _ => None,
        };
        let queue = Arc::new(Queue::new(ROOM, STALL));
        let (own, own_to) = (Arc::clone(&queue), to.clone());
        let sender = thread::spawn(move || {
            let sender = Sender {
                queue: &own,
                to: own_to,
                output,
                tries: 0,
                tell,
            };
            sender.run();
        });
        Ok(Self { to, queue, sender })
    }

    /// What takes what the machine says.
    #[must_use]
    pub fn intake(&self) -> Intake {
        let queue = Arc::clone(&self.queue);
        Intake { queue }
    }

    /// Waits until everything is passed on, or there is no hope, and says what became of it. When
    /// nothing more comes.
    #[must_use]
    pub fn finish(self) -> Told {
        self.queue.end();
        // Counted by looks: while this process is stopped, no time goes by. A name that is looked
        // up is not waited for any longer.
        let mut looks = 2 * LIMIT.as_millis() / POLL.as_millis();
        while !self.sender.is_finished() && looks > 0 {
            looks -= 1;
            thread::sleep(POLL);
        }
        Told::new(&self.to, self.queue.counts())
    }
}

impl Intake {
    /// Reads the port to its end. It waits for the receiver, but never for long.
    pub fn read(&self, mut port: impl Read) {
        let mut frames = Frames::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match port.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => self.take(&mut frames, &chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        frames.finish();
        self.queue.note_faults(frames.faults());
    }

    /// Takes the next bytes.
    fn take(&self, frames: &mut Frames, bytes: &[u8]) {
        let mut messages = Vec::new();
        let mut malformed = 0;
        frames.push(bytes, |message| {
            let message = clean(message);
            malformed += u64::from(matches!(message, Cow::Owned(_)));
            messages.push(message.into());
        });
        if !messages.is_empty() {
            self.queue.push(messages, malformed);
        }
    }
}
