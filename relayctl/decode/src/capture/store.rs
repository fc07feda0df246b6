//! The files of a capture that is being made: they grow until the capture has its largest size, or
//! something cannot be written.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::CaptureError;
use super::folder::{self, CONSOLE, FRAGMENTS, METADATA, PACKETS, SALVAGED, TRACE};
use super::index;
use super::keep::{self, Dropped, Keep, Newest, Place};
use super::left_out::{LeftOut, Runs};
use super::lttng_index;
use super::totals::Totals;
use crate::wire::{Header, crc32c_append};

/// How many files are held open.
const MAX_OPEN: usize = 256;

/// Bytes for which there is room in any case, however small the capture shall be, for the console's
/// text and for what a panic leaves: it is what people look for.
pub(super) const ROOM: u64 = 16 << 20;

/// If the newest packets are kept, fragments may have this part of the largest size: they make no
/// room again, and of a noisy line there is no end of them.
const PART_OF_FRAGMENTS: u64 = 8;

/// The most contradictions that are told.
pub(super) const MAX_CONTRADICTIONS: usize = 16;

/// A file that grows.
#[derive(Debug)]
struct Growing {
    /// Its handle, unless too many are open.
    file: Option<File>,
    /// Its length.
    length: u64,
}

/// What is in the folder of one boot.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Packets that are kept.
    pub(super) packets: u64,
    /// Bytes of packets that are left out.
    pub(super) left_out: u64,
    /// The line about the metadata, which stays in the list, and where it is.
    metadata_line: Option<(u64, String)>,
    /// Bytes of the list that were given back.
    list_hole: u64,
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
    left_out: HashMap<Place, Runs>,
    /// The streams' files whose index files have to be written anew in the end.
    unindexed: BTreeSet<Place>,
    /// What is in the boots' folders, by these.
    held: HashMap<PathBuf, Held>,
    /// Tells the user.
    announce: fn(&str),
    /// What came so far.
    pub(super) totals: Totals,
    /// Files by their path within the folder.
    files: HashMap<PathBuf, Growing>,
    /// CRC-32C of what the console said.
    pub(super) console_crc: u32,
    /// Whether the capture has its largest size.
    is_full: bool,
    /// Whether the user knows that the oldest packets make room.
    is_room_told: bool,
    /// Whether the fragments have their largest size.
    are_fragments_full: bool,
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
            unindexed: BTreeSet::new(),
            held: HashMap::new(),
            announce,
            totals: Totals::default(),
            files: HashMap::new(),
            console_crc: 0,
            is_full: false,
            is_room_told: false,
            are_fragments_full: false,
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
        } else {
            self.totals.left_out += size;
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

    /// What is in a boot's folder.
    pub(super) fn held(&mut self, within: &Path) -> &mut Held {
        self.held.entry(within.to_owned()).or_default()
    }

    /// Appends a packet to its stream's file in a boot's folder, if there is room, or older ones
    /// make room.
    pub(super) fn packet(
        &mut self,
        within: &Path,
        file: &str,
        header: &Header,
        packet: &[u8],
        crc: u32,
    ) {
        let size = packet.len() as u64;
        if self.keep == Keep::Newest {
            self.make_room(size);
        }
        if !self.has_room(size) {
            let left_out = self.left_out.entry((within.to_owned(), file.to_owned()));
            left_out.or_default().add(LeftOut::of(header));
            self.held(within).left_out += size;
            return;
        }
        let line = self.list_length(within);
        if let Some(offset) = self.append_packet(within, file, header, packet, crc)
            && self.keep == Keep::Newest
        {
            let place = (within.to_owned(), file.to_owned());
            self.newest.note(place, offset, line, header);
        }
    }

    /// Appends a packet to its stream's file in a boot's folder, and says where.
    pub(super) fn append_packet(
        &mut self,
        within: &Path,
        file: &str,
        header: &Header,
        packet: &[u8],
        crc: u32,
    ) -> Option<u64> {
        let offset = self.append_listed(within, file, packet, crc);
        if let Some(offset) = offset {
            self.index(within, file, offset, header);
        }
        let held = self.held(within);
        match offset {
            Some(_) => {
                held.packets += 1;
                self.totals.packets += 1;
            }
            None => held.left_out += packet.len() as u64,
        }
        offset
    }

    /// Adds a packet to the index of its stream, for viewers. An index that cannot be written is no
    /// fault of the capture: it is written anew in the end.
    fn index(&mut self, within: &Path, file: &str, offset: u64, header: &Header) {
        let place = (within.to_owned(), file.to_owned());
        if self.unindexed.contains(&place) {
            return;
        }
        let path = within.join(lttng_index::path_of(file));
        let mut bytes = match offset {
            0 => lttng_index::head(),
            _ => Vec::new(),
        };
        bytes.extend(lttng_index::entry(offset, header));
        if self.try_append(&path, &bytes).is_err() {
            self.remove_index(place);
        }
    }

    /// Removes an index that is not right any more, until the end.
    fn remove_index(&mut self, place: Place) {
        let path = place.0.join(lttng_index::path_of(&place.1));
        self.forget(&path);
        let _ = fs::remove_file(self.folder.join(path));
        self.unindexed.insert(place);
    }

    /// Writes the index files anew that are not there. The packets have come to their places.
    fn complete_indexes(&mut self) {
        if self.error.is_some() {
            return;
        }
        for (within, file) in std::mem::take(&mut self.unindexed) {
            let folder = self.folder.join(within);
            if let Err(error) = lttng_index::write_anew(&folder, &file) {
                self.say(&format!(
                    "{}: there is no index for viewers: {error}",
                    folder.join(TRACE).join(file).display()
                ));
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
        }
        self.totals.left_out += size;
        // A file with nothing in it is no stream.
        if self.files.get(&path).is_some_and(|file| file.length == 0) {
            self.forget(&path);
            let _ = fs::remove_file(self.folder.join(path));
        }
        None
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

    /// Has the oldest packets make room for so many bytes, and some more.
    fn make_room(&mut self, size: u64) {
        let after = self.limited_bytes().saturating_add(size);
        if after <= self.max_size || self.error.is_some() || self.is_over {
            return;
        }
        if !std::mem::replace(&mut self.is_room_told, true) {
            self.say(&format!(
                "the capture has its largest size, {} bytes (--max-size): the oldest packets make \
                 room from now on",
                self.max_size
            ));
        }
        let wanted = after - self.max_size + self.max_size / 16;
        for (within, dropped) in self.newest.drop_oldest(wanted) {
            // First what is left out is said: who is stopped here promises nothing that is gone.
            let said = self.say_left_out(&within, &dropped);
            for (file, left_out) in &dropped.files {
                self.remove_index((within.clone(), file.clone()));
                let path = self.folder.join(&within).join(TRACE).join(file);
                if let Err(error) = keep::punch(&path, left_out.hole()) {
                    self.say(&format!(
                        "{}: its beginning cannot be given back, so that the newest packets are \
                         left out from now on: {error}",
                        path.display()
                    ));
                    (self.keep, self.newest) = (Keep::Oldest, Newest::default());
                    return;
                }
            }
            let held = self.held(&within);
            held.packets -= dropped.packets;
            held.left_out += dropped.bytes;
            self.totals.packets -= dropped.packets;
            self.totals.bytes -= dropped.bytes;
            self.totals.left_out += dropped.bytes;
            self.shorten_list(&within, dropped.line.min(said));
        }
    }

    /// Says in a boot's list what is left out; where in it.
    fn say_left_out(&mut self, within: &Path, dropped: &Dropped) -> u64 {
        let length = self.list_length(within);
        let lines = dropped.files.iter().map(|(file, all)| all.lines(file));
        let mut lines: String = lines.collect();
        // The metadata's line stays.
        if let Some((at, line)) = &mut self.held(within).metadata_line
            && *at < dropped.line
        {
            *at = length + lines.len() as u64;
            lines += line;
        }
        self.append(&within.join(PACKETS), lines.as_bytes());
        length
    }

    /// Gives back the lines of a boot's list before this place: they are about what is gone.
    fn shorten_list(&mut self, within: &Path, hole: u64) {
        if keep::punch(&self.folder.join(within).join(PACKETS), hole).is_ok() {
            let held = self.held(within);
            let given_back = hole - held.list_hole;
            held.list_hole = hole;
            self.totals.bytes -= given_back;
        }
    }

    /// The length of a boot's list.
    fn list_length(&self, within: &Path) -> u64 {
        let list = self.files.get(&within.join(PACKETS));
        list.map_or(0, |list| list.length)
    }

    /// Bytes that the largest size is about: the console's text, and what a panic has sent until
    /// now, have limits of their own.
    fn limited_bytes(&self) -> u64 {
        let own = [CONSOLE, SALVAGED].map(|file| self.files.get(Path::new(file)));
        let own = own.into_iter().flatten().map(|file| file.length);
        self.totals.bytes.saturating_sub(own.sum())
    }

    /// What is left out of a stream's file in a boot's folder.
    pub(super) fn left_out(&self, within: &Path, file: &str) -> Option<&Runs> {
        let place = (within.to_owned(), file.to_owned());
        let newest = self.newest.left_out(&place);
        newest.or_else(|| self.left_out.get(&place))
    }

    /// Says in the lists what is left out, closes the holes, and completes the index files. The
    /// ports have ended.
    pub(super) fn conclude(&mut self) {
        self.say_all_left_out();
        self.complete_indexes();
    }

    /// Says in the lists what is left out, and closes the holes.
    fn say_all_left_out(&mut self) {
        let left_out: Vec<_> = self.left_out.drain().collect();
        for ((within, file), left_out) in left_out {
            self.append(&within.join(PACKETS), left_out.lines(&file).as_bytes());
        }
        if self.newest.is_new() || self.error.is_some() {
            return;
        }
        for within in self.newest.boots() {
            let folder = self.folder.join(&within);
            match keep::close_holes(&folder) {
                Ok(emptied) => {
                    for file in emptied {
                        self.forget(&within.join(TRACE).join(&file));
                        self.unindexed.remove(&(within.clone(), file));
                    }
                }
                Err(error) => {
                    // What has a hole is no trace to viewers, whatever an index says.
                    self.unindexed.retain(|(of, _)| *of != within);
                    self.say(&format!(
                        "{}: its files keep their holes, which only relayctl reads: {error}",
                        folder.display()
                    ));
                }
            }
        }
        // The handles are of files that are not there any more, and nothing more comes.
        for (path, file) in &mut self.files {
            let there = fs::metadata(self.folder.join(path));
            file.length = there.map_or(file.length, |there| there.len());
            file.file = None;
        }
        (self.keep, self.newest) = (Keep::Oldest, Newest::default());
        self.is_full = true;
    }

    /// Adds a line to the list in a boot's folder; false if it cannot be written.
    pub(super) fn list(
        &mut self,
        within: &Path,
        file: &str,
        offset: u64,
        size: u64,
        crc: u32,
    ) -> bool {
        let line = index::line(file, offset, size, crc);
        if file == METADATA {
            let at = self.list_length(within);
            self.held(within).metadata_line = Some((at, line.clone()));
        }
        let written = self.append(&within.join(PACKETS), line.as_bytes());
        written.is_some()
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
        let size = bytes.len() as u64;
        if self.keep == Keep::Newest {
            let largest = self.max_size / PART_OF_FRAGMENTS;
            if self.totals.fragments.saturating_add(size) > largest {
                if !std::mem::replace(&mut self.are_fragments_full, true) {
                    self.say(&format!(
                        "what came and is no packet has its largest size, {largest} bytes: the \
                         rest of it is left out"
                    ));
                }
                self.totals.left_out += size;
                return;
            }
            self.make_room(size);
        }
        if !self.has_room(size) {
            return;
        }
        match self.append(&path, bytes) {
            Some(_) => self.totals.fragments += size,
            None => self.totals.left_out += size,
        }
    }

    /// Whether so many bytes may be written. If the oldest are kept: once something may not,
    /// nothing may, so that streams end early, and have no gaps.
    pub(super) fn has_room(&mut self, bytes: u64) -> bool {
        let fits = self.limited_bytes().saturating_add(bytes) <= self.max_size;
        if !fits && self.keep == Keep::Newest {
            self.totals.left_out += bytes;
            return false;
        }
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
