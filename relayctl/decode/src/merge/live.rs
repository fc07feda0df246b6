//! The streams of a capture that grows as one sequence.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::filter::Filter;
use super::shown::Next;
use super::streams::Merge;
use crate::capture::{LivePackets, OpenError, Run, Stream};
use crate::records::Schema;

/// The most packets that wait to be shown before more should be looked for.
const MAX_WAITING: usize = 1 << 22;

/// All wanted streams of a capture that grows, as one sequence. A packet is held back for a while,
/// for older ones of other streams that are still on their way; what comes later than that is
/// shown with a [note](super::What::Late) that it is late.
///
/// It keeps one packet of each stream in memory, and twelve bytes for each that waits.
#[derive(Debug)]
pub struct LiveMerge<'a> {
    /// What is shown.
    merge: Merge<'a, LivePackets>,
    /// All streams, if what was read is thrown away: also of those that nobody wants.
    unwanted: Vec<(&'a str, LivePackets)>,
    /// How long a packet is held back.
    hold: Duration,
}

impl<'a> LiveMerge<'a> {
    /// How long a packet should be held back: longer than it takes a CPU to hand over what is not
    /// full, or a host to read it, and no longer, since a stream that says nothing may have nothing
    /// to say.
    pub const HOLD: Duration = Duration::from_millis(200);

    /// Begins with the first packets of the capture `folder`. If it is the reader's own, what was
    /// read is thrown away.
    ///
    /// # Errors
    ///
    /// When a stream cannot be read.
    pub fn new(
        folder: &'a Path,
        (schema, streams): (&'a Schema, &'a [Stream]),
        filter: &'a Filter,
        is_own: bool,
        hold: Duration,
    ) -> Result<Self, OpenError> {
        let packets = |stream: &Stream| LivePackets::new(folder, stream, is_own);
        let open = |stream| Ok(Some(packets(stream)));
        let unwanted = streams.iter().filter(|_| is_own);
        Ok(Self {
            merge: Merge::new(folder, schema, streams, filter, open)?,
            unwanted: unwanted
                .map(|stream| (stream.file.as_str(), packets(stream)))
                .collect(),
            hold,
        })
    }

    /// Whether more should be looked for: what waits is bounded.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let waiting: usize = self.merge.sources().map(LivePackets::waiting).sum();
        waiting < MAX_WAITING
    }

    /// Takes the packets that came by `now`, as [`Live::take`](crate::capture::Live::take) has
    /// them, and gives to `show` what is
    /// not held back any more; if no more will come, everything.
    ///
    /// # Errors
    ///
    /// The first of `show`, or when a stream cannot be read.
    pub fn show<E: From<OpenError>>(
        &mut self,
        mut packets: HashMap<String, Vec<Run>>,
        now: Instant,
        is_last: bool,
        mut show: impl FnMut(Next<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.merge.add(|stream, source| {
            if let Some(runs) = packets.remove(&stream.file) {
                source.add(runs, now);
            }
        })?;
        for (file, source) in &mut self.unwanted {
            if let Some(runs) = packets.get(*file) {
                source.skip(runs);
            }
        }
        let hold = self.hold;
        self.merge.each_while(
            |source| is_last || now.saturating_duration_since(source.noticed()) >= hold,
            &mut show,
        )?;
        match is_last || self.merge.is_over() {
            true => self.merge.finish(show),
            false => Ok(()),
        }
    }

    /// Whether all wanted streams were shown up to their closing packets.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.merge.is_over()
    }
}
