//! What a record under way has reserved, where the post-mortem finds it.

use super::position::Position;
use crate::sync::{AtomicU64, Ordering, OwnerWord, const_unless_loom};

/// What one record wants to reserve, or has: announced before the swap, withdrawn at the end.
/// Written by its CPU alone.
///
/// The word also says whether its place is somebody's. It is taken by one instruction and given
/// back by one store, in the reverse order: contexts nest, and so do the records of one context.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Intent {
    /// Whether it is taken, and how far its record is: see the flags. Stored after `begin`. The
    /// upper 32 bits are the record's bytes; 0 if nothing is reserved. Without flags it is what the
    /// commit word gets when the record is committed, so that one register serves both.
    word: OwnerWord,
    /// Where it begins: a [`Position`].
    begin: AtomicU64,
}

/// A record under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) begin: Position,
    /// Its bytes.
    pub(super) len: u64,
    /// As many of them may have been kept, and the others given back; 0 if it is not being cut.
    pub(super) kept: u64,
    /// Its bytes are stored: all that is missing is the commit.
    pub(super) is_written: bool,
    /// It is given up, and counted as lost, or about to be.
    pub(super) is_given_up: bool,
}

impl Intent {
    /// Its place is somebody's.
    pub(super) const TAKEN: u64 = 1;
    /// The record's bytes are stored.
    const WRITTEN: u64 = 1 << 1;
    /// The record is given up: its bytes become a filler.
    const GIVEN_UP: u64 = 1 << 2;
    /// How far the bytes that a cut may have kept are to the left, up to the record's own.
    const KEPT: u32 = 3;
    const KEPT_MASK: u64 = (1 << (32 - Self::KEPT)) - 1;

    const_unless_loom! {
        pub(super) fn new(word: u64) -> Self {
            Self { word: OwnerWord::new(word), begin: AtomicU64::new(0) }
        }
    }

    /// Takes its place; false if it is somebody's.
    #[inline(always)]
    pub(super) fn take(&self) -> bool {
        self.word.set_lowest()
    }

    /// The word of a record of `len` bytes that is to be reserved.
    #[inline(always)]
    pub(super) const fn of(len: u64) -> u64 {
        len << 32 | Self::TAKEN
    }

    /// Notes that a record with this [word](Self::of) will be reserved at `begin`.
    #[inline(always)]
    pub(super) fn announce(&self, begin: Position, word: u64) {
        self.begin.store(begin.0, Ordering::Relaxed);
        self.word.store(word, Ordering::Relaxed);
    }

    /// Notes that the bytes are stored: all that is missing is the commit.
    #[inline(always)]
    pub(super) fn set_written(&self) {
        // Release: for the post-mortem, the bytes come before the word that they are there.
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(word | Self::WRITTEN, Ordering::Release);
    }

    /// Notes that the record, which is not written, is about to be counted as lost: who finds it
    /// under way need not count it.
    #[inline]
    pub(super) fn set_given_up(&self) {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(word | Self::GIVEN_UP, Ordering::Relaxed);
    }

    /// Notes that all but `kept` bytes are about to be given back; false if so many cannot be
    /// noted. To be announced anew when that is done or not.
    #[inline]
    pub(super) fn set_kept(&self, kept: u64) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let fits = kept <= Self::KEPT_MASK;
        if fits {
            self.word
                .store(word | kept << Self::KEPT, Ordering::Relaxed);
        }
        fits
    }

    /// Withdraws it; its place stays taken.
    #[inline]
    pub(super) fn withdraw(&self) {
        self.word.store(Self::TAKEN, Ordering::Relaxed);
    }

    /// Withdraws it, and gives its place back.
    #[inline(always)]
    pub(super) fn give_back(&self) {
        self.word.store(0, Ordering::Relaxed);
    }

    /// What it says; `None` if it is none.
    pub(super) fn read(&self) -> Option<UnderWay> {
        let word = self.word.load(Ordering::Relaxed);
        let len = word >> 32;
        (len != 0).then_some(UnderWay {
            begin: Position(self.begin.load(Ordering::Relaxed)),
            len,
            kept: word >> Self::KEPT & Self::KEPT_MASK,
            is_written: word & Self::WRITTEN != 0,
            is_given_up: word & Self::GIVEN_UP != 0,
        })
    }

    /// Whether its place is somebody's.
    #[inline]
    pub(super) fn is_taken(&self) -> bool {
        self.word.load(Ordering::Relaxed) & Self::TAKEN != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_intent_says_what_was_noted_of_a_record_of_any_length() {
        let intent = Intent::new(0);
        assert!(intent.take() && !intent.take());
        let begin = Position(40);
        for len in [1, 2, 255, (1 << 30) - 1, 1 << 30] {
            let says = |kept, is_written, is_given_up| {
                let record = UnderWay {
                    begin,
                    len,
                    kept,
                    is_written,
                    is_given_up,
                };
                assert_eq!(intent.read(), Some(record));
                assert!(intent.is_taken());
            };
            intent.announce(begin, Intent::of(len));
            says(0, false, false);
            for kept in [1, len / 2, len - 1, 1 << 29, (1 << 29) - 1] {
                let is_noted = kept < 1 << 29;
                assert_eq!(intent.set_kept(kept), is_noted);
                says(if is_noted { kept } else { 0 }, false, false);
                intent.announce(begin, Intent::of(len));
            }
            intent.set_given_up();
            says(0, false, true);
            intent.announce(begin, Intent::of(len));
            intent.set_written();
            says(0, true, false);
            intent.withdraw();
            assert_eq!(intent.read(), None);
            assert!(intent.is_taken());
        }
        intent.give_back();
        assert!(!intent.is_taken());
    }
}
