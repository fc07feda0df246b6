//! Writes what `cat` shows to standard output.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use relay_decode::escape::printable;
use relay_decode::merge::Next;

use super::args::CatArgs;
use super::template::Template;
use super::{fault, format};
use crate::commands::walk::{Viewer, WalkError, Walked, push_json};
use crate::exit::Exit;
use crate::symbols::Programs;
use crate::terminal::note_style;

/// Writes records and notes.
#[derive(Debug)]
pub(super) struct Printer<W: Write = StdoutLock<'static>> {
    /// Where to.
    out: BufWriter<W>,
    /// Whether somebody looks at every line.
    is_terminal: bool,
    /// Whether to use colour.
    colour: bool,
    /// How a record is shown; as JSON if not by this.
    format: Option<Template>,
    /// What addresses of programs are looked up in.
    programs: Programs,
    /// Whether data is shown in full.
    whole: bool,
    /// The boot whose records are shown.
    boot: u32,
    /// The line that is made.
    text: String,
    /// The same in JSON.
    json: Vec<u8>,
}

impl Printer {
    /// Prepares to write.
    pub(super) fn new(args: &CatArgs) -> Self {
        let stdout = io::stdout();
        let format = args.log_format.clone();
        let format = match args.spans {
            true => format.with_span(),
            false => format,
        };
        Self {
            is_terminal: stdout.is_terminal(),
            colour: args.color.for_stream(&stdout) && !args.json,
            out: BufWriter::with_capacity(1 << 16, stdout.lock()),
            format: (!args.json).then_some(format),
            programs: Programs::of(args.programs.clone()),
            whole: args.verbose,
            boot: 1,
            text: String::new(),
            json: Vec::new(),
        }
    }
}

impl<W: Write> Printer<W> {
    /// Prepares to write records as JSON to an output.
    pub(super) fn json(out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, out),
            is_terminal: false,
            colour: false,
            format: None,
            programs: Programs::of(None),
            whole: false,
            boot: 1,
            text: String::new(),
            json: Vec::new(),
        }
    }
}

impl<W: Write> Viewer for Printer<W> {
    fn begin(&mut self, boot: u32, title: Option<String>) -> Result<(), WalkError> {
        self.boot = boot;
        match (title, &self.format) {
            (None, _) => Ok(()),
            (Some(title), Some(_)) => writeln!(self.out, "-- {title}").map_err(WalkError::Output),
            (Some(title), None) => {
                // There is nobody to tell about a stderr that cannot be written.
                let _ = writeln!(io::stderr(), "-- {title}");
                Ok(())
            }
        }
    }

    fn show(&mut self, next: Next<'_, '_>) -> Result<(), WalkError> {
        let written = match (next, &self.format) {
            (Next::Record(shown, values), None) => {
                self.json.clear();
                push_json(&mut self.json, self.boot, &shown, values);
                self.json.push(b'\n');
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
                fault::push(&mut self.text, &self.programs, &shown, values);
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
        written.map_err(WalkError::Output)?;
        match self.is_terminal {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), WalkError> {
        self.out.flush().map_err(WalkError::Output)
    }

    fn end(mut self, walked: Result<Walked, WalkError>) -> Result<Exit, WalkError> {
        self.flush()?;
        walked.map(|walked| Exit::check(!walked.is_damaged))
    }
}
