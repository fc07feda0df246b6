//! The sums of the promise, `attempted = delivered + lost + overwritten + uncommitted`, and the
//! judgement about them.

use std::ops::AddAssign;

use relay_format::{Loss, Losses};

/// Records lost, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// What the ledger of a stream counts.
    pub counted: Losses,
    /// There was no ring for the CPU: no stream tells of these, a console or a claim does.
    pub no_ring: u64,
    /// Known from the numbering, but not received.
    pub missing: u64,
    /// Received, and left out of the capture, because it has its largest size.
    pub left_out: u64,
}

impl Lost {
    /// Records lost for a reason that a stream's ledger counts.
    #[must_use]
    pub fn get(&self, loss: Loss) -> u64 {
        self.counted.get(loss)
    }

    /// All reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.named().map(|(_, count)| count);
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// The reasons by name, in the order in which they are shown.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); Loss::COUNT + 3] {
        let mut named = [
            ("no_ring", self.no_ring),
            ("missing", self.missing),
            ("left_out", self.left_out),
        ]
        .into_iter();
        let mut counted = Loss::ALL
            .map(|loss| (loss.name(), self.get(loss)))
            .into_iter();
        std::array::from_fn(|_| counted.next().or_else(|| named.next()).unwrap_or_default())
    }
}

impl From<Losses> for Lost {
    fn from(counted: Losses) -> Self {
        Self {
            counted,
            ..Self::default()
        }
    }
}

impl AddAssign for Lost {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.counted.0.iter_mut().zip(other.counted.0) {
            *sum = sum.saturating_add(count);
        }
        self.no_ring = self.no_ring.saturating_add(other.no_ring);
        self.missing = self.missing.saturating_add(other.missing);
        self.left_out = self.left_out.saturating_add(other.left_out);
    }
}

/// The sums of one stream, or of several. `attempted` is the sum of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Writes that were tried.
    pub attempted: u64,
    /// Different records that reached the host.
    pub delivered: u64,
    /// Records lost, by reason.
    pub lost: Lost,
    /// Records overwritten unread.
    pub overwritten: u64,
    /// Records that were under way when their CPU stopped.
    pub uncommitted: u64,
    /// What no count explains.
    pub unaccounted: u64,
}

impl AddAssign for Balance {
    fn add_assign(&mut self, other: Self) {
        self.attempted = self.attempted.saturating_add(other.attempted);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.lost += other.lost;
        self.overwritten = self.overwritten.saturating_add(other.overwritten);
        self.uncommitted = self.uncommitted.saturating_add(other.uncommitted);
        self.unaccounted = self.unaccounted.saturating_add(other.unaccounted);
    }
}

impl std::iter::Sum for Balance {
    fn sum<I: Iterator<Item = Self>>(balances: I) -> Self {
        balances.fold(Self::default(), |mut sum, balance| {
            sum += balance;
            sum
        })
    }
}

/// How far the promise is proven for a stream, or for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Closed, and every record is accounted for.
    Complete,
    /// Not closed; nothing contradicts the promise for what was seen.
    Open,
    /// Something does not add up; each entry says what.
    Broken(Vec<String>),
}

impl Verdict {
    /// Judges: broken if there is a problem, open if something is and nothing is broken.
    #[must_use]
    pub fn of(problems: Vec<String>, is_open: bool) -> Self {
        match (problems.is_empty(), is_open) {
            (false, _) => Self::Broken(problems),
            (true, true) => Self::Open,
            (true, false) => Self::Complete,
        }
    }

    /// Judges several streams by their verdicts, together with what is wrong beside them. No stream
    /// at all is open: nothing is proven.
    #[must_use]
    pub fn of_all(mut problems: Vec<String>, streams: impl IntoIterator<Item = Self>) -> Self {
        let mut is_open = true;
        for (at, verdict) in streams.into_iter().enumerate() {
            is_open = (at > 0 && is_open) || verdict == Self::Open;
            problems.extend(verdict.problems());
        }
        Self::of(problems, is_open)
    }

    /// The verdict in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Open => "open",
            Self::Broken(_) => "broken",
        }
    }

    /// What does not add up.
    #[must_use]
    pub fn problems(self) -> Vec<String> {
        match self {
            Self::Broken(problems) => problems,
            Self::Complete | Self::Open => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_and_keep_their_reasons() {
        let mut lost = Lost::from(Losses([1, 2, 3, 4, 5, 6]));
        lost.missing = 7;
        assert_eq!(lost.total(), 28);
        let names = lost.named().map(|(name, _)| name);
        assert_eq!((names[0], names[5]), ("full", "discarded"));
        assert_eq!(
            lost.named()[6..],
            [("no_ring", 0), ("missing", 7), ("left_out", 0)]
        );
        lost.counted.0[0] = u64::MAX;
        let one = Balance {
            attempted: u64::MAX,
            lost,
            ..Balance::default()
        };
        let sum: Balance = [one, one].into_iter().sum();
        assert_eq!(
            (sum.attempted, sum.lost.get(Loss::Full)),
            (u64::MAX, u64::MAX)
        );
        assert_eq!((sum.lost.missing, sum.lost.total()), (14, u64::MAX));
    }

    #[test]
    fn one_open_or_broken_stream_decides() {
        let broken = || Verdict::Broken(vec!["x".to_owned()]);
        let all = |streams: Vec<Verdict>| Verdict::of_all(Vec::new(), streams);
        assert_eq!(all(vec![]), Verdict::Open);
        assert_eq!(all(vec![Verdict::Complete; 2]), Verdict::Complete);
        assert_eq!(all(vec![Verdict::Complete, Verdict::Open]), Verdict::Open);
        assert_eq!(all(vec![Verdict::Open, Verdict::Complete]), Verdict::Open);
        assert_eq!(all(vec![Verdict::Open, broken()]), broken());
        let beside = Verdict::of_all(vec!["y".to_owned()], [Verdict::Complete]);
        assert_eq!(beside.problems(), ["y"]);
    }
}
