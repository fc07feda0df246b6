//! Writes what `cat` shows to standard output.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use relay_decode::escape::{json, printable};
use relay_decode::merge::{Next, Shown, What};
use relay_decode::records::{Event, Line, Value, json_record};

use super::args::CatArgs;
use super::error::CatError;
use super::format;
use super::template::Template;
use crate::terminal::note_style;

/// Writes records and notes.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    /// Where to.
    out: BufWriter<StdoutLock<'static>>,
    /// Whether somebody looks at every line.
    is_terminal: bool,
    /// Whether to use colour.
    colour: bool,
    /// How a record is shown; as JSON if not by this.
    format: Option<&'a Template>,
    /// Whether data is shown in full.
    whole: bool,
    /// The boot whose records are shown.
    boot: u32,
    /// Whether something that is not as it was written was shown.
    pub(super) is_damaged: bool,
    /// The line that is made.
    text: String,
    /// The same in JSON.
    json: Vec<u8>,
}

impl<'a> Printer<'a> {
    /// Prepares to write.
    pub(super) fn new(args: &'a CatArgs) -> Self {
        let stdout = io::stdout();
        Self {
            is_terminal: stdout.is_terminal(),
            colour: args.color.for_stream(&stdout) && !args.json,
            out: BufWriter::with_capacity(1 << 16, stdout.lock()),
            format: (!args.json).then_some(&args.log_format),
            whole: args.verbose,
            boot: 1,
            is_damaged: false,
            text: String::new(),
            json: Vec::new(),
        }
    }

    /// Goes on with a boot, and with what names it if there are several.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub(super) fn begin(&mut self, boot: u32, title: Option<String>) -> Result<(), CatError> {
        self.boot = boot;
        match (title, self.format) {
            (None, _) => Ok(()),
            (Some(title), Some(_)) => writeln!(self.out, "-- {title}").map_err(CatError::Output),
            (Some(title), None) => {
                // There is nobody to tell about a stderr that cannot be written.
                let _ = writeln!(io::stderr(), "-- {title}");
                Ok(())
            }
        }
    }

    /// Writes a record or a note.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub(super) fn show(&mut self, next: Next<'_, '_>) -> Result<(), CatError> {
        if let Next::Note(note) = &next {
            self.is_damaged |= matches!(note.what, What::Damage(_));
        }
        let written = match (next, self.format) {
            (Next::Record(shown, values), None) => {
                self.json.clear();
                push_json(&mut self.json, self.boot, &shown, values);
                self.out.write_all(&self.json)
            }
            (Next::Record(shown, values), Some(format)) => {
                self.text.clear();
                format::push(
                    format,
                    &mut self.text,
                    &shown,
                    values,
                    self.colour,
                    self.whole,
                );
                self.out.write_all(self.text.as_bytes())
            }
            (Next::Note(note), None) => {
                // There is nobody to tell about a stderr that cannot be written.
                let text = note.to_string();
                let _ = writeln!(io::stderr(), "{}", printable(text.as_bytes()));
                Ok(())
            }
            (Next::Note(note), Some(_)) => {
                let text = note.to_string();
                let text = printable(text.as_bytes());
                match (self.colour, note_style(&note)) {
                    (true, style) => writeln!(self.out, "{style}{text}{style:#}"),
                    (false, _) => writeln!(self.out, "{text}"),
                }
            }
        };
        written.map_err(CatError::Output)?;
        match self.is_terminal {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Lets the reader have everything.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), CatError> {
        self.out.flush().map_err(CatError::Output)
    }
}

/// Appends a record as a line of JSON.
fn push_json(out: &mut Vec<u8>, boot: u32, shown: &Shown<'_>, values: &[Value<'_>]) {
    let (record, event) = (&shown.record, shown.record.event);
    // Writing to a `Vec` cannot fail. The channel's name needs no escapes.
    let _ = write!(
        out,
        "{{\"boot\":{boot},\"ts_ns\":{},\"ticks\":{},\"cpu\":{},\"channel\":\"{}\",\"event\":",
        shown.ns, record.stamp.ticks, shown.cpu, shown.channel.name
    );
    let _ = json(&mut *out, &event.name);
    let context = record.stamp.context.name();
    let _ = write!(
        out,
        ",\"number\":{},\"packet\":{},\"context\":\"{context}\",\"severity\":",
        record.number, shown.packet
    );
    let _ = match shown.severity {
        Some(severity) => write!(out, "\"{}\"", severity.name()),
        None => write!(out, "null"),
    };
    if shown.is_late {
        let _ = write!(out, ",\"late\":true");
    }
    let line = Line::new(event, values);
    if let Some(message) = line.message() {
        let _ = write!(out, ",\"msg\":");
        let _ = json(&mut *out, String::from_utf8_lossy(&message).as_ref());
    }
    if let Some(facility) = &event.facility {
        let _ = write!(out, ",\"facility\":");
        let _ = json(&mut *out, facility);
    }
    let numbers = [
        ("facility_code", event.facility_code.map(i64::from)),
        ("type", event.kind.map(i64::from)),
        ("process", record.who.process),
        ("thread", record.who.thread),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            let _ = write!(out, ",\"{name}\":{number}");
        }
    }
    push_origin(out, event, &line);
    let _ = write!(out, ",\"fields\":");
    json_record(out, event, values);
    out.extend_from_slice(b"}\n");
}

/// Appends where in the source a record comes from, if that is known: the file as the class has it,
/// or as a line of the log does.
fn push_origin(out: &mut Vec<u8>, event: &Event, line: &Line<'_>) {
    let file = event.origin.as_ref().map(|origin| origin.file.as_bytes());
    let texts = [("module", line.module()), ("file", file.or(line.file()))];
    for (name, text) in texts {
        if let Some(text) = text {
            // Writing to a `Vec` cannot fail.
            let _ = write!(out, ",\"{name}\":");
            let _ = json(&mut *out, String::from_utf8_lossy(text).as_ref());
        }
    }
    if let Some(number) = line.number() {
        let _ = write!(out, ",\"line\":{number}");
    }
}
