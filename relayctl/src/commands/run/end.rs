//! How a guest ends, and what that means.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use relay_decode::console::{LineSplitter, RawLine};
use relay_decode::escape::printable;
use relay_machine::guest::{Event, Guest, GuestEnd};

use super::args::RunArgs;
use crate::exit::Exit;
use crate::terminal::say;

/// How long a guest that is expected to end may be silent.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What QEMU says when it is asked to end.
const ON_SIGNAL: &str = "terminating on signal 15 ";

/// Why the guest is not running any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// QEMU ended by itself.
    Guest(GuestEnd),
    /// A signal, or the reader of an endless log has gone.
    Interrupted,
    /// The time that `--timeout` gave is over.
    Timeout,
    /// No output for [`PATIENCE`].
    NoProgress,
}

impl End {
    /// The result in one word.
    pub(super) fn result(self, endless: bool) -> &'static str {
        match self {
            Self::Guest(GuestEnd::Pass) => "pass",
            Self::Guest(GuestEnd::Fail) => "fail",
            Self::Guest(_) => "error",
            Self::Interrupted if endless => "pass",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::NoProgress => "no-progress",
        }
    }

    /// The exit code, given whether the records add up.
    pub(super) fn exit(self, endless: bool, sound: bool) -> Exit {
        match self {
            Self::Interrupted if !endless => Exit::Infrastructure,
            Self::Guest(GuestEnd::Pass) | Self::Interrupted if sound => Exit::Good,
            Self::Guest(GuestEnd::Pass | GuestEnd::Fail) | Self::Interrupted => Exit::Failed,
            Self::Guest(_) | Self::Timeout | Self::NoProgress => Exit::Infrastructure,
        }
    }
}

/// Whether outputs that do not move are waited for when the guest has ended.
pub(super) struct Hurry<'a> {
    /// Where signals come.
    events: &'a Receiver<Event>,
    /// When the time that `--timeout` gave is over.
    limit: Option<Instant>,
    /// Whether there was a reason already.
    is_asked: bool,
}

impl<'a> Hurry<'a> {
    /// There is a hurry if the guest did not end by itself.
    pub(super) fn new(events: &'a Receiver<Event>, end: End, limit: Option<Instant>) -> Self {
        Self {
            events,
            limit,
            is_asked: !matches!(end, End::Guest(_)),
        }
    }

    /// From here on there is a hurry.
    pub(super) fn ask(&mut self) {
        self.is_asked = true;
    }

    /// Whether there was a signal, or the time is over, or there is another reason.
    pub(super) fn is_asked(&mut self) -> bool {
        while let Ok(event) = self.events.try_recv() {
            self.is_asked |= matches!(event, Event::Signal);
        }
        self.is_asked |= self.limit.is_some_and(|limit| Instant::now() >= limit);
        self.is_asked
    }
}

/// Says why the guest ended, unless it is what everybody hopes for.
pub(super) fn explain(args: &RunArgs, end: End, guest: &Guest) {
    match end {
        End::Guest(GuestEnd::Pass) => return,
        End::Guest(GuestEnd::Fail) => {
            return say(format!(
                "{}: scenario {} failed",
                GuestEnd::Fail,
                args.scenario()
            ));
        }
        End::Guest(end) => say(end.to_string()),
        End::Interrupted => return say("interrupted: the guest was ended"),
        End::Timeout => {
            let limit = args.timeout.unwrap_or_default();
            say(format!(
                "timeout: the guest did not end within {limit} s, and was ended"
            ));
        }
        End::NoProgress => say(format!(
            "no progress: no output for {} s, the guest was ended",
            PATIENCE.as_secs()
        )),
    }
    let messages = guest.messages();
    let mut splitter = LineSplitter::new();
    // That is how relayctl ended it, and no fault of QEMU's.
    let is_own = |text: &str| !matches!(end, End::Guest(_)) && text.contains(ON_SIGNAL);
    let show = |line: RawLine<'_>| {
        let text = printable(line.bytes);
        if !is_own(&text) {
            say(format!("qemu: {text}"));
        }
    };
    splitter.push(&messages, show);
    splitter.finish(show);
}
