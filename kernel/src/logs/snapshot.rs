//! Snapshots of the channel trace where it is a [flight recorder](super::trace::is_recorder):
//! its rings overwrite what is oldest, nobody reads them, and what they hold leaves the machine when
//! somebody asks for it.
//!
//! To ask is to note a number and a time, which any context may do; who drains the streams looks at
//! them. A snapshot has all that was written before it was asked for, as far as the rings hold it.
//! Meanwhile the rings are written on.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::cpu::clock;

/// How many were asked for.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// When the last of them was, in ticks.
static ASKED_AT: AtomicU64 = AtomicU64::new(0);
/// Who has asked for it.
static WHY: AtomicU8 = AtomicU8::new(0);

/// Who asks for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Why {
    /// The host.
    Host,
    /// The kernel itself.
    Kernel,
    /// A record that one is to be taken at: [`trigger`](super::trigger).
    Match,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the host has asked for it",
            Self::Kernel => "the kernel has asked for it",
            Self::Match => "a record has matched",
        })
    }
}

/// A snapshot that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Its number, from 1; 0: there was none.
    pub(crate) number: u32,
    /// What was written before is in it, in ticks.
    pub(crate) until: u64,
}

/// Asks for a snapshot; its number. While one is under way that is another one, after it. Any
/// context.
pub(crate) fn ask(why: Why) -> u32 {
    WHY.store(why as u8, Ordering::Relaxed);
    ASKED_AT.fetch_max(clock::ticks(), Ordering::Relaxed);
    // ORDERING: Release: who sees the number sees its time, or a later one.
    ASKED.fetch_add(1, Ordering::Release).wrapping_add(1)
}

/// The last one that was asked for. Any context.
pub(crate) fn asked() -> Asked {
    // ORDERING: pairs with `ask`.
    let number = ASKED.load(Ordering::Acquire);
    Asked {
        number,
        until: ASKED_AT.load(Ordering::Relaxed),
    }
}

/// Who has asked last. Any context.
pub(crate) fn why() -> Why {
    match WHY.load(Ordering::Relaxed) {
        0 => Why::Host,
        1 => Why::Kernel,
        _ => Why::Match,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_number_and_a_time_that_does_not_go_back() {
        assert_eq!(asked().number, 0);
        assert_eq!(ask(Why::Kernel), 1);
        let first = asked();
        assert_eq!((first.number, why()), (1, Why::Kernel));
        assert_eq!(ask(Why::Match), 2);
        let second = asked();
        assert_eq!((second.number, why()), (2, Why::Match));
        assert!(second.until >= first.until && first.until != 0);
    }
}
