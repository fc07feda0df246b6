//! The live view: shows a run while it goes on, and never holds it up.
//!
//! It runs in a thread of its own, and reads the capture that grows on disk, as `cat --follow`
//! does: it may lag as far as it likes, and keeps one packet of each stream in memory. Where there
//! are packets of the log, they are what is shown; the console's text is what is shown before
//! them, and where there are none.
//!
//! | so much of | is shown |
//! |---|---|
//! | packets of the log | each record that was not shown yet, merged by time; losses and damage, where they are |
//! | the console, until the metadata has come on a port | every line, at once |
//! | the console, from then on | in its order: a record that packets have shown is passed over. The next one waits for its packet, and the lines behind it wait with it; if the packet does not come within a second after the view has caught up, or the run ends, the console's line is shown in its place |
//! | what the console lost or skipped before a record | what happens to that record: packets tell of losses themselves |
//! | other lines: notices (`-- `), the last resort (`!! `), firmware | when it is their turn: behind the records that the console has before them, and before those that come next |
//!
//! So each record is shown once; a panic that reaches the console only is shown, too; and of a
//! capture that does not grow any more, since it has its largest size or cannot be written, the
//! console's text goes on. Console lines wait in a queue of bounded size: if it is full, the oldest
//! go, and the view says so where they would have been.
//!
//! A record that comes when later ones were shown is shown with a note that says so.

mod lines;
mod screen;
mod seen;
mod shared;
mod shower;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use relay_decode::capture::{OpenError, Stored};
use relay_decode::console::Line;
use relay_decode::merge::{Merge, Next};

use crate::terminal::{Renderer, say, wait_while_moving};
use lines::{Counts, Kind, Waiting};
use shared::Shared;
use shower::{Shower, ViewError, klog};

/// The view of a run.
#[derive(Debug)]
pub(super) struct View {
    /// What its thread shares.
    shared: Arc<Shared>,
    /// Its thread.
    thread: JoinHandle<io::Result<()>>,
}

impl View {
    /// Begins to show on `out` what comes to the capture in `folder`.
    ///
    /// # Errors
    ///
    /// When there can be no thread for it.
    pub(super) fn start(out: File, renderer: Renderer, folder: &Path) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (own, folder) = (Arc::clone(&shared), folder.to_owned());
        let thread = thread::Builder::new().spawn(move || {
            match Shower::new(out, renderer, &own).run(&folder) {
                Ok(()) => Ok(()),
                Err(ViewError::Closed) => {
                    own.is_closed.store(true, Ordering::Relaxed);
                    Ok(())
                }
                Err(ViewError::Output(error)) => Err(error),
                Err(ViewError::Follow(error)) => Err(io::Error::other(error.to_string())),
            }
        })?;
        Ok(Self { shared, thread })
    }

    /// Takes a line of the console, and its text as it may be shown.
    pub(super) fn line(&self, line: &Line<'_>, text: String, came: Instant) {
        if self.thread.is_finished() {
            return;
        }
        let kind = Kind::of(line);
        self.shared.lines().push(Waiting { came, kind, text });
        self.shared.came.notify_one();
    }

    /// Whether nobody reads what is shown.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Ordering::Relaxed)
    }

    /// Says that all has come, since the capture in `folder` is finished, and waits until it is
    /// shown: as long as the output moves, and only a moment once `is_hurried`. What is not shown
    /// is said. False if the output was given up.
    ///
    /// # Errors
    ///
    /// When the output could not be written.
    pub(super) fn end(self, folder: &Path, is_hurried: impl FnMut() -> bool) -> io::Result<bool> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.came.notify_one();
        let is_done = || self.thread.is_finished();
        let is_done = wait_while_moving(&self.shared.moved, is_done, is_hurried);
        let is_closed = self.is_closed();
        let shown = self.shared.shown.lock();
        let shown = shown.unwrap_or_else(PoisonError::into_inner).clone();
        // Another thread cannot be ended: if it is stuck, it ends with the process.
        let result = match is_done {
            true => {
                let joined = self.thread.join();
                joined.unwrap_or_else(|_| Err(io::Error::other("the view has failed")))
            }
            false => Ok(()),
        };
        if !is_closed {
            let left_out = left_out(folder, &shown);
            if !left_out.is_empty() {
                let why = match is_done {
                    true => "",
                    false => ", because the output did not move",
                };
                let counts = Counts(&left_out);
                say(format!(
                    "{counts} were not shown{why}: 'relayctl cat' shows the capture"
                ));
            } else if !is_done {
                say("the end of the console's text was not shown: the output did not move");
            }
        }
        result.map(|()| is_done)
    }
}

/// How many records of the log a capture has, by CPU. What cannot be read does not count.
pub(super) fn logged(folder: &Path) -> BTreeMap<u32, u64> {
    let mut there = BTreeMap::<u32, u64>::new();
    let filter = klog();
    if let Ok(stored) = Stored::open(folder)
        && let Ok(mut merge) = Merge::of(&stored, &filter)
    {
        let _ = merge.each(|next| {
            if let Next::Record(record, _) = next {
                *there.entry(record.cpu).or_default() += 1;
            }
            Ok::<_, OpenError>(())
        });
    }
    there
}

/// How many records of the log a capture has that were not shown, by CPU.
fn left_out(folder: &Path, shown: &BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
    let missing = logged(folder).into_iter().map(|(cpu, count)| {
        let shown = shown.get(&cpu).copied().unwrap_or_default();
        (cpu, count.saturating_sub(shown))
    });
    missing.filter(|(_, count)| *count > 0).collect()
}
