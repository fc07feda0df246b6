//! The port of a virtio-console that a host asks through, and is told: `relay.ctl`.
//!
//! CPU 0 looks at it whenever it wakes, and in its timer interrupt; nobody is interrupted for it. A
//! turn takes as many bytes as a buffer holds, and sends as many pieces of an answer as there are
//! buffers for. While the host takes no answers, nothing is taken from it.

use alloc::boxed::Box;

use crate::cpu::lock::Mutex;
use relay_format::control::MAX_FRAME;
use relay_format::frame;

use super::control::{self, Conversation};
use crate::base::shortfall;
use crate::dev::virtio::console::driver::OpenError;
use crate::dev::virtio::console::port::Letter;
use crate::dev::virtio::console::receiver::CHUNK;
use crate::dev::virtio::console::{Console, PciPort, PciReceiver};

/// The port's name.
const NAME: &str = "relay.ctl";

/// Pieces of answers that may be under way.
const LETTERS: usize = 4;

/// The port, and what is said over it.
struct ControlPort {
    receiver: PciReceiver,
    port: PciPort<Letter<MAX_FRAME>>,
    conversation: Conversation,
    /// Where pieces of answers are put; those that are not here are with the device.
    letters: [Option<Letter<MAX_FRAME>>; LETTERS],
    /// What came and was not taken yet.
    came: [u8; CHUNK],
    at: usize,
    end: usize,
    /// Something that the device did wrong was told of.
    is_told: bool,
}

static PORT: Mutex<Option<ControlPort>> = Mutex::new(None);

/// Whether a port with this name is the one for control.
pub(super) fn is_kept(name: &str) -> bool {
    name == NAME
}

/// Opens the port; `false` if there is none. Task context on the boot CPU, once.
///
/// # Errors
/// [`OpenError`]: there is one, but it cannot be opened: a [shortfall](shortfall::note).
pub(super) fn keep(console: &mut Console) -> Result<bool, OpenError> {
    let Some(info) = console.ports().find(|port| is_kept(port.name.as_str())) else {
        return Ok(false);
    };
    let mut open = || {
        let receiver = console.receive(info.id)?;
        // Polled: it has no use for interrupts.
        Ok((receiver, console.open(info.id, None)?))
    };
    let (receiver, port) = open().inspect_err(|_: &OpenError| shortfall::note())?;
    let letter = || Letter::new(Box::leak(Box::new([0; MAX_FRAME])));
    *PORT.lock() = Some(ControlPort {
        receiver,
        port,
        conversation: Conversation::new(),
        letters: core::array::from_fn(|_| Some(letter())),
        came: [0; CHUNK],
        at: 0,
        end: 0,
        is_told: false,
    });
    Ok(true)
}

/// Hears what the host asks, and answers, unless somebody is at it. Task and IRQ context, on the
/// boot CPU. Where nothing has come that costs a look at two queues.
pub(super) fn poll() {
    if !control::is_closed()
        && let Some(mut port) = PORT.try_lock()
        && let Some(port) = port.as_mut()
    {
        port.turn();
    }
}

impl ControlPort {
    fn turn(&mut self) {
        while let Some(letter) = self.port.reclaim() {
            let place = self.letters.iter_mut().find(|place| place.is_none());
            if let Some(place) = place {
                *place = Some(letter.into_inner());
            }
        }
        self.answer();
        self.hear();
        self.answer();
        self.port.notify();
        self.complain();
    }

    /// Says once, in the log, what the device did wrong.
    fn complain(&mut self) {
        if self.is_told {
            return;
        }
        self.is_told = true;
        if let Some(fault) = self.receiver.fault() {
            relay::error!("port {NAME}: {fault}; nobody is listened to any more");
        } else if self.receiver.bad_lengths() != 0 {
            relay::warn!("port {NAME}: the device says that it wrote more than buffers hold");
        } else {
            self.is_told = false;
        }
    }

    /// Takes what came, up to the end of a request, if there is nothing to be answered.
    fn hear(&mut self) {
        if self.conversation.has_answer() {
            return;
        }
        if self.at == self.end {
            self.at = 0;
            self.end = self.receiver.take(&mut self.came);
        }
        let unread = self.came.get(self.at..self.end).unwrap_or_default();
        self.at += self.conversation.take(unread);
    }

    /// Sends pieces of the answer, as long as there are letters.
    fn answer(&mut self) {
        if self.conversation.has_answer() && !self.port.is_host_open() {
            // Who has asked has gone.
            self.conversation.give_up();
        }
        while self.conversation.has_answer()
            && let Some(letter) = self.letters.iter_mut().find(|letter| letter.is_some())
            && let Some(mut filled) = letter.take()
        {
            let is_filled = self.conversation.piece().is_some_and(|piece| {
                filled.fill(|room| frame::write([&piece.header[..], piece.text], room))
            });
            if !is_filled {
                *letter = Some(filled);
                return self.conversation.give_up();
            }
            match self.port.submit(filled) {
                Ok(()) => self.conversation.note_sent(),
                Err(rejected) => {
                    *letter = Some(rejected.buffer);
                    return;
                }
            }
        }
    }
}
