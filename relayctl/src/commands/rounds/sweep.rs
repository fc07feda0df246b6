//! Many runs: what they hold together, and the captures of those that failed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Round, RoundError, Stop, Totals};
use crate::exit::Exit;
use crate::report;
use crate::terminal::{Output, near, say};

/// How often the progress line is drawn.
const DRAW: Duration = Duration::from_millis(500);

/// The most captures that are kept: they show the same, most likely.
const MAX_KEPT: usize = 5;

/// The file beside a kept capture's own that says how it is made again.
const REPLAY: &str = "replay";

/// Why runs cannot be made.
#[derive(Debug)]
pub(crate) enum SweepError {
    /// A folder for captures.
    Folder(PathBuf, io::Error),
    /// Signals cannot be listened for.
    Signals(io::Error),
    /// A run.
    Round(RoundError),
    /// The result cannot be written.
    Output(io::Error),
}

impl fmt::Display for SweepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Signals(error) => write!(f, "signals cannot be listened for: {error}"),
            Self::Round(error) => error.fmt(f),
            Self::Output(error) => write!(f, "cannot write the result: {error}"),
        }
    }
}

impl std::error::Error for SweepError {}

/// A run that went wrong.
#[derive(Debug)]
struct Failure {
    name: String,
    command: String,
    wrong: Vec<String>,
    /// Where its capture is, if it is kept.
    kept: Option<PathBuf>,
}

/// Many runs.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// Where captures are kept.
    folder: PathBuf,
    stop: Stop,
    bar: ProgressBar,
    totals: Totals,
    failures: Vec<Failure>,
}

impl Sweep {
    /// Begins; what fails is kept in `folder`. `length` is how many steps there are to go, and
    /// `template` how that is shown on a terminal.
    ///
    /// # Errors
    ///
    /// When there can be no such folder.
    pub(crate) fn begin(folder: PathBuf, length: u64, template: &str) -> Result<Self, SweepError> {
        fs::create_dir_all(&folder).map_err(|error| SweepError::Folder(folder.clone(), error))?;
        let stop = Stop::on_signal().map_err(SweepError::Signals)?;
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(DRAW);
        Ok(Self {
            folder,
            stop,
            bar,
            totals: Totals::default(),
            failures: Vec::new(),
        })
    }

    /// Shows how far it has come.
    pub(crate) fn show(&self, position: u64, what: &str) {
        let failed = match self.failures.len() {
            0 => String::new(),
            count => format!(", {count} failed"),
        };
        self.bar.set_position(position);
        self.bar
            .set_message(format!("{what}{failed}: {}", self.totals.line()));
    }

    /// Whether any run has failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Makes a run, several times if `times` is more than 1: then all captures must be the same,
    /// byte for byte. False if the user wants to stop.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn run(
        &mut self,
        name: &str,
        round: &Round,
        times: u32,
    ) -> Result<bool, SweepError> {
        let folders: Vec<_> = (0..times.max(1)).map(|time| self.place(time)).collect();
        let mut wrong = Vec::new();
        for (time, folder) in folders.iter().enumerate() {
            let found = match round.play(folder, &self.stop) {
                Err(RoundError::Stopped) => return Ok(false),
                found => found.map_err(SweepError::Round)?,
            };
            wrong.extend(found.wrong.iter().cloned());
            if time == 0 {
                self.totals.add(&found);
            } else if let Some(what) = difference(&folders[0], folder) {
                wrong.push(what);
            }
        }
        if !wrong.is_empty() {
            self.fail(name, round, wrong);
        }
        for folder in &folders {
            // The next run replaces what cannot be removed.
            let _ = fs::remove_dir_all(folder);
        }
        Ok(true)
    }

    /// Where the capture of a run lies while it is made.
    fn place(&self, time: u32) -> PathBuf {
        self.folder.join(format!("running.{time}"))
    }

    /// Keeps a run that went wrong, and tells of it.
    fn fail(&mut self, name: &str, round: &Round, wrong: Vec<String>) {
        let command = round.command();
        let target = self.folder.join(name);
        let is_kept = self.failures.len() < MAX_KEPT && {
            let _ = fs::remove_dir_all(&target);
            fs::rename(self.place(0), &target).is_ok()
                && fs::write(target.join(REPLAY), format!("{command}\n")).is_ok()
        };
        self.bar.suspend(|| {
            say(format!("{name} failed; to make it again: {command}"));
            wrong.iter().for_each(|what| say(format!("    {what}")));
            if is_kept {
                say(format!("    its capture is {}", near(&target).display()));
            }
        });
        self.failures.push(Failure {
            name: name.to_owned(),
            command,
            wrong,
            kept: is_kept.then_some(target),
        });
    }

    /// Shows what all runs held, as a table or as JSON. Failed if a run has, or if none was made,
    /// or if it `is_proof` and something was never interrupted where it matters.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written to.
    pub(crate) fn conclude(self, is_json: bool, is_proof: bool) -> Result<Exit, SweepError> {
        self.bar.finish_and_clear();
        let lacking = self.totals.lacking();
        let text = match is_json {
            true => self.json(&lacking),
            false => self.table(&lacking),
        };
        let shown = Output::new(io::stdout()).put(&text);
        shown.map_err(SweepError::Output)?;
        if self.stop.is_asked() {
            say("stopped: not all runs were made");
            return Ok(Exit::Infrastructure);
        }
        let is_good = self.failures.is_empty() && self.totals.captures > 0;
        Ok(Exit::check(
            is_good && !(is_proof && self.totals.lacks_one()),
        ))
    }

    fn table(&self, lacking: &[String]) -> String {
        let mut text = self.totals.tables();
        for what in lacking {
            text += &format!("too rare for a proof: {what}\n");
        }
        for failure in &self.failures {
            text += &format!("failed: {}: {}\n", failure.name, failure.command);
        }
        let (count, failed) = (self.totals.captures, self.failures.len());
        let runs = if count == 1 { "run" } else { "runs" };
        text + &format!("{count} {runs}, {failed} failed\n")
    }

    fn json(&self, lacking: &[String]) -> String {
        let failures = self.failures.iter().map(|failure| {
            json!({
                "name": failure.name,
                "command": failure.command,
                "wrong": failure.wrong,
                "capture": failure.kept,
            })
        });
        let failures: Vec<_> = failures.collect();
        report::line(&json!({
            "runs": self.totals.json(),
            "failed": failures,
            "too_rare": lacking,
        }))
    }
}

/// How two captures of the same run differ: in a file of the trace, or in the console's text.
fn difference(one: &Path, other: &Path) -> Option<String> {
    let names = match files(one).and_then(|names| Ok((names, files(other)?))) {
        Ok((names, others)) if names == others => names,
        Ok(_) => return Some("the same run had other streams".to_owned()),
        Err(error) => return Some(format!("its captures cannot be compared: {error}")),
    };
    let is_other = |name: &&PathBuf| {
        let bytes = [one, other].map(|folder| fs::read(folder.join(name)).ok());
        bytes[0].is_none() || bytes[0] != bytes[1]
    };
    let other = names.iter().find(is_other)?;
    Some(format!("the same run had another {}", other.display()))
}

/// The files of a capture that hold what came from the machine, sorted.
fn files(capture: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = vec![PathBuf::from("console.log")];
    for entry in fs::read_dir(capture.join("trace"))? {
        let entry = entry?;
        // The index says what the packets say.
        if !entry.file_type()?.is_dir() {
            names.push(Path::new("trace").join(entry.file_name()));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use relay_decode::capture::Scratch;

    use super::*;

    #[test]
    fn captures_are_the_same_to_the_last_byte_or_not() {
        let folder = Scratch::new().expect("it is writable");
        let make = |name: &str, files: &[(&str, &str)]| {
            let capture = folder.path().join(name);
            fs::create_dir_all(capture.join("trace")).expect("it is writable");
            for (file, text) in files {
                fs::write(capture.join(file), text).expect("it is writable");
            }
            capture
        };
        let files = [("console.log", "text"), ("trace/klog_0", "abc")];
        let one = make("one", &files);
        assert_eq!(difference(&one, &make("same", &files)), None);
        let byte = make("byte", &[files[0], ("trace/klog_0", "abd")]);
        let what = difference(&one, &byte).expect("they differ");
        assert!(what.contains("trace/klog_0"), "{what}");
        let more = make("more", &[files[0], files[1], ("trace/klog_1", "")]);
        assert!(difference(&one, &more).is_some());
        assert!(difference(&one, &folder.path().join("none")).is_some());
    }
}
