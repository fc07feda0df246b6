//! Proves from the bytes of a capture that nothing is missing, or says what is.
//!
//! [`Audit::of`] reads all packets and records of a capture once. What it finds
//! is what `stat` shows and `verify` judges by the rules of `docs/FORMAT.md`,
//! "The ledger".

mod claims;
mod flood;
mod ringless;
mod stream;

use crate::balance::{Balance, Verdict};
use crate::capture::{LineTotals, OpenError, Stored};

pub use stream::{StreamAudit, TAKEN};

use claims::Claims;
use ringless::Ringless;

/// What was found in a capture.
#[derive(Debug)]
pub struct Audit {
    /// Its streams, by channel, then CPU.
    pub streams: Vec<StreamAudit>,
    /// What is wrong beside the streams.
    pub problems: Vec<String>,
    /// What is not there, or not kept, so that the capture is open at best.
    pub unproven: Vec<String>,
    /// Bytes that were no whole packet.
    pub fragments: u64,
    /// Bytes that came, and were left out of the capture.
    pub left_out: u64,
    /// What came over a serial line, if any did.
    pub line: Option<LineTotals>,
    /// How many claims were compared with the records.
    pub claims: u64,
}

impl Audit {
    /// Reads a whole capture.
    ///
    /// # Errors
    ///
    /// When a file of it cannot be read. Nothing that is in the files is an error here.
    pub fn of(stored: &Stored) -> Result<Self, OpenError> {
        let mut claims = Claims::new(&stored.schema);
        let mut ringless = Ringless::new(&stored.schema);
        let mut streams = Vec::new();
        for stream in &stored.streams {
            let channel = stored.channel(stream);
            let found = StreamAudit::of(stored, stream, |record, values| {
                claims.record(channel, stream.cpu, record, values);
                ringless.record(channel, stream.cpu, record, values);
            });
            streams.push(found?);
        }
        let mut problems = stored.problems.clone();
        problems.extend(ringless.settle(&stored.schema, &mut streams));
        let compared = claims.compare(&stored.schema, &mut streams);
        Ok(Self {
            streams,
            problems,
            unproven: stored.unproven.clone(),
            fragments: stored.fragments,
            left_out: stored.left_out,
            line: stored.line.clone(),
            claims: compared,
        })
    }

    /// The sums over all streams but those that programs take.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let streams = self.streams.iter().filter(|stream| !stream.is_taken);
        streams.map(StreamAudit::balance).sum()
    }

    /// The judgement over all streams, and over the making of the capture.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.verdict_so_far(), self.unproven.is_empty()) {
            (Verdict::Complete, false) => Verdict::Open,
            (verdict, _) => verdict,
        }
    }

    /// The judgement over all streams of a capture that is still being made.
    #[must_use]
    pub fn verdict_so_far(&self) -> Verdict {
        let streams = self.streams.iter().map(StreamAudit::verdict);
        Verdict::of_all(self.problems.clone(), streams)
    }
}
