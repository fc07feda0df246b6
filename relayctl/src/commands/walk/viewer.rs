//! Who sees records, and which.

use std::path::PathBuf;

use relay_decode::merge::{Filter, Next, What};
use relay_decode::records::Schema;

use super::error::WalkError;
use crate::commands::boots::Which;
use crate::exit::Exit;
use crate::terminal::say;

/// What is walked through.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// The capture; the newest one if none is named.
    pub(crate) capture: Option<PathBuf>,
    /// Which of its boots.
    pub(crate) boot: Which,
    /// Which records.
    pub(crate) filter: Filter,
}

/// Who sees the records.
pub(crate) trait Viewer {
    /// Goes on with a boot, and with what names it if there are several.
    ///
    /// # Errors
    ///
    /// When the viewer cannot go on.
    fn begin(&mut self, boot: u32, title: Option<String>) -> Result<(), WalkError>;

    /// Sees a record or a note.
    ///
    /// # Errors
    ///
    /// When the viewer cannot go on.
    fn show(&mut self, next: Next<'_, '_>) -> Result<(), WalkError>;

    /// Has seen all that is there now; where a capture grows it is called again and again.
    ///
    /// # Errors
    ///
    /// When the viewer cannot go on.
    fn flush(&mut self) -> Result<(), WalkError>;

    /// The walk is over: how the command ends.
    ///
    /// # Errors
    ///
    /// Why the walk, or the viewer, could not go on.
    fn end(self, walked: Result<Walked, WalkError>) -> Result<Exit, WalkError>;
}

/// What was seen on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walked {
    /// Whether something is not as it was written.
    pub(crate) is_damaged: bool,
    /// How many records were shown.
    pub(crate) records: u64,
}

/// Shows a record or a note, and remembers what it was.
pub(super) fn step(
    viewer: &mut impl Viewer,
    walked: &mut Walked,
    next: Next<'_, '_>,
) -> Result<(), WalkError> {
    match &next {
        Next::Record(..) => walked.records += 1,
        Next::Note(note) => walked.is_damaged |= matches!(note.what, What::Damage(_)),
    }
    viewer.show(next)
}

/// Tells of fields in a query that no record can have: they may be misspelt.
pub(crate) fn say_unknown_fields(filter: &Filter, schema: &Schema) {
    let query = filter.query.as_ref();
    let unknown = query.map_or(Vec::new(), |query| query.unknown_fields(schema));
    if !unknown.is_empty() {
        say(format!(
            "no record of this boot has {}: what is compared with that is false",
            unknown.join(" or ")
        ));
    }
}
