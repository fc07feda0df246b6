//! One run: this program once more, as `run --json`.

use std::env;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use relay_decode::console::Line;
use serde_json::Value;

use super::plan::Planned;
use crate::exit::Exit;

/// How many lines of a run that failed are shown.
const TAIL: usize = 20;

/// What a run left.
#[derive(Debug)]
pub(super) struct Left {
    /// What the kernel logged: messages.
    pub(super) messages: Vec<String>,
    /// The summary.
    pub(super) summary: Value,
}

/// Why a run was of no use.
#[derive(Debug)]
pub(super) struct RunFailed {
    /// Which.
    what: String,
    /// Why.
    why: String,
    /// How this program ends for it.
    pub(super) exit: Exit,
}

impl fmt::Display for RunFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl RunFailed {
    /// It could not be found out.
    pub(super) fn new(run: &Planned, why: impl fmt::Display) -> Self {
        Self {
            what: run.to_string(),
            why: why.to_string(),
            exit: Exit::Infrastructure,
        }
    }
}

/// Boots a machine, and waits for its end.
pub(super) fn run(run: &Planned, kernel: &Path) -> Result<Left, RunFailed> {
    let failed = |why: &dyn fmt::Display| RunFailed::new(run, why);
    let program = env::current_exe().map_err(|error| failed(&error))?;
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command.args(["run", "--json", "--color", "never", "--kernel"]);
    command
        .arg(kernel)
        .arg("--out")
        .arg(folder.path().join("capture"));
    command.args(["--scenario", run.scenario, "--smp", &run.smp.to_string()]);
    command.args(&run.options).stdin(Stdio::null());
    let output = command.output().map_err(|error| failed(&error))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        let exit = match output.status.code() {
            Some(1) => Exit::Failed,
            _ => Exit::Infrastructure,
        };
        let why = format!("it ended with {}:\n{tail}", output.status);
        return Err(RunFailed {
            exit,
            ..failed(&why)
        });
    }
    let message = |line: &str| match Line::parse(line) {
        Line::Record(record) => Some(record.message.to_owned()),
        _ => None,
    };
    let summary = serde_json::from_slice(&output.stdout);
    Ok(Left {
        messages: log.lines().filter_map(message).collect(),
        summary: summary.map_err(|error| failed(&error))?,
    })
}
