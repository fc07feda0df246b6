//! What a host asks of the running machine, and what it is told: `docs/FORMAT.md`, "Control".
//!
//! A [`Conversation`] is that of one way: it takes bytes, finds requests in them, does what they say
//! and has the answer ready, piece by piece. While it has one it takes no bytes, so that a host
//! which reads no answers is not listened to, and costs nothing. Who has the way decides how many
//! bytes and pieces a turn may take.
//!
//! A request is done where it is found, in task or IRQ context: that is a checksum over 512 bytes
//! at most, and a [switch](switches). Nothing here waits, allocates, or believes what it is told.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrayvec::ArrayString;
use relay::clients::klog::{Place, Severity};
use relay_format::control::{
    Answer, BadRequest, End, HEADER, MAX_BODY, MAX_PIECES, MAX_TEXT, Message, Request,
};
use relay_format::frames::Frames;

use crate::logs::operator::SwitchSet;
use crate::logs::snapshot::{self, Why};
use crate::logs::switches::{self, SwitchError};
use crate::logs::{evlog, klog, trace};

/// Set when the machine comes to its end: nothing is asked for any more, and nothing is logged
/// behind the end of the log.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Requests that came.
static REQUESTS: AtomicU64 = AtomicU64::new(0);
/// Pieces of what came that were none.
static NOISE: AtomicU64 = AtomicU64::new(0);

/// Whether nothing is asked for any more. Any context.
pub(super) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Nobody is listened to any more; says in the log what has come. Task context, on the boot CPU,
/// before the streams are closed.
pub(crate) fn close() {
    CLOSED.store(true, Ordering::Relaxed);
    let (requests, noise) = (
        REQUESTS.load(Ordering::Relaxed),
        NOISE.load(Ordering::Relaxed),
    );
    if requests != 0 || noise != 0 {
        relay::info!("control: {requests} requests, {noise} pieces of noise");
    }
}

/// What an answer tells. Its text is made anew for each piece.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// The value of the switch whose name is kept.
    Value,
    /// All switches.
    All,
    /// The text that is kept.
    Said,
    /// There is no such request.
    Bad(BadRequest),
    /// The switch was not set, for the reason that is kept.
    Unset,
}

/// An answer under way.
#[derive(Debug, Clone, Copy)]
struct Telling {
    told: Told,
    /// The number of the request.
    number: u32,
    /// The piece that is next.
    piece: u16,
    /// Whether it is the last one, as far as it was looked at.
    is_last: bool,
}

/// A piece of an answer, ready to be sent.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// What stands before the text.
    pub(super) header: [u8; HEADER],
    pub(super) text: &'a [u8],
}

/// One way's conversation with a host.
#[derive(Debug)]
pub(super) struct Conversation {
    frames: Frames<MAX_BODY>,
    /// Noise that was counted.
    noise: u64,
    telling: Option<Telling>,
    /// What the answer is about: the name of a switch, or why it was not set.
    about: ArrayString<MAX_TEXT>,
    /// The text of a piece.
    text: [u8; MAX_TEXT],
}

impl Conversation {
    /// Nothing was asked.
    pub(super) const fn new() -> Self {
        Self {
            frames: Frames::new(),
            noise: 0,
            telling: None,
            about: ArrayString::new_const(),
            text: [0; MAX_TEXT],
        }
    }

    /// Whether there is an answer to be sent. No bytes are taken before it was.
    pub(super) fn has_answer(&self) -> bool {
        self.telling.is_some()
    }

    /// Takes bytes up to the end of the first request in them, and does what it says; how many it
    /// has taken.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.has_answer() {
                return at;
            }
            self.take_byte(*byte);
        }
        bytes.len()
    }

    fn take_byte(&mut self, byte: u8) {
        let Self {
            frames,
            telling,
            about,
            ..
        } = self;
        let mut is_noise = false;
        if let Some(contents) = frames.push(byte) {
            match Message::read(contents) {
                // Where a line sends back what comes over it, the answers come, too.
                Ok(message) if message.is_answer() => is_noise = true,
                Ok(message) => {
                    REQUESTS.fetch_add(1, Ordering::Relaxed);
                    about.clear();
                    let told = act(&message, about);
                    *telling = Some(Telling {
                        told,
                        number: message.number,
                        piece: 0,
                        is_last: false,
                    });
                }
                Err(_) => is_noise = true,
            }
        }
        let noise = frames.noise();
        let more = noise.wrapping_sub(self.noise) + u64::from(is_noise);
        self.noise = noise;
        if more != 0 {
            NOISE.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// The next piece of the answer, if there is one. It stays the next until it
    /// [was sent](Self::note_sent).
    pub(super) fn piece(&mut self) -> Option<Piece<'_>> {
        let telling = self.telling.as_mut()?;
        let mut window = Window {
            skip: usize::from(telling.piece) * MAX_TEXT,
            text: &mut self.text,
            length: 0,
            has_more: false,
        };
        // It ends with an error where there is no room for more.
        let _ = tell(telling.told, &self.about, &mut window);
        telling.is_last = !window.has_more || telling.piece + 1 >= MAX_PIECES;
        let length = window.length;
        let end = match telling.told {
            Told::Value | Told::All | Told::Said => End::Done,
            Told::Bad(_) | Told::Unset => End::Refused,
        };
        let text = self.text.get(..length).unwrap_or_default();
        let answer = Answer {
            number: telling.number,
            piece: telling.piece,
            end: telling.is_last.then_some(end),
            text,
        };
        let header = answer.message().header();
        Some(Piece { header, text })
    }

    /// The [piece](Self::piece) was sent: another is next, or the answer is over.
    pub(super) fn note_sent(&mut self) {
        self.telling = self.telling.filter(|telling| !telling.is_last);
        if let Some(telling) = &mut self.telling {
            telling.piece += 1;
        }
    }

    /// There is nobody who could be told: the answer is over.
    pub(super) fn give_up(&mut self) {
        self.telling = None;
    }
}

/// Logs what was switched. It is no statement: that might have been switched off with it, and who
/// reads the capture would not know why it falls silent.
fn note(name: &str, value: &dyn fmt::Display) {
    if !switches::is_carried(Severity::Info) {
        return;
    }
    let place = Place {
        module: module_path!(),
        file: file!(),
        line: line!(),
    };
    klog::write(
        Severity::Info,
        place,
        format_args!("control: {name}={value}"),
    );
}

/// Does what a request says; what the answer is about comes into `about`, as far as there is room.
fn act(message: &Message<'_>, about: &mut ArrayString<MAX_TEXT>) -> Told {
    let unset = |error: SwitchError<'_>, about: &mut ArrayString<MAX_TEXT>| {
        let _ = write!(about, "{error}");
        Told::Unset
    };
    match message.request() {
        Ok(Request::Set { name, value }) => match switches::set(name, value) {
            Ok(()) => {
                if let Ok(value) = switches::get(name) {
                    note(name, &value);
                    let value = evlog::text(&value);
                    evlog::emit(|| SwitchSet {
                        name,
                        value: &value,
                    });
                }
                let _ = about.write_str(name);
                Told::Value
            }
            Err(error) => unset(error, about),
        },
        Ok(Request::Get { name }) => match switches::get(name) {
            Ok(_) => {
                let _ = about.write_str(name);
                Told::Value
            }
            Err(error) => unset(error, about),
        },
        Ok(Request::List) => Told::All,
        Ok(Request::Snapshot) => snapshot(about),
        Err(bad) => Told::Bad(bad),
    }
}

/// Asks for a snapshot; its number comes into `about`, or why there is none.
fn snapshot(about: &mut ArrayString<MAX_TEXT>) -> Told {
    if !trace::is_recorder() {
        let _ = about.write_str(
            "no channel is a flight recorder: to boot with trace-mode=continuous would be right",
        );
        return Told::Unset;
    }
    let number = snapshot::ask(Why::Host);
    note("snapshot", &number);
    let _ = write!(about, "{number}");
    Told::Said
}

/// Writes the whole text of an answer about this.
fn tell(told: Told, about: &str, out: &mut dyn Write) -> fmt::Result {
    match told {
        Told::Value => match switches::get(about) {
            Ok(value) => write!(out, "{value}"),
            // It is being set meanwhile.
            Err(error) => write!(out, "{error}"),
        },
        Told::All => {
            for name in switches::names() {
                match switches::get(name) {
                    Ok(value) => writeln!(out, "{name}={value}")?,
                    Err(error) => writeln!(out, "{name}: {error}")?,
                }
            }
            Ok(())
        }
        Told::Bad(bad) => write!(out, "{bad}"),
        Told::Said | Told::Unset => out.write_str(about),
    }
}

/// A part of a text: so many bytes are left out, and then as many taken as there is room for.
struct Window<'a> {
    skip: usize,
    text: &'a mut [u8; MAX_TEXT],
    length: usize,
    has_more: bool,
}

impl Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let bytes = text.as_bytes();
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let bytes = &bytes[skipped..];
        let room = &mut self.text[self.length..];
        let taken = bytes.len().min(room.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        if taken < bytes.len() {
            self.has_more = true;
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
