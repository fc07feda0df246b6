//! The ledger as JSON shows it.

use relay_decode::balance::{Balance, Lost};
use relay_decode::escape;
use serde::{Serialize, Serializer};

/// The sums of one stream, or of several; losses as one number, or by [`Reasons`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sums<L> {
    attempted: u64,
    delivered: u64,
    lost: L,
    overwritten: u64,
    uncommitted: u64,
    unaccounted: u64,
}

/// Losses by reason.
#[derive(Debug)]
pub(crate) struct Reasons(Lost);

impl From<Lost> for Reasons {
    fn from(lost: Lost) -> Self {
        Self(lost)
    }
}

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.named())
    }
}

impl<L> Sums<L> {
    /// Shows a balance, its losses as `lost`.
    fn new(balance: &Balance, lost: L) -> Self {
        let Balance {
            attempted,
            delivered,
            lost: _,
            overwritten,
            uncommitted,
            unaccounted,
        } = *balance;
        Self {
            attempted,
            delivered,
            lost,
            overwritten,
            uncommitted,
            unaccounted,
        }
    }
}

impl From<Balance> for Sums<u64> {
    fn from(balance: Balance) -> Self {
        Self::new(&balance, balance.lost.total())
    }
}

impl From<Balance> for Sums<Reasons> {
    fn from(balance: Balance) -> Self {
        Self::new(&balance, balance.lost.into())
    }
}

/// Serialises to one line. What is serialised here has plain numbers and texts
/// only, and cannot fail.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    let _ = escape::json(&mut line, value);
    line.push(b'\n');
    String::from_utf8_lossy(&line).into_owned()
}
