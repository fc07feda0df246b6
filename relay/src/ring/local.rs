//! The words of one CPU in a channel: its records under way, and whether it is in there at all.
//!
//! ```text
//! take(d):    bit 0 of intents[d].word = 1, by one instruction; it was 1: somebody's
//! give back:  intents[d].word = 0
//!
//! join():     joined is JOINED: return
//!             before = swap(joined, JOINING)
//!             fence
//!             before was NOT_JOINED: intents[0].word = 0
//!             joined = JOINED
//!
//! hold():     held += 1;  given back: held -= 1
//! ```
//!
//! A CPU joins first of all, whatever it is about to do with a stream that has a ring. Before that
//! its outermost place is taken by nobody, so the fast path need not check `joined`.

use super::intent::{Intent, UnderWay};
#[cfg(feature = "stress")]
use super::phase::Phase;
use super::phase::Phases;
use crate::sync::{AtomicU64, Ordering, compiler_fence, const_unless_loom, fence};

/// How many records of one CPU may be under way at the same time.
pub(super) const DEPTH: usize = 8;

/// The CPU has never used the channel: what it may look at is not kept for it.
const NOT_JOINED: u64 = 0;
/// It is about to, or does: its contexts must come by a fence of their own.
const JOINING: u64 = 1;
/// It does.
const JOINED: u64 = 2;

/// What one CPU has under way in a channel. Written by that CPU alone, in any of its contexts.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Local {
    /// Records under way, the outermost first.
    intents: [Intent; DEPTH],
    /// Operations under way that are no record. Contexts nest, and each takes back what it has
    /// added.
    held: AtomicU64,
    /// Rings with a smaller serial number are used by no context of this CPU.
    left: AtomicU64,
    /// Whether the CPU uses the channel: [`NOT_JOINED`], [`JOINING`] or [`JOINED`].
    joined: AtomicU64,
    /// What it is in the middle of, for proofs.
    pub(super) phases: Phases,
}

impl Local {
    const_unless_loom! {
        /// A CPU that has not joined.
        pub(super) fn new() -> Self {
            Self {
                intents: [
                    // Nobody takes the fast path before the CPU has joined.
                    Intent::new(Intent::TAKEN),
                    Intent::new(0),
                    Intent::new(0),
                    Intent::new(0),
                    Intent::new(0),
                    Intent::new(0),
                    Intent::new(0),
                    Intent::new(0),
                ],
                held: AtomicU64::new(0),
                left: AtomicU64::new(0),
                joined: AtomicU64::new(NOT_JOINED),
                phases: Phases::new(),
            }
        }
    }

    /// Lets the CPU use the stream, which has a ring. By the CPU itself.
    #[inline]
    pub(super) fn join(&self) {
        if !self.is_joined() {
            self.join_now();
        }
    }

    /// Whether the CPU has joined, and come by the fence. Then there is a ring.
    #[inline]
    pub(super) fn is_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed) == JOINED
    }

    #[cold]
    #[inline(never)]
    fn join_now(&self) {
        let before = self.joined.swap(JOINING, Ordering::Relaxed);
        // Whoever frees rings and did not see this: we see the ring that it saw to be current. So
        // does an interrupt that comes before this fence, and finds the CPU joining: by one of its
        // own.
        fence(Ordering::SeqCst);
        if before == NOT_JOINED {
            // An interrupt that came in between went by another place.
            self.give_back(self.outermost());
        }
        self.joined.store(JOINED, Ordering::Relaxed);
    }

    /// Whether the CPU has used the channel. Any CPU.
    #[inline]
    pub(super) fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed) != NOT_JOINED
    }

    /// The place of a record that interrupts none.
    #[inline(always)]
    pub(super) fn outermost(&self) -> &Intent {
        &self.intents[0]
    }

    /// Takes the place of a record that interrupts none; `None` if it is somebody's, as it is
    /// before the CPU has joined.
    #[inline(always)]
    pub(super) fn take_outermost(&self) -> Option<&Intent> {
        Self::take(self.outermost())
    }

    /// Takes the place of a record that interrupts another; `None` if it interrupts none, or too
    /// many. The CPU may not have joined.
    #[inline]
    pub(super) fn take_inner(&self) -> Option<&Intent> {
        // Not while it is joining: that goes by a fence first.
        let is_nested = self.outermost().is_taken() && self.is_joined();
        is_nested.then(|| self.intents[1..].iter().find_map(Self::take))?
    }

    /// Takes the next place; `None` if there is none left. The CPU has joined.
    #[inline]
    pub(super) fn take_any(&self) -> Option<&Intent> {
        self.intents.iter().find_map(Self::take)
    }

    #[inline(always)]
    fn take(intent: &Intent) -> Option<&Intent> {
        let is_taken = intent.take();
        // What is used from here on is not looked at before.
        compiler_fence(Ordering::SeqCst);
        is_taken.then_some(intent)
    }

    /// Withdraws `intent`, and gives its place back.
    #[inline(always)]
    pub(super) fn give_back(&self, intent: &Intent) {
        compiler_fence(Ordering::SeqCst);
        intent.give_back();
    }

    /// The records that this CPU has under way, or had when it stopped.
    pub(super) fn under_way(&self) -> impl Iterator<Item = UnderWay> {
        self.intents.iter().filter_map(Intent::read)
    }

    /// Counts an operation that is no record, until the result is dropped.
    #[inline]
    pub(super) fn hold(&self) -> Held<'_> {
        let held = self.held.load(Ordering::Relaxed);
        self.held.store(held.wrapping_add(1), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Held { local: self }
    }

    /// What the CPU is in the middle of. Any CPU.
    #[cfg(feature = "stress")]
    pub(crate) fn phase(&self) -> Phase {
        self.phases.now()
    }

    /// How many of its swaps other contexts have spoiled. Any CPU.
    #[cfg(feature = "stress")]
    pub(crate) fn failed_swaps(&self) -> u64 {
        self.phases.failed_swaps()
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        // Contexts nest: while one is under way, so is the outermost.
        self.held.load(Ordering::Relaxed) == 0 && !self.outermost().is_taken()
    }

    /// Notes that rings before the one with `serial` are used no more. When nothing is under way.
    pub(super) fn leave_rings_before(&self, serial: u64) {
        // Release: what was done in those rings comes before this.
        self.left.store(serial, Ordering::Release);
    }

    /// Whether no context of this CPU uses the ring with `serial`, now or later. Any CPU.
    pub(crate) fn has_left(&self, serial: u64) -> bool {
        !self.has_joined() || self.left.load(Ordering::Acquire) > serial
    }
}

/// An operation that is no record, and counted.
#[derive(Debug)]
pub(super) struct Held<'a> {
    local: &'a Local,
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        let held = self.local.held.load(Ordering::Relaxed);
        self.local
            .held
            .store(held.wrapping_sub(1), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use crate::ring::position::Position;

    #[test]
    fn nobody_takes_the_outermost_place_before_the_cpu_has_joined() {
        let local = Local::new();
        assert!(local.take_outermost().is_none() && local.take_inner().is_none());
        assert!(!local.has_joined());
        local.join();
        local.join();
        assert!(local.has_joined() && local.is_idle());
        assert!(local.take_inner().is_none(), "it interrupts none");
        for depth in 0..DEPTH {
            let intent = local.take_any().unwrap();
            assert!(core::ptr::eq(intent, &local.intents[depth]));
            local.join();
            assert!(local.take_outermost().is_none() && !local.is_idle());
        }
        assert!(local.take_any().is_none() && local.take_inner().is_none());
    }

    #[test]
    fn places_are_given_back_in_reverse() {
        let local = Local::new();
        local.join();
        let mut taken = std::vec![local.take_outermost().unwrap()];
        while let Some(intent) = local.take_inner() {
            taken.push(intent);
        }
        assert_eq!(taken.len(), DEPTH);
        for (number, intent) in taken.iter().enumerate() {
            intent.announce(Position(number as u64), Intent::of(5));
        }
        assert_eq!(local.under_way().count(), DEPTH);
        while let Some(intent) = taken.pop() {
            local.give_back(intent);
            assert_eq!(local.under_way().count(), taken.len());
            assert_eq!(local.is_idle(), taken.is_empty());
        }
        let nested = [local.hold(), local.hold()];
        assert!(!local.is_idle());
        drop(nested);
        assert!(local.is_idle());
    }
}
