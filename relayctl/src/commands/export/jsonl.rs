//! Records as JSON, a line each: the same as `cat --json`.

use std::io::Write;

use super::error::ExportError;
use super::format::{Format, Job};
use crate::commands::cat;
use crate::exit::Exit;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "jsonl",
    about: "records as JSON, a line each, as cat --json shows them",
    write,
};

fn write(job: &Job<'_>, out: &mut dyn Write) -> Result<Exit, ExportError> {
    let Job {
        source,
        selection,
        filter,
        ..
    } = job;
    cat::json_lines(source, selection, filter, out).map_err(ExportError::Records)
}
