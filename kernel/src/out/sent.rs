//! Who has sent how much: the kernel's pump, and each program that drains, by its name.

use core::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayString;
use relay_abi::PATH_BYTES;
use spin::Once;

use crate::logs::evlog;
use crate::logs::operator::Drained;

/// Programs of so many names are told apart; the last place is that of all others.
const NAMES: usize = 8;

static SENDERS: [Named; NAMES] = [const { Named::new() }; NAMES];

/// Packets that the kernel's pumps have sent.
static KERNEL: AtomicU64 = AtomicU64::new(0);

/// The kernel's pump has sent so many more. Task and IRQ context.
pub(super) fn count(packets: u64) {
    KERNEL.fetch_add(packets, Ordering::Relaxed);
}

/// A program's name, and how many packets it has sent.
struct Named {
    name: Once<ArrayString<PATH_BYTES>>,
    packets: AtomicU64,
}

impl Named {
    const fn new() -> Self {
        Self {
            name: Once::new(),
            packets: AtomicU64::new(0),
        }
    }
}

/// Where a program's packets are counted.
#[derive(Clone, Copy)]
pub(super) struct Sender(&'static Named);

impl Sender {
    /// One more. Any context.
    pub(super) fn count(self) {
        self.0.packets.fetch_add(1, Ordering::Relaxed);
    }
}

/// The place of this program. Task context.
pub(super) fn of(program: &str) -> Sender {
    let name = |text: &str| {
        let mut short = ArrayString::new();
        short.push_str(&text[..text.floor_char_boundary(PATH_BYTES)]);
        short
    };
    let (others, named) = match &SENDERS {
        [named @ .., others] => (others, named),
    };
    for place in named {
        if place.name.call_once(|| name(program)).as_str() == program {
            return Sender(place);
        }
    }
    others.name.call_once(|| name("others"));
    Sender(others)
}

/// The programs that have drained, with the packets that they have sent. Any context.
pub(crate) fn by_programs() -> impl Iterator<Item = (&'static str, u64)> {
    let all = SENDERS.iter();
    all.filter_map(|sender| {
        Some((
            &**sender.name.get()?,
            sender.packets.load(Ordering::Relaxed),
        ))
    })
}

/// Tells the operators who has sent how much so far, if that was not the kernel alone. Task context, at
/// the end.
pub(crate) fn tell() {
    if by_programs().next().is_none() {
        return;
    }
    let kernel = ("kernel", KERNEL.load(Ordering::Relaxed));
    for (by, packets) in [kernel].into_iter().chain(by_programs()) {
        evlog::emit(|| Drained { by, packets });
    }
}
