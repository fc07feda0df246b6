//! Proves from the bytes of a capture that nothing is missing, or says what is.
//!
//! [`Audit::of`] reads all packets and records of a capture once. What it finds
//! is what `stat` shows and `verify` judges by the rules of `docs/FORMAT.md`,
//! "The ledger".

mod claims;
mod flood;
mod report;
mod stream;

use crate::capture::{OpenError, Stored};
use crate::console::Losses;
use crate::ledger::Verdict;

pub use report::{stat_json, stat_table, verify_json, verify_text};
pub use stream::StreamAudit;

use claims::Claims;

/// What was found in a capture.
#[derive(Debug)]
pub struct Audit {
    /// Its streams, by channel, then CPU.
    pub streams: Vec<StreamAudit>,
    /// What is wrong beside the streams.
    pub problems: Vec<String>,
    /// Bytes that were no whole packet.
    pub fragments: u64,
    /// How many claims were compared with the records.
    pub claims: u64,
}

/// Sums over streams. `attempted` is the sum of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Writes that were tried.
    pub attempted: u64,
    /// Records that were decoded.
    pub delivered: u64,
    /// Records lost, by reason; `missing` are records of packets that are not there.
    pub lost: Losses,
    /// Records overwritten unread.
    pub overwritten: u64,
    /// Records that were under way when their CPU stopped.
    pub uncommitted: u64,
    /// What no count explains.
    pub unaccounted: u64,
}

impl Sums {
    /// Adds another stream's.
    fn add(&mut self, other: &Self) {
        self.attempted = self.attempted.saturating_add(other.attempted);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.lost += other.lost;
        self.overwritten = self.overwritten.saturating_add(other.overwritten);
        self.uncommitted = self.uncommitted.saturating_add(other.uncommitted);
        self.unaccounted = self.unaccounted.saturating_add(other.unaccounted);
    }
}

impl Audit {
    /// Reads a whole capture.
    ///
    /// # Errors
    ///
    /// When a file of it cannot be read. Nothing that is in the files is an error here.
    pub fn of(stored: &Stored) -> Result<Self, OpenError> {
        let mut claims = Claims::new(&stored.schema);
        let mut streams = Vec::new();
        for stream in &stored.streams {
            streams.push(StreamAudit::of(stored, stream, &mut claims)?);
        }
        let compared = claims.compare(&mut streams);
        Ok(Self {
            streams,
            problems: stored.problems.clone(),
            fragments: stored.fragments,
            claims: compared,
        })
    }

    /// The sums over all streams.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for stream in &self.streams {
            sums.add(&stream.sums());
        }
        sums
    }

    /// The judgement over all streams: broken if one is, open if one is and none
    /// is broken.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut wrong = self.problems.clone();
        let mut is_open = self.streams.is_empty();
        for stream in &self.streams {
            match stream.verdict() {
                Verdict::Complete => {}
                Verdict::Open => is_open = true,
                Verdict::Broken(what) => wrong.extend(what),
            }
        }
        match (wrong.is_empty(), is_open) {
            (false, _) => Verdict::Broken(wrong),
            (true, true) => Verdict::Open,
            (true, false) => Verdict::Complete,
        }
    }
}
