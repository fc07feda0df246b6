//! What came for a capture, and what became of it.

use super::line_totals::LineTotals;
use super::strays::Strays;

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets of streams that were written.
    pub packets: u64,
    /// How many of them a stopped CPU had left. They are written when the ports have ended.
    pub salvaged: u64,
    /// Packets that a stopped CPU had left, and that had come before.
    pub doubles: u64,
    /// Packets that came twice, and not the same; some of them.
    pub contradictions: Vec<String>,
    /// Bytes that were written and are kept.
    pub bytes: u64,
    /// Bytes that were no whole packet, or a packet of no known stream.
    pub fragments: u64,
    /// Bytes that were left out, because the capture had its largest size or could not
    /// be written.
    pub left_out: u64,
    /// Whether metadata came, and was understood.
    pub has_metadata: bool,
    /// Why metadata could not be used, if none could.
    pub metadata_error: Option<String>,
    /// How many boots have metadata, and a trace.
    pub boots: u32,
    /// What came over a serial line.
    pub line: LineTotals,
    /// What came of others, once it is known that their metadata will not come.
    pub strays: Strays,
}

impl Totals {
    /// Whether something came that can be read, and nothing of it was left out, cannot be read, or
    /// contradicts the rest. Whether it is whole is another question.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.has_metadata
            && self.left_out == 0
            && self.contradictions.is_empty()
            && self.strays.is_empty()
    }

    /// Bytes that came, whatever became of them: tells whether more have come since.
    #[must_use]
    pub fn came(&self) -> u64 {
        let Self {
            bytes,
            fragments,
            left_out,
            ..
        } = self;
        bytes.wrapping_add(*fragments).wrapping_add(*left_out)
    }
}
