//! A capture that is still being made, read while it grows.
//!
//! Whoever writes a capture writes a packet, then its line in the list, and at the
//! end `run.json`: the list says what is there, in the order in which it came.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::boots::{MAX_BOOTS, folder_name};
use super::folder::{METADATA, PACKETS, RUN, TRACE, open_file};
use super::growing::{FollowError, GrowingFile};
use super::index::{Index, MAX_LINE, Run};
use super::left_out::LeftOut;
use super::stored::{OpenError, Stream, place, read_metadata};
use crate::records::Schema;

/// A capture that may be growing.
#[derive(Debug)]
pub struct Live {
    /// The folder.
    folder: PathBuf,
    /// The list of packets.
    list: GrowingFile,
    /// The line that is not whole yet.
    rest: Vec<u8>,
    /// How many lines were read.
    lines: u64,
    /// What they say.
    index: Index,
    /// How many problems were told.
    told: usize,
}

impl Live {
    /// Begins with a capture's first packet.
    ///
    /// # Errors
    ///
    /// When there is no capture.
    pub fn open(folder: &Path) -> Result<Self, FollowError> {
        // Not another one when the link to the newest capture moves on.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let (folder, _) = place(&folder);
        let path = folder.join(PACKETS);
        let list = GrowingFile::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if !folder.join(TRACE).is_dir() => {
                OpenError::NoCapture(folder.clone())
            }
            _ => OpenError::Io(path, error),
        })?;
        Ok(Self {
            folder,
            list,
            rest: Vec::new(),
            lines: 0,
            index: Index::growing(),
            told: 0,
        })
    }

    /// Whether a further boot of the capture in `folder` has begun; the first has in any case.
    #[must_use]
    pub fn has_boot(folder: &Path, number: u32) -> bool {
        number <= MAX_BOOTS && folder.join(folder_name(number)).join(PACKETS).is_file()
    }

    /// Begins with the first packet of a boot.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn open_boot(folder: &Path, number: u32) -> Result<Self, FollowError> {
        Self::open(&folder.join(folder_name(number)))
    }

    /// Whether somebody may still be making it: who makes a capture holds a lock on the list of
    /// packets.
    #[must_use]
    pub fn is_being_made(&self) -> bool {
        let list = File::open(self.folder.join(PACKETS));
        list.is_ok_and(|list| list.try_lock_shared().is_err())
    }

    /// The capture's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads what the list of packets says more than the last time; true if the
    /// capture is finished, and this is all.
    ///
    /// # Errors
    ///
    /// When the list is not any more what it was.
    pub fn poll(&mut self) -> Result<bool, FollowError> {
        // Before the list, which is complete once this is there.
        let is_finished = self.folder.join(RUN).is_file();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = match self.list.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                // It was written anew, without what was left out; that was read already.
                Err(FollowError::Replaced(_)) if self.is_concluded() => break,
                Err(error) => return Err(error),
            };
            for piece in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
                // What was given back of the list reads as zeros, which begin no line.
                let zeros = piece.iter().take_while(|byte| **byte == 0).count();
                let skip = if self.rest.is_empty() { zeros } else { 0 };
                let piece = piece.get(skip..).unwrap_or_default();
                // A line that is too long is none, whatever its end is.
                let room = (MAX_LINE as usize).saturating_sub(self.rest.len());
                self.rest.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.ends_with(b"\n") {
                    self.line();
                }
            }
        }
        if is_finished && !self.rest.is_empty() {
            self.line();
        }
        Ok(is_finished)
    }

    /// Whether there is a list that says what was left out: it was written anew when the capture
    /// was.
    fn is_concluded(&self) -> bool {
        let mut begin = Vec::new();
        let list = open_file(&self.folder.join(PACKETS));
        let read = list.and_then(|list| list.take(MAX_LINE).read_to_end(&mut begin));
        let line = begin.split(|byte| *byte == b'\n').next();
        let line = line.and_then(|line| str::from_utf8(line).ok());
        read.is_ok() && line.and_then(LeftOut::parse).is_some()
    }

    /// The metadata and the streams that it promises, once the list says that it
    /// is there, or the capture is finished.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn metadata(
        &mut self,
        is_finished: bool,
    ) -> Result<Option<(Schema, Vec<Stream>)>, OpenError> {
        let listed = self.index.of(METADATA).first();
        if listed.is_none() && !is_finished {
            return Ok(None);
        }
        let (schema, is) = read_metadata(&self.folder)?;
        if listed != Some(&is) {
            let what = "metadata: it is not as it arrived";
            self.index.problems.push(what.to_owned());
        }
        let streams = Stream::all(&schema);
        Ok(Some((schema, streams)))
    }

    /// The packets that came since the last time, by their streams' files, in runs that lie behind
    /// each other.
    pub fn take(&mut self) -> HashMap<String, Vec<Run>> {
        self.index.take_all()
    }

    /// What was found wrong since the last time.
    pub fn problems(&mut self) -> impl Iterator<Item = &String> {
        let told = self.told;
        self.told = self.index.problems.len();
        self.index.problems.iter().skip(told)
    }

    /// Takes the line that is whole now.
    fn line(&mut self) {
        self.lines += 1;
        self.index.take(self.lines, &self.rest);
        self.rest.clear();
    }
}
