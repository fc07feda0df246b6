//! The words of one CPU in a channel: how deep its records nest, and what each has reserved.

use super::Ring;
use super::fast::Claim;
use super::geometry::Position;
use super::subbuf::Sub;
use crate::sync::{AtomicPtr, AtomicU64, Ordering, compiler_fence, const_unless_loom, fence};
use core::ptr::{self, NonNull, null_mut};

/// How many records of one CPU may be under way at the same time.
pub(super) const DEPTH: usize = 8;

/// What one level adds to the depth: the bytes of an intent, so that the depth is where the next one lies.
const STEP: u64 = size_of::<Intent>() as u64;

/// The depth of a CPU that has not joined the channel: above every real one.
const NOT_JOINED: u64 = 1 << 32;

/// A level of nesting: the depth at which it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(u64);

/// What one CPU has under way in a channel. Written by that CPU alone, in any of its contexts.
///
/// Contexts nest: whoever takes a level gives it back before what it interrupted goes on. So the depth
/// is changed by plain stores, and every context finds what it left. A slot may break the rule, by being
/// dropped before a younger one, or by never coming back: whoever gives a level back that is not the last leaves
/// a hole, which stays taken until the younger ones are gone.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Local {
    depth: AtomicU64,
    /// Rings with a smaller serial number are used by no context of this CPU.
    left: AtomicU64,
    intents: [Intent; DEPTH],
    slow: [SlowClaim; DEPTH],
}

/// A claim on its way from the slow path to the slot that is made of it. Passed here, not as a result: what
/// is returned through memory cannot be kept in registers on the fast path either.
#[derive(Debug)]
struct SlowClaim {
    ring: AtomicPtr<Ring>,
    sub: AtomicPtr<Sub>,
    bytes: AtomicPtr<u8>,
    end: AtomicU64,
    ticks: AtomicU64,
}

impl SlowClaim {
    const_unless_loom! {
        fn new() -> Self {
            Self {
                ring: AtomicPtr::new(null_mut()),
                sub: AtomicPtr::new(null_mut()),
                bytes: AtomicPtr::new(null_mut()),
                end: AtomicU64::new(0),
                ticks: AtomicU64::new(0),
            }
        }
    }
}

/// A claim that was left. Having one tells you: it lies at its level, which is taken until the slot that is made
/// of it gives it back.
#[derive(Debug)]
pub(crate) struct Left<'a> {
    local: &'a Local,
    level: Level,
}

impl<'a> Left<'a> {
    /// What was left.
    #[inline(always)]
    pub(crate) fn take(self) -> Claim<'a> {
        let Self { local, level } = self;
        let slow = local.slow_at(level);
        // SAFETY: a claim was left there, of a ring that lives as long as its level is taken; nobody else leaves one at
        // a level that is taken.
        let (ring, sub, bytes) = unsafe {
            (
                &*slow.ring.load(Ordering::Relaxed),
                &*slow.sub.load(Ordering::Relaxed),
                NonNull::new_unchecked(slow.bytes.load(Ordering::Relaxed)),
            )
        };
        Claim {
            ring,
            sub,
            bytes,
            begin: Position(local.intent(level).begin.load(Ordering::Relaxed)),
            end: Position(slow.end.load(Ordering::Relaxed)),
            ticks: slow.ticks.load(Ordering::Relaxed),
            level,
        }
    }
}

/// What the record at one level wants to reserve, or has: left before the swap, withdrawn at the end.
/// For the post-mortem.
#[derive(Debug)]
pub(super) struct Intent {
    /// Where it begins: a [`Position`].
    begin: AtomicU64,
    /// Its bytes, with flags; 0 is none. Stored after `begin`.
    len: AtomicU64,
}

impl Intent {
    /// Flags of a record that is written. With a constant length they are one sign-extended operand.
    const WRITTEN: u64 = !0 << 31;
    /// Instead of a length: the level is given back, but a younger one is still there.
    const HOLE: u64 = 1 << 32;
    /// Flag of a record that is given up, and counted as lost: its bytes become a filling.
    const LOST: u64 = 1 << 33;

    const_unless_loom! {
        fn new() -> Self {
            Self { begin: AtomicU64::new(0), len: AtomicU64::new(0) }
        }
    }

    /// Notes that `len` bytes from `begin` will be reserved.
    #[inline(always)]
    pub(super) fn announce(&self, begin: Position, len: u64) {
        self.begin.store(begin.0, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
    }

    /// Notes that the bytes are stored: all that is missing is the commit.
    #[inline(always)]
    pub(super) fn set_written(&self, len: u64) {
        // Release: for the post-mortem, the bytes come before the word that they are there.
        self.len.store(len | Self::WRITTEN, Ordering::Release);
    }

    /// Notes that the record is about to be counted as lost: who finds it under way need not.
    pub(super) fn set_lost(&self, len: u64) {
        self.len.store(len | Self::LOST, Ordering::Relaxed);
    }

    /// Withdraws it.
    #[inline(always)]
    pub(super) fn withdraw(&self) {
        self.len.store(0, Ordering::Relaxed);
    }

    /// What it says; `None` if it is none.
    pub(super) fn read(&self) -> Option<UnderWay> {
        let word = self.len.load(Ordering::Relaxed);
        let is_written = word & Self::WRITTEN == Self::WRITTEN;
        // All flags are among its bits.
        let len = word & !Self::WRITTEN;
        (len != 0).then_some(UnderWay {
            begin: Position(self.begin.load(Ordering::Relaxed)),
            len,
            is_written,
            is_lost: !is_written && word & Self::LOST != 0,
        })
    }

    /// Whether its level is only waiting for a younger one.
    #[inline(always)]
    fn is_hole(&self) -> bool {
        self.len.load(Ordering::Relaxed) == Self::HOLE
    }
}

/// A record under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) begin: Position,
    /// Its bytes.
    pub(super) len: u64,
    /// Its bytes are stored: all that is missing is the commit.
    pub(super) is_written: bool,
    /// It is given up, and counted as lost.
    pub(super) is_lost: bool,
}

impl Local {
    const_unless_loom! {
        /// A CPU that has not joined.
        pub(super) fn new() -> Self {
            Self {
                depth: AtomicU64::new(NOT_JOINED),
                left: AtomicU64::new(0),
                intents: [
                    Intent::new(),
                    Intent::new(),
                    Intent::new(),
                    Intent::new(),
                    Intent::new(),
                    Intent::new(),
                    Intent::new(),
                    Intent::new(),
                ],
                slow: [
                    SlowClaim::new(),
                    SlowClaim::new(),
                    SlowClaim::new(),
                    SlowClaim::new(),
                    SlowClaim::new(),
                    SlowClaim::new(),
                    SlowClaim::new(),
                    SlowClaim::new(),
                ],
            }
        }
    }

    /// Lets the CPU use the stream, which has a ring. By the CPU itself.
    pub(super) fn join(&self) {
        let depth = self.depth.load(Ordering::Relaxed);
        if depth >= NOT_JOINED {
            // Whoever frees rings and did not see this: we see the ring that it saw to be current. A swap,
            // since an interrupt that finds the CPU joined does not come by the fence: on x86_64 it is one.
            self.depth.swap(depth - NOT_JOINED, Ordering::AcqRel);
            fence(Ordering::SeqCst);
        }
    }

    /// Whether the CPU has used the channel. Any CPU.
    pub(super) fn has_joined(&self) -> bool {
        self.depth.load(Ordering::Relaxed) < NOT_JOINED
    }

    /// Takes the next level; `None` if there is none for another record, or the CPU has not joined.
    #[inline(always)]
    pub(super) fn take_level(&self) -> Option<Level> {
        let depth = self.depth.load(Ordering::Relaxed);
        if depth > STEP * (DEPTH as u64 - 1) {
            return None;
        }
        self.depth.store(depth + STEP, Ordering::Relaxed);
        // What is used from here on is not looked at before.
        compiler_fence(Ordering::SeqCst);
        Some(Level(depth))
    }

    /// Withdraws the intent of `level`, and gives the level back. It was taken last, unless a younger one is kept: by a slot that
    /// an interrupt leaked, or a hook has put aside. (What leaks one between the look and the store is not seen: a swap
    /// would cost every write more than it is worth.)
    #[inline(always)]
    pub(super) fn drop_level(&self, level: Level) {
        compiler_fence(Ordering::SeqCst);
        // Not a sum, which would be kept in a register all the way from `take_level`.
        if self.depth.load(Ordering::Relaxed).wrapping_sub(STEP) == level.0 {
            self.intent(level).withdraw();
            compiler_fence(Ordering::SeqCst);
            self.depth.store(level.0, Ordering::Relaxed);
        } else {
            self.leave_hole(level);
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_hole(&self, level: Level) {
        let intent = self.intent(level);
        intent.len.store(Intent::HOLE, Ordering::Relaxed);
    }

    /// The intent of `level`.
    #[inline(always)]
    pub(super) fn intent(&self, level: Level) -> &Intent {
        debug_assert!(level.0.is_multiple_of(STEP) && level.0 < STEP * DEPTH as u64);
        // SAFETY: `take_level` gave it: a multiple of an intent's size, less than all have together.
        unsafe { &*self.intents.as_ptr().byte_add(level.0 as usize) }
    }

    /// Leaves what was claimed for who makes a slot of it.
    pub(super) fn leave_claim(&self, claim: &Claim<'_>) -> Left<'_> {
        let slow = self.slow_at(claim.level);
        let (ring, sub) = (ptr::from_ref(claim.ring), ptr::from_ref(claim.sub));
        slow.ring.store(ring.cast_mut(), Ordering::Relaxed);
        slow.sub.store(sub.cast_mut(), Ordering::Relaxed);
        slow.bytes.store(claim.bytes.as_ptr(), Ordering::Relaxed);
        slow.end.store(claim.end.0, Ordering::Relaxed);
        slow.ticks.store(claim.ticks, Ordering::Relaxed);
        Left {
            local: self,
            level: claim.level,
        }
    }

    /// Notes the time of a record that is about to be reserved the whole way.
    pub(super) fn note_ticks(&self, level: Level, ticks: u64) {
        self.slow_at(level).ticks.store(ticks, Ordering::Relaxed);
    }

    /// The time of the record that begins at `begin`, if a level below `level` has reserved it the whole way.
    #[cold]
    #[inline(never)]
    pub(super) fn ticks_of(&self, begin: Position, level: Level) -> Option<u64> {
        let levels = (0..level.0 / STEP).map(|number| Level(number * STEP));
        let is_at = |level: &Level| {
            let record = self.intent(*level).read();
            record.is_some_and(|record| record.begin == begin)
        };
        let found = levels.rev().find(is_at)?;
        Some(self.slow_at(found).ticks.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn slow_at(&self, level: Level) -> &SlowClaim {
        debug_assert!(level.0 < STEP * DEPTH as u64);
        // SAFETY: `take_level` gave it: its place among the levels is below DEPTH.
        unsafe { self.slow.get_unchecked((level.0 / STEP) as usize) }
    }

    /// All intents. For a CPU that has stopped.
    pub(super) fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.iter()
    }

    /// Gives back the level of a slot, which need not be the last: then it stays taken until the younger
    /// ones are gone.
    #[inline(always)]
    pub(super) fn give_back(&self, level: Level) {
        if self.is_hole_below(level) {
            self.give_back_out_of_order(level);
        } else {
            self.drop_level(level);
        }
    }

    /// Whether the level below `level` only waits for this one.
    #[inline(always)]
    fn is_hole_below(&self, level: Level) -> bool {
        let below = level.0.checked_sub(STEP).map(Level);
        below.is_some_and(|below| self.intent(below).is_hole())
    }

    #[cold]
    #[inline(never)]
    fn give_back_out_of_order(&self, level: Level) {
        let mut top = level;
        self.drop_level(top);
        while self.is_hole_below(top) && self.depth.load(Ordering::Relaxed) == top.0 {
            top = Level(top.0 - STEP);
            self.drop_level(top);
        }
    }

    /// Holds a level for an operation that is no record, until the result is dropped.
    pub(super) fn hold(&self) -> Held<'_> {
        let depth = self.depth.load(Ordering::Relaxed);
        self.depth.store(depth + STEP, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Held {
            local: self,
            level: Level(depth % NOT_JOINED),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.depth.load(Ordering::Relaxed) == 0
    }

    /// Whether all that is under way is slots for which `is_passed_over` holds, and levels that wait for them.
    pub(super) fn is_idle_but(&self, is_passed_over: impl Fn(Position) -> bool) -> bool {
        let depth = self.depth.load(Ordering::Relaxed);
        let taken = self.intents.iter().take((depth / STEP) as usize);
        let mut taken = taken.map(|intent| {
            intent.is_hole() || {
                let under_way = intent.read();
                under_way.is_some_and(|record| is_passed_over(record.begin))
            }
        });
        depth <= STEP * DEPTH as u64 && taken.all(|is_passed_over| is_passed_over)
    }

    /// Notes that rings before the one with `serial` are used no more. At depth 0.
    pub(super) fn leave_rings_before(&self, serial: u64) {
        // Release: what was done in those rings comes before this.
        self.left.store(serial, Ordering::Release);
    }

    /// Whether no context of this CPU uses the ring with `serial`, now or later. Any CPU.
    pub(crate) fn has_left(&self, serial: u64) -> bool {
        !self.has_joined() || self.left.load(Ordering::Acquire) > serial
    }
}

/// A level held for something that is no record.
#[derive(Debug)]
pub(super) struct Held<'a> {
    local: &'a Local,
    level: Level,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        let Self { local, level } = *self;
        // Not what it was: a context that came in between may have joined.
        let depth = local.depth.load(Ordering::Relaxed);
        let is_last = depth % NOT_JOINED == level.0 + STEP;
        if level.0 < STEP * DEPTH as u64 && (!is_last || local.is_hole_below(level)) {
            local.give_back_out_of_order(level);
        } else {
            local.depth.store(depth - STEP, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn at(level: usize) -> Level {
        Level(level as u64 * STEP)
    }

    #[test]
    fn nobody_takes_a_level_before_the_cpu_has_joined() {
        let local = Local::new();
        assert_eq!(local.take_level(), None);
        drop(local.hold());
        assert!(!local.has_joined());
        local.join();
        local.join();
        assert!(local.has_joined() && local.is_idle());
        for level in 0..DEPTH {
            assert_eq!(local.take_level(), Some(at(level)));
        }
        assert_eq!(local.take_level(), None);
    }

    #[test]
    fn a_level_below_one_that_is_kept_stays_taken() {
        let local = Local::new();
        local.join();
        let [below, kept] = [0, 1].map(|_| local.take_level().unwrap());
        local.intent(kept).announce(Position(7), 5);
        local.drop_level(below);
        // By a write, and by an operation that is no record.
        for _ in 0..3 {
            let next = local.take_level().unwrap();
            assert_eq!(next, at(2));
            local.drop_level(next);
            drop(local.hold());
        }
        assert!(!local.is_idle() && !local.is_idle_but(|_| false));
        assert!(local.is_idle_but(|begin| begin == Position(7)));
        local.give_back(kept);
        assert!(local.is_idle());
        for below in 0..DEPTH - 2 {
            (0..below).for_each(|level| assert_eq!(local.take_level(), Some(at(level))));
            let held = local.hold();
            let kept = local.take_level().unwrap();
            drop(held);
            assert_eq!(local.take_level(), Some(at(below + 2)));
            local.drop_level(at(below + 2));
            local.give_back(kept);
            (0..below)
                .rev()
                .for_each(|level| local.drop_level(at(level)));
            assert!(local.is_idle());
        }
    }

    #[test]
    fn levels_come_back_in_any_order_and_none_is_used_twice() {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let local = Local::new();
            local.join();
            for level in 0..3 {
                assert_eq!(local.take_level(), Some(at(level)));
                local.intent(at(level)).announce(Position(0), 5);
            }
            let mut live = [true; 3];
            for level in order {
                local.give_back(at(level));
                live[level] = false;
                let free = local.take_level().unwrap();
                let is_live = live.iter().zip(0..).any(|(live, i)| *live && at(i) == free);
                assert!(!is_live, "{free:?} is still in use");
                local.drop_level(free);
            }
            assert!(local.is_idle());
            assert!(local.intents().all(|intent| intent.read().is_none()));
        }
    }
}
