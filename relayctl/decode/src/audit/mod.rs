//! Proves from the bytes of a capture that nothing is missing, or says what is.
//!
//! [`Audit::of`] reads all packets and records of a capture once. What it finds
//! is what `stat` shows and `verify` judges by the rules of `docs/FORMAT.md`,
//! "The ledger".

mod claims;
mod flood;
mod stream;

use crate::balance::{Balance, Verdict};
use crate::capture::{OpenError, Stored};

pub use stream::StreamAudit;

use claims::Claims;

/// What was found in a capture.
#[derive(Debug)]
pub struct Audit {
    /// Its streams, by channel, then CPU.
    pub streams: Vec<StreamAudit>,
    /// What is wrong beside the streams.
    pub problems: Vec<String>,
    /// What is not there, so that the capture is open at best.
    pub unproven: Vec<String>,
    /// Bytes that were no whole packet.
    pub fragments: u64,
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
        let mut streams = Vec::new();
        for stream in &stored.streams {
            let channel = stored.channel(stream);
            let found = StreamAudit::of(stored, stream, |record, values| {
                claims.record(channel, stream.cpu, record, values);
            });
            streams.push(found?);
        }
        let compared = claims.compare(&mut streams);
        Ok(Self {
            streams,
            problems: stored.problems.clone(),
            unproven: stored.unproven.clone(),
            fragments: stored.fragments,
            claims: compared,
        })
    }

    /// The sums over all streams.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.streams.iter().map(StreamAudit::balance).sum()
    }

    /// The judgement over all streams.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let streams = self.streams.iter().map(StreamAudit::verdict);
        let beside = (!self.unproven.is_empty()).then_some(Verdict::Open);
        Verdict::of_all(self.problems.clone(), streams.chain(beside))
    }
}
