//! Why records were lost, and how many.

use core::fmt;

/// Why a record was lost. Each loss is counted once, under one reason, in its stream's ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The buffer was full of what nobody had consumed yet.
    Full,
    /// The record is longer than a sub-buffer takes.
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

/// Records lost so far, by reason. The field is the counts, in the order of [`Loss::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses(pub [u64; Loss::COUNT]);

impl Losses {
    /// No losses.
    pub const NONE: Self = Self([0; Loss::COUNT]);

    /// The records lost for reason `loss`.
    #[must_use]
    pub const fn get(&self, loss: Loss) -> u64 {
        self.0[loss as usize]
    }

    /// The records lost for any reason, modulo 2^64.
    #[must_use]
    #[inline]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// The records lost for any reason; `None` if that is no number below 2^64.
    #[must_use]
    pub fn checked_total(&self) -> Option<u64> {
        self.0.iter().try_fold(0, |sum: u64, n| sum.checked_add(*n))
    }

    /// What was lost since `earlier`: between two packets of a stream, by what each tells.
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
        let all = "full 3, too_big 0, wrapped 0, nested 0, closed 0, discarded 1";
        assert_eq!(format!("{losses:#}"), all);
        assert_eq!((losses.total(), losses.checked_total()), (4, Some(4)));
        assert_eq!(losses.since(&losses), Losses::default());
        let earlier = losses;
        losses.0[Loss::Full as usize] += 2;
        let between = losses.since(&earlier);
        assert_eq!((between.get(Loss::Full), between.total()), (2, 2));
    }

    #[test]
    fn a_sum_that_is_too_large_is_told() {
        let losses = Losses([u64::MAX, 1, 0, 0, 0, 0]);
        assert_eq!((losses.total(), losses.checked_total()), (0, None));
    }
}
