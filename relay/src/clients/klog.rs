//! klog: what a kernel says to people.
//!
//! A klog record is a line of text with where and when it was said: time, CPU, context, severity,
//! module, file and line. With the feature `log`, a `Klog` is a backend of the
//! [`log`](https://docs.rs/log) facade, and `log::info!` works anywhere in the kernel: task, IRQ,
//! NMI and panic context, from the first instruction after [`Channel::start`].
//!
//! A message is formatted once, into a buffer on the stack: without a heap, without a lock, and
//! whatever its arguments print. One that is longer than [`MAX_MESSAGE`] bytes, or than a
//! sub-buffer, is cut, and says how much is missing. So does one of which an argument fails to print, at that place.
//!
//! | bytes | field |
//! |---|---|
//! | 8 | [header](crate::record) with event id 1 |
//! | 1 | context: 0 task, 1 IRQ, 2 NMI |
//! | 1 | severity: 1 error, 2 warning, 3 info, 4 debug, 5 trace |
//! | 4 | line, little-endian like all numbers |
//! | 2, 2, 2 | lengths of module, file and message |
//! | .. | module path, file name and message, UTF-8 |

use crate::channel::Channel;
use crate::ctf::metadata::{EnumClass, EventClass, Field, Kind, StreamClass};
use crate::platform::{Context, Platform};
use crate::record::{Fields, HEADER, Malformed, extend_ticks};
use crate::ring::WriteError;
#[cfg(feature = "log")]
use crate::sync::PerCpu;
use crate::sync::Usage;
use arrayvec::ArrayVec;
use core::fmt::{self, Write as _};

/// The event id of a klog record.
pub const EVENT_ID: u16 = 1;

/// klog as the metadata describes it: channel 1.
pub const STREAM: StreamClass = StreamClass {
    id: 1,
    name: "klog",
    events: &[EventClass {
        id: EVENT_ID,
        name: "klog",
        fields: &[
            Field {
                name: "severity",
                kind: Kind::Enum(&SEVERITY),
            },
            Field {
                name: "line",
                kind: Kind::U32,
            },
            Field {
                name: "module_length",
                kind: Kind::U16,
            },
            Field {
                name: "file_length",
                kind: Kind::U16,
            },
            Field {
                name: "message_length",
                kind: Kind::U16,
            },
            Field {
                name: "module",
                kind: Kind::Text("module_length"),
            },
            Field {
                name: "file",
                kind: Kind::Text("file_length"),
            },
            Field {
                name: "message",
                kind: Kind::Text("message_length"),
            },
        ],
    }],
};

/// The names of severities.
const SEVERITY: EnumClass = EnumClass {
    name: "severity_t",
    values: &[
        (Severity::Error.name(), Severity::Error as u8),
        (Severity::Warn.name(), Severity::Warn as u8),
        (Severity::Info.name(), Severity::Info as u8),
        (Severity::Debug.name(), Severity::Debug as u8),
        (Severity::Trace.name(), Severity::Trace as u8),
    ],
};

/// The longest message, in bytes, the note of a cut included.
pub const MAX_MESSAGE: usize = 1024;

/// Room that is kept for the note of a cut.
const CUT_NOTE: usize = 32;

/// What a NUL byte becomes: readers of CTF take one for the end of a text.
const NUL_INSTEAD: u8 = b'?';

/// The longest module path and file name that is kept, in bytes.
const MAX_NAME: usize = 255;

/// Bytes of a record between its header and its texts.
const FIXED: usize = 1 + 1 + 4 + 2 + 2 + 2;

/// How important a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn,
    /// What the kernel does.
    Info,
    /// For whoever works on the kernel.
    Debug,
    /// Every step.
    Trace,
}

impl Severity {
    /// All severities, the most important first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The severity as one upper-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

/// Where in the source a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The module path, like `kernel::mem`.
    pub module: &'a str,
    /// The file.
    pub file: &'a str,
    /// The line in it, from 1.
    pub line: u32,
}

/// The last component of a path: what is kept of a file name.
fn base_name(path: &str) -> &str {
    // Bytes: no other character has one of these in it.
    let bytes = path.as_bytes().iter().rev();
    let name = bytes.take_while(|byte| **byte != b'/' && **byte != b'\\');
    &path[path.len() - name.count()..]
}

/// `text`, shortened to at most `max` bytes at a character's boundary.
fn shortened(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Whether a byte of `bytes` is 0: eight at a time, since there is hardly ever one.
fn has_nul(bytes: &[u8]) -> bool {
    let in_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080 != 0
    };
    // The last word may have some bytes of the one before it.
    match bytes.last_chunk() {
        Some(last) => in_word(last) || bytes.as_chunks().0.iter().any(in_word),
        None => bytes.contains(&0),
    }
}

/// Writes a record: `message` was said at `place`.
///
/// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates; about 1.8 KiB
/// of stack. `message` is formatted once.
///
/// # Errors
/// The record was not written, for the reason given; the loss is counted.
pub fn write<P: Platform, const CPUS: usize, U: Usage>(
    channel: &Channel<P, CPUS, U>,
    severity: Severity,
    place: Place<'_>,
    message: fmt::Arguments<'_>,
) -> Result<(), WriteError> {
    let context = channel.platform().context();
    let room = channel.max_record().unwrap_or(usize::MAX);
    let mut line = Line::new();
    line.begin(context, severity, place, room.saturating_sub(HEADER));
    if line.write_fmt(message).is_err() {
        line.note_a_failure();
    }
    channel.write_event(EVENT_ID, line.finish())
}

/// A record without its header, put together on the stack; the message is cut where it does not fit.
struct Line {
    /// Texts in it are of whole characters.
    bytes: ArrayVec<u8, { FIXED + 2 * MAX_NAME + MAX_MESSAGE }>,
    /// Where the message begins.
    message: usize,
    /// Bytes that it may still grow by; after a cut none, since what follows would not belong there.
    room: usize,
    /// Bytes of it that did not fit.
    missing: usize,
}

impl Line {
    /// Nothing yet. Inlined, and [begun](Self::begin) in its place: moving it would cost more than all the rest.
    #[inline(always)]
    fn new() -> Self {
        Self {
            bytes: ArrayVec::new(),
            message: 0,
            room: 0,
            missing: 0,
        }
    }

    /// Begins a record of at most `room` bytes, with an empty message.
    fn begin(&mut self, context: Context, severity: Severity, place: Place<'_>, room: usize) {
        let most = (room.saturating_sub(FIXED) / 4).min(MAX_NAME);
        let module = shortened(place.module, most);
        let file = shortened(base_name(place.file), most);
        let [line_0, line_1, line_2, line_3] = place.line.to_le_bytes();
        let [module_0, module_1] = (module.len() as u16).to_le_bytes();
        let [file_0, file_1] = (file.len() as u16).to_le_bytes();
        let (context, severity) = (context as u8, severity as u8);
        let fixed: [u8; FIXED] = [
            context, severity, line_0, line_1, line_2, line_3, module_0, module_1, file_0, file_1,
            0, 0,
        ];
        self.message = FIXED + module.len() + file.len();
        self.room = room.saturating_sub(self.message).min(MAX_MESSAGE);
        self.append(&fixed);
        self.append(module.as_bytes());
        self.append(file.as_bytes());
    }

    /// Appends `bytes`, for which there is room: no limit is above the capacity.
    fn append(&mut self, bytes: &[u8]) {
        let appended = self.bytes.try_extend_from_slice(bytes);
        debug_assert!(appended.is_ok());
    }

    /// The record; if something of the message is missing, it ends by saying how much.
    fn finish(&mut self) -> &[u8] {
        if self.missing != 0 {
            self.note_the_cut();
        }
        let message = &mut self.bytes[self.message..];
        if has_nul(message) {
            let nuls = message.iter_mut().filter(|byte| **byte == 0);
            nuls.for_each(|byte| *byte = NUL_INSTEAD);
        }
        let len = (message.len() as u16).to_le_bytes();
        self.bytes[FIXED - len.len()..FIXED].copy_from_slice(&len);
        &self.bytes
    }

    /// Appends as much of `text` as there is room for: not all.
    #[cold]
    fn cut(&mut self, text: &str) {
        let kept = shortened(text, self.room);
        self.append(kept.as_bytes());
        self.missing = self.missing.saturating_add(text.len() - kept.len());
        self.room = 0;
    }

    /// Says that an argument failed to print: what comes after it is missing.
    #[cold]
    fn note_a_failure(&mut self) {
        let _ = self.write_str("...[an argument failed to print]");
    }

    #[cold]
    fn note_the_cut(&mut self) {
        let said = core::str::from_utf8(&self.bytes[self.message..]).unwrap_or_default();
        let limit = said.len() + self.room;
        let kept = shortened(said, limit.saturating_sub(CUT_NOTE)).len();
        let missing = self.missing + (said.len() - kept);
        self.bytes.truncate(self.message + kept);
        self.room = limit - kept;
        // It fits into CUT_NOTE: 20 digits at most. In a tiny sub-buffer it is cut itself.
        let _ = write!(self, "...[{missing} bytes cut]");
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.room.checked_sub(text.len()) {
            Some(room) => {
                self.append(text.as_bytes());
                self.room = room;
            }
            None => self.cut(text),
        }
        Ok(())
    }
}

/// A klog record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When, in ticks.
    pub ticks: u64,
    /// At which level.
    pub context: Context,
    /// How important.
    pub severity: Severity,
    /// Where in the source.
    pub place: Place<'a>,
    /// What was said.
    pub message: &'a str,
}

/// The klog records in a run of records (see
/// [`SubBuffer::records`](crate::SubBuffer::records)) of a packet that began at `begin_ticks`.
///
/// After a malformed record nothing more comes: where the next begins is not known.
pub fn records(
    records: &[u8],
    begin_ticks: u64,
) -> impl Iterator<Item = Result<Record<'_>, Malformed>> {
    let mut fields = Some(Fields::new(records));
    core::iter::from_fn(move || {
        let item = next(fields.as_mut()?, begin_ticks).transpose()?;
        if item.is_err() {
            fields = None;
        }
        Some(item)
    })
}

/// Reads the next klog record of `fields`, which belong to a packet that began at `begin_ticks`;
/// `None` at the end.
///
/// # Errors
/// [`Malformed`]: what comes next is no klog record. What comes after it cannot be found.
pub fn next<'a>(
    fields: &mut Fields<'a>,
    begin_ticks: u64,
) -> Result<Option<Record<'a>>, Malformed> {
    let offset = fields.offset();
    let Some((id, low)) = fields.next_header()? else {
        return Ok(None);
    };
    read(fields, id, extend_ticks(low, begin_ticks))
        .map(Some)
        .map_err(|reason| Malformed { offset, reason })
}

/// Reads a record after its header.
fn read<'a>(fields: &mut Fields<'a>, id: u16, ticks: u64) -> Result<Record<'a>, &'static str> {
    const CUT_OFF: &str = "it is cut off";
    if id != EVENT_ID {
        return Err("it is no klog record");
    }
    let context = fields.u8().ok_or(CUT_OFF)?;
    let context = *Context::ALL
        .get(usize::from(context))
        .ok_or("no such context")?;
    let severity = usize::from(fields.u8().ok_or(CUT_OFF)?);
    let severity = *severity
        .checked_sub(1)
        .and_then(|index| Severity::ALL.get(index))
        .ok_or("no such severity")?;
    let line = fields.u32().ok_or(CUT_OFF)?;
    let mut lens = [0; 3];
    for len in &mut lens {
        *len = usize::from(fields.u16().ok_or(CUT_OFF)?);
    }
    let mut text = |len| {
        let bytes = fields.bytes(len).ok_or(CUT_OFF)?;
        core::str::from_utf8(bytes).map_err(|_| "its text is not UTF-8")
    };
    let (module, file, message) = (text(lens[0])?, text(lens[1])?, text(lens[2])?);
    Ok(Record {
        ticks,
        context,
        severity,
        place: Place { module, file, line },
        message,
    })
}

/// klog as the backend of the [`log`] facade.
///
/// ```
/// use relay::clients::klog::{self, Klog, Severity};
/// use relay::{Channel, Geometry, Platform, StaticMemory, Storage, record::Framed};
/// # struct OneCpu;
/// # // SAFETY: there is one CPU, and this program has one thread.
/// # unsafe impl Platform for OneCpu {
/// #     fn pin(&self) -> usize { 0 }
/// #     unsafe fn unpin(&self) {}
/// #     fn now(&self) -> u64 { 7 }
/// # }
/// # const GEOMETRY: Geometry = match Geometry::new(1024, 4) { Ok(g) => g, Err(_) => panic!() };
/// # static MEMORY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
///
/// static CHANNEL: Channel<OneCpu, 1> = Channel::new(OneCpu, &Framed);
/// static KLOG: Klog<OneCpu, 1> = Klog::new(&CHANNEL);
///
/// CHANNEL.start(0, MEMORY.take().unwrap(), GEOMETRY).unwrap();
/// log::set_logger(&KLOG).unwrap();
/// log::set_max_level(log::LevelFilter::Info);
///
/// log::info!("{} CPUs", 1);
/// log::debug!("not logged");
///
/// CHANNEL.flush();
/// let taken = CHANNEL.reader(0).unwrap().next_subbuf().unwrap();
/// let mut records = klog::records(taken.records(), taken.packet().begin_ticks);
/// let record = records.next().unwrap().unwrap();
/// assert_eq!(record.message, "1 CPUs");
/// assert_eq!(record.severity, Severity::Info);
/// assert!(records.next().is_none());
/// ```
#[cfg(feature = "log")]
pub struct Klog<P: Platform + 'static, const CPUS: usize, U: Usage = PerCpu> {
    channel: &'static Channel<P, CPUS, U>,
}

#[cfg(feature = "log")]
impl<P: Platform + 'static, const CPUS: usize, U: Usage> Klog<P, CPUS, U> {
    /// The backend that writes to `channel`, which may be started later: until then its records are counted
    /// as lost ([`Channel::lost_no_ring`]).
    #[must_use]
    pub const fn new(channel: &'static Channel<P, CPUS, U>) -> Self {
        Self { channel }
    }
}

#[cfg(feature = "log")]
impl<P: Platform + 'static, const CPUS: usize, U: Usage> log::Log for Klog<P, CPUS, U> {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    /// Any context. A record that is lost is counted by the channel.
    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let severity = match record.level() {
            log::Level::Error => Severity::Error,
            log::Level::Warn => Severity::Warn,
            log::Level::Info => Severity::Info,
            log::Level::Debug => Severity::Debug,
            log::Level::Trace => Severity::Trace,
        };
        let place = Place {
            module: record.module_path().unwrap_or(record.target()),
            file: record.file().unwrap_or("?"),
            line: record.line().unwrap_or(0),
        };
        // The channel has counted it.
        let _ = write(self.channel, severity, place, *record.args());
    }

    fn flush(&self) {
        self.channel.flush();
    }
}

#[cfg(feature = "log")]
impl<P: Platform + 'static, const CPUS: usize, U: Usage> fmt::Debug for Klog<P, CPUS, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Klog")
            .field("channel", self.channel)
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
