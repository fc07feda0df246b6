//! The files of a capture that is being made: they grow until the capture has its largest size, or
//! something cannot be written.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::CaptureError;
use super::folder::{self, CONSOLE, FRAGMENTS, PACKETS, TRACE};
use super::index;
use super::strays::Strays;
use crate::wire::crc32c_append;

/// How many files are held open.
const MAX_OPEN: usize = 256;

/// The most contradictions that are told.
pub(super) const MAX_CONTRADICTIONS: usize = 16;

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
    /// Bytes that were written.
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

/// A file that grows.
#[derive(Debug)]
struct Growing {
    /// Its handle, unless too many are open.
    file: Option<File>,
    /// Its length.
    length: u64,
}

/// The files.
#[derive(Debug)]
pub(super) struct Store {
    /// The capture's folder.
    pub(super) folder: PathBuf,
    /// Where captures lie, and the link to the newest one.
    root: PathBuf,
    /// The most bytes.
    pub(super) max_size: u64,
    /// Tells the user.
    announce: fn(&str),
    /// What came so far.
    pub(super) totals: Totals,
    /// Files by their path within the folder.
    files: HashMap<PathBuf, Growing>,
    /// CRC-32C of what the console said.
    pub(super) console_crc: u32,
    /// Whether the capture has its largest size.
    pub(super) is_full: bool,
    /// What could not be written; the capture ends there.
    pub(super) error: Option<CaptureError>,
}

impl Store {
    /// Begins with a folder that is there. There is a list of packets, even if it stays empty.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn begin(
        folder: PathBuf,
        root: &Path,
        max_size: u64,
        announce: fn(&str),
    ) -> Result<Self, CaptureError> {
        let mut store = Self {
            folder,
            root: root.to_owned(),
            max_size,
            announce,
            totals: Totals::default(),
            files: HashMap::new(),
            console_crc: 0,
            is_full: false,
            error: None,
        };
        store.append(Path::new(PACKETS), &[]);
        match store.error.take() {
            Some(error) => Err(error),
            None => Ok(store),
        }
    }

    /// Tells the user something.
    pub(super) fn say(&self, what: &str) {
        (self.announce)(what);
    }

    /// Takes bytes of the serial console.
    pub(super) fn console(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len() as u64) && self.append(Path::new(CONSOLE), bytes).is_some() {
            self.console_crc = crc32c_append(self.console_crc, bytes);
        }
    }

    /// Notes in `all`, that is of one boot, that two things that came cannot both be true.
    pub(super) fn contradiction(&mut self, all: &mut Vec<String>, what: String) {
        self.say(&what);
        for all in [all, &mut self.totals.contradictions] {
            if all.len() < MAX_CONTRADICTIONS {
                all.push(what.clone());
            }
        }
    }

    /// Appends to a file of the trace in a boot's folder, adds the line to the list there, and says
    /// where. What has no line in the list is not there either.
    pub(super) fn append_listed(
        &mut self,
        within: &Path,
        file: &str,
        bytes: &[u8],
        crc: u32,
    ) -> Option<u64> {
        let (path, size) = (within.join(TRACE).join(file), bytes.len() as u64);
        let offset = self.append(&path, bytes);
        if let Some(offset) = offset {
            if self.list(within, file, offset, size, crc) {
                return Some(offset);
            }
            self.cut(&path, offset);
            self.totals.bytes = self.totals.bytes.saturating_sub(size);
            self.totals.left_out += size;
        }
        // A file with nothing in it is no stream.
        if self.files.get(&path).is_some_and(|file| file.length == 0) {
            self.forget(&path);
            let _ = fs::remove_file(self.folder.join(path));
        }
        None
    }

    /// Adds a line to the list of packets in a boot's folder; false if it cannot be written.
    pub(super) fn list(
        &mut self,
        within: &Path,
        file: &str,
        offset: u64,
        size: u64,
        crc: u32,
    ) -> bool {
        let line = index::line(file, offset, size, crc);
        let written = self.append(&within.join(PACKETS), line.as_bytes());
        written.is_some()
    }

    /// Cuts off the end of a file that cannot stay. Where even that fails, whoever reads it finds
    /// bytes without a line.
    fn cut(&mut self, path: &Path, length: u64) {
        if let Some(growing) = self.files.get_mut(path) {
            growing.length = length;
            let file = OpenOptions::new().write(true).open(self.folder.join(path));
            let _ = file.and_then(|file| file.set_len(length));
        }
    }

    /// The length of the console's text, if there is some and the list can have it.
    pub(super) fn console_length(&self) -> Option<u64> {
        let console = self.files.get(Path::new(CONSOLE));
        let length = console.map(|console| console.length);
        length.filter(|length| u32::try_from(*length).is_ok())
    }

    /// Takes bytes that are no whole packet of a known stream, of a boot or of nobody.
    pub(super) fn fragment(&mut self, within: &Path, port: u32, bytes: &[u8]) {
        let path = within.join(FRAGMENTS).join(port.to_string());
        if self.has_room(bytes.len() as u64) && self.append(&path, bytes).is_some() {
            self.totals.fragments += bytes.len() as u64;
        }
    }

    /// Whether so many bytes may be written. Once something may not, nothing
    /// may: streams end early, and have no gaps.
    pub(super) fn has_room(&mut self, bytes: u64) -> bool {
        let fits = self.totals.bytes.saturating_add(bytes) <= self.max_size;
        if !fits && !self.is_full {
            self.is_full = true;
            self.say(&format!(
                "the capture has its largest size, {} bytes (--max-size): the rest is left out",
                self.max_size
            ));
        }
        let has_room = !self.is_full && self.error.is_none();
        if !has_room {
            self.totals.left_out += bytes;
        }
        has_room
    }

    /// Appends to a file, and says where. After a failure nothing is written any more.
    pub(super) fn append(&mut self, path: &Path, bytes: &[u8]) -> Option<u64> {
        if self.error.is_some() {
            return None;
        }
        match self.try_append(path, bytes) {
            Ok(offset) => {
                if self.totals.bytes == 0 && !bytes.is_empty() {
                    self.link();
                }
                self.totals.bytes += bytes.len() as u64;
                Some(offset)
            }
            Err(error) => {
                self.totals.left_out += bytes.len() as u64;
                let path = self.folder.join(path);
                self.fail(CaptureError::Write { path, error });
                None
            }
        }
    }

    /// Ends the capture here: something could not be written.
    pub(super) fn fail(&mut self, error: CaptureError) {
        self.say(&error.to_string());
        self.error = Some(error);
    }

    /// Forgets a file that is about to be removed.
    pub(super) fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Makes this capture the newest one.
    fn link(&self) {
        if let Err(error) = folder::link(&self.folder, &self.root) {
            self.say(&format!(
                "the link to the newest capture could not be made: {error}"
            ));
        }
    }

    /// Appends to a file. All bytes are written or none are.
    fn try_append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<u64> {
        if self.files.len() > MAX_OPEN {
            let open = self.files.values().filter(|file| file.file.is_some());
            if open.count() > MAX_OPEN {
                self.files.values_mut().for_each(|file| file.file = None);
            }
        }
        if !self.files.contains_key(path) {
            let growing = Growing {
                file: None,
                length: 0,
            };
            self.files.insert(path.to_owned(), growing);
        }
        let whole = self.folder.join(path);
        let Some(growing) = self.files.get_mut(path) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let file = match &mut growing.file {
            Some(file) => file,
            none => {
                if let Some(parent) = whole.parent() {
                    fs::create_dir_all(parent)?;
                }
                none.insert(OpenOptions::new().append(true).create(true).open(&whole)?)
            }
        };
        let offset = growing.length;
        if let Err(error) = file.write_all(bytes) {
            // A stream holds whole packets only.
            let _ = file.set_len(offset);
            return Err(error);
        }
        growing.length += bytes.len() as u64;
        Ok(offset)
    }
}
