//! What a record under way has reserved, where the post-mortem finds it.

use super::position::{MAX_RECORD, Position};
use crate::sync::{AtomicU64, Ordering, OwnerWord, const_unless_loom};

/// What one record wants to reserve, or has: announced before the swap, withdrawn at the end. Written by its
/// CPU alone.
///
/// The word also says whether its place is somebody's. It is taken by one instruction and given back by one
/// store, in the reverse order: contexts nest, and so do the records of one context.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Intent {
    /// Whether it is taken, and how far its record is: see the flags. Stored after `begin`. Bits 1 to 31 are the
    /// record's bytes; 0 if nothing is reserved.
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
    /// Its bytes are stored: all that is missing is the commit.
    pub(super) is_written: bool,
    /// It is given up, and counted as lost, or about to be.
    pub(super) is_given_up: bool,
}

impl Intent {
    /// Its place is somebody's.
    pub(super) const TAKEN: u64 = 1;
    /// Flags of a record that is written. With a constant length they are one sign-extended operand. The longest
    /// record, of 2^30 bytes, has no bits left for its length.
    const WRITTEN: u64 = !0 << 31;
    /// Flag of a record that is given up: its bytes become a filler.
    const GIVEN_UP: u64 = 1 << 33;

    const_unless_loom! {
        pub(super) fn new(word: u64) -> Self {
            Self { word: OwnerWord::new(word), begin: AtomicU64::new(0) }
        }
    }

    /// The word of a record of `len` bytes.
    #[inline(always)]
    const fn of(len: u64) -> u64 {
        len << 1 | Self::TAKEN
    }

    /// Takes its place; false if it is somebody's.
    #[inline(always)]
    pub(super) fn take(&self) -> bool {
        self.word.set_lowest()
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

    /// Notes that the record of `len` bytes, which is not written, is about to be counted as lost: who finds it
    /// under way need not count it.
    #[inline]
    pub(super) fn set_given_up(&self, len: u64) {
        let word = Self::of(len) | Self::GIVEN_UP;
        self.word.store(word, Ordering::Relaxed);
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
        let is_written = word & Self::WRITTEN == Self::WRITTEN;
        let len = match word as u32 >> 1 & !(Self::WRITTEN as u32 >> 1) {
            0 if is_written => MAX_RECORD,
            len if is_written => u64::from(len),
            _ => u64::from(word as u32 >> 1),
        };
        (len != 0).then_some(UnderWay {
            begin: Position(self.begin.load(Ordering::Relaxed)),
            len,
            is_written,
            is_given_up: !is_written && word & Self::GIVEN_UP != 0,
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
            let says = |is_written, is_given_up| {
                let record = UnderWay {
                    begin,
                    len,
                    is_written,
                    is_given_up,
                };
                assert_eq!(intent.read(), Some(record));
                assert!(intent.is_taken());
            };
            intent.announce(begin, len);
            says(false, false);
            intent.set_given_up(len);
            says(false, true);
            intent.set_written(len);
            says(true, false);
            intent.withdraw();
            assert_eq!(intent.read(), None);
            assert!(intent.is_taken());
        }
        intent.give_back();
        assert!(!intent.is_taken());
    }
}
