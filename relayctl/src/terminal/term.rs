//! Colour, and the line to the user: data goes to stdout, talk goes to stderr.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::OnceLock;

use clap::ValueEnum;
use relay_decode::escape::printable;

use super::aside::{Aside, unlocked};

/// When output is coloured (`--color`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// Decides for one stream of this process.
    #[must_use]
    pub(crate) fn for_stream(self, stream: &impl IsTerminal) -> bool {
        let (no_color, term) = (env::var_os("NO_COLOR"), env::var_os("TERM"));
        self.decide(stream.is_terminal(), no_color.as_deref(), term.as_deref())
    }

    /// The rule: `NO_COLOR` counts when it is set and not empty (no-color.org).
    fn decide(self, terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                terminal
                    && no_color.is_none_or(OsStr::is_empty)
                    && term.is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// Where talk goes while nobody may wait for it.
static TALK: OnceLock<Aside> = OnceLock::new();

/// From now on nobody waits for stderr who has something to say. Where that cannot be, it stays.
pub(crate) fn talk_aside() {
    if let Ok(aside) = unlocked(&io::stderr()).and_then(Aside::start) {
        // The first one stays.
        let _ = TALK.set(aside);
    }
}

/// Waits until all that was said is on stderr, as long as that moves.
pub(crate) fn settle_talk(is_hurried: impl FnMut() -> bool) {
    if let Some(talk) = TALK.get() {
        talk.settle(is_hurried);
    }
}

/// Lets the user have a text on stderr.
///
/// A stderr that cannot be written to is not an error: there is nobody to tell.
pub(crate) fn tell(text: String) {
    match TALK.get() {
        Some(talk) => talk.put(text),
        None => {
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

/// Says something to the user on stderr, marked as coming from relayctl.
pub(crate) fn say(text: impl AsRef<str>) {
    let lines = text.as_ref().lines();
    let marked = |line: &str| format!("relayctl: {}\n", printable(line.as_bytes()));
    tell(lines.map(marked).collect());
}

/// A path as people see it: relative, if it lies in the current folder.
pub(crate) fn near(path: &Path) -> &Path {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path)
}

/// An output that may lose its reader: after a broken pipe it swallows
/// everything and remembers that it was closed.
#[derive(Debug)]
pub(crate) struct Output<W> {
    /// Where the bytes go.
    inner: W,
    /// Whether the reader has gone.
    closed: bool,
}

impl<W: Write> Output<W> {
    /// Wraps an output.
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            closed: false,
        }
    }

    /// Writes and flushes; a reader that has gone is not an error.
    ///
    /// # Errors
    ///
    /// Any other failure of the output, such as a full disk.
    pub(crate) fn put(&mut self, text: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match self
            .inner
            .write_all(text.as_bytes())
            .and_then(|()| self.inner.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_wants_it() {
        let auto = |terminal, no_color: Option<&str>, term: Option<&str>| {
            ColorChoice::Auto.decide(terminal, no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(auto(true, None, Some("xterm")));
        assert!(auto(true, Some(""), None));
        assert!(!auto(false, None, Some("xterm")));
        assert!(!auto(true, Some("1"), Some("xterm")));
        assert!(!auto(true, None, Some("dumb")));
        // The option beats the environment.
        assert!(ColorChoice::Always.decide(false, Some(OsStr::new("1")), None));
        assert!(!ColorChoice::Never.decide(true, None, None));
    }

    /// A writer whose every write fails with one kind of error.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_broken_pipe_is_not_an_error() {
        let mut output = Output::new(Failing(io::ErrorKind::BrokenPipe));
        assert!(output.put("x").is_ok() && output.closed);
        assert!(output.put("y").is_ok());
        assert!(
            Output::new(Failing(io::ErrorKind::StorageFull))
                .put("x")
                .is_err()
        );
    }
}
