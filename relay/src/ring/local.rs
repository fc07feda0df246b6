//! The words of one CPU in a channel: what its records have reserved, and whether it is in there at all.

use super::Ring;
use super::fast::Claim;
use super::position::Position;
use super::subbuf::Sub;
use crate::step::step;
use crate::sync::{
    AtomicPtr, AtomicU64, Ordering, OwnerWord, PerCpu, compiler_fence, const_unless_loom, fence,
};
use core::ptr::{self, NonNull, null_mut};

/// How many records of one CPU may be under way at the same time.
pub(super) const DEPTH: usize = 8;

/// The CPU has never used the channel: what it may look at is not kept for it.
const NOT_JOINED: u64 = 0;
/// It is about to, or does: its contexts must come by a fence of their own.
const JOINING: u64 = 1;
/// It does.
const JOINED: u64 = 2;

/// From one level's intent to the next, in bytes.
const STEP: usize = size_of::<Intent>();

/// One of the [`DEPTH`] places for a record under way: where its intent lies, in bytes. Their order says nothing of
/// the order of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(usize);

impl Level {
    /// The one that the fast path takes: a constant there.
    pub(super) const FIRST: Self = Self(0);

    fn all() -> impl Iterator<Item = Self> {
        (0..DEPTH).map(|number| Self(number * STEP))
    }
}

/// What one CPU has under way in a channel. Written by that CPU alone, in any of its contexts.
///
/// A level is taken by one instruction, which no interrupt can split, and given back by one store: in whatever order,
/// by whatever context, or never.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Local {
    intents: [Intent; DEPTH],
    /// Operations under way that are no record. Contexts nest, and each takes back what it has added.
    held: AtomicU64,
    /// Rings with a smaller serial number are used by no context of this CPU.
    left: AtomicU64,
    /// Whether the CPU uses the channel: [`NOT_JOINED`], [`JOINING`] or [`JOINED`].
    joined: AtomicU64,
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
/// Also for the post-mortem.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Intent {
    /// Whose level it is, and how far its record is: see the flags. Stored after `begin`. Bits 1 to 31 are the
    /// record's bytes; 0 if nothing is reserved.
    word: OwnerWord,
    /// Where it begins: a [`Position`].
    begin: AtomicU64,
}

impl Intent {
    /// The level is somebody's.
    const TAKEN: u64 = 1;
    /// Flags of a record that is written. With a constant length they are one sign-extended operand. The longest
    /// record, of 2^30 bytes, has no bits left for its length.
    const WRITTEN: u64 = !0 << 31;
    /// Flag of a record that is given up, and counted as lost: its bytes become a filling.
    const LOST: u64 = 1 << 33;
    /// The longest record, in bytes.
    const LONGEST: u64 = 1 << 30;

    const_unless_loom! {
        fn new(word: u64) -> Self {
            Self { word: OwnerWord::new(word), begin: AtomicU64::new(0) }
        }
    }

    /// The word of a record of `len` bytes.
    #[inline(always)]
    const fn of(len: u64) -> u64 {
        len << 1 | Self::TAKEN
    }

    /// Notes that `len` bytes from `begin` will be reserved.
    #[inline(always)]
    pub(super) fn announce(&self, begin: Position, len: u64) {
        self.begin.store(begin.0, Ordering::Relaxed);
        self.word.store(Self::of(len), Ordering::Relaxed);
    }

    /// Notes that the bytes are stored: all that is missing is the commit.
    #[inline(always)]
    pub(super) fn set_written(&self, len: u64) {
        // Release: for the post-mortem, the bytes come before the word that they are there.
        let word = Self::of(len) | Self::WRITTEN;
        self.word.store(word, Ordering::Release);
    }

    /// Notes that the record of `len` bytes, which is not written, is about to be counted as lost; false if somebody has
    /// noted that before. Who finds it under way need not count it.
    pub(super) fn set_lost(&self, len: u64) -> bool {
        let word = Self::of(len);
        self.word.cas::<PerCpu>(word, word | Self::LOST)
    }

    /// Withdraws it; the level stays taken.
    pub(super) fn withdraw(&self) {
        self.word.store(Self::TAKEN, Ordering::Relaxed);
    }

    /// What it says; `None` if it is none.
    pub(super) fn read(&self) -> Option<UnderWay> {
        let word = self.word.load(Ordering::Relaxed);
        let is_written = word & Self::WRITTEN == Self::WRITTEN;
        let len = match word as u32 >> 1 & !(Self::WRITTEN as u32 >> 1) {
            0 if is_written => Self::LONGEST,
            len if is_written => u64::from(len),
            _ => u64::from(word as u32 >> 1),
        };
        (len != 0).then_some(UnderWay {
            begin: Position(self.begin.load(Ordering::Relaxed)),
            len,
            is_written,
            is_lost: !is_written && word & Self::LOST != 0,
        })
    }

    /// Whether its level is somebody's.
    fn is_taken(&self) -> bool {
        self.word.load(Ordering::Relaxed) & Self::TAKEN != 0
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
    #[inline]
    pub(super) fn join(&self) {
        if self.joined.load(Ordering::Relaxed) == JOINED {
            return;
        }
        let before = self.joined.swap(JOINING, Ordering::Relaxed);
        step();
        // Whoever frees rings and did not see this: we see the ring that it saw to be current. So does an interrupt that
        // comes before this fence, and finds the CPU joining: by one of its own.
        fence(Ordering::SeqCst);
        if before == NOT_JOINED {
            // An interrupt that came in between went by another level.
            self.give_back(Level::FIRST);
            step();
        }
        self.joined.store(JOINED, Ordering::Relaxed);
    }

    /// Whether the CPU has used the channel. Any CPU.
    #[inline]
    pub(super) fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed) != NOT_JOINED
    }

    /// Takes `level`; false if it is somebody's, as the first is before the CPU has joined.
    #[inline(always)]
    pub(super) fn take(&self, level: Level) -> bool {
        let is_taken = self.intent(level).word.set_lowest();
        // What is used from here on is not looked at before.
        compiler_fence(Ordering::SeqCst);
        is_taken
    }

    /// Takes a level that is nobody's. The CPU has joined.
    pub(super) fn take_any(&self) -> Option<Level> {
        Level::all().find(|level| self.take(*level))
    }

    /// Takes a level beside the first, if that is somebody's: a record that interrupts another needs one, or that
    /// comes while a slot is open.
    pub(super) fn take_another(&self) -> Option<Level> {
        // Not while it is joining: that goes by a fence first.
        let has_joined = self.joined.load(Ordering::Relaxed) == JOINED;
        let is_nested = has_joined && self.intent(Level::FIRST).is_taken();
        let take = || Level::all().skip(1).find(|level| self.take(*level));
        is_nested.then(take)?
    }

    /// Withdraws the intent of `level`, and gives the level back.
    #[inline(always)]
    pub(super) fn give_back(&self, level: Level) {
        compiler_fence(Ordering::SeqCst);
        self.intent(level).word.store(0, Ordering::Relaxed);
    }

    /// The intent of `level`.
    #[inline(always)]
    pub(super) fn intent(&self, level: Level) -> &Intent {
        debug_assert!(level.0.is_multiple_of(STEP) && level.0 < STEP * DEPTH);
        // SAFETY: a level is a multiple of an intent's size, less than all have together.
        unsafe { &*self.intents.as_ptr().byte_add(level.0) }
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

    /// The time of the record that begins at `begin`, if a context of this CPU is reserving it the whole way.
    #[cold]
    #[inline(never)]
    pub(super) fn ticks_of(&self, begin: Position) -> Option<u64> {
        let is_at = |level: &Level| {
            let record = self.intent(*level).read();
            record.is_some_and(|record| record.begin == begin)
        };
        let ticks_at = |level| self.slow_at(level).ticks.load(Ordering::Relaxed);
        // Contexts that want the same place interrupt each other: it is the innermost, the last, that has got it.
        Level::all().filter(is_at).map(ticks_at).max()
    }

    #[inline(always)]
    fn slow_at(&self, level: Level) -> &SlowClaim {
        debug_assert!(level.0 < STEP * DEPTH);
        // SAFETY: a level's place among them is below DEPTH.
        unsafe { self.slow.get_unchecked(level.0 / STEP) }
    }

    /// All intents. Of records that this CPU has under way, or had when it stopped.
    pub(super) fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.iter()
    }

    /// Counts an operation that is no record, until the result is dropped.
    #[inline]
    pub(super) fn hold(&self) -> Held<'_> {
        let held = self.held.load(Ordering::Relaxed);
        self.held.store(held + 1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Held { local: self }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle_but(|_| false)
    }

    /// Whether all that is under way is slots for which `is_passed_over` holds.
    pub(super) fn is_idle_but(&self, is_passed_over: impl Fn(Position) -> bool) -> bool {
        let is_over = |intent: &Intent| {
            let under_way = intent.read();
            under_way.is_some_and(|record| is_passed_over(record.begin))
        };
        let mut taken = self.intents().filter(|intent| intent.is_taken());
        self.held.load(Ordering::Relaxed) == 0 && taken.all(is_over)
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
        self.local.held.store(held - 1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_first_level_before_the_cpu_has_joined() {
        let local = Local::new();
        assert!(!local.take(Level::FIRST));
        assert!(!local.has_joined());
        local.join();
        local.join();
        assert!(local.has_joined() && local.is_idle());
        for level in Level::all() {
            assert_eq!(local.take_any(), Some(level));
            local.join();
            assert!(!local.take(level) && !local.is_idle());
        }
        assert_eq!(local.take_any(), None);
    }

    #[test]
    fn a_level_that_was_given_back_is_the_next() {
        let local = Local::new();
        local.join();
        while let Some(level) = local.take_any() {
            local.intent(level).announce(Position(level.0 as u64), 5);
        }
        for level in Level::all() {
            local.give_back(level);
            assert_eq!(local.intent(level).read(), None);
            assert_eq!(local.take_any(), Some(level));
            local.intent(level).announce(Position(7), 5);
        }
        let passed_over = |begin| begin == Position(7);
        assert!(!local.is_idle() && local.is_idle_but(passed_over));
        let held = local.hold();
        assert!(!local.is_idle_but(passed_over));
        drop(held);
        local.intent(Level::FIRST).withdraw();
        assert!(!local.is_idle_but(passed_over), "who has it is not at work");
        Level::all().for_each(|level| local.give_back(level));
        assert!(local.is_idle());
        let nested = [local.hold(), local.hold()];
        assert!(!local.is_idle());
        drop(nested);
        assert!(local.is_idle());
    }

    #[test]
    fn an_intent_says_what_was_noted_of_a_record_of_any_length() {
        let intent = Intent::new(0);
        assert!(intent.word.set_lowest());
        let begin = Position(40);
        for len in [1, 2, 255, (1 << 30) - 1, 1 << 30] {
            let says = |is_written, is_lost| {
                let record = UnderWay {
                    begin,
                    len,
                    is_written,
                    is_lost,
                };
                assert_eq!(intent.read(), Some(record));
                assert!(intent.is_taken());
            };
            intent.announce(begin, len);
            says(false, false);
            assert!(intent.set_lost(len));
            assert!(!intent.set_lost(len), "noted already");
            says(false, true);
            intent.set_written(len);
            says(true, false);
            intent.withdraw();
            assert_eq!(intent.read(), None);
            assert!(intent.is_taken());
        }
    }
}
