//! The lines of a profile: what samples have in common, and how many they are.

use std::fmt;

use relay_decode::escape::printable;
use relay_format::Context;

use super::args::{By, ProfileArgs, Sort};
use crate::profile::tally::{self, Count};
use crate::profile::{Found, Label, Profile, Taken, find};
use crate::symbols::Frame;

/// The most functions that are named where one was meant.
const MAX_NAMED: usize = 8;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What the samples have in common.
    pub(super) name: String,
    /// A source file that belongs to it.
    pub(super) file: Option<String>,
    /// The line in it.
    pub(super) line: Option<u32>,
    /// How many samples it ran itself in; nothing of what is next to a function.
    pub(super) own: Option<u64>,
    /// How many samples have it.
    pub(super) total: u64,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// The lines.
    pub(super) all: Vec<Row>,
    /// How many samples are the whole.
    pub(super) of: u64,
    /// The function that they are next to.
    pub(super) around: Option<String>,
}

/// A function that was named, and is none or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoFunction {
    /// As it was named.
    name: String,
    /// What it may mean.
    found: Vec<String>,
}

impl fmt::Display for NoFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, found } = self;
        if found.is_empty() {
            return write!(
                f,
                "no sample has a function '{name}': its name, or the end of it behind '::', would \
                 be right"
            );
        }
        let (named, more) = found.split_at(found.len().min(MAX_NAMED));
        write!(f, "'{name}' may be {}", named.join(", "))?;
        match more.len() {
            0 => Ok(()),
            more => write!(f, " or {more} others"),
        }
    }
}

/// Whether a sample is wanted that the merge has let through.
fn is_wanted(args: &ProfileArgs) -> impl Fn(&Taken) -> bool {
    |taken| {
        let mut contexts = args.contexts.iter();
        args.contexts.is_empty() || contexts.any(|context| taken.from == Some(*context))
    }
}

/// Counts what was asked for.
///
/// # Errors
///
/// When the function that was named is none, or several.
pub(super) fn rows(args: &ProfileArgs, profile: &Profile) -> Result<Rows, NoFunction> {
    let is_wanted = is_wanted(args);
    let counts = profile.counts(&is_wanted);
    let of = counts.iter().sum();
    let named = args.callers.as_ref().or(args.callees.as_ref());
    if let Some(name) = named {
        return around(profile, &counts, name, args.callers.is_some());
    }
    let mut all: Vec<Row> = match args.by {
        By::Function => tally::by_frame(profile, &counts, Label::of)
            .into_iter()
            .map(|(label, count)| row(label.name, label.file, None, count))
            .collect(),
        By::Line => {
            let place = |frame: &Frame| (frame.function.clone(), frame.file.clone(), frame.line);
            tally::by_frame(profile, &counts, place)
                .into_iter()
                .map(|((name, file, line), count)| row(name, file, line, count))
                .collect()
        }
        By::File => tally::by_frame(profile, &counts, |frame| frame.file.clone())
            .into_iter()
            .map(|(file, count)| {
                let name = file.clone().unwrap_or_else(|| "unknown".to_owned());
                row(name, file, None, count)
            })
            .collect(),
        By::Cpu => by_sample(
            profile,
            &is_wanted,
            |taken| taken.cpu,
            |cpu| format!("cpu {cpu}"),
        ),
        By::Context => by_sample(
            profile,
            &is_wanted,
            |taken| taken.from,
            |from| from.map_or("unknown", Context::name).to_owned(),
        ),
        By::Thread => by_sample(
            profile,
            &is_wanted,
            |taken| taken.thread,
            |thread| format!("thread {thread}"),
        ),
        By::Program => by_sample(
            profile,
            &is_wanted,
            |taken| (taken.process, (taken.process != 0).then_some(taken.name)),
            |(process, name)| match name {
                Some(name) => {
                    let name = printable(profile.names[name].as_bytes());
                    format!("{name} (process {process})")
                }
                None => "kernel".to_owned(),
            },
        ),
    };
    if args.sort == Sort::Total {
        // What is equal stays in its order.
        all.sort_by_key(|row| std::cmp::Reverse(row.total));
    }
    Ok(Rows {
        all,
        of,
        around: None,
    })
}

/// Counts by something that each sample has.
fn by_sample<K: Ord>(
    profile: &Profile,
    is_wanted: impl Fn(&Taken) -> bool,
    key: impl Fn(&Taken) -> K,
    name: impl Fn(K) -> String,
) -> Vec<Row> {
    tally::by_sample(profile, is_wanted, key)
        .into_iter()
        .map(|(key, count)| row(name(key), None, None, count))
        .collect()
}

/// A line.
fn row(name: String, file: Option<String>, line: Option<u32>, count: Count) -> Row {
    Row {
        name,
        file,
        line,
        own: Some(count.own),
        total: count.total,
    }
}

/// Counts what is next to a function.
fn around(
    profile: &Profile,
    counts: &[u64],
    name: &str,
    is_callers: bool,
) -> Result<Rows, NoFunction> {
    // Only of the samples that are wanted.
    let functions = tally::by_frame(profile, counts, Label::of);
    let labels: Vec<Label> = functions.into_iter().map(|(label, _)| label).collect();
    let label = match find(&labels, name) {
        Found::One(label) => label,
        Found::None => {
            return Err(NoFunction {
                name: name.to_owned(),
                found: Vec::new(),
            });
        }
        Found::Several(labels) => {
            return Err(NoFunction {
                name: name.to_owned(),
                found: labels.into_iter().map(Label::text).collect(),
            });
        }
    };
    let (found, of) = match is_callers {
        true => tally::callers(profile, counts, label),
        false => tally::callees(profile, counts, label),
    };
    let end = match is_callers {
        true => "(nobody that is known)",
        false => "(itself)",
    };
    let rows = found.into_iter().map(|(next, total)| {
        let (name, file) = match next {
            tally::Next::Function(label) => (label.name, label.file),
            tally::Next::End => (end.to_owned(), None),
        };
        Row {
            name,
            file,
            line: None,
            own: None,
            total,
        }
    });
    Ok(Rows {
        all: rows.collect(),
        of,
        around: Some(label.text()),
    })
}

impl Row {
    /// Its name, with its place if it has one.
    pub(super) fn title(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), _) if *file == self.name => file.clone(),
            (Some(file), Some(line)) => format!("{} ({file}:{line})", self.name),
            (Some(file), None) => format!("{} ({file})", self.name),
            (None, _) => self.name.clone(),
        }
    }
}
