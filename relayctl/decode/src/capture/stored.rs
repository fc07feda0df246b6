//! A capture folder that is there.

use std::fmt;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::folder::{CONSOLE, FRAGMENTS, METADATA, NEW_RUN, PACKETS, RUN, TRACE, open_file};
use super::index::{Entry, Index};
use super::kernel::Kernel;
use super::left_out::Runs;
use super::line_totals::LineTotals;
use super::lttng_index::INDEX;
use super::reader::PacketReader;
use super::store::MAX_CONTRADICTIONS;
use crate::escape::printable;
use crate::records::{Channel, Schema, SchemaError};
use crate::tsdl::MAX_TEXT;
use crate::wire::{crc32c, crc32c_append};

/// The most foreign files that are named.
const MAX_FOREIGN: usize = 16;

/// The longest `run.json` that is read, in bytes.
pub(super) const MAX_RUN: u64 = 16 << 20;

/// What cannot be proven of a trace by itself.
const BARE: &str = "only the trace is there: without its list of packets nobody knows whether its \
                    packets are as they came, whether more came, and how the run ended";

/// Why a capture cannot be read.
#[derive(Debug)]
pub enum OpenError {
    /// There is no capture.
    NoCapture(PathBuf),
    /// It has no metadata, without which nothing can be read.
    NoMetadata {
        /// The capture.
        folder: PathBuf,
        /// Whether it had packets of streams, and so metadata, once.
        had_packets: bool,
        /// Bytes that came, and cannot be read.
        fragments: u64,
    },
    /// Its metadata cannot be used.
    Schema(PathBuf, SchemaError),
    /// A file cannot be read.
    Io(PathBuf, io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCapture(path) => write!(
                f,
                "{}: no capture (a folder with a folder {TRACE}); 'relayctl run' makes one",
                path.display()
            ),
            Self::NoMetadata {
                folder,
                had_packets: false,
                fragments: 0,
            } => write!(
                f,
                "{}: nothing can be read without metadata, and no packet came",
                folder.display()
            ),
            Self::NoMetadata {
                folder,
                had_packets: false,
                fragments,
            } => write!(
                f,
                "{}: nothing in the {fragments} bytes that came can be read without metadata: none \
                 came, or it did not come to its end",
                folder.display()
            ),
            Self::NoMetadata {
                folder,
                had_packets: true,
                ..
            } => write!(
                f,
                "{}: nothing can be read without metadata, and the file trace/{METADATA} is gone",
                folder.display()
            ),
            Self::Schema(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// A stream that is there, or should be.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The place of its channel in the schema.
    pub channel: usize,
    /// Its CPU.
    pub cpu: u32,
    /// The name of its file.
    pub file: String,
}

impl Stream {
    /// The streams that the metadata promises, by channel, then CPU.
    pub(super) fn all(schema: &Schema) -> Vec<Self> {
        let mut streams = Vec::new();
        for (at, channel) in schema.channels.iter().enumerate() {
            streams.extend((0..schema.streams_of(channel)).map(|cpu| Self {
                channel: at,
                cpu,
                file: channel.file_of(cpu),
            }));
        }
        streams
    }
}

/// A capture folder that is there.
#[derive(Debug)]
pub struct Stored {
    /// The folder.
    pub folder: PathBuf,
    /// The trace: `trace` within the folder, or the folder itself, if somebody copied only that.
    trace: PathBuf,
    /// What the metadata says.
    pub schema: Schema,
    /// The streams that the metadata promises, by channel, then CPU.
    pub streams: Vec<Stream>,
    /// What is wrong beside the streams.
    pub problems: Vec<String>,
    /// What is not there, so that something cannot be proven.
    pub unproven: Vec<String>,
    /// Bytes that were no whole packet.
    pub fragments: u64,
    /// Bytes that came, and were left out.
    pub left_out: u64,
    /// What came over a serial line, if any did.
    pub line: Option<LineTotals>,
    /// The kernel that it comes from.
    pub kernel: Kernel,
    /// Whether the capture was made to its end.
    pub is_finished: bool,
    /// The packets as they arrived.
    index: Index,
}

impl Stored {
    /// Opens a capture, or the trace of one: within it, or copied by itself.
    ///
    /// # Errors
    ///
    /// When there is none, or its metadata cannot be used.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let (folder, trace) = &place(folder);
        let (schema, metadata) = read_metadata_of(folder, trace)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io(path, error)
        };
        let path = folder.join(PACKETS);
        let (mut problems, mut unproven) = (Vec::new(), Vec::new());
        let is_bare = ![PACKETS, RUN, CONSOLE]
            .iter()
            .any(|name| folder.join(name).exists());
        let mut index = match open_file(&path) {
            Ok(file) => Index::read(BufReader::new(file)).map_err(io(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match is_bare {
                    true => unproven.push(BARE.to_owned()),
                    false => problems.push(
                        "packets: there is no list of packets to compare the streams with"
                            .to_owned(),
                    ),
                }
                Index::default()
            }
            Err(error) => return Err(io(&path)(error)),
        };
        problems.append(&mut index.problems);
        if !is_bare && index.of(METADATA) != [metadata] {
            problems.push("metadata: it is not as it arrived".to_owned());
        }
        let mut stored = Self {
            folder: folder.clone(),
            trace: trace.clone(),
            streams: Stream::all(&schema),
            schema,
            problems,
            unproven,
            fragments: fragments(&folder.join(FRAGMENTS)),
            left_out: 0,
            line: None,
            kernel: Kernel::default(),
            is_finished: folder.join(RUN).is_file(),
            index,
        };
        stored.find_foreign(trace).map_err(io(trace))?;
        stored.check_beside()?;
        Ok(stored)
    }

    /// Looks for what the making of the capture tells of its faults, and compares the files beside
    /// the trace with their lines in the list. Captures of earlier versions have no such lines.
    fn check_beside(&mut self) -> Result<(), OpenError> {
        let run = self.folder.join(RUN);
        let promised = match read_bounded(&run, MAX_RUN) {
            Ok(text) => serde_json::from_slice::<Value>(&text).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::Io(run, error)),
        };
        match &promised {
            Some(run) => {
                self.kernel = Kernel::of(run);
                self.check_making(&run["capture"]);
            }
            None if self.is_finished => self.problems.push(format!("{RUN}: it is no JSON")),
            // That only the trace is there says it already.
            None if !self.unproven.is_empty() => {}
            None => self.unproven.push(format!(
                "there is no {RUN}: the making of the capture did not come to its end, or its end \
                 was cut off"
            )),
        }
        let promised = promised.as_ref().map(|run| &run["capture"]["files"]);
        let promised = promised.and_then(|files| files.as_array());
        for name in [CONSOLE, RUN] {
            let path = self.folder.join(name);
            let problem = match self.index.of(name) {
                [] if promised.is_some_and(|files| files.iter().any(|file| *file == *name)) => {
                    format!("packets: no line about {name}")
                }
                [] => continue,
                [listed] => match sum(&path) {
                    Ok((size, crc)) if (size, crc) == (listed.size.into(), listed.crc) => continue,
                    Ok((size, crc)) => format!(
                        "{name}: it was changed: {} bytes with checksum {:08x} were written, \
                         {size} with {crc:08x} are there",
                        listed.size, listed.crc
                    ),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        if name == RUN && self.folder.join(NEW_RUN).is_file() {
                            // Who made it was stopped between the line and the file.
                            continue;
                        }
                        format!("{name}: it is gone")
                    }
                    Err(error) => return Err(OpenError::Io(path, error)),
                },
                _ => format!("packets: more than one line about {name}"),
            };
            self.problems.push(problem);
        }
        Ok(())
    }

    /// Uses what was written about the making of the capture when it ended.
    fn check_making(&mut self, made: &Value) {
        self.problems.extend(contradictions(made));
        self.line = LineTotals::of(&made["line"]);
        self.left_out = made["left_out"].as_u64().unwrap_or(0);
        let (left_out, largest) = (self.left_out, made["max_size"].as_u64().unwrap_or(0));
        match made["error"].as_str() {
            Some(error) => {
                let error = printable(error.as_bytes());
                self.unproven
                    .push(format!("{left_out} bytes that came are left out: {error}"));
            }
            None if left_out > 0 => self.unproven.push(format!(
                "{left_out} bytes that came are left out: the capture has its largest size, \
                 {largest} bytes (--max-size)"
            )),
            None => {}
        }
        let listed = self.streams.iter().map(|stream| self.listed(stream) as u64);
        let listed = listed.fold(0, u64::saturating_add);
        if let Some(packets) = made["packets"].as_u64()
            && packets != listed
        {
            self.problems.push(format!(
                "packets: {packets} packets were written, {listed} are listed"
            ));
        }
    }

    /// Finds files that are no stream of the capture, and lines about such.
    fn find_foreign(&mut self, trace: &Path) -> io::Result<()> {
        let known =
            |name: &str| name == METADATA || self.streams.iter().any(|stream| stream.file == name);
        let mut foreign = Vec::new();
        for entry in fs::read_dir(trace)? {
            let entry = entry?;
            let name = entry.file_name();
            // Whatever it says: nothing is read there.
            if name == INDEX && entry.file_type()?.is_dir() {
                continue;
            }
            let name = name.to_string_lossy();
            if foreign.len() < MAX_FOREIGN && !known(&name) {
                foreign.push(format!(
                    "trace/{}: no stream of this capture",
                    printable(name.as_bytes())
                ));
            }
        }
        let beside = |name: &str| name == CONSOLE || name == RUN;
        let files = self.index.files();
        let files = files.filter(|file| !known(file) && !beside(file));
        foreign.extend(files.take(MAX_FOREIGN).map(|file| {
            format!(
                "packets: lines about '{}', which is no stream of this capture",
                printable(file.as_bytes())
            )
        }));
        self.problems.append(&mut foreign);
        Ok(())
    }

    /// A stream's channel.
    #[must_use]
    pub fn channel(&self, stream: &Stream) -> &Channel {
        &self.schema.channels[stream.channel]
    }

    /// Opens a stream's file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be opened.
    pub fn packets(&self, stream: &Stream) -> Result<Option<PacketReader<'_>>, OpenError> {
        let path = self.path(stream);
        let (begin, entries) = (self.index.begin(&stream.file), self.index.of(&stream.file));
        match PacketReader::open(&path, begin, entries) {
            Ok(reader) => Ok(Some(reader)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::Io(path, error)),
        }
    }

    /// What there is to say about streams whose packets arrived, and whose files are not there.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    pub fn gone(&self) -> Result<Vec<String>, OpenError> {
        let mut gone = Vec::new();
        for stream in &self.streams {
            let listed = self.listed(stream);
            if listed > 0 && self.packets(stream)?.is_none() {
                let file = &stream.file;
                gone.push(format!(
                    "{file}: the file is not there, {listed} packets of it arrived"
                ));
            }
        }
        Ok(gone)
    }

    /// The packets of a stream that came and are left out.
    #[must_use]
    pub fn left_out(&self, stream: &Stream) -> Runs {
        self.index.left_out(&stream.file)
    }

    /// A stream's file.
    #[must_use]
    pub fn path(&self, stream: &Stream) -> PathBuf {
        self.trace.join(&stream.file)
    }

    /// How many packets of a stream arrived, and were kept.
    #[must_use]
    pub fn listed(&self, stream: &Stream) -> usize {
        self.index.of(&stream.file).len()
    }
}

/// What came twice, and not the same, by what was written about the making of a capture.
fn contradictions(made: &Value) -> Vec<String> {
    let all = made["contradictions"].as_array();
    let all = all.into_iter().flatten().filter_map(Value::as_str);
    all.take(MAX_CONTRADICTIONS)
        .map(|what| printable(what.as_bytes()).into_owned())
        .collect()
}

/// The folder of a capture and its trace, if somebody names one of the two. A trace that was copied
/// by itself is both.
pub(super) fn place(named: &Path) -> (PathBuf, PathBuf) {
    let trace = named.join(TRACE);
    if trace.is_dir() || !named.join(METADATA).is_file() {
        return (named.to_owned(), trace);
    }
    // What `.` is called.
    let whole = named.canonicalize().unwrap_or_else(|_| named.to_owned());
    match whole.parent() {
        Some(parent) if whole.ends_with(TRACE) && parent.join(PACKETS).is_file() => {
            (parent.to_owned(), named.to_owned())
        }
        _ => (named.to_owned(), named.to_owned()),
    }
}

/// Reads the metadata of a capture, and what its line in the list should be.
pub(super) fn read_metadata(folder: &Path) -> Result<(Schema, Entry), OpenError> {
    read_metadata_of(folder, &folder.join(TRACE))
}

/// The same, of a trace that may lie elsewhere.
fn read_metadata_of(folder: &Path, trace: &Path) -> Result<(Schema, Entry), OpenError> {
    if !trace.is_dir() {
        return Err(OpenError::NoCapture(folder.to_owned()));
    }
    let path = trace.join(METADATA);
    let text = match read_bounded(&path, MAX_TEXT as u64 + 1) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A list without packets has lines about the files beside the trace only.
            let list = read_bounded(&folder.join(PACKETS), 256).unwrap_or_default();
            let mut beside = [CONSOLE, RUN].into_iter();
            let is_beside = beside.any(|name| list.starts_with(format!("{name} ").as_bytes()));
            return Err(OpenError::NoMetadata {
                folder: folder.to_owned(),
                had_packets: !(list.is_empty() || is_beside)
                    || fs::read_dir(trace).is_ok_and(|mut entries| entries.next().is_some()),
                fragments: fragments(&folder.join(FRAGMENTS)),
            });
        }
        Err(error) => return Err(OpenError::Io(path, error)),
    };
    let schema = Schema::read(&text).map_err(|error| OpenError::Schema(path, error))?;
    let is = Entry {
        size: u32::try_from(text.len()).unwrap_or(u32::MAX),
        crc: crc32c(&text),
    };
    Ok((schema, is))
}

/// Reads a file that should be small.
pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Length and CRC-32C of a file.
fn sum(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = open_file(path)?;
    let (mut size, mut crc) = (0, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, crc)),
            Ok(length) => {
                size += length as u64;
                crc = crc32c_append(crc, &buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The bytes of all fragments; what cannot be read counts nothing.
fn fragments(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| entry.metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}
