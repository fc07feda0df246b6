//! Where the view is shown: an output that may be stuck.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::terminal::Moved;

/// What is written at once, in bytes: a pipe takes so much as one piece, so that lines of others
/// do not come within ours.
const PIECE: usize = 4096;

/// Records by CPU that were written.
pub(super) type Shown = Mutex<BTreeMap<u32, u64>>;

/// Writes text, and counts the records that are shown by it.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    /// Where to.
    out: File,
    /// How much of it was taken.
    moved: &'a Moved,
    /// Records that were written.
    shown: &'a Shown,
    /// Text that is not written yet.
    text: String,
    /// The records in it.
    records: BTreeMap<u32, u64>,
}

impl<'a> Screen<'a> {
    /// Prepares to write.
    pub(super) fn new(out: File, moved: &'a Moved, shown: &'a Shown) -> Self {
        Self {
            out,
            moved,
            shown,
            text: String::new(),
            records: BTreeMap::new(),
        }
    }

    /// Writes a text that ends with a line end; a record of this CPU, if of any. It may wait for
    /// the output, or for [`flush`](Self::flush).
    pub(super) fn put(&mut self, text: &str, record_of: Option<u32>) -> io::Result<()> {
        if self.text.len() + text.len() > PIECE {
            self.flush()?;
        }
        self.text.push_str(text);
        if let Some(cpu) = record_of {
            *self.records.entry(cpu).or_default() += 1;
        }
        Ok(())
    }

    /// Writes everything.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.moved.write_all(&mut self.out, self.text.as_bytes())?;
        self.text.clear();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (cpu, count) in std::mem::take(&mut self.records) {
            *shown.entry(cpu).or_default() += count;
        }
        Ok(())
    }

    /// Whether there is somebody who could read it.
    pub(super) fn has_reader(&self) -> bool {
        // Nothing is asked for, so that only the reader's end is reported.
        let mut reader = [PollFd::new(self.out.as_fd(), PollFlags::empty())];
        !matches!(poll(&mut reader, PollTimeout::ZERO), Ok(1..))
    }
}
