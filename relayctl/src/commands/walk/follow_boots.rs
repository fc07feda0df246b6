//! The boots of a capture that grows, one after the other.

use std::path::PathBuf;

use relay_decode::capture::{FollowError, Live};

use super::error::WalkError;
use crate::commands::boots::{NoBoot, Which};
use crate::commands::source::SourceError;
use crate::terminal::say;

/// Which boot is followed, and which were.
#[derive(Debug)]
pub(super) struct FollowedBoots {
    /// The capture's folder.
    folder: PathBuf,
    /// The boot that is followed.
    pub(super) number: u32,
    /// The first that is wanted.
    pub(super) first: u32,
    /// Whether it is the only one.
    is_only: bool,
    /// Those that were followed before.
    left: Vec<(u32, Live)>,
}

impl FollowedBoots {
    /// Begins with the first boot of a capture.
    pub(super) fn begin(live: &Live, wanted: Which) -> Self {
        let mut boots = Self {
            folder: live.folder().to_owned(),
            number: 1,
            first: 1,
            is_only: matches!(wanted, Which::Number(_)),
            left: Vec::new(),
        };
        match wanted {
            Which::All => {}
            Which::Number(number) => boots.first = number,
            Which::Last => {
                while Live::has_boot(&boots.folder, boots.first + 1) {
                    boots.first += 1;
                }
            }
        }
        boots
    }

    /// Goes on to the next boot, if it has begun.
    pub(super) fn next(&mut self) -> Result<Option<Live>, FollowError> {
        let next = self.number + 1;
        if !Live::has_boot(&self.folder, next) {
            return Ok(None);
        }
        let live = Live::open_boot(&self.folder, next)?;
        self.number = next;
        Ok(Some(live))
    }

    /// The same, if it is wanted.
    pub(super) fn next_wanted(&mut self) -> Result<Option<Live>, FollowError> {
        match self.is_only {
            true => Ok(None),
            false => self.next(),
        }
    }

    /// Whether the next boot has begun, and is wanted.
    pub(super) fn has_next_wanted(&self) -> bool {
        !self.is_only && Live::has_boot(&self.folder, self.number + 1)
    }

    /// Remembers a boot that is not followed any more.
    pub(super) fn leave(&mut self, live: Live) {
        self.left.push((self.number - 1, live));
    }

    /// Says which boot is not there.
    pub(super) fn no_boot(&self) -> WalkError {
        WalkError::Source(SourceError::NoBoot(NoBoot {
            wanted: self.first,
            last: self.number,
        }))
    }

    /// Says what came of boots when the next one was followed already: it was not shown.
    pub(super) fn say_what_came_late(&mut self) -> Result<(), FollowError> {
        for (number, live) in &mut self.left {
            live.poll()?;
            // No stream's name has a dot; the files beside the trace have lines, too.
            let packets = live.take().into_iter();
            let packets = packets.filter(|(file, _)| !file.contains('.'));
            let runs = packets.flat_map(|(_, runs)| runs);
            let late: usize = runs.map(|(_, packets)| packets.len()).sum();
            if late > 0 {
                say(format!(
                    "boot {number}: {late} packets came after the next boot had begun, and are not \
                     shown here; 'cat --boot {number}' shows them"
                ));
            }
        }
        Ok(())
    }
}
