//! The samples that a format of profiles is made of.

use super::error::ExportError;
use super::format::Job;
use crate::commands::profile::{Facts, Gathered, gather};
use crate::exit::Exit;
use crate::terminal::say;

/// Gives the samples of each boot to `take`, and tells the user what is known about them; failed if
/// there are none, or if something is damaged.
///
/// # Errors
///
/// When no boot has samples, or other records are wanted.
pub(super) fn each(job: &Job<'_>, mut take: impl FnMut(&Gathered)) -> Result<Exit, ExportError> {
    let (mut is_good, mut samples, mut failed) = (job.selection.problems.is_empty(), 0, None);
    for boot in &job.selection.boots {
        match gather(job.source, boot, job.filter, job.elves) {
            Ok(gathered) => {
                is_good &= !gathered.is_damaged;
                samples += gathered.profile.samples.len();
                say(Facts::of(&gathered).text(&gathered));
                take(&gathered);
            }
            Err(error) if job.selection.boots.len() == 1 => return Err(error.into()),
            // The others may have some.
            Err(error) => {
                say(format!("boot {}: {error}", boot.number));
                is_good = false;
                failed = Some(error);
            }
        }
    }
    match (samples, failed) {
        (0, Some(error)) => Err(error.into()),
        (0, None) => {
            say("there is no sample that is wanted");
            Ok(Exit::Failed)
        }
        _ => Ok(Exit::check(is_good)),
    }
}
