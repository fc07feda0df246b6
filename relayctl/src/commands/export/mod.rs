//! `relayctl export`: a capture in the formats of others.
//!
//! Each format has a file here, and a place in [`FORMATS`].

mod error;
mod folded;
mod format;
mod jsonl;
mod samples;
mod speedscope;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::boots::Which;
use super::filter::FilterArgs;
use super::profile::Elves;
use super::source::Source;
use crate::exit::Exit;
use crate::terminal::say;
use error::ExportError;
use format::{Format, Job};

/// All formats, by name.
const FORMATS: [Format; 3] = [folded::FORMAT, jsonl::FORMAT, speedscope::FORMAT];

/// The options of `export`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExportArgs {
    /// A capture or its trace, also as .tar or .tar.gz; a raw file; - for standard input; the
    /// newest capture if not given
    pub(crate) capture: Option<PathBuf>,

    /// The format
    #[arg(short, long, value_name = "FORMAT", value_parser = format_parser())]
    pub(crate) format: String,

    /// The file to write [default: standard output, as for -]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Which boots of a machine that was reset: a number from 1, all, or last
    #[arg(long, value_name = "BOOT", default_value_t)]
    pub(crate) boot: Which,

    /// Which records.
    #[command(flatten)]
    pub(crate) wanted: FilterArgs,

    /// The kernel's ELF file, for formats of profiles [default: what the capture tells, if that is
    /// still the kernel that ran]
    #[arg(long, value_name = "PATH")]
    pub(crate) elf: Option<PathBuf>,

    /// The folder with the programs' ELF files, called as the programs are, for formats of profiles
    /// [default: the kernel's]
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
}

/// Reads the name of a format.
fn format_parser() -> impl TypedValueParser<Value = String> {
    let values = FORMATS.map(|format| PossibleValue::new(format.name).help(format.about));
    PossibleValuesParser::new(values)
}

/// Does `relayctl export`.
pub(crate) fn export(args: &ExportArgs) -> Exit {
    match try_export(args) {
        Ok(exit) => exit,
        // Whoever has read enough has read enough.
        Err(error) if error.is_broken_pipe() => Exit::Good,
        Err(error) => {
            say(error.to_string());
            error.exit()
        }
    }
}

/// Writes the format that is wanted; failed if something is not as it was written.
fn try_export(args: &ExportArgs) -> Result<Exit, ExportError> {
    let Some(format) = FORMATS.iter().find(|format| format.name == args.format) else {
        return Err(ExportError::Usage(format!("no format '{}'", args.format)));
    };
    let source = Source::open(args.capture.as_deref())?;
    let selection = source.boots(args.boot)?;
    selection.problems.iter().for_each(say);
    let job = Job {
        source: &source,
        selection: &selection,
        filter: &args.wanted.filter(),
        elves: Elves {
            kernel: args.elf.as_deref(),
            programs: args.programs.as_deref(),
        },
    };
    let output = args
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    match output {
        None => write(format, &job, io::stdout().lock()),
        Some(path) => {
            let mut file = Created::at(path);
            let written = write(format, &job, &mut file).and_then(|exit| {
                // Nothing is something, too, if that is all that there is.
                file.file().map_err(ExportError::Output)?;
                Ok(exit)
            });
            written.map_err(|error| error.of_file(path))
        }
    }
}

/// Writes a format to an output.
fn write(format: &Format, job: &Job<'_>, output: impl Write) -> Result<Exit, ExportError> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let exit = (format.write)(job, &mut output)?;
    output.flush().map_err(ExportError::Output)?;
    Ok(exit)
}

/// A file that is created when the first is written: what was there before stays if there is nothing
/// to export.
#[derive(Debug)]
struct Created<'a> {
    path: &'a Path,
    file: Option<File>,
}

impl<'a> Created<'a> {
    /// Nothing is there yet.
    fn at(path: &'a Path) -> Self {
        Self { path, file: None }
    }

    /// The file.
    fn file(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(File::create(self.path)?)),
        }
    }
}

impl Write for Created<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}
