//! The sink of a serial port: packets in frames, which [`relay::line`] makes.
//!
//! There is one, for all CPUs. Whoever is at its pump gives the port what its FIFO takes, burst by
//! burst as long as it takes something, and waits for nothing. An idle CPU does nothing else; one
//! that is busy sends [`BURST`] bytes at most with each timer interrupt, and where the FIFO is really
//! a line's, what that holds: 16 bytes, so that some eight busy CPUs fill a line of 115200 baud.
//!
//! What comes over the port is a [conversation](super::control) with the host: a few bytes each turn,
//! and the answers go between the packets. Who sends without an end is heard as slowly as anybody.
//!
//! The port's own interrupt is not used. An emulated port is ready again before the store returns,
//! so that its interrupts would be all that a CPU does; and one that is really slow is looked at
//! again by an idle CPU for [`LINGER_MS`] before that halts.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use relay::line::{self, Line, Refused};
use relay::{Context, SubBuffer};

use super::control::{self, Conversation};
use super::sink::{Sink, Submitted};
use super::{pump, salvage};
use crate::base::shortfall;
use crate::cpu::clock::{self, Timeout};
use crate::cpu::percpu;
use crate::dev::serial::{Com, Uart};
use crate::logs::operator::LineFault;
use crate::logs::{evlog, registry};

/// Bytes that a task sends in one go at most: the caller may have something else to do.
const BATCH: usize = 4096;

/// Bytes that an interrupt handler sends at most: some 0.3 ms where a byte takes 1.2 us.
const BURST: usize = 256;

/// Bytes that are taken from the port in a turn at most: as many as its FIFO holds.
const HEARD: usize = 16;

/// How long an idle CPU waits for a port that has just taken something, in milliseconds: some bursts
/// at 115200 baud.
const LINGER_MS: u64 = 5;

/// Bytes that an idle line counts as, in a second: five times what one takes at 115200 baud. The
/// metadata is repeated in a tenth of them, which is half of such a line: it is long, and who comes
/// to a line on which nothing is said waits for all of it. On an emulated port, which is faster, it
/// is not repeated more often for that.
const BYTES_PER_SECOND: u64 = 5 * 11_520;

/// A serial port with a pump.
struct SerialLine {
    com: Com,
    uart: Uart,
    line: Line<'static>,
    conversation: Conversation,
    /// Bytes that may be sent in this turn.
    allowed: usize,
    /// Packets that fit no frame.
    left_out: u64,
    /// Bytes of the line that the metadata takes once.
    described: u64,
    /// Bytes that were told of as moved.
    told: u64,
    /// How long it is looked at although it takes nothing.
    linger: Timeout,
    /// When the line had nothing to send any more, in ticks; `None` if it has.
    idle_since: Option<u64>,
}

/// Has packets of all CPUs go over a serial port, and keeps it for panics, too; false if there is
/// none. Task context on the boot CPU, after the streams were started.
pub(super) fn init(com: Com, cpus: usize) -> bool {
    let Some(uart) = Uart::open(com) else {
        relay::error!(
            "{} does not answer: no packets leave this machine",
            com.name()
        );
        evlog::emit(|| LineFault {
            port: com.name(),
            why: "it does not answer",
        });
        shortfall::note();
        return false;
    };
    let size = line::buffer_size(registry::largest_packet(cpus));
    pump::set_count(1, true);
    salvage::keep_line(com, size);
    pump::start(Box::new(SerialLine {
        com,
        uart,
        line: Line::new(vec![0; size].leak()),
        conversation: Conversation::new(),
        allowed: 0,
        left_out: 0,
        described: 0,
        told: 0,
        linger: Timeout::after_ms(0),
        idle_since: None,
    }));
    true
}

impl SerialLine {
    /// Gives the port what it takes, within what is allowed in this turn.
    fn send(&mut self) {
        let Self {
            uart,
            line,
            allowed,
            linger,
            idle_since,
            ..
        } = self;
        if let Some(since) = *idle_since {
            let now = clock::ticks();
            let idle_us = clock::micros(now.wrapping_sub(since));
            let bytes = idle_us.saturating_mul(BYTES_PER_SECOND) / 1_000_000;
            if bytes > 0 {
                line.idle(bytes);
                *idle_since = Some(now);
            }
        }
        let sent = line.send(|bytes| {
            let mut sent = 0;
            while sent < bytes.len() && *allowed > 0 {
                let end = bytes.len().min(sent + *allowed);
                let now = uart.try_send(&bytes[sent..end]);
                if now == 0 {
                    break;
                }
                sent += now;
                *allowed -= now;
            }
            sent
        });
        if sent > 0 {
            *linger = Timeout::after_ms(LINGER_MS);
        }
        *idle_since = match line.is_busy() {
            true => None,
            false => idle_since.or(Some(clock::ticks())),
        };
    }

    /// Hears some of what the host says, unless it is still to be answered.
    fn hear(&mut self) {
        for _ in 0..HEARD {
            if self.conversation.has_answer() || control::is_closed() {
                return;
            }
            let Some(byte) = self.uart.receive() else {
                return;
            };
            self.conversation.take(&[byte]);
        }
    }

    /// Answers the host, between packets, within what may be sent in this turn.
    fn answer(&mut self) {
        while !control::is_closed()
            && !self.line.is_busy()
            && self.allowed > 0
            && let Some(piece) = self.conversation.piece()
        {
            match self.line.message([&piece.header[..], piece.text]) {
                true => self.conversation.note_sent(),
                // A buffer for packets is larger than any answer.
                false => self.conversation.give_up(),
            }
            self.send();
        }
    }

    /// How many bytes were sent since the last call. Metadata counts once: an idle line repeats it
    /// for ever, and who waits for what does not come would wait as long. Answers do not count:
    /// there are as many as the host wants.
    fn take_moved(&mut self) -> u64 {
        let sent = self.line.sent();
        let repeated = sent.metadata_bytes.saturating_sub(self.described);
        let bytes = sent.bytes.wrapping_sub(repeated);
        let bytes = bytes.wrapping_sub(sent.message_bytes);
        let moved = bytes.wrapping_sub(self.told);
        self.told = bytes;
        moved
    }
}

impl Sink for SerialLine {
    fn begin(&mut self) -> u64 {
        self.allowed = match percpu::context() {
            Context::Task => BATCH,
            Context::Irq | Context::Nmi => BURST,
        };
        self.send();
        self.hear();
        self.answer();
        self.take_moved()
    }

    fn take_return(&mut self) -> Option<u64> {
        // Nobody can tell whether there is a reader.
        None
    }

    fn describe(&mut self, packets: &'static [u8]) -> bool {
        self.described = line::buffer_size(packets.len()) as u64;
        if let Err(error) = self.line.describe(packets) {
            relay::error!("{}: {error}", self.com.name());
            let (port, why) = (self.com.name(), evlog::text(&error));
            evlog::emit(|| LineFault { port, why: &why });
            shortfall::note();
        }
        true
    }

    fn submit(&mut self, packet: SubBuffer<'static>) -> Submitted {
        self.send();
        // An answer has its turn between two packets.
        self.answer();
        match self.line.submit(packet) {
            Ok(()) => Submitted::Taken,
            Err(Refused::Busy(packet)) => Submitted::NotNow(packet),
            // The buffer is as large as the largest packet needs, but no frame is larger than
            // `MAX_PACKET`, and the rings may have been made for ports. The others go on.
            Err(Refused::TooLarge(_)) => {
                self.left_out += 1;
                Submitted::Taken
            }
        }
    }

    fn end(&mut self) -> u64 {
        self.send();
        self.take_moved()
    }

    fn has_room(&mut self) -> bool {
        !self.line.is_busy()
    }

    fn is_for_programs(&self) -> bool {
        false
    }

    fn has_work(&mut self) -> bool {
        self.line.is_busy() && (self.uart.is_ready() || !self.linger.expired())
    }

    fn in_flight(&mut self) -> usize {
        // What the port has taken is not sent yet.
        usize::from(self.line.is_busy() || !self.uart.is_empty())
    }

    fn lost(&self) -> u64 {
        self.left_out
    }

    fn is_open(&self) -> bool {
        // Nobody can tell.
        true
    }

    fn is_dead(&self) -> bool {
        false
    }
}

impl fmt::Display for SerialLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.line.sent();
        write!(
            f,
            "{}: sent {} packets, {} bytes",
            self.com.name(),
            sent.frames,
            sent.bytes
        )?;
        match self.line.is_busy() {
            true => f.write_str("; it takes no more"),
            false => Ok(()),
        }
    }
}
