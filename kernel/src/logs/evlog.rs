//! evlog: events for those who run the machine, with a facility, a type and a severity.
//!
//! It starts on static memory, once the command line has said in which mode, so that it has what
//! goes wrong before there is a heap.

use core::fmt::{self, Write as _};

use arrayvec::ArrayString;
use relay::clients::evlog;
use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Geometry, StaticMemory, Storage};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::client::Client;
use crate::base::cmdline::Options;
use crate::base::settings::{EVLOG_MODE, EVLOG_SIZE};
use crate::cpu::machine::Machine;

/// The channel, described.
const STREAM: StreamClass = evlog::stream(6);

static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
static MOUNT: Mount = channel::mount("/evlog", &CHANNEL);
static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The client.
pub(crate) static CLIENT: Client = Client::new(
    STREAM,
    &CHANNEL,
    &PACKETS,
    &MOUNT,
    &ATTEMPTS,
    [&EVLOG_MODE, &EVLOG_SIZE],
);

/// The ring of the boot CPU before there is a heap.
const EARLY: Geometry = channel::fixed(1024, 4);
static EARLY_MEMORY: StaticMemory<{ Storage::bytes_for(&EARLY) }> = StaticMemory::new();

/// The most bytes of a text that is put together here.
const ROOM: usize = 256;

/// Starts it on the boot CPU, in the mode that the options ask for. Once, in task context; nothing
/// is written before.
pub(crate) fn start_early(options: &Options<'_>) {
    let ring = EARLY.with_mode(CLIENT.mode(options));
    let memory = EARLY_MEMORY.take();
    let started =
        ring.map(|ring| memory.is_some_and(|memory| CHANNEL.start(0, memory, ring).is_ok()));
    debug_assert_eq!(started, Ok(true), "it was started before");
    CLIENT.set_started();
}

/// Writes an event, if it is on. Any context.
#[inline(always)]
pub(crate) fn emit<E: Event>(event: impl FnOnce() -> E) {
    // A host's tests have no CPU of this kernel.
    if cfg!(target_os = "none") {
        CLIENT.emit(event);
    }
}

/// A text for a field, cut where there is no more room. Any context.
pub(crate) fn text(what: &dyn fmt::Display) -> ArrayString<ROOM> {
    let mut text = Cut(ArrayString::new());
    // It ends with an error where there is no room for more.
    let _ = write!(text, "{what}");
    text.0
}

/// What there was room for.
struct Cut(ArrayString<ROOM>);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.0.remaining_capacity();
        let end = text.floor_char_boundary(room);
        self.0.push_str(&text[..end]);
        (end == text.len()).then_some(()).ok_or(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(text(&"short").as_str(), "short");
        let long = text(&format_args!("{}{}", "x".repeat(ROOM - 1), "\u{fc}y"));
        assert_eq!(long.as_str(), "x".repeat(ROOM - 1));
    }
}
