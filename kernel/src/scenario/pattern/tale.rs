//! What a CPU has seen of a pattern, told by its handlers themselves: apart from the trace, which is
//! compared with it.

use core::fmt;
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;

/// Something that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// It has sent an interrupt with this vector.
    Sent(u8),
    /// The handler of this vector has begun.
    Entered(u8),
    /// It has ended.
    Left(u8),
    /// It has used an address that is not mapped.
    Faulted,
}

impl Happened {
    /// As a word of a tale.
    fn word(self) -> u16 {
        let (kind, vector) = match self {
            Self::Sent(vector) => (b's', vector),
            Self::Entered(vector) => (b'+', vector),
            Self::Left(vector) => (b'-', vector),
            Self::Faulted => (b'f', 0),
        };
        u16::from_be_bytes([kind, vector])
    }
}

/// Words that a tale has room for.
const ROOM: usize = 2048;
/// Words of a line in the log.
const LINE: usize = 100;

/// What one CPU tells. It alone adds to it: a handler that interrupts another adds behind it.
struct Tale {
    length: AtomicUsize,
    /// Its length where it ends.
    end: AtomicUsize,
    words: [AtomicU16; ROOM],
}

static TALES: [Tale; MAX_CPUS] = [const {
    Tale {
        length: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        words: [const { AtomicU16::new(0) }; ROOM],
    }
}; MAX_CPUS];

/// Begins the tale of the calling CPU. Task context, when nothing is under way.
pub(super) fn begin() {
    TALES[percpu::cpu_index() % MAX_CPUS]
        .length
        .store(0, Ordering::Relaxed);
}

/// Ends the tale of the calling CPU: what it tells from now on is not logged. Task context, when
/// nothing is under way.
pub(super) fn end() {
    let tale = &TALES[percpu::cpu_index() % MAX_CPUS];
    let length = tale.length.load(Ordering::Relaxed);
    tale.end.store(length, Ordering::Relaxed);
}

/// The calling CPU tells of something. Any context.
pub(super) fn tell(happened: Happened) {
    let tale = &TALES[percpu::cpu_index() % MAX_CPUS];
    // One step: an NMI that comes before or behind it has a place of its own.
    let at = tale.length.fetch_add(1, Ordering::Relaxed);
    if let Some(word) = tale.words.get(at) {
        word.store(happened.word(), Ordering::Relaxed);
    }
}

/// Has the tale of the calling CPU logged; false if it had no room for all. Task context.
pub(super) fn log() -> bool {
    let cpu = percpu::cpu_index();
    let tale = &TALES[cpu % MAX_CPUS];
    let length = tale.end.load(Ordering::Relaxed);
    let told = tale.words.get(..length).unwrap_or(&tale.words);
    for (number, words) in told.chunks(LINE).enumerate() {
        relay::info!("pattern of cpu {cpu}, {number}:{}", Words(words));
    }
    length <= ROOM
}

/// Words of a tale: `s50` for an interrupt that was sent, with its vector in base 16, `+50` and `-50`
/// where its handler begins and ends, `f` for a page fault.
struct Words<'a>(&'a [AtomicU16]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(words) = self;
        words.iter().try_for_each(|word| {
            let [kind, vector] = word.load(Ordering::Relaxed).to_be_bytes();
            match kind {
                b'f' => f.write_str(" f"),
                kind => write!(f, " {}{vector:x}", char::from(kind)),
            }
        })
    }
}
