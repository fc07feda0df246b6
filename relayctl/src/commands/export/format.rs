//! What a format is, and what it is made of.

use std::io::Write;

use relay_decode::merge::Filter;

use super::error::ExportError;
use crate::commands::boots::Selection;
use crate::commands::profile::Elves;
use crate::commands::source::Source;
use crate::exit::Exit;

/// A format.
pub(super) struct Format {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// Writes it.
    pub(super) write: fn(&Job<'_>, &mut dyn Write) -> Result<Exit, ExportError>,
}

/// What is to be exported.
pub(super) struct Job<'a> {
    /// Where it is.
    pub(super) source: &'a Source,
    /// Its boots.
    pub(super) selection: &'a Selection,
    /// Its records.
    pub(super) filter: &'a Filter,
    /// The ELF files that were named.
    pub(super) elves: Elves<'a>,
}
