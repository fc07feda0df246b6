//! The files of a capture that is being made: they grow until the capture has its largest size, or
//! something cannot be written.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::CaptureError;
use super::folder::{self, CONSOLE, FRAGMENTS, METADATA, PACKETS, TRACE};
use super::index;
use super::keep::{self, Dropped, Keep, Newest};
use super::left_out::LeftOut;
use crate::wire::{Header, crc32c_append};

/// How many files are held open.
const MAX_OPEN: usize = 256;

/// Bytes for which there is room in any case, however small the capture shall be, for the console's
/// text and for what a panic leaves: it is what people look for.
pub(super) const ROOM: u64 = 16 << 20;

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
    /// Bytes that were written and are kept.
    pub bytes: u64,
    /// Bytes that were no whole packet, or a packet of no known stream.
    pub fragments: u64,
    /// Bytes that were left out, because the capture had its largest size or could not
    /// be written.
    pub left_out: u64,
    /// Whether the metadata came, and was understood.
    pub has_metadata: bool,
    /// Why the metadata could not be used.
    pub metadata_error: Option<String>,
}

impl Totals {
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
    /// The most bytes of packets and fragments; the console's text may have as many again.
    pub(super) max_size: u64,
    /// What is kept of more.
    keep: Keep,
    /// What is kept, and what made room, if the newest are kept.
    newest: Newest,
    /// What is left out, by file, if the oldest are kept.
    left_out: HashMap<String, LeftOut>,
    /// The line about the metadata, which stays in the list, and where it is.
    metadata_line: Option<(u64, String)>,
    /// Tells the user.
    announce: fn(&str),
    /// What came so far.
    pub(super) totals: Totals,
    /// Files by their path within the folder.
    files: HashMap<PathBuf, Growing>,
    /// CRC-32C of what the console said.
    pub(super) console_crc: u32,
    /// Bytes of the list that were given back.
    list_hole: u64,
    /// Whether the capture has its largest size.
    is_full: bool,
    /// Whether the console's text has its largest size.
    is_console_full: bool,
    /// Whether the capture has ended: nothing is written any more.
    pub(super) is_over: bool,
    /// What could not be written; the capture ends there.
    pub(super) error: Option<CaptureError>,
    /// The list of packets, locked for as long as the capture is being made.
    _made: Option<File>,
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
        (max_size, keep): (u64, Keep),
        announce: fn(&str),
    ) -> Result<Self, CaptureError> {
        let mut store = Self {
            folder,
            root: root.to_owned(),
            max_size,
            keep,
            newest: Newest::default(),
            left_out: HashMap::new(),
            metadata_line: None,
            announce,
            totals: Totals::default(),
            files: HashMap::new(),
            console_crc: 0,
            list_hole: 0,
            is_full: false,
            is_console_full: false,
            is_over: false,
            error: None,
            _made: None,
        };
        store.append(Path::new(PACKETS), &[]);
        let list = File::open(store.folder.join(PACKETS)).ok();
        // Where files cannot be locked, nobody can tell.
        store._made = list.filter(|list| list.try_lock().is_ok());
        // At once: whatever becomes of it, no older one is taken for it.
        store.link();
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
        let size = bytes.len() as u64;
        let console = self.files.get(Path::new(CONSOLE));
        let length = console.map_or(0, |console| console.length);
        // It has a limit of its own: the end of the text is what people look for.
        let largest = self.max_size.max(ROOM);
        if length.saturating_add(size) > largest || self.is_over {
            if !std::mem::replace(&mut self.is_console_full, true) {
                self.say(&format!(
                    "the console's text has its largest size, {largest} bytes (--max-size): the \
                     rest is left out of the capture"
                ));
            }
            self.totals.left_out += size;
        } else if self.append(Path::new(CONSOLE), bytes).is_some() {
            self.console_crc = crc32c_append(self.console_crc, bytes);
        }
    }

    /// Notes that two things that came cannot both be true.
    pub(super) fn contradiction(&mut self, what: String) {
        self.say(&what);
        if self.totals.contradictions.len() < MAX_CONTRADICTIONS {
            self.totals.contradictions.push(what);
        }
    }

    /// Appends a packet to its stream's file, if there is room, or older ones make room.
    pub(super) fn packet(&mut self, file: &str, header: &Header, packet: &[u8], crc: u32) {
        let size = packet.len() as u64;
        if self.keep == Keep::Newest {
            self.make_room(size);
        }
        if !self.has_room(size) {
            let one = LeftOut::of(header);
            let left_out = self.left_out.entry(file.to_owned());
            left_out.and_modify(|all| all.add(one)).or_insert(one);
            return;
        }
        let line = self.list_length();
        if let Some(offset) = self.append_packet(file, packet, crc)
            && self.keep == Keep::Newest
        {
            self.newest.note(file, offset, line, header);
        }
    }

    /// Appends a packet to its stream's file, and says where.
    pub(super) fn append_packet(&mut self, file: &str, packet: &[u8], crc: u32) -> Option<u64> {
        let offset = self.append(&Path::new(TRACE).join(file), packet)?;
        self.list(file, offset, packet.len() as u64, crc);
        self.totals.packets += 1;
        Some(offset)
    }

    /// Has the oldest packets make room for so many bytes, and some more.
    fn make_room(&mut self, size: u64) {
        let after = self.limited_bytes().saturating_add(size);
        if after <= self.max_size || self.error.is_some() || self.is_over {
            return;
        }
        if self.newest.is_new() {
            self.say(&format!(
                "the capture has its largest size, {} bytes (--max-size): the oldest packets make \
                 room from now on",
                self.max_size
            ));
        }
        let wanted = after - self.max_size + self.max_size / 16;
        let before = self.newest.count();
        let dropped = self.newest.drop_oldest(wanted);
        for (file, left_out) in &dropped.files {
            let path = self.folder.join(TRACE).join(file);
            if let Err(error) = keep::punch(&path, left_out.hole) {
                self.say(&format!(
                    "{}: its beginning cannot be given back, so that the newest packets are left \
                     out from now on: {error}",
                    path.display()
                ));
                (self.keep, self.newest) = (Keep::Oldest, Newest::default());
                return;
            }
        }
        self.totals.packets -= before - self.newest.count();
        self.totals.bytes -= dropped.bytes;
        self.totals.left_out += dropped.bytes;
        self.shorten_list(&dropped);
    }

    /// Says in the list what is left out, and gives back the lines about what is gone.
    fn shorten_list(&mut self, dropped: &Dropped) {
        let length = self.list_length();
        let hole = dropped.line.min(length);
        let lines = dropped.files.iter().map(|(file, all)| all.line(file));
        let mut lines: String = lines.collect();
        // The metadata's line stays.
        if let Some((at, line)) = &mut self.metadata_line
            && *at < hole
        {
            *at = length + lines.len() as u64;
            lines += line;
        }
        self.append(Path::new(PACKETS), lines.as_bytes());
        if keep::punch(&self.folder.join(PACKETS), hole).is_ok() {
            self.totals.bytes -= hole - self.list_hole;
            self.list_hole = hole;
        }
    }

    /// The length of the list.
    fn list_length(&self) -> u64 {
        let list = self.files.get(Path::new(PACKETS));
        list.map_or(0, |list| list.length)
    }

    /// Bytes that the largest size is about: the console's text has a limit of its own.
    fn limited_bytes(&self) -> u64 {
        let console = self.files.get(Path::new(CONSOLE));
        let console = console.map_or(0, |console| console.length);
        self.totals.bytes.saturating_sub(console)
    }

    /// What is left out of a stream's file.
    pub(super) fn left_out(&self, file: &str) -> Option<&LeftOut> {
        self.newest
            .left_out(file)
            .or_else(|| self.left_out.get(file))
    }

    /// Says in the list what is left out, and closes the holes. The ports have ended.
    pub(super) fn conclude(&mut self) {
        let left_out: Vec<_> = self.left_out.drain().collect();
        for (file, left_out) in left_out {
            self.append(Path::new(PACKETS), left_out.line(&file).as_bytes());
        }
        if self.newest.is_new() || self.error.is_some() {
            return;
        }
        if let Err(error) = keep::close_holes(&self.folder) {
            let path = self.folder.join(PACKETS);
            self.fail(CaptureError::Write { path, error });
        }
        // The handles are of files that are not there any more, and nothing more comes.
        self.files.values_mut().for_each(|file| file.file = None);
        (self.keep, self.newest) = (Keep::Oldest, Newest::default());
        self.is_full = true;
    }

    /// Adds a line to the list of packets.
    pub(super) fn list(&mut self, file: &str, offset: u64, size: u64, crc: u32) {
        let line = index::line(file, offset, size, crc);
        if file == METADATA {
            self.metadata_line = Some((self.list_length(), line.clone()));
        }
        self.append(Path::new(PACKETS), line.as_bytes());
    }

    /// The length of the console's text, if there is some and the list can have it.
    pub(super) fn console_length(&self) -> Option<u64> {
        let console = self.files.get(Path::new(CONSOLE));
        let length = console.map(|console| console.length);
        length.filter(|length| u32::try_from(*length).is_ok())
    }

    /// Takes bytes that are no whole packet of a known stream.
    pub(super) fn fragment(&mut self, port: u32, bytes: &[u8]) {
        if self.has_room(bytes.len() as u64) {
            self.totals.fragments += bytes.len() as u64;
            self.append(&Path::new(FRAGMENTS).join(port.to_string()), bytes);
        }
    }

    /// Whether so many bytes may be written. Once something may not, nothing may: streams end
    /// early, and have no gaps.
    pub(super) fn has_room(&mut self, bytes: u64) -> bool {
        let fits = self.limited_bytes().saturating_add(bytes) <= self.max_size;
        if !fits && !self.is_full {
            self.is_full = true;
            self.say(&format!(
                "the capture has its largest size, {} bytes (--max-size): the rest is left out",
                self.max_size
            ));
        }
        let has_room = !self.is_full && !self.is_over && self.error.is_none();
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
                self.totals.bytes += bytes.len() as u64;
                Some(offset)
            }
            Err(error) => {
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
