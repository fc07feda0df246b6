//! A capture that is still being made, read while it grows.
//!
//! Whoever writes a capture writes a packet, then its line in the list, and at the
//! end `run.json`: the list says what is there, in the order in which it came.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::vec;

use nix::fcntl::{FallocateFlags, fallocate};

use super::folder::{METADATA, PACKETS, RUN, TRACE, open_file};
use super::index::{Entry, Index, MAX_LINE};
use super::reader::{Item, PacketSource};
use super::stored::{OpenError, Stream, read_metadata};
use crate::records::Schema;
use crate::wire::{Header, MAX_PACKET, crc32c};

/// How many bytes that were read are given back to the file system at once.
const GIVE_BACK: u64 = 16 << 20;

/// Why a file cannot be followed any further.
#[derive(Debug)]
pub enum FollowError {
    /// It cannot be read, or is no capture.
    Open(OpenError),
    /// It is not there any more.
    Removed(PathBuf),
    /// There is another file where it was.
    Replaced(PathBuf),
    /// It is shorter than it was.
    Truncated {
        /// The file.
        path: PathBuf,
        /// How far it was read, in bytes.
        from: u64,
        /// Its length.
        to: u64,
    },
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Removed(path) => write!(f, "{}: removed while it was followed", path.display()),
            Self::Replaced(path) => write!(
                f,
                "{}: replaced by another file while it was followed",
                path.display()
            ),
            Self::Truncated { path, from, to } => write!(
                f,
                "{}: truncated to {to} bytes while it was followed, {from} had been read",
                path.display()
            ),
        }
    }
}

impl std::error::Error for FollowError {}

impl From<OpenError> for FollowError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// A plain file that grows, read from its beginning.
#[derive(Debug)]
pub struct GrowingFile {
    /// Where it is.
    path: PathBuf,
    /// The file.
    file: File,
    /// How many bytes were read.
    at: u64,
}

impl GrowingFile {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is no plain file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_file(path)?;
        let path = path.to_owned();
        Ok(Self { path, file, at: 0 })
    }

    /// Reads what has come since; 0 is that there is nothing now.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not the file any more that it was.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FollowError> {
        let io = |path: &Path, error| FollowError::Open(OpenError::Io(path.to_owned(), error));
        loop {
            match self.file.read(buffer) {
                Ok(0) => {
                    self.check()?;
                    return Ok(0);
                }
                Ok(length) => {
                    self.at += length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io(&self.path, error)),
            }
        }
    }

    /// Finds out what has become of the file.
    fn check(&self) -> Result<(), FollowError> {
        let io = |error| FollowError::Open(OpenError::Io(self.path.clone(), error));
        let own = self.file.metadata().map_err(io)?;
        let there = match self.path.metadata() {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FollowError::Removed(self.path.clone()));
            }
            Err(error) => return Err(io(error)),
        };
        if (there.dev(), there.ino()) != (own.dev(), own.ino()) {
            return Err(FollowError::Replaced(self.path.clone()));
        }
        match own.len() < self.at {
            true => Err(FollowError::Truncated {
                path: self.path.clone(),
                from: self.at,
                to: own.len(),
            }),
            false => Ok(()),
        }
    }
}

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
            index: Index::default(),
            told: 0,
        })
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
            let length = self.list.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            for piece in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
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

    /// The packets that came since the last time, by their streams' files.
    pub fn take(&mut self) -> HashMap<String, Vec<Entry>> {
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
    listed: VecDeque<(Instant, vec::IntoIter<Entry>)>,
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
    pub fn add(&mut self, entries: Vec<Entry>, now: Instant) {
        self.listed.push_back((now, entries.into_iter()));
    }

    /// When the packet that was read last was noticed.
    #[must_use]
    pub fn noticed(&self) -> Instant {
        self.noticed
    }

    /// How many packets are listed and not yet read.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.listed.iter().map(|(_, entries)| entries.len()).sum()
    }

    /// Passes packets over that nobody wants to see.
    pub fn skip(&mut self, entries: &[Entry]) {
        for entry in entries {
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
                    return Ok(Err(format!("packet {number}: the file is not there")));
                }
                Err(error) => return Err(error),
            },
        };
        let (size, there) = (u64::from(entry.size), file.metadata()?.len());
        if size > MAX_PACKET {
            return Ok(Err(format!(
                "packet {number} has {size} bytes, {MAX_PACKET} are possible"
            )));
        }
        let there = there.saturating_sub(offset);
        if there < size {
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

impl PacketSource for LivePackets {
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Item>> {
        let (noticed, entry) = loop {
            let Some((noticed, entries)) = self.listed.front_mut() else {
                return Ok(None);
            };
            match entries.next() {
                Some(entry) => break (*noticed, entry),
                None => self.listed.pop_front(),
            };
        };
        self.noticed = noticed;
        let offset = self.at;
        self.at = offset.saturating_add(entry.size.into());
        let read = self.read(entry, offset, buffer)?;
        self.number += 1;
        self.give_back();
        Ok(Some(match read {
            Ok(header) => Item::Packet { offset, header },
            Err(what) => Item::Problem { offset, what },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_of_an_own_stream_is_given_back() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join(TRACE).join("klog_0");
        std::fs::create_dir(folder.path().join(TRACE)).expect("it is writable");
        let size = 1 << 20;
        let entry = Entry { size, crc: 0 };
        let packets = GIVE_BACK as usize / size as usize + 1;
        std::fs::write(&path, vec![1; packets * size as usize]).expect("it is writable");
        let blocks = || path.metadata().expect("it is there").blocks() * 512;
        for is_own in [false, true] {
            let stream = Stream {
                channel: 0,
                cpu: 0,
                file: "klog_0".to_owned(),
            };
            let mut source = LivePackets::new(folder.path(), &stream, is_own);
            source.add(vec![entry; packets - 1], Instant::now());
            let mut buffer = Vec::new();
            for _ in 1..packets {
                // It is no packet, which does not matter here.
                let item = source.next(&mut buffer).expect("it is readable");
                assert!(matches!(item, Some(Item::Problem { .. })), "{item:?}");
            }
            assert_eq!(source.next(&mut buffer).expect("it is readable"), None);
            let is_given_back = blocks() < GIVE_BACK;
            assert_eq!(is_given_back, is_own, "{} bytes are left", blocks());
        }
    }
}
