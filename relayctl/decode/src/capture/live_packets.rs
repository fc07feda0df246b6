//! The packets of one stream of a capture that grows.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::vec;

use nix::fcntl::{FallocateFlags, fallocate};

use super::folder::{TRACE, open_file};
use super::index::{Entry, Run};
use super::reader::{Item, PacketSource};
use super::stored::Stream;
use crate::wire::{Header, MAX_PACKET, crc32c};

/// How many bytes that were read are given back to the file system at once.
const GIVE_BACK: u64 = 16 << 20;

/// Packets that were listed together.
#[derive(Debug)]
struct Listed {
    /// When that was noticed.
    noticed: Instant,
    /// Where the first of them begins, until it is read.
    begin: Option<u64>,
    /// Those that were not read.
    entries: vec::IntoIter<Entry>,
}

/// The packets of one stream of a capture that grows, as far as they have come.
#[derive(Debug)]
pub struct LivePackets {
    /// The stream's file.
    path: PathBuf,
    /// The same, once it was there.
    file: Option<File>,
    /// Whether nobody else will read it.
    is_own: bool,
    /// How many bytes were given back to the file system.
    given_back: u64,
    /// Where in it the next packet begins.
    at: u64,
    /// The place of the next packet in the list.
    number: u64,
    /// What was listed and not yet read, and when that was noticed.
    listed: VecDeque<Listed>,
    /// When the packet that was read last was noticed.
    noticed: Instant,
}

impl LivePackets {
    /// Begins with the first packet of a stream in the capture `folder`. If the
    /// capture is this reader's own, what was read is thrown away.
    #[must_use]
    pub fn new(folder: &Path, stream: &Stream, is_own: bool) -> Self {
        Self {
            path: folder.join(TRACE).join(&stream.file),
            file: None,
            is_own,
            given_back: 0,
            at: 0,
            number: 0,
            listed: VecDeque::new(),
            noticed: Instant::now(),
        }
    }

    /// Adds what the list says now.
    pub fn add(&mut self, runs: Vec<Run>, now: Instant) {
        // The file may be written anew when the capture ends. If it cannot be opened, that is told
        // when it is read.
        if self.file.is_none() {
            self.file = open_stream(&self.path, self.is_own).ok();
        }
        let runs = runs.into_iter().map(|(begin, entries)| Listed {
            noticed: now,
            begin: Some(begin),
            entries: entries.into_iter(),
        });
        self.listed.extend(runs);
    }

    /// When the packet that was read last was noticed.
    #[must_use]
    pub fn noticed(&self) -> Instant {
        self.noticed
    }

    /// How many packets are listed and not yet read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.listed.iter().map(|run| run.entries.len()).sum()
    }

    /// Passes packets over that nobody wants to see.
    pub fn skip(&mut self, runs: &[Run]) {
        for entry in runs.iter().flat_map(|(_, entries)| entries) {
            self.at = self.at.saturating_add(entry.size.into());
            self.number += 1;
        }
        if self.is_own && self.file.is_none() {
            self.file = open_stream(&self.path, self.is_own).ok();
        }
        self.give_back();
    }

    /// Gives the file system back what was read, so that an endless stream needs no
    /// endless disk. Where it cannot do that, nothing is lost.
    fn give_back(&mut self) {
        let length = self.at.saturating_sub(self.given_back);
        if let Some(file) = &self.file
            && self.is_own
            && length >= GIVE_BACK
        {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            // A file has no more bytes than this type can say.
            if let (Ok(from), Ok(length)) = (self.given_back.try_into(), length.try_into()) {
                let _ = fallocate(file, hole, from, length);
            }
            self.given_back = self.at;
        }
    }

    /// Reads a packet, and says what is wrong if it is not as it arrived.
    fn read(
        &mut self,
        entry: Entry,
        offset: u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Result<Header, String>> {
        let number = self.number;
        let file = match &mut self.file {
            Some(file) => file,
            none => match open_stream(&self.path, self.is_own) {
                Ok(file) => none.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    buffer.clear();
                    return Ok(Err(format!("packet {number}: the file is not there")));
                }
                Err(error) => return Err(error),
            },
        };
        let (size, there) = (u64::from(entry.size), file.metadata()?.len());
        if size > MAX_PACKET {
            buffer.clear();
            return Ok(Err(format!(
                "packet {number} has {size} bytes, {MAX_PACKET} are possible"
            )));
        }
        let there = there.saturating_sub(offset);
        if there < size {
            buffer.clear();
            return Ok(Err(format!(
                "of packet {number} only {there} of {size} bytes are there"
            )));
        }
        // At most MAX_PACKET.
        buffer.resize(entry.size as usize, 0);
        file.read_exact_at(buffer, offset)?;
        if crc32c(buffer) != entry.crc {
            let crc = entry.crc;
            return Ok(Err(format!(
                "packet {number} was changed: its checksum is not {crc:08x}"
            )));
        }
        Ok(match Header::of(buffer) {
            Some(Ok(header)) if header.packet_size == size => Ok(header),
            Some(Err(error)) => Err(format!("packet {number}: {error}")),
            _ => Err(format!(
                "packet {number} has another size than its header says"
            )),
        })
    }
}

/// Opens a stream's file, for giving back as well if it is our own.
fn open_stream(path: &Path, is_own: bool) -> io::Result<File> {
    match is_own {
        true => OpenOptions::new().read(true).write(true).open(path),
        false => open_file(path),
    }
}

impl LivePackets {
    /// The packet that is listed next.
    fn listed(&mut self) -> Option<Entry> {
        loop {
            let run = self.listed.front_mut()?;
            if let Some(entry) = run.entries.next() {
                self.noticed = run.noticed;
                self.at = run.begin.take().unwrap_or(self.at);
                return Some(entry);
            }
            self.listed.pop_front();
        }
    }
}

impl PacketSource for LivePackets {
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Item>> {
        while let Some(entry) = self.listed() {
            let offset = self.at;
            self.at = offset.saturating_add(entry.size.into());
            let read = self.read(entry, offset, buffer)?;
            self.number += 1;
            self.give_back();
            return Ok(Some(match read {
                Ok(header) => Item::Packet { offset, header },
                // It made room for newer ones meanwhile: the numbers of what follows say so.
                Err(_) if !buffer.is_empty() && buffer.iter().all(|byte| *byte == 0) => continue,
                Err(what) => Item::Problem { offset, what },
            }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
