//! Folded stacks: a line for each different stack, its functions from the outermost to the one
//! that ran, with `;` between them, and how many samples have it.

use std::collections::BTreeMap;
use std::io::Write;

use super::error::ExportError;
use super::format::{Format, Job};
use super::samples;
use crate::commands::profile::Gathered;
use crate::exit::Exit;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "folded",
    about: "stacks of the profile and their samples, a line each, for flame graphs",
    write,
};

fn write(job: &Job<'_>, out: &mut dyn Write) -> Result<Exit, ExportError> {
    let mut lines = BTreeMap::new();
    let exit = samples::each(job, |gathered| add(&mut lines, gathered))?;
    for (stack, count) in &lines {
        writeln!(out, "{stack} {count}").map_err(ExportError::Output)?;
    }
    Ok(exit)
}

/// Counts a boot's samples by the text of their stacks.
fn add(lines: &mut BTreeMap<String, u64>, gathered: &Gathered) {
    let profile = &gathered.profile;
    let frames = profile.frames.all();
    for (stack, count) in profile.stacks.iter().zip(profile.counts(|_| true)) {
        let names = stack.iter().rev();
        let names: Vec<_> = names.map(|at| name(&frames[*at].function)).collect();
        *lines.entry(names.join(";")).or_default() += count;
    }
}

/// A name, without what has a meaning in a line of this format. Ends of lines are escaped already.
fn name(function: &str) -> String {
    function.replace(';', ":").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_neither_its_frame_nor_its_line() {
        assert_eq!(name("f::<[u8; 4]>\n"), "f::<[u8: 4]> ");
    }
}
