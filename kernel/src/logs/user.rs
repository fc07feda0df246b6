//! user: what programs write, after syslog(3).
//!
//! A program says how grave it is, and the text. When it was, and who it was, the kernel says: time,
//! CPU, process, thread and the program's name are not the program's to choose. A program that floods
//! the channel loses its own records there, and nobody else's anywhere: the channel has rings of its
//! own.

use core::fmt::Write as _;

use arrayvec::ArrayString;
use relay::ctf::Packets;
use relay::event::{Chars, Severity, StreamClass};
use relay::fs::Mount;
use relay::{Channel, WriteError};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::client::Client;
use crate::base::settings::{USER_MODE, USER_SIZE};
use crate::cpu::machine::Machine;

/// The channel, described.
const STREAM: StreamClass = StreamClass {
    id: 8,
    name: "user",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[],
};

static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
static MOUNT: Mount = channel::mount("/user", &CHANNEL);
static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The client.
pub(crate) static CLIENT: Client = Client::new(
    STREAM,
    &CHANNEL,
    &PACKETS,
    &MOUNT,
    &ATTEMPTS,
    [&USER_MODE, &USER_SIZE],
);

relay::event! {
    /// What a program said.
    #[event(channel = "user", text = "{comm}[{pid}] {text}")]
    struct Written<'a> {
        severity: Severity,
        pid: i32,
        tid: i32,
        comm: Chars<16>,
        text: &'a str,
    }
}

/// Bytes of a record beside its text.
const HEAD: usize = 7 + 1 + 4 + 4 + 16 + 2;

/// The most bytes of a text.
const ROOM: usize = 1024;

/// What says that something is missing takes at most so many bytes.
const MARK: usize = 32;

/// A thread of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    /// The number of its process.
    pub(crate) pid: i32,
    /// Its own.
    pub(crate) tid: i32,
    /// The program's name; 16 bytes of it are kept.
    pub(crate) comm: &'a str,
}

/// Writes what a program says: as text, whatever the bytes are. What is not UTF-8 is replaced;
/// control characters stay, viewers escape them. Of what is longer than a record can be, the end is
/// missing, which the text says. Any context.
///
/// # Errors
/// [`WriteError`]: it was lost, which is counted. `None`: there is no such channel yet.
pub(crate) fn write(
    writer: Writer<'_>,
    severity: Severity,
    text: &[u8],
) -> Result<(), Option<WriteError>> {
    // A host's tests have no CPU of this kernel.
    if !cfg!(target_os = "none") {
        return Err(None);
    }
    let room = CHANNEL.max_record().unwrap_or(0).saturating_sub(HEAD);
    let text = as_text(text, room);
    let written = CLIENT.try_emit(&Written {
        severity,
        pid: writer.pid,
        tid: writer.tid,
        comm: Chars::new(writer.comm),
        text: &text,
    });
    written.ok_or(None)?.map_err(Some)
}

/// The text in these bytes, of at most `room` bytes.
fn as_text(bytes: &[u8], room: usize) -> ArrayString<ROOM> {
    let room = room.min(ROOM);
    let whole = pieces(bytes).map(str::len).sum::<usize>();
    let most = match whole <= room {
        true => room,
        false => room.saturating_sub(MARK),
    };
    let mut text = ArrayString::new();
    for piece in pieces(bytes) {
        let end = piece.floor_char_boundary(most - text.len());
        text.push_str(&piece[..end]);
        if end != piece.len() {
            break;
        }
    }
    if whole > room && room >= MARK {
        // There is room for it.
        let _ = write!(text, "...[{} bytes missing]", whole - text.len());
    }
    text
}

/// The bytes as pieces of text.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let wrong = match chunk.invalid() {
            [] => "",
            _ => "\u{fffd}",
        };
        [chunk.valid(), wrong]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::event::Event;

    #[test]
    fn what_is_no_text_becomes_one() {
        assert_eq!(as_text(b"", ROOM).as_str(), "");
        assert_eq!(as_text(b"a\0\x1b[1m\n", ROOM).as_str(), "a\0\x1b[1m\n");
        assert_eq!(
            as_text(b"\xffa\xc3(\xf0\x9f", ROOM).as_str(),
            "\u{fffd}a\u{fffd}(\u{fffd}"
        );
    }

    #[test]
    fn what_is_too_long_says_what_is_missing() {
        for length in [ROOM, ROOM + 1, 4 * ROOM] {
            for room in [0, 1, MARK - 1, MARK, 100, ROOM, usize::MAX] {
                for bytes in [vec![b'x'; length], vec![0xff; length]] {
                    let text = as_text(&bytes, room);
                    assert!(text.len() <= room.min(ROOM));
                    let whole = pieces(&bytes).map(str::len).sum::<usize>();
                    let is_whole = whole <= room.min(ROOM);
                    assert_eq!(is_whole, text.len() == whole);
                    let says_so = text.ends_with(" bytes missing]");
                    assert_eq!(says_so, !is_whole && room >= MARK, "{length} {room}");
                }
            }
        }
    }

    #[test]
    fn the_head_of_a_record_is_what_is_reckoned_with() {
        let written = Written {
            severity: Severity::Info,
            pid: 1,
            tid: 2,
            comm: Chars::new("init"),
            text: "abc",
        };
        assert_eq!(relay::record::STAMP + written.size(), HEAD + 3);
    }
}
