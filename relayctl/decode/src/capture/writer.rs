//! Writes a capture folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::boot::Boot;
use super::boots::Uuid;
use super::either::EitherPort;
use super::error::CaptureError;
use super::folder::{self, CONSOLE, NEW_RUN, RUN};
use super::intake::Intake;
use super::keep::Keep;
use super::line::{LinePort, LineSink};
use super::port::Port;
use super::salvage::Waiting;
use super::shared::{Shared, lock};
use super::store::Store;
use super::totals::Totals;
use crate::wire::{Kind, LineReader, crc32c};

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where captures lie: the one that is made unless [`out`](Self::out) names another folder, and
    /// the link to the newest one.
    pub root: PathBuf,
    /// The folder; by default one within [`root`](Self::root) named after the time.
    pub out: Option<PathBuf>,
    /// Whether an existing capture there is replaced.
    pub force: bool,
    /// The most bytes of packets. The console's text may have as many again, and what a panic
    /// leaves has room in any case.
    pub max_size: u64,
    /// What is kept of more.
    pub keep: Keep,
    /// Where the bytes come from.
    pub kind: Kind,
    /// Told at once what the user should know: that the capture has its largest
    /// size, or cannot be written, or gets no metadata. Called under a lock.
    pub announce: fn(&str),
}

impl Options {
    /// A capture of any size in a folder that is new or empty, of which nobody is told anything.
    #[must_use]
    pub fn new(folder: &Path, kind: Kind) -> Self {
        Self {
            root: PathBuf::new(),
            out: Some(folder.to_owned()),
            force: false,
            max_size: u64::MAX,
            keep: Keep::Oldest,
            kind,
            announce: |_| {},
        }
    }
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

impl Capture {
    /// Makes the folder of a new capture.
    ///
    /// # Errors
    ///
    /// When it exists and may not be replaced, or cannot be made.
    pub fn create(options: &Options) -> Result<Self, CaptureError> {
        let Options { root, out, .. } = options;
        let folder = folder::create(root, out.as_deref(), options.force);
        let folder = folder.map_err(CaptureError::Folder)?;
        let store = Store::begin(
            folder.clone(),
            root,
            (options.max_size, options.keep),
            options.announce,
        )?;
        let shared = Shared {
            intake: Intake::new(store),
            waiting: Waiting::default(),
        };
        Ok(Self {
            folder,
            kind: options.kind,
            shared: Arc::new(Mutex::new(shared)),
        })
    }

    /// The capture's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A sink for the bytes of a port.
    #[must_use]
    pub fn port(&self, number: u32) -> Port {
        Port::new(number, self.kind, Arc::clone(&self.shared))
    }

    /// A sink for the bytes of a serial line, which has frames.
    #[must_use]
    pub fn line(&self, number: u32) -> LinePort {
        LinePort::new(LineReader::new(), self.line_sink(number, false))
    }

    /// A sink for the bytes of a serial console, which may have frames: until the first has come,
    /// all that does not look like one is text, whatever bytes it has.
    #[must_use]
    pub fn console_line(&self, number: u32) -> LinePort {
        LinePort::new(LineReader::console(), self.line_sink(number, true))
    }

    /// A sink for bytes that are those of a port or of a serial line: what comes first tells.
    #[must_use]
    pub fn either(&self, number: u32) -> EitherPort {
        EitherPort::new(self.kind, self.line_sink(number, false), self.port(number))
    }

    fn line_sink(&self, number: u32, is_console: bool) -> LineSink {
        LineSink::new(number, is_console, Arc::clone(&self.shared))
    }

    /// Takes bytes of the serial console.
    pub fn console(&self, bytes: &[u8]) {
        lock(&self.shared).intake.store.console(bytes);
    }

    /// Puts what a stopped CPU left where it belongs, and says what is left out. The ports should
    /// have ended; what they take later of this kind is a fragment.
    pub fn settle(&self) {
        lock(&self.shared).settle();
    }

    /// What came so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        lock(&self.shared).intake.store.totals.clone()
    }

    /// [Settles](Self::settle) and ends the capture, with what is to be known about how it was
    /// made. The ports should have ended; what they take later is not written.
    ///
    /// # Errors
    ///
    /// The first time that something could not be written. All that came before
    /// is there.
    pub fn finish(self, mut info: Value) -> Result<Totals, CaptureError> {
        let mut shared = lock(&self.shared);
        shared.settle();
        let Shared { intake, .. } = &mut *shared;
        let Intake { store, boots, .. } = intake;
        if !store.totals.has_metadata {
            let error = &mut store.totals.metadata_error;
            error.get_or_insert_with(|| "none came".to_owned());
        }
        let totals = store.totals.clone();
        let mut files = vec![RUN];
        if let Some(length) = store.console_length() {
            let crc = store.console_crc;
            if store.list(Path::new(""), CONSOLE, 0, length, crc) {
                files.push(CONSOLE);
            }
        }
        // Beside those of the programs that made it.
        let versions = info.as_object_mut();
        let versions = versions.map(|info| info.entry("versions").or_insert_with(|| json!({})));
        if let Some(versions) = versions.and_then(Value::as_object_mut) {
            versions.insert("format".to_owned(), relay_format::VERSION.into());
        }
        let mut begun: Vec<_> = boots
            .iter()
            .filter_map(|boot| Some((boot.place()?, boot)))
            .collect();
        begun.sort_by_key(|((number, _), _)| *number);
        let mut written = Ok(());
        let mut left_out = totals.left_out;
        for ((number, within), boot) in begun.iter().skip(1) {
            let made = of_boot(store, *number, within, boot);
            left_out = left_out.saturating_sub(store.held(within).left_out);
            written = written.and(write_run(store, within, &info, made, &[RUN]));
        }
        let first = begun.first();
        let first = first.map(|((number, within), boot)| of_boot(store, *number, within, boot));
        let mut made = first.unwrap_or_else(|| json!({ "packets": 0, "metadata": false }));
        // And of what belongs to no further boot.
        made["left_out"] = left_out.into();
        made["bytes"] = totals.bytes.into();
        made["fragments"] = totals.fragments.into();
        made["boots"] = totals.boots.into();
        made["strays"] = totals.strays.json();
        if !totals.line.is_empty() {
            made["line"] = totals.line.json();
        }
        // It is the last: with it everything is there.
        written = written.and(write_run(store, Path::new(""), &info, made, &files));
        // Whoever is late finds it closed.
        store.is_over = true;
        if let Some(error) = store.error.take() {
            return Err(error);
        }
        written.map(|()| totals)
    }
}

/// What `run.json` says of one boot.
fn of_boot(store: &mut Store, number: u32, within: &Path, boot: &Boot) -> Value {
    let (made, held) = (&boot.made, store.held(within));
    json!({
        "boot": number,
        "uuid": Uuid(boot.uuid).to_string(),
        "packets": held.packets,
        "salvaged": made.salvaged,
        "doubles": made.doubles,
        "repeated": made.repeated,
        "contradictions": made.contradictions,
        "left_out": held.left_out,
        "metadata": true,
    })
}

/// Writes `run.json` of a boot's folder, at once or not at all. `files` are those that have a line
/// in the list, if this one gets its own.
fn write_run(
    store: &mut Store,
    within: &Path,
    info: &Value,
    mut made: Value,
    files: &[&str],
) -> Result<(), CaptureError> {
    made["max_size"] = store.max_size.into();
    made["error"] = json!(store.error.as_ref().map(ToString::to_string));
    let mut text = |files: &[&str]| {
        made["files"] = json!(files);
        let mut info = info.clone();
        if let Some(info) = info.as_object_mut() {
            info.insert("capture".to_owned(), made.clone());
        }
        format!("{info:#}\n")
    };
    let whole = text(files);
    let folder = store.folder.join(within);
    let (path, new) = (folder.join(RUN), folder.join(NEW_RUN));
    // Its line comes between: who is stopped there leaves a line, and the file under its new name.
    let written = fs::write(&new, &whole).and_then(|()| {
        let crc = crc32c(whole.as_bytes());
        if !store.list(within, RUN, 0, whole.len() as u64, crc) {
            let listed: Vec<_> = files.iter().copied().filter(|file| *file != RUN).collect();
            fs::write(&new, text(&listed))?;
        }
        fs::rename(&new, &path)
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        CaptureError::Write { path, error }
    })
}
