//! What is there.

use relay_decode::capture::Uuid;
use relay_decode::merge::{Filter, Merge};

use super::error::WalkError;
use super::viewer::{Viewer, Walk, Walked, say_unknown_fields, step};
use crate::commands::boots::{Selection, title};
use crate::commands::source::Source;
use crate::exit::Exit;
use crate::terminal::say;

/// Shows the records that are there, boot by boot.
///
/// # Errors
///
/// When there is nothing to read, or the viewer cannot go on.
pub(crate) fn stored(walk: &Walk, viewer: impl Viewer) -> Result<Exit, WalkError> {
    let opened = Source::open(walk.capture.as_deref());
    let found = opened.and_then(|source| Ok((source.boots(walk.boot)?, source)));
    match found {
        Ok((selection, source)) => {
            selection.problems.iter().for_each(say);
            boots((&source, &selection), &walk.filter, viewer)
        }
        Err(error) => viewer.end(Err(WalkError::Source(error))),
    }
}

/// Shows the records of these boots, one boot after the other.
///
/// # Errors
///
/// When they cannot be read, or the viewer cannot go on.
pub(crate) fn boots(
    found: (&Source, &Selection),
    filter: &Filter,
    mut viewer: impl Viewer,
) -> Result<Exit, WalkError> {
    let walked = show(found, filter, &mut viewer);
    viewer.end(walked)
}

/// Shows each boot.
fn show(
    (source, selection): (&Source, &Selection),
    filter: &Filter,
    viewer: &mut impl Viewer,
) -> Result<Walked, WalkError> {
    let mut walked = Walked {
        is_damaged: !selection.problems.is_empty(),
        ..Walked::default()
    };
    // What is wanted must be in one of them.
    let (mut fits, mut lacking) = (false, None);
    for boot in &selection.boots {
        let stored = match source.boot(boot) {
            Ok(stored) => stored,
            Err(error) if selection.of == 1 => return Err(WalkError::Source(error)),
            // The others can be shown.
            Err(error) => {
                say(error.to_string());
                walked.is_damaged = true;
                continue;
            }
        };
        if let Err(error) = filter.check(&stored.schema) {
            lacking.get_or_insert(error);
            continue;
        }
        if !fits {
            say_unknown_fields(filter, &stored.schema);
        }
        fits = true;
        let uuid = Some(Uuid(stored.schema.uuid));
        viewer.begin(boot.number, title(selection.of, boot, uuid))?;
        let gone = stored.gone().map_err(WalkError::Open)?;
        walked.is_damaged |= !stored.problems.is_empty() || !gone.is_empty();
        let all = stored.problems.iter().chain(&gone).chain(&stored.unproven);
        all.for_each(say);
        if let Some(line) = stored.line.as_ref().filter(|line| line.is_mixed()) {
            say(line.to_string());
        }
        Merge::of(&stored, filter)?.each(|next| step(viewer, &mut walked, next))?;
    }
    viewer.flush()?;
    if fits && walked.records == 0 && !filter.modules.is_empty() {
        // Which modules there are, records say: a wrong one is not refused.
        say(format!(
            "no record that is wanted is of {}: whole paths are right, such as kernel::sched",
            filter.modules.join(" or ")
        ));
    }
    match lacking {
        Some(error) if !fits => Err(error.into()),
        _ => Ok(walked),
    }
}
