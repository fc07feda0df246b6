//! The counts that make the promise checkable.

use crate::sync::step::step;
use crate::sync::{GroupedU64, Ordering, OwnerWord, Usage, const_unless_loom};

pub use relay_format::{Loss, Losses};

/// The owner's loss counters: one per reason. The upper bit says that the final packet has told of
/// it, for the last time: that counter stays as it is. That of writes to a closed stream goes on
/// for ever.
#[derive(Debug)]
pub(super) struct LossCounters([OwnerWord; Loss::COUNT]);

impl LossCounters {
    /// The final packet has told.
    const TOLD: u64 = 1 << 63;

    const_unless_loom! {
        /// All at zero.
        pub(super) fn new() -> Self {
            Self([
                OwnerWord::new(0),
                OwnerWord::new(0),
                OwnerWord::new(0),
                OwnerWord::new(0),
                OwnerWord::new(0),
                OwnerWord::new(0),
            ])
        }
    }

    /// Counts one lost record: for `loss`, or because the stream is closed, if the final packet has
    /// told of the losses already. Returns for which. Owner only.
    #[inline]
    pub(super) fn count<U: Usage>(&self, loss: Loss) -> Loss {
        let word = &self.0[loss as usize];
        loop {
            let count = word.load(Ordering::Relaxed);
            if count & Self::TOLD != 0 {
                self.0[Loss::Closed as usize].add_carries::<U>(1);
                return Loss::Closed;
            }
            if word.cas::<U>(count, count.wrapping_add(1)) {
                return loss;
            }
        }
    }

    /// Counts a record that is given up, whose packet is not delivered yet: the final packet has
    /// not told of anything. Owner only.
    #[inline]
    pub(super) fn count_given_up<U: Usage>(&self) {
        self.0[Loss::Discarded as usize].add_carries::<U>(1);
    }

    /// The counts as they are now.
    #[inline]
    pub(super) fn sample(&self) -> Losses {
        step();
        Losses(
            self.0
                .each_ref()
                .map(|word| word.load_in_group(Ordering::Relaxed) & !Self::TOLD),
        )
    }

    /// The counts for the final packet. Nothing is counted after them but writes to a closed
    /// stream. Owner only, once.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_all<U: Usage>(&self) -> Losses {
        Losses(core::array::from_fn(|i| {
            let word = &self.0[i];
            loop {
                let count = word.load(Ordering::Relaxed);
                if i == Loss::Closed as usize || word.cas::<U>(count, count | Self::TOLD) {
                    return count & !Self::TOLD;
                }
            }
        }))
    }
}

/// A place where the owner leaves loss counts for a reader.
#[derive(Debug)]
pub(super) struct LossRecord([GroupedU64; Loss::COUNT]);

impl LossRecord {
    /// All at zero.
    pub(super) fn new() -> Self {
        Self(core::array::from_fn(|_| GroupedU64::new(0)))
    }

    /// Leaves `losses` here; published by a later Release store.
    #[inline]
    pub(super) fn store(&self, losses: &Losses) {
        step();
        for (word, count) in self.0.iter().zip(losses.0) {
            word.store(count, Ordering::Relaxed);
        }
    }

    /// What was left here.
    #[inline]
    pub(super) fn load(&self) -> Losses {
        step();
        Losses(self.0.each_ref().map(|word| word.load(Ordering::Relaxed)))
    }
}
