//! Writes a capture folder.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::folder::{self, CONSOLE, FRAGMENTS, FolderError, METADATA, PACKETS, RUN, TRACE};
use super::index;
use super::metadata::{Collected, Collector};
use super::salvage::Waiting;
use crate::decode::Schema;
use crate::exit::Exit;
use crate::wire::{self, Header, Kind, Piece, Splitter, crc32c, crc32c_append};

/// How many bytes that came before the metadata are kept in memory.
const MAX_EARLY: u64 = 256 << 20;

/// How many files are held open.
const MAX_OPEN: usize = 256;

/// Why a capture cannot be made or finished.
#[derive(Debug)]
pub enum CaptureError {
    /// Its folder cannot be had.
    Folder(FolderError),
    /// Something could not be written; the capture ends there.
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(error) => error.fmt(f),
            Self::Write { path, error } => {
                write!(f, "the capture is cut off: {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for CaptureError {}

impl CaptureError {
    /// The exit code for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Folder(FolderError::Exists(_) | FolderError::NoCapture(_)) => Exit::Usage,
            Self::Folder(FolderError::Io { .. }) | Self::Write { .. } => Exit::Infrastructure,
        }
    }
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder; by default one named after the time.
    pub out: Option<PathBuf>,
    /// Whether an existing capture there is replaced.
    pub force: bool,
    /// The most bytes that are written.
    pub max_size: u64,
    /// Where the bytes come from.
    pub kind: Kind,
    /// Told at once what the user should know: that the capture has its largest
    /// size, or cannot be written, or gets no metadata. Called under a lock.
    pub announce: fn(&str),
}

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

/// What all ports write to.
#[derive(Debug)]
pub(super) struct Shared {
    /// The capture's folder.
    pub(super) folder: PathBuf,
    /// The most bytes.
    max_size: u64,
    /// Tells the user.
    pub(super) announce: fn(&str),
    /// Whether the folder was made for nothing if nothing comes.
    is_default: bool,
    /// What came so far.
    pub(super) totals: Totals,
    /// Files by their path within the folder.
    files: HashMap<PathBuf, Growing>,
    /// CRC-32C of what the console said.
    console_crc: u32,
    /// The metadata so far.
    pub(super) collector: Collector,
    /// The metadata, once it is complete.
    pub(super) schema: Option<Box<Schema>>,
    /// What came before it, by port.
    early: Vec<(u32, Vec<u8>)>,
    /// How many bytes that are.
    early_bytes: u64,
    /// What a stopped CPU left.
    pub(super) waiting: Waiting,
    /// Whether the capture has its largest size.
    pub(super) is_full: bool,
    /// What could not be written; the capture ends there.
    pub(super) error: Option<CaptureError>,
}

/// A capture that is being made.
#[derive(Debug)]
pub struct Capture {
    /// Its folder.
    folder: PathBuf,
    /// Where the bytes come from.
    kind: Kind,
    /// What all ports write to.
    shared: Arc<Mutex<Shared>>,
}

/// Takes the bytes of one port, in a thread of its own if wanted.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    number: u32,
    /// Finds the packets.
    splitter: Splitter,
    /// What all ports write to.
    shared: Arc<Mutex<Shared>>,
}

/// The shared part; a thread that panicked leaves it usable.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Capture {
    /// Makes the folder of a new capture.
    ///
    /// # Errors
    ///
    /// When it exists and may not be replaced, or cannot be made.
    pub fn create(options: &Options) -> Result<Self, CaptureError> {
        let folder = folder::create(options.out.as_deref(), options.force);
        let folder = folder.map_err(CaptureError::Folder)?;
        let mut shared = Shared {
            folder: folder.clone(),
            max_size: options.max_size,
            announce: options.announce,
            is_default: options.out.is_none(),
            totals: Totals::default(),
            files: HashMap::new(),
            console_crc: 0,
            collector: Collector::default(),
            schema: None,
            early: Vec::new(),
            early_bytes: 0,
            waiting: Waiting::default(),
            is_full: false,
            error: None,
        };
        // There is a list, even if it stays empty.
        shared.append(Path::new(PACKETS), &[]);
        match shared.error.take() {
            Some(error) => Err(error),
            None => Ok(Self {
                folder,
                kind: options.kind,
                shared: Arc::new(Mutex::new(shared)),
            }),
        }
    }

    /// The capture's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A sink for the bytes of a port.
    #[must_use]
    pub fn port(&self, number: u32) -> Port {
        Port {
            number,
            splitter: Splitter::new(self.kind),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Takes bytes of the serial console.
    pub fn console(&self, bytes: &[u8]) {
        let mut shared = lock(&self.shared);
        if shared.has_room(bytes.len() as u64) && shared.append(Path::new(CONSOLE), bytes).is_some()
        {
            shared.console_crc = crc32c_append(shared.console_crc, bytes);
        }
    }

    /// Puts what a stopped CPU left where it belongs. The ports should have ended; what they take
    /// later of this kind is a fragment.
    pub fn settle(&self) {
        lock(&self.shared).settle();
    }

    /// What came so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        lock(&self.shared).totals.clone()
    }

    /// [Settles](Self::settle) and ends the capture, with what is to be known about how it was made. The
    /// ports should have ended; what they take later is not written.
    ///
    /// # Errors
    ///
    /// The first time that something could not be written. All that came before
    /// is there.
    pub fn finish(self, mut info: Value) -> Result<Totals, CaptureError> {
        let mut shared = lock(&self.shared);
        shared.settle();
        if shared.schema.is_none() {
            let why = "it did not come to its end";
            shared.totals.metadata_error.get_or_insert(why.to_owned());
        }
        shared.give_up_early();
        let totals = shared.totals.clone();
        let mut files = vec![RUN];
        if let Some(length) = shared.console_length() {
            let crc = shared.console_crc;
            shared.list(CONSOLE, 0, length, crc);
            files.push(CONSOLE);
        }
        if let Some(info) = info.as_object_mut() {
            let made = json!({
                "packets": totals.packets,
                "salvaged": totals.salvaged,
                "doubles": totals.doubles,
                "contradictions": totals.contradictions,
                "bytes": totals.bytes,
                "fragments": totals.fragments,
                "left_out": totals.left_out,
                "max_size": shared.max_size,
                "metadata": totals.has_metadata,
                "files": files,
                "error": shared.error.as_ref().map(ToString::to_string),
            });
            info.insert("capture".to_owned(), made);
            let versions = json!({ "relayctl": env!("CARGO_PKG_VERSION"), "format": 1 });
            info.insert("versions".to_owned(), versions);
        }
        if totals.bytes == 0 && shared.is_default {
            // Nothing came: there is nothing to look at later.
            let _ = folder::remove(&self.folder);
            let _ = fs::remove_dir(&self.folder);
            return Ok(totals);
        }
        let text = format!("{info:#}\n");
        shared.list(RUN, 0, text.len() as u64, crc32c(text.as_bytes()));
        let path = self.folder.join(RUN);
        let written = fs::write(&path, text);
        // Whoever is late finds it closed.
        shared.is_full = true;
        if let Some(error) = shared.error.take() {
            return Err(error);
        }
        written.map_err(|error| CaptureError::Write { path, error })?;
        Ok(totals)
    }
}

impl Port {
    /// Takes the next bytes, in chunks of any length. It never fails: what
    /// cannot be written is counted, and told by [`Capture::finish`].
    pub fn push(&mut self, chunk: &[u8]) {
        let Self {
            number,
            splitter,
            shared,
        } = self;
        let Ok(()) = splitter.push(chunk, |piece| take(shared, *number, piece));
    }

    /// Ends the port: what is left of it is a fragment.
    pub fn finish(mut self) {
        let Self {
            number,
            splitter,
            shared,
        } = &mut self;
        let Ok(()) = splitter.finish(|piece| take(shared, *number, piece));
    }
}

impl Write for Port {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.push(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes what a port has found.
fn take(
    shared: &Mutex<Shared>,
    port: u32,
    piece: Piece<'_>,
) -> Result<(), std::convert::Infallible> {
    match piece {
        Piece::Packet(header, packet) => {
            // Before the lock: the ports compute it side by side.
            let crc = crc32c(packet);
            lock(shared).packet(port, header, packet, crc);
        }
        Piece::Fragment(bytes) => lock(shared).fragment(port, bytes),
    }
    Ok(())
}

impl Shared {
    /// Takes a whole packet.
    fn packet(&mut self, port: u32, header: &Header, packet: &[u8], crc: u32) {
        if header.is_salvaged {
            return self.salvaged(port, header, packet);
        }
        if self.schema.is_some() {
            return self.stream_packet(port, header, packet, crc);
        }
        if self.totals.metadata_error.is_some() {
            return self.fragment(port, packet);
        }
        self.early_bytes += packet.len() as u64;
        self.early.push((port, packet.to_vec()));
        if header.stream_id == wire::METADATA {
            self.metadata(header, packet);
        } else if self.early_bytes > MAX_EARLY {
            self.no_metadata(format!("{MAX_EARLY} bytes came before its end"));
        }
    }

    /// Takes the next packet of the metadata.
    pub(super) fn metadata(&mut self, header: &Header, packet: &[u8]) {
        match self.collector.take(header, header.contents(packet)) {
            Collected::More => {}
            Collected::Complete(text, schema) => self.begin(&text, schema),
            Collected::Spoiled(why) => self.no_metadata(why),
        }
    }

    /// Begins with the streams: the metadata is complete.
    fn begin(&mut self, text: &[u8], schema: Box<Schema>) {
        if self.has_room(text.len() as u64) {
            self.append(&Path::new(TRACE).join(METADATA), text);
            self.list(METADATA, 0, text.len() as u64, crc32c(text));
        }
        self.schema = Some(schema);
        self.totals.has_metadata = true;
        self.early_bytes = 0;
        for (port, packet) in std::mem::take(&mut self.early) {
            // They were sound when they came.
            if let Some(Ok(header)) = Header::of(&packet)
                && header.stream_id != wire::METADATA
            {
                self.stream_packet(port, &header, &packet, crc32c(&packet));
            }
        }
    }

    /// Goes on without streams: there will be no metadata.
    fn no_metadata(&mut self, why: String) {
        (self.announce)(&format!(
            "the metadata cannot be used, so that packets become fragments: {why}"
        ));
        self.totals.metadata_error = Some(why);
        self.give_up_early();
    }

    /// Makes fragments of what waits for the metadata.
    fn give_up_early(&mut self) {
        self.early_bytes = 0;
        for (port, packet) in std::mem::take(&mut self.early) {
            self.fragment(port, &packet);
        }
    }

    /// Takes a packet after the metadata.
    fn stream_packet(&mut self, port: u32, header: &Header, packet: &[u8], crc: u32) {
        let Some(file) = self.file_of(header) else {
            return self.fragment(port, packet);
        };
        if self.has_room(packet.len() as u64) {
            self.append_packet(&file, packet, crc);
        }
    }

    /// The name of the file of a packet's stream; `None` if the metadata does not know the stream.
    pub(super) fn file_of(&self, header: &Header) -> Option<String> {
        let schema = self.schema.as_ref()?;
        let known = header.uuid == schema.uuid && header.cpu < schema.cpus;
        let channel = schema.channel(header.stream_id).filter(|_| known)?;
        Some(channel.file_of(header.cpu))
    }

    /// Appends a packet to its stream's file, and says where.
    pub(super) fn append_packet(&mut self, file: &str, packet: &[u8], crc: u32) -> Option<u64> {
        let offset = self.append(&Path::new(TRACE).join(file), packet)?;
        self.list(file, offset, packet.len() as u64, crc);
        self.totals.packets += 1;
        Some(offset)
    }

    /// Adds a line to the list of packets.
    fn list(&mut self, file: &str, offset: u64, size: u64, crc: u32) {
        let line = index::line(file, offset, size, crc);
        self.append(Path::new(PACKETS), line.as_bytes());
    }

    /// The length of the console's text, if there is some and the list can have it.
    fn console_length(&self) -> Option<u64> {
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

    /// Whether so many bytes may be written. Once something may not, nothing
    /// may: streams end early, and have no gaps.
    pub(super) fn has_room(&mut self, bytes: u64) -> bool {
        let fits = self.totals.bytes.saturating_add(bytes) <= self.max_size;
        if !fits && !self.is_full {
            self.is_full = true;
            (self.announce)(&format!(
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
                let path = self.folder.join(path);
                self.fail(CaptureError::Write { path, error });
                None
            }
        }
    }

    /// Ends the capture here: something could not be written.
    pub(super) fn fail(&mut self, error: CaptureError) {
        (self.announce)(&error.to_string());
        self.error = Some(error);
    }

    /// Forgets a file that is about to be removed.
    pub(super) fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Makes this capture the newest one.
    fn link(&self) {
        if let Err(error) = folder::link(&self.folder) {
            (self.announce)(&format!(
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
