//! What a CPU is in the middle of: for kernels that prove that they are interrupted everywhere
//! (feature `stress`). Without the feature nothing of this is there.
//!
//! ```text
//! enter(x):  before = phase;  phase = x;  given back: phase = before
//! ```
//!
//! Contexts nest, and each puts back what it found: so an interrupt finds what it has interrupted.
//! A plain load and a plain store will do, since nobody else writes the word.
//!
//! An emulator that looks for interrupts between blocks of instructions never interrupts between
//! the load of the position and its swap, unless the block ends there. With this feature it does:
//! see [`OwnerWord::cas`](crate::sync::OwnerWord::cas).

use crate::sync::const_unless_loom;
#[cfg(feature = "stress")]
use crate::sync::{AtomicU64, Ordering, compiler_fence};
#[cfg(not(feature = "stress"))]
use core::marker::PhantomData;

/// What a CPU is in the middle of, in a channel (feature `stress`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "stress"),
    expect(unreachable_pub, reason = "nobody else sees it then")
)]
pub enum Phase {
    /// Nothing that shows: it does not use the channel, or has not reserved anything yet.
    #[cfg(feature = "stress")]
    Outside,
    /// It has read the position, and not swapped it yet: what is written now spoils the swap.
    Loaded,
    /// It has reserved bytes for a record, and not committed them.
    Reserved,
    /// It closes a packet, or opens one.
    Switch,
    /// It makes a packet readable.
    Delivery,
}

/// The phase of one CPU, and how often its swaps failed. Written by that CPU alone.
#[derive(Debug)]
pub(super) struct Phases {
    #[cfg(feature = "stress")]
    phase: AtomicU64,
    #[cfg(feature = "stress")]
    failed: AtomicU64,
}

/// A phase that lasts until this is dropped.
pub(super) struct Entered<'a> {
    #[cfg(feature = "stress")]
    phases: &'a Phases,
    #[cfg(feature = "stress")]
    before: u64,
    #[cfg(not(feature = "stress"))]
    phases: PhantomData<&'a Phases>,
}

impl Phases {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self {
                #[cfg(feature = "stress")]
                phase: AtomicU64::new(0),
                #[cfg(feature = "stress")]
                failed: AtomicU64::new(0),
            }
        }
    }
}

#[cfg(not(feature = "stress"))]
impl Phases {
    /// Nothing.
    #[inline(always)]
    pub(super) fn enter(&self, _phase: Phase) -> Entered<'_> {
        Entered {
            phases: PhantomData,
        }
    }

    /// Nothing.
    #[inline(always)]
    pub(super) fn note_swap(&self, _has_succeeded: bool) {}
}

#[cfg(feature = "stress")]
impl Phases {
    /// Is in this phase until the result is dropped. By the CPU itself.
    #[inline(always)]
    pub(super) fn enter(&self, phase: Phase) -> Entered<'_> {
        let before = self.phase.load(Ordering::Relaxed);
        self.phase.store(phase as u64, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Entered {
            phases: self,
            before,
        }
    }

    /// Puts back what was there before. By the CPU itself.
    #[inline(always)]
    fn leave(&self, before: u64) {
        compiler_fence(Ordering::SeqCst);
        self.phase.store(before, Ordering::Relaxed);
    }

    /// A swap of the position has succeeded, so that bytes are reserved; or another context has
    /// spoiled it, and it is counted. By the CPU itself, in [`Phase::Loaded`].
    #[inline]
    pub(super) fn note_swap(&self, has_succeeded: bool) {
        if has_succeeded {
            self.phase.store(Phase::Reserved as u64, Ordering::Relaxed);
            return;
        }
        // A context that comes in between may be forgotten: it says how often, about.
        let failed = self.failed.load(Ordering::Relaxed);
        self.failed.store(failed.wrapping_add(1), Ordering::Relaxed);
    }

    /// The phase. Any CPU.
    pub(super) fn now(&self) -> Phase {
        const ALL: [Phase; 5] = [
            Phase::Outside,
            Phase::Loaded,
            Phase::Reserved,
            Phase::Switch,
            Phase::Delivery,
        ];
        let now = self.phase.load(Ordering::Relaxed) as usize;
        ALL.get(now).copied().unwrap_or(Phase::Outside)
    }

    /// How many swaps failed. Any CPU.
    pub(super) fn failed_swaps(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Entered<'_> {
    /// The phase is over: what it was before is there again. For a phase that ends in the middle of
    /// a function.
    #[inline(always)]
    pub(super) fn end(&self) {
        #[cfg(feature = "stress")]
        self.phases.leave(self.before);
    }
}

#[cfg(feature = "stress")]
impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(all(test, feature = "stress", not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_context_puts_back_what_it_found() {
        let phases = Phases::new();
        assert_eq!(phases.now(), Phase::Outside);
        let outer = phases.enter(Phase::Switch);
        for phase in [Phase::Reserved, Phase::Delivery, Phase::Outside] {
            let inner = phases.enter(phase);
            assert_eq!(phases.now(), phase);
            drop(inner);
            assert_eq!(phases.now(), Phase::Switch);
        }
        drop(outer);
        assert_eq!(phases.now(), Phase::Outside);
    }

    #[test]
    fn what_is_swapped_is_reserved() {
        let phases = Phases::new();
        let loaded = phases.enter(Phase::Loaded);
        phases.note_swap(false);
        assert_eq!((phases.now(), phases.failed_swaps()), (Phase::Loaded, 1));
        phases.note_swap(true);
        assert_eq!((phases.now(), phases.failed_swaps()), (Phase::Reserved, 1));
        drop(loaded);
        assert_eq!(phases.now(), Phase::Outside);
    }
}
