//! Where captures lie, and what they are called.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use relay_decode::capture::{self, DEFAULT_MAX_SIZE, Keep, Options};
use relay_decode::escape::printable;
use relay_decode::wire::Kind;
use relay_machine::workspace::Workspace;
use serde_json::{Value, json};

use crate::terminal::{near, say};

/// The folder that captures lie in by default.
const CAPTURES: &str = "captures";

/// The folder that captures lie in: `captures` in the workspace that the current
/// folder is in, else in the current folder.
pub(super) fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let workspace = Workspace::around(&here).map(|workspace| workspace.root);
    workspace.unwrap_or(here).join(CAPTURES)
}

/// The newest capture in the default folder.
pub(super) fn latest() -> PathBuf {
    capture::latest(&root())
}

/// The capture that a path leads to. If that goes over a link, as the one to the newest capture
/// does, the user is told which capture it is.
pub(super) fn named(path: &Path) -> PathBuf {
    let Ok(target) = fs::read_link(path) else {
        return path.to_owned();
    };
    let target = path.parent().unwrap_or(Path::new("")).join(target);
    say(format!("reading {}", near(&target).display()));
    target
}

/// What made a capture, for its `run.json`.
pub(super) fn versions() -> Value {
    json!({ "relayctl": env!("CARGO_PKG_VERSION") })
}

/// The arguments of this program, for a capture's `run.json`: what is no UTF-8 is escaped.
pub(super) fn arguments() -> Vec<String> {
    let arguments = std::env::args_os();
    let shown = arguments.map(|argument| printable(argument.as_encoded_bytes()).into_owned());
    shown.collect()
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The options of every command that makes a capture.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaptureArgs {
    /// The capture's folder [default: captures/TIME, and captures/latest points at it]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Replace the capture that is there
    #[arg(long)]
    pub(crate) force: bool,

    /// The most bytes of packets, such as 500M or 4G; the text of the console may have as many, and
    /// what a panic leaves always has room
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_SIZE)]
    #[arg(value_parser = parse_size)]
    pub(crate) max_size: u64,

    /// What is kept when more than that comes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) keep: KeepArg,
}

/// What is kept of more than there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepArg {
    /// What came first; nothing is written after it
    #[default]
    Oldest,
    /// What came last: the oldest packets make room
    Newest,
}

impl CaptureArgs {
    /// What to make of bytes of one kind.
    #[must_use]
    pub(crate) fn options(&self, kind: Kind) -> Options {
        Options {
            root: root(),
            out: self.out.clone(),
            force: self.force,
            max_size: self.max_size,
            keep: match self.keep {
                KeepArg::Oldest => Keep::Oldest,
                KeepArg::Newest => Keep::Newest,
            },
            kind,
            announce: |what| say(what),
        }
    }
}

/// Reads a number of bytes with K, M or G behind it, powers of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| {
            "a size is a number of bytes above 0, with K, M or G behind it if wanted".to_owned()
        })
}
