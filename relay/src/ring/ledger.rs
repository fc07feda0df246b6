//! The counts that make the promise checkable.

use crate::sync::step::step;
use crate::sync::{GroupedU64, Ordering, OwnerWord, Usage, const_unless_loom};
use core::fmt;

/// Why a record was lost. Each loss is counted once, under one reason, in the stream's ledger:
/// [`Packet::lost`](crate::Packet::lost),
/// [`Channel::stats`](crate::Channel::stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The buffer was full of what nobody had consumed yet.
    Full,
    /// The record is longer than [`Geometry::max_record`](crate::Geometry::max_record).
    TooBig,
    /// The sub-buffer that comes next still has an uncommitted record of the previous lap.
    Wrapped,
    /// More than eight records of this CPU were under way at the same time.
    Nested,
    /// The channel was closed. What fails for another reason after the final packet has told of all
    /// losses counts here, too.
    Closed,
    /// The caller gave up what it had reserved.
    Discarded,
}

impl Loss {
    /// Number of reasons.
    pub const COUNT: usize = 6;
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Full,
        Self::TooBig,
        Self::Wrapped,
        Self::Nested,
        Self::Closed,
        Self::Discarded,
    ];

    /// The reason as one lower-case word: `full`, `too_big`, ...
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooBig => "too_big",
            Self::Wrapped => "wrapped",
            Self::Nested => "nested",
            Self::Closed => "closed",
            Self::Discarded => "discarded",
        }
    }
}

/// Records lost so far, by reason. Plain numbers: any context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses([u64; Loss::COUNT]);

impl Losses {
    /// No losses.
    pub const NONE: Self = Self([0; Loss::COUNT]);

    /// The records lost for reason `loss`.
    #[must_use]
    pub const fn get(&self, loss: Loss) -> u64 {
        self.0[loss as usize]
    }

    /// The records lost for any reason.
    #[must_use]
    #[inline]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// What was lost since `earlier`: between two packets of a stream, by what each
    /// [tells](crate::Packet::lost).
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(core::array::from_fn(|i| {
            self.0[i].wrapping_sub(earlier.0[i])
        }))
    }
}

/// Writes the reasons that occurred, like `full 3, discarded 1`; nothing for no loss. The
/// alternate form (`{:#}`) writes all of them.
impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for loss in Loss::ALL {
            let count = self.get(loss);
            if count != 0 || f.alternate() {
                write!(f, "{separator}{} {count}", loss.name())?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn losses_print_what_occurred() {
        let mut losses = Losses::default();
        assert_eq!(format!("{losses}"), "");
        losses.0[Loss::Full as usize] = 3;
        losses.0[Loss::Discarded as usize] = 1;
        assert_eq!(format!("{losses}"), "full 3, discarded 1");
        assert_eq!(
            format!("{losses:#}"),
            "full 3, too_big 0, wrapped 0, nested 0, closed 0, discarded 1"
        );
        assert_eq!(losses.total(), 4);
        assert_eq!(losses.since(&losses), Losses::default());
        let earlier = losses;
        losses.0[Loss::Full as usize] += 2;
        let between = losses.since(&earlier);
        assert_eq!((between.get(Loss::Full), between.total()), (2, 2));
    }
}
